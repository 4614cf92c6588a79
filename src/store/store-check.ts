import Database from 'better-sqlite3';
import { migrationsOf, refuseForeign, refuseNewer } from './database.js';
import { DatabaseError } from './database-error.js';
import { PLACED_AGENTS, type PlacedAgent, type StoreState } from './placed-agents.js';
import { KNOWN_MIGRATIONS } from './schema.js';
import { cannotOpen } from './sqlite-errors.js';

/** Looks at a SQLite file, which a server may have open, and writes nothing to it. Throws DatabaseError. */
export function lookAtSqlite(path: string): StoreState {
  let file: Database.Database | undefined;
  try {
    file = new Database(path, { readonly: true, fileMustExist: true });
    refuseForeign(file, path);
    refuseNewer(file, path);
    const pending = KNOWN_MIGRATIONS.length - migrationsOf(file).length;
    const homeAgents = pending > 0 ? undefined : (file.prepare(PLACED_AGENTS).all() as PlacedAgent[]);
    return { pending, homeAgents };
  } catch (error) {
    throw error instanceof DatabaseError ? error : cannotOpen(path, error);
  } finally {
    file?.close();
  }
}
