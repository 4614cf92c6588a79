import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { programOf } from '../../dist/lab/daemon-process.js';
import { eventually, within } from '../eventually.js';

const LIMIT = 60_000;

/** A terminal sends Ctrl-C to all processes of the foreground: to the demo and to its daemons. */
it.each([
  ['with pages, when a node starts', ['--web'], 'page of mn1', 0],
  ['with pages, when a guest comes', ['--web'], 'Everything keeps running', 0],
  ['without pages', [], 'PANA on', 130],
])('Ctrl-C ends the demo, and leaves nothing behind: %s', async (_when, options, wanted, expected) => {
  const folder = await mkdtemp(join(tmpdir(), 'demo-'));
  const child = spawn(process.execPath, [programOf('tool'), 'demo', ...options], {
    detached: true,
    env: { ...process.env, TMPDIR: folder },
  });
  const group = -(child.pid ?? 0);
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece) => (printed += piece));
  const ended = once(child, 'close');
  try {
    await eventually(() => expect(printed).toContain(wanted), { limit: LIMIT });
    process.kill(group, 'SIGINT');
    const [status] = await within(ended, 'the demo ends', LIMIT);
    expect({ status, printed }).toEqual({
      status: expected,
      printed: expect.not.stringMatching(/not stop|failed|rror/),
    });
    expect(await readdir(folder)).toEqual([]);
    // A hook ends soon after its daemon.
    await eventually(() => expect(() => process.kill(group, 0)).toThrow('ESRCH'));
  } finally {
    if (child.exitCode === null && child.signalCode === null) process.kill(group, 'SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
});
