import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterEach, expect, it } from 'vitest';
import { Lab } from '../../dist/lab/lab.js';

let lab: Lab | undefined;

afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

it('The AAA server answers as soon as the hook of the home agent is ready, while the hook still runs', async () => {
  const made = await Lab.make({ aaa: { hooks: { wait: '10m' } } });
  lab = made;
  const pipe = made.path('pipe');
  await promisify(execFile)('mkfifo', [pipe]);
  const ha = made.path('ready.sh');
  await writeFile(ha, `#!/bin/sh\necho ready\n[ "$1" = down ] || echo done >${pipe}\n`, { mode: 0o755 });
  const { daemon: aaa, place } = await made.startAaa('aaa', { hooks: { ha } });
  await made.startPaa(place);
  await made.addSubscriber('mn1@home.example', 'mn1');
  const pac = await made.startPac('mn1');
  await pac.line('bootstrap completed');
  expect(aaa.lines.some(({ msg }) => msg === 'hook done')).toBe(false);
  await readFile(pipe);
  await aaa.line('hook done');
});
