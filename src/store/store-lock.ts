import Database from 'better-sqlite3';
import { DatabaseError } from './database-error.js';
import { giveToFolderOwner, makePrivate, restrict } from './private-file.js';

/** `server`: nobody else has the store. `command`: an operator's command, as many as there are, and no server. */
export type StoreUse = 'server' | 'command';

/** How long whoever has the store is waited for, in milliseconds: commands end soon, and so does a server that is stopped. */
const PATIENCE = 3_000;

/**
 * Who uses a SQLite file, by a lock on a file beside it that the system takes back when its process ends, however it ends.
 * The lock is SQLite's on an empty database: Node has none of its own.
 */
export class StoreLock {
  readonly path: string;
  readonly #file: Database.Database;

  private constructor(path: string, file: Database.Database) {
    this.path = path;
    this.#file = file;
  }

  /** Waits for others a moment. Throws DatabaseError. */
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
      throw new DatabaseError('ERR_STORE_OPEN', `cannot lock the store by ${path}: ${message}`);
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
