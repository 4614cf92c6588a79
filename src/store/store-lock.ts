import Database from 'better-sqlite3';
import { DatabaseError } from './database-error.js';
import { giveToFolderOwner, makePrivate, restrict } from './private-file.js';

/** `server`: exclusive use. `command`: an operator's command; several may run, but no server. */
export type StoreUse = 'server' | 'command';

/** How long to wait for the lock, in milliseconds. Commands and a stopping server end soon. */
const PATIENCE = 3_000;

/**
 * A lock on the use of a SQLite file, taken on a file beside it. The system releases it when the process ends in any
 * way. It is SQLite's lock on an empty database, because Node has no file locks.
 */
export class StoreLock {
  readonly path: string;
  readonly #file: Database.Database;

  private constructor(path: string, file: Database.Database) {
    this.path = path;
    this.#file = file;
  }

  /** Takes the lock, waiting up to `patience` milliseconds. Throws DatabaseError. */
  static take(store: string, use: StoreUse, patience = PATIENCE): StoreLock {
    const path = `${store}-lock`;
    let file: Database.Database | undefined;
    try {
      if (!makePrivate(path, true)) giveToFolderOwner(path);
      restrict(path);
      file = new Database(path, { timeout: patience });
      file.pragma('journal_mode = MEMORY');
      file.exec(use === 'server' ? 'BEGIN EXCLUSIVE' : 'BEGIN; SELECT count(*) FROM sqlite_master');
      return new StoreLock(path, file);
    } catch (error) {
      file?.close();
      const { code, message } = error as { code?: string; message: string };
      if (code === 'SQLITE_BUSY') throw new DatabaseError('ERR_STORE_LOCKED', `${store}: ${HELD[use]}`);
      throw new DatabaseError('ERR_STORE_OPEN', `cannot lock the store with ${path}: ${message}`);
    }
  }

  release(): void {
    this.#file.close();
  }
}

const HELD: Readonly<Record<StoreUse, string>> = {
  server:
    'another server or command has this store open. One server at a time can use a SQLite file: stop the other one, give this one another store, or use PostgreSQL for several',
  command:
    'a server has this store open, but does not answer at the control socket: give its socket with --control.socket or -c, or stop it',
};
