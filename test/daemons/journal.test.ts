import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { afterEach, expect, it } from 'vitest';
import { parse } from 'yaml';
import { programOf } from '../../dist/lab/daemon-process.js';
import { Lab } from '../../dist/lab/lab.js';

let lab: Lab | undefined;

afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

/** Starts a server with this JOURNAL_STREAM, reads its log until it is ready or ends, and stops it. */
async function logOf(made: Lab, stream: string, config: string): Promise<string[]> {
  const child = spawn(
    'sh',
    // systemd.exec(5): device and inode of the journal's stream.
    ['-c', `JOURNAL_STREAM=${stream} exec "$@" 2>&1`, 'sh', process.execPath, programOf('aaa'), 'run', '-c', config],
    { stdio: ['ignore', 'pipe', 'inherit'], env: { PATH: process.env['PATH'], HOME: made.path() } },
  );
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (line.includes('ready')) child.kill('SIGTERM');
  }
  return lines;
}

const OURS = '$(stat -L -c %d:%i /proc/$$/fd/1)';
const TIME = /\d\d:\d\d:\d\d|\d{10}/;

it('Log lines in the journal have a priority and no time, even if the daemon ends early', async () => {
  const made = await Lab.make();
  lab = made;
  await (await made.startAaa()).daemon.stop();
  const tree = parse(await readFile(made.path('aaa.yaml'), 'utf8')) as Record<string, unknown>;
  const config = await made.configure('journal', { ...tree, log: { level: 'info' } });
  const lines = await logOf(made, OURS, config);
  expect(lines.find((line) => line.startsWith('<6>ready listening='))).toBeDefined();
  expect(lines.at(-1)).toBe('<6>stopped');
  for (const line of lines) {
    expect(line).toMatch(/^<[3-7]>[^<]/);
    expect(line).not.toMatch(TIME);
  }

  // JOURNAL_STREAM names another stream.
  const [other = ''] = await logOf(made, '1:1', config);
  expect(JSON.parse(other)).toMatchObject({ name: 'pana-aaa' });
  expect(other).toMatch(TIME);

  await writeFile(made.path('wrong.yaml'), 'stor: x\n');
  const wrong = await logOf(made, OURS, made.path('wrong.yaml'));
  expect(wrong[0]).toMatch(/^<3>pana-aaa: /);
  expect(wrong.join('\n')).toContain(' stor: unknown key');
  for (const line of wrong) expect(line).toMatch(/^<3>/);
});
