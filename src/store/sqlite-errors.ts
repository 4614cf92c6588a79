import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseError } from './database-error.js';

/** Primary result codes of SQLite that mean an unusable file, not a wrong query. */
const UNUSABLE = new Set([
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

/**
 * Converts an error of the driver to DatabaseError if it concerns the file. Any other error is a fault and is returned
 * as it is.
 */
export function asDatabaseError(error: unknown, path: string): unknown {
  const { code, message } = error as { code?: unknown; message?: string };
  if (typeof code !== 'string' || !code.startsWith('SQLITE_')) return error;
  const [sqlite, kind] = code.split('_');
  const primary = `${sqlite}_${kind}`;
  if (!UNUSABLE.has(primary)) return error;
  if (primary === 'SQLITE_FULL' || (primary === 'SQLITE_IOERR' && isFull(path))) {
    return new DatabaseError('ERR_STORE_FULL', `the disk of the database ${path} is full`, { cause: error });
  }
  return new DatabaseError('ERR_STORE_DOWN', `the database ${path} cannot be used: ${message} (${code})`, {
    cause: error,
  });
}

/** Converts an error of opening a file. */
export function cannotOpen(path: string, error: unknown): DatabaseError {
  const known = asDatabaseError(error, path);
  const isFull = known instanceof DatabaseError && known.code === 'ERR_STORE_FULL';
  const [code, reason] = isFull ? [known.code, known.message] : ['ERR_STORE_OPEN' as const, (error as Error).message];
  return new DatabaseError(code, `cannot open the database ${path}: ${reason}`, { cause: error });
}

/** Whether the disk is full. If SQLite cannot extend its shared-memory file, it reports only an I/O error. */
function isFull(path: string): boolean {
  try {
    return statfsSync(dirname(path)).bavail === 0;
  } catch {
    return false;
  }
}
