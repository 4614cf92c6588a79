import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { makeFolder } from '../runtime/system/folder.js';
import { refuseForeign, refuseNewer } from './database.js';
import { DatabaseError } from './database-error.js';
import { BESIDE, makePrivate, placeOf, syncFolder } from './private-file.js';
import { cannotOpen } from './sqlite-errors.js';
import { StoreLock } from './store-lock.js';

/** Number of pages copied at a time. The server can write in between. */
const PAGES = 1000;

/** The share of pages copied so far, from 0 to 1. */
export type OnProgress = (part: number) => void;

/**
 * Copies a store to a new file with access for its owner only, even while a server writes to the store (SQLite's online
 * backup). Rejects with DatabaseError.
 */
export async function backUp(store: string, to: string, onProgress: OnProgress): Promise<void> {
  if (existsSync(to)) throw new DatabaseError('ERR_STORE_OPEN', `${to} already exists`);
  await copy(store, to, onProgress);
}

/**
 * Replaces a store by a backup. No process may have the store open. Rejects with DatabaseError, in which case nothing
 * has changed.
 */
export async function restore(from: string, store: string, onProgress: OnProgress): Promise<void> {
  const backup = open(from);
  try {
    refuseForeign(backup, from);
    refuseNewer(backup, from);
    const [check] = backup.pragma('integrity_check') as { integrity_check: string }[];
    if (check?.integrity_check !== 'ok') {
      throw new DatabaseError('ERR_STORE_OPEN', `${from} is damaged: ${check?.integrity_check ?? 'no answer'}`);
    }
  } finally {
    backup.close();
  }
  await makeFolder(dirname(store), 0o700);
  const place = placeOf(store);
  const lock = StoreLock.take(place, 'server');
  try {
    await copy(from, place, onProgress, true);
  } finally {
    lock.release();
  }
}

/** Copies to a temporary name first, then renames. `isOwners`: gives the copy to the owner of its folder. */
async function copy(from: string, to: string, onProgress: OnProgress, isOwners = false): Promise<void> {
  const source = open(from);
  const part = `${to}.new`;
  try {
    await rm(part, { force: true });
    makePrivate(part, isOwners);
    await source.backup(part, {
      progress: ({ totalPages, remainingPages }) => {
        if (totalPages > 0) onProgress(1 - remainingPages / totalPages);
        return PAGES;
      },
    });
    standAlone(part);
    if (existsSync(to)) await emptyJournal(to);
    await rename(part, to);
    syncFolder(dirname(to));
  } catch (error) {
    await rm(part, { force: true });
    throw new DatabaseError('ERR_STORE_OPEN', `cannot copy ${from} to ${to}: ${(error as Error).message}`);
  } finally {
    source.close();
  }
}

/** Leaves WAL mode, so that no files appear beside the copy when it is read. A server sets WAL mode again. */
function standAlone(path: string): void {
  const file = new Database(path, { fileMustExist: true });
  try {
    file.pragma('journal_mode = DELETE');
  } finally {
    file.close();
  }
}

/**
 * Writes the journal of the old database into it and removes the journal files, which would corrupt a new database in
 * its place. A power failure at any moment leaves either the old or the new store complete.
 */
async function emptyJournal(path: string): Promise<void> {
  try {
    const old = new Database(path, { fileMustExist: true });
    try {
      old.pragma('wal_checkpoint(TRUNCATE)');
    } finally {
      old.close();
    }
  } catch {
    // The old file is not a database, so nothing in it is worth keeping.
  }
  for (const ending of BESIDE) await rm(path + ending, { force: true });
}

function open(path: string): Database.Database {
  try {
    const file = new Database(path, { readonly: true, fileMustExist: true });
    // Only the first query detects a file that is not a database.
    file.prepare('SELECT count(*) FROM sqlite_master').get();
    return file;
  } catch (error) {
    throw cannotOpen(path, error);
  }
}
