import Database from 'better-sqlite3';
import { Kysely, SqliteDialect } from 'kysely';
import { DatabaseError } from './database-error.js';
import { BOOKKEEPING } from './migrator.js';
import { MIGRATIONS } from './schema.js';

/** The columns of each table, and the indexes. */
interface Shape {
  readonly tables: ReadonlyMap<string, ReadonlyMap<string, string>>;
  readonly indexes: ReadonlyMap<string, string>;
}

/** Tables outside of the schema: earlier versions used Kysely's migrator, which also kept a lock. */
const KYSELY = new Set<string>([BOOKKEEPING, 'kysely_migration_lock']);

/**
 * Rows that a migration itself inserts into a table that it creates, as SQL conditions. A table with any other row was
 * used and is not removed.
 */
const OWN_ROWS: Readonly<Record<string, string>> = { lease_history: 'ended_at IS NULL' };

/**
 * Removes the parts that an interrupted migration `next` created. Earlier versions migrated SQLite without a
 * transaction, so a power failure could leave a partial migration, and `next` then failed at each start. Runs in the
 * transaction that will run `next`. Throws DatabaseError for a schema that is neither such a part nor the schema after
 * `done`.
 */
export async function clearUnfinished(
  file: Database.Database,
  name: string,
  done: readonly string[],
  next: string,
): Promise<void> {
  const [before, ...after] = await stepsOf(done, next);
  const found = shapeOf(file);
  if (!before || isSame(found, before)) return;
  const step = after.find((shape) => isSame(found, shape));
  const problem = step ? writtenIn(file, before, found) : 'its schema matches no version';
  if (problem !== undefined) {
    throw new DatabaseError(
      'ERR_STORE_REFUSED',
      `the database ${name} cannot be brought up to date: ${problem}. Restore a backup, or move the file away to create a new one`,
    );
  }
  for (const index of addedTo(before.indexes, found.indexes)) file.exec(`DROP INDEX ${quoted(index)}`);
  // In reverse order, because a table may refer to earlier ones.
  for (const table of addedTo(before.tables, found.tables).reverse()) file.exec(`DROP TABLE ${quoted(table)}`);
  for (const [table, column] of addedColumns(before, found)) {
    file.exec(`ALTER TABLE ${quoted(table)} DROP COLUMN ${quoted(column)}`);
  }
}

/** The schemas before `next` and after each of its statements. */
async function stepsOf(done: readonly string[], next: string): Promise<Shape[]> {
  const file = new Database(':memory:');
  const steps: Shape[] = [];
  let watched = false;
  const prepare = (text: string) => {
    const statement = file.prepare(text);
    const watch = <T>(result: T): T => {
      if (watched) steps.push(shapeOf(file));
      return result;
    };
    return {
      reader: statement.reader,
      all: (parameters: readonly unknown[]) => watch(statement.all(parameters)),
      run: (parameters: readonly unknown[]) => watch(statement.run(parameters)),
      iterate: (parameters: readonly unknown[]) => statement.iterate(parameters),
    };
  };
  const db = new Kysely<unknown>({ dialect: new SqliteDialect({ database: { prepare, close: () => file.close() } }) });
  try {
    for (const migration of done) await MIGRATIONS[migration]?.(db);
    steps.push(shapeOf(file));
    watched = true;
    await MIGRATIONS[next]?.(db);
    return steps;
  } finally {
    await db.destroy();
  }
}

/** The schema by columns and indexes, not by the SQL text that created them. Tables in order of creation. */
function shapeOf(file: Database.Database): Shape {
  const rows = (text: string, ...parameters: string[]) =>
    file.prepare(text).all(...parameters) as Record<string, unknown>[];
  const named = rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid");
  const names = named.map((row) => String(row['name'])).filter((table) => !KYSELY.has(table));
  const tables = names.map((table) => {
    const columns = rows('SELECT * FROM pragma_table_info(?)', table).map((column): [string, string] => {
      const { name, type, notnull, dflt_value, pk } = column;
      return [String(name), [String(type).toLowerCase(), notnull, dflt_value, pk].join(' ')];
    });
    return [table, new Map(columns)] as const;
  });
  const indexes = names.flatMap((table) =>
    rows('SELECT * FROM pragma_index_list(?)', table).map(({ name, unique }): [string, string] => {
      const columns = rows('SELECT name FROM pragma_index_info(?)', String(name)).map((column) => column['name']);
      return [String(name), `${table} ${unique} ${columns.join(',')}`];
    }),
  );
  return { tables: new Map(tables), indexes: new Map(indexes) };
}

function isSame(one: Shape, other: Shape): boolean {
  return textOf(one) === textOf(other);
}

function textOf({ tables, indexes }: Shape): string {
  const columns = [...tables].map(([table, known]) => [table, [...known].sort()]);
  return JSON.stringify([columns.sort(), [...indexes].sort()]);
}

function addedTo(before: ReadonlyMap<string, unknown>, after: ReadonlyMap<string, unknown>): string[] {
  // SQLite removes the index of a constraint with its table.
  return [...after.keys()].filter((name) => !before.has(name) && !name.startsWith('sqlite_autoindex_'));
}

function addedColumns(before: Shape, after: Shape): [table: string, column: string][] {
  return [...before.tables].flatMap(([table, columns]) =>
    addedTo(columns, after.tables.get(table) ?? new Map()).map((column): [string, string] => [table, column]),
  );
}

/** Data that was written to tables or columns of the unfinished migration; undefined if there is none. */
function writtenIn(file: Database.Database, before: Shape, found: Shape): string | undefined {
  const any = (table: string, condition: string) =>
    file.prepare(`SELECT 1 FROM ${quoted(table)} WHERE NOT (${condition}) LIMIT 1`).get() !== undefined;
  for (const table of addedTo(before.tables, found.tables)) {
    if (any(table, OWN_ROWS[table] ?? 'FALSE'))
      return `its table ${table} was not created by a recorded migration and is not empty`;
  }
  for (const [table, column] of addedColumns(before, found)) {
    const given = file
      .prepare('SELECT dflt_value AS value FROM pragma_table_info(?) WHERE name = ?')
      .get(table, column);
    const value = (given as { value: string | null }).value ?? 'NULL';
    if (any(table, `${quoted(column)} IS ${value}`))
      return `its column ${table}.${column} was not created by a recorded migration and is not empty`;
  }
  return undefined;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
