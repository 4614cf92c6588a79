import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { SqliteBackend } from '../../src/store/database.js';
import { contentOf, OLD_VERSIONS, writeOld } from '../store/old-stores.js';

const OPENER = join(import.meta.dirname, '../store/killed-opener.mjs');

/** Processes that run in parallel. */
const AT_ONCE = 4;

/**
 * Opens a store in another process that is killed before a statement. Resolves to whether it was killed, and the number
 * of statements.
 */
async function opened(path: string, statement: number): Promise<{ killed: boolean; statements: number }> {
  const child = spawn(process.execPath, [OPENER, path, String(statement)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const said = text(child.stdout);
  const [, signal] = await once(child, 'exit');
  return { killed: signal === 'SIGKILL', statements: Number(await said) };
}

/**
 * From nothing and from the oldest version, so that every migration is run, with and without rows. test/system/store/atomic-migration
 * opens a copy of the files at each statement from every version; a killed process must leave the same behind.
 */
const STARTS = ['nothing', ...OLD_VERSIONS.slice(0, 1)];

it.each(STARTS)(
  'A store is complete after its process was killed before each statement of the migration, from %s',
  { timeout: 600_000 },
  async (start) => {
    const folder = await mkdtemp(join(tmpdir(), 'pana-store-'));
    const begin = (name: string) => {
      const path = join(folder, name);
      if (start !== 'nothing') writeOld(start, path);
      return path;
    };
    try {
      const whole = begin('whole.db');
      const { statements } = await opened(whole, Number.MAX_SAFE_INTEGER);
      const expected = contentOf(whole);
      const kill = async (statement: number) => {
        const path = begin(`${statement}.db`);
        expect(await opened(path, statement)).toMatchObject({ killed: true });
        expect(existsSync(path)).toBe(true);
        await (await SqliteBackend.open(path)).close();
        expect(contentOf(path)).toEqual(expected);
      };
      expect(statements).toBeGreaterThan(5);
      for (let first = 0; first < statements; first += AT_ONCE) {
        const some = Array.from({ length: Math.min(AT_ONCE, statements - first) }, (_, i) => kill(first + i));
        await Promise.all(some);
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
);
