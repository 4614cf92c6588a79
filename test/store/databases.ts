import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll } from 'vitest';
import { isFor, Postgres, withoutPostgres } from '../postgres.js';

export interface Places {
  /** Creates the location of a new store. */
  fresh(): Promise<string>;
  /** Runs SQL on a store directly. */
  execute(place: string, text: string): Promise<void>;
}

/**
 * The kinds of database under test. Call `places` inside a `describe`: it registers its own set-up and cleanup there.
 */
export const DATABASES = (
  [
    { kind: 'SQLite', without: undefined, places: inFolder },
    { kind: 'PostgreSQL', without: withoutPostgres, places: onServer },
  ] as const
).filter(({ kind }) => isFor(kind));

function inFolder(): Places {
  let folder = '';
  let files = 0;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pana-store-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return {
    fresh: async () => {
      files += 1;
      return join(folder, `store${files}.db`);
    },
    execute: async (place, text) => {
      const file = new Database(place);
      file.exec(text);
      file.close();
    },
  };
}

function onServer(): Places {
  let postgres: Postgres | undefined;
  beforeAll(async () => {
    postgres = await Postgres.start();
  });
  afterAll(() => postgres?.stop());
  return {
    fresh: async () => (await postgres?.database()) ?? '',
    execute: async (place, text) => {
      await postgres?.query(place, text);
    },
  };
}
