import { existsSync } from 'node:fs';
import { chmod, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { makeFolder } from '../folder.js';
import { giveToFolderOwner, refuseNewer } from './database.js';
import { DatabaseError } from './database-error.js';

/** Pages copied at a time: the server writes in between. */
const PAGES = 1000;

/** Share of the pages that is copied, from 0 to 1. */
export type OnProgress = (part: number) => void;

/**
 * Copies a store to a file that is not there yet, also while a server writes to it: SQLite's online backup. Rejects with
 * DatabaseError.
 */
export async function backUp(store: string, to: string, onProgress: OnProgress): Promise<void> {
  if (existsSync(to)) throw new DatabaseError('ERR_STORE_OPEN', `${to} is there already`);
  await copy(store, to, onProgress);
}

/** Puts a backup in the place of a store that nobody has open. Rejects with DatabaseError, and then changes nothing. */
export async function restore(from: string, store: string, onProgress: OnProgress): Promise<void> {
  const backup = open(from);
  try {
    refuseNewer(backup, from);
    const [check] = backup.pragma('integrity_check') as { integrity_check: string }[];
    if (check?.integrity_check !== 'ok') {
      throw new DatabaseError('ERR_STORE_OPEN', `${from} is damaged: ${check?.integrity_check ?? 'no answer'}`);
    }
  } finally {
    backup.close();
  }
  await makeFolder(dirname(store), 0o700);
  await copy(from, store, onProgress, true);
}

/** Under another name first; `isOwners`: the copy goes with its folder. What SQLite keeps beside a file belongs to the old one. */
async function copy(from: string, to: string, onProgress: OnProgress, isOwners = false): Promise<void> {
  const source = open(from);
  const part = `${to}.new`;
  await rm(part, { force: true });
  try {
    await source.backup(part, {
      progress: ({ totalPages, remainingPages }) => {
        if (totalPages > 0) onProgress(1 - remainingPages / totalPages);
        return PAGES;
      },
    });
    await chmod(part, 0o600);
    if (isOwners) giveToFolderOwner(part);
    await rm(`${to}-wal`, { force: true });
    await rm(`${to}-shm`, { force: true });
    await rename(part, to);
  } catch (error) {
    await rm(part, { force: true });
    throw new DatabaseError('ERR_STORE_OPEN', `cannot copy ${from} to ${to}: ${(error as Error).message}`);
  } finally {
    source.close();
  }
}

function open(path: string): Database.Database {
  try {
    const file = new Database(path, { readonly: true, fileMustExist: true });
    // A file that is no database shows at the first look.
    file.prepare('SELECT count(*) FROM sqlite_master').get();
    return file;
  } catch (error) {
    throw new DatabaseError('ERR_STORE_OPEN', `cannot open the database ${path}: ${(error as Error).message}`);
  }
}
