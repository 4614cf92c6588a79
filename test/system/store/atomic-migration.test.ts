import { copyFileSync, existsSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { Kysely, SqliteDialect } from 'kysely';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SqliteBackend } from '../../../src/store/database.js';
import { KNOWN_MIGRATIONS, MIGRATIONS } from '../../../src/store/schema.js';
import { contentOf, OLD_VERSIONS, writeOld } from '../../store/old-stores.js';

/** An empty path and a store of each earlier schema version. */
const STARTS = ['nothing', ...OLD_VERSIONS];

let folder: string;
let files = 0;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-store-'));
});

afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true, force: true });
});

function begin(start: string): string {
  files += 1;
  const path = join(folder, `store${files}.db`);
  if (start !== 'nothing') writeOld(start, path);
  return path;
}

async function open(path: string): Promise<void> {
  await (await SqliteBackend.open(path)).close();
}

/** The content of a store after it was opened. */
async function migrated(start: string): Promise<unknown> {
  const path = begin(start);
  await open(path);
  return contentOf(path);
}

/** Calls `before` ahead of each statement that may change this file. */
function watch(path: string, before: () => void): void {
  const { prepare } = Database.prototype;
  vi.spyOn(Database.prototype, 'prepare').mockImplementation(function (this: Database.Database, text: string) {
    const statement = prepare.call(this, text);
    if (this.name !== path || /^(select|with|pragma)\b/i.test(text)) return statement;
    const watched = (method: 'all' | 'run') => (parameters: unknown[]) => {
      before();
      return statement[method](parameters);
    };
    return { reader: statement.reader, all: watched('all'), run: watched('run') } as unknown as Database.Statement;
  });
}

describe('A migration that is killed before one of its statements', () => {
  it.each(STARTS)('is completed without loss at the next opening, from %s', async (start) => {
    const expected = await migrated(start);
    const path = begin(start);
    // A copy of the files is what a process killed at this point leaves behind.
    const left: string[] = [];
    watch(path, () => {
      const copy = join(folder, `killed${left.length}.db`);
      for (const ending of ['', '-wal']) if (existsSync(path + ending)) copyFileSync(path + ending, copy + ending);
      left.push(copy);
    });
    await open(path);
    vi.restoreAllMocks();
    expect(contentOf(path)).toEqual(expected);
    expect(left.length).toBeGreaterThan(5);
    for (const copy of left) {
      await open(copy);
      expect(contentOf(copy)).toEqual(expected);
    }
  });
});

describe('A migration on a full disk', () => {
  it.each(STARTS)('fails with ERR_STORE_FULL and succeeds once there is space, from %s', async (start) => {
    const expected = await migrated(start);
    const pages = statSync(begin(start), { throwIfNoEntry: false })?.size ?? 0;
    const { pragma } = Database.prototype;
    let refused = 0;
    // 0 would mean no limit.
    for (let room = Math.max(1, pages / 4096); ; room += 1) {
      const path = begin(start);
      vi.spyOn(Database.prototype, 'pragma').mockImplementation(function (this: Database.Database, text, options) {
        const value = pragma.call(this, text, options);
        if (this.name === path && text.startsWith('synchronous')) pragma.call(this, `max_page_count = ${room}`);
        return value;
      });
      const problem = await open(path).then(
        () => undefined,
        (error: unknown) => error,
      );
      vi.restoreAllMocks();
      if (problem === undefined) break;
      refused += 1;
      expect(problem).toMatchObject({ code: 'ERR_STORE_FULL' });
      expect((problem as Error).message).toContain('is full');
      await open(path);
      expect(contentOf(path)).toEqual(expected);
    }
    // The last migration may fit into the space that exists.
    if (start === 'nothing') expect(refused).toBeGreaterThan(5);
  });
});

/** Runs the first statements of a migration in autocommit mode, as earlier versions did. Resolves to how many ran. */
async function runPart(path: string, migration: string, statements: number): Promise<number> {
  const file = new Database(path);
  let done = 0;
  const killed = new Error('killed');
  const database = {
    close: () => file.close(),
    prepare: (text: string) => {
      const statement = file.prepare(text);
      const run = (parameters: readonly unknown[]) => {
        if (done === statements) throw killed;
        done += 1;
        return statement.run(parameters);
      };
      return { reader: false, run, all: run as never, iterate: run as never };
    },
  };
  const db = new Kysely<unknown>({ dialect: new SqliteDialect({ database }) });
  await MIGRATIONS[migration]?.(db).catch((error: unknown) => {
    if (error !== killed) throw error;
  });
  await db.destroy();
  return done;
}

describe('A store in which an earlier version stopped within a migration', () => {
  const next = (start: string) => KNOWN_MIGRATIONS[OLD_VERSIONS.indexOf(start) + 1] ?? '';

  it.each(STARTS)('is repaired, from %s', async (start) => {
    const expected = await migrated(start);
    for (let statements = 1; ; statements += 1) {
      const path = begin(start);
      const done = await runPart(path, next(start), statements);
      if (done < statements) break;
      await open(path);
      expect(contentOf(path)).toEqual(expected);
    }
  });

  it('is refused unchanged if rows were written to a table of the migration', async () => {
    const path = begin('0002-origin');
    await runPart(path, '0003-history', 4);
    const file = new Database(path);
    file.exec("INSERT INTO lease_history VALUES (1, '2001:db8::1', 'mn@home.example', 'ha1', 1, 2)");
    file.close();
    const before = contentOf(path);
    await expect(open(path)).rejects.toThrow(/lease_history .*not empty\. Restore a backup, or move the file away/);
    expect(contentOf(path)).toEqual(before);
  });

  it('is refused if a column of the migration holds data, or if its schema matches no version', async () => {
    const used = begin('0003-history');
    await runPart(used, '0004-operator', 1);
    const file = new Database(used);
    file.exec("UPDATE subscribers SET certificate_name = 'device'");
    file.close();
    await expect(open(used)).rejects.toThrow(/subscribers\.certificate_name .*not empty/);
    const other = begin('0001-first');
    const another = new Database(other);
    another.exec('ALTER TABLE sessions ADD COLUMN mine TEXT');
    another.close();
    await expect(open(other)).rejects.toMatchObject({
      code: 'ERR_STORE_REFUSED',
      message: expect.stringContaining('its schema matches no version'),
    });
  });
});
