import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { Postgres, withoutPostgres } from '../../postgres.js';

/** Where the next new store goes. */
type Place = () => Promise<string>;

/** The kinds of database that a store may be. `places` is called inside of a `describe`, which has them to its end. */
export const DATABASES = [
  { kind: 'SQLite', without: undefined, places: inFolder },
  { kind: 'PostgreSQL', without: withoutPostgres, places: onServer },
] as const;

function inFolder(): Place {
  let folder = '';
  let files = 0;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pana-store-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return async () => {
    files += 1;
    return join(folder, `store${files}.db`);
  };
}

function onServer(): Place {
  let postgres: Postgres | undefined;
  beforeAll(async () => {
    postgres = await Postgres.start();
  });
  afterAll(() => postgres?.stop());
  return async () => (await postgres?.database()) ?? '';
}
