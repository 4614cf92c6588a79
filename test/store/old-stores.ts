import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';

/** Stores as earlier versions wrote them. */
const VERSIONS = join(import.meta.dirname, 'versions');

/** The names of these stores: the last migration that each has seen. */
export const OLD_VERSIONS: readonly string[] = readdirSync(VERSIONS)
  .map((name) => name.replace('.sql', ''))
  .sort();

/** Writes a store of an earlier version to a new file. */
export function writeOld(version: string, path: string): void {
  const file = new Database(path);
  file.exec(readFileSync(join(VERSIONS, `${version}.sql`), 'utf8'));
  file.close();
}

/** The content of a store, except what differs between equal stores: the times of its migrations and its secret. */
export function contentOf(path: string): unknown {
  const file = new Database(path, { readonly: true });
  try {
    const rows = (text: string, ...parameters: string[]) => file.prepare(text).all(...parameters) as { name: string }[];
    const made = rows("SELECT type, name, sql FROM sqlite_master WHERE name <> 'kysely_migration_lock' ORDER BY name");
    const tables = rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name");
    const content = tables.map(({ name }) => {
      if (name === 'kysely_migration') return [name, rows(`SELECT name FROM ${name} ORDER BY name`)];
      if (name === 'meta') return [name, rows('SELECT key AS name FROM meta')];
      return [name, name === 'kysely_migration_lock' ? [] : rows(`SELECT * FROM "${name}" ORDER BY 1, 2`)];
    });
    return [made.filter(({ name }) => !name.startsWith('sqlite_autoindex_kysely')), content];
  } finally {
    file.close();
  }
}
