import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KEPT_FOR, makeScratch, removeAbandoned, removeScratch } from './scratch.js';

describe('The folder of a world', () => {
  it('is removed with it, and has the process id in its name', () => {
    const folder = makeScratch();
    expect(folder).toContain(`pana-world-${process.pid}-`);
    removeScratch(folder);
    expect(existsSync(folder)).toBe(false);
  });

  it.each(['exit', 'SIGTERM', 'SIGINT'] as const)('is removed at %s', (end) => {
    const listeners = process.listeners(end as NodeJS.Signals);
    const folder = makeScratch();
    const added = process.listeners(end as NodeJS.Signals).filter((one) => !listeners.includes(one)) as ((
      signal: string,
    ) => void)[];
    expect(added).toHaveLength(1);
    const kill = process.kill;
    const sent: unknown[][] = [];
    process.kill = (...sending) => {
      sent.push(sending);
      return true;
    };
    try {
      for (const listener of added) listener(end);
    } finally {
      process.kill = kill;
    }
    expect(existsSync(folder)).toBe(false);
    expect(sent).toEqual(end === 'exit' ? [] : [[process.pid, end]]);
    removeScratch(folder);
    expect(process.listeners(end as NodeJS.Signals)).toEqual(listeners);
  });
});

describe('Folders of processes that were killed', () => {
  let where: string;
  let ended: number;

  beforeEach(async () => {
    where = mkdtempSync(join(tmpdir(), 'scratch-test-'));
    ended = await processIdOf(spawn(process.execPath, ['--version'], { stdio: 'ignore' }));
  });

  afterEach(() => rmSync(where, { recursive: true, force: true }));

  it('are removed an hour later, and nothing else is', () => {
    const [abandoned, used, other] = [`pana-world-${ended}-a`, `pana-world-${process.pid}-a`, 'another'];
    for (const name of [abandoned, used, other]) mkdirSync(join(where, name));
    removeAbandoned(where, Date.now() + KEPT_FOR / 2);
    expect(readdirSync(where)).toContain(abandoned);
    removeAbandoned(where, Date.now() + 2 * KEPT_FOR);
    expect(readdirSync(where).sort()).toEqual([other, used].sort());
  });
});

/** Resolves to the id of a process that has ended. */
function processIdOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => child.once('exit', () => resolve(child.pid ?? 0)));
}
