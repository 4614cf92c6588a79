import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseError } from './database-error.js';

/** Result codes of SQLite, without what is behind the second underscore, that say that the file cannot be used, not that a query is wrong. */
const LOST = new Set([
  'SQLITE_PERM',
  'SQLITE_BUSY',
  'SQLITE_LOCKED',
  'SQLITE_NOMEM',
  'SQLITE_READONLY',
  'SQLITE_IOERR',
  'SQLITE_CORRUPT',
  'SQLITE_FULL',
  'SQLITE_CANTOPEN',
  'SQLITE_PROTOCOL',
  'SQLITE_NOTADB',
  'SQLITE_AUTH',
]);

/** What the driver threw, as DatabaseError where it says something about the file; all else is a fault of ours, and stays. */
export function asDatabaseError(error: unknown, path: string): unknown {
  const { code, message } = error as { code?: unknown; message?: string };
  if (typeof code !== 'string' || !code.startsWith('SQLITE_')) return error;
  const [sqlite, kind] = code.split('_');
  const primary = `${sqlite}_${kind}`;
  if (!LOST.has(primary)) return error;
  if (primary === 'SQLITE_FULL' || (primary === 'SQLITE_IOERR' && isFull(path))) {
    return new DatabaseError('ERR_STORE_FULL', `the disk of the database ${path} is full`, { cause: error });
  }
  return new DatabaseError('ERR_STORE_DOWN', `the database ${path} cannot be used: ${message} (${code})`, {
    cause: error,
  });
}

/** What the driver threw as it opened a file. */
export function cannotOpen(path: string, error: unknown): DatabaseError {
  const known = asDatabaseError(error, path);
  const isFull = known instanceof DatabaseError && known.code === 'ERR_STORE_FULL';
  const [code, reason] = isFull ? [known.code, known.message] : ['ERR_STORE_OPEN' as const, (error as Error).message];
  return new DatabaseError(code, `cannot open the database ${path}: ${reason}`, { cause: error });
}

/** Where SQLite cannot lengthen the file that it shares with others it says only that something went wrong. */
function isFull(path: string): boolean {
  try {
    return statfsSync(dirname(path)).bavail === 0;
  } catch {
    return false;
  }
}
