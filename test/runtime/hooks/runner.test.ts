import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { toHex } from '../../../src/protocol/bytes/octets.js';
import { Secret } from '../../../src/protocol/bytes/secret.js';
import { withoutKey } from '../../../src/runtime/hooks/process.js';
import { type HookJob, type HookReport, HookRunner } from '../../../src/runtime/hooks/runner.js';

let folder: string;
let reports: HookReport[];
let runner: HookRunner;

const VARIABLES = {
  mnId: 'mn@home.example',
  session: 'host;1;2',
  homeAgent: '2001:db8:1::1',
  homeAgentHost: 'ha.home.example',
  homeAgentId: 'ha1',
  homeAgentTarget: '[2001:db8::9]:22',
  homeAddress: '2001:db8:1::1234',
  prefix: '2001:db8:1::',
  prefixLength: 64,
  lifetime: 3600,
  ike: 'ikev1',
  careOfAddress: 'fe80::1%eth0',
  interface: 'eth0',
} as const;
const PSK = Secret.take(new Uint8Array(64).map((_, i) => i + 1));

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-hooks-'));
  reports = [];
  runner = makeRunner();
});

afterEach(async () => {
  await runner.stop(5_000);
  vi.useRealTimers();
  await rm(folder, { recursive: true, force: true });
});

function makeRunner(more: { timeout?: number; maxParallel?: number } = {}): HookRunner {
  return new HookRunner({
    stateDir: join(folder, 'state'),
    timeout: 10_000,
    maxParallel: 4,
    onEvent: (report) => reports.push(report),
    ...more,
  });
}

/** A hook of these lines of shell; `$OUT` is a folder to write into. */
async function script(lines: string, name = 'hook'): Promise<string> {
  const path = join(folder, name);
  await mkdir(join(folder, 'out'), { recursive: true });
  await writeFile(path, `#!/bin/sh\nOUT=${join(folder, 'out')}\n${lines}\n`);
  await chmod(path, 0o755);
  return path;
}

function out(name: string): Promise<string> {
  return readFile(join(folder, 'out', name), 'utf8');
}

function job(program: string, more: Partial<HookJob> = {}): HookJob {
  return { program, role: 'mn', event: 'up', subject: 'mn', variables: VARIABLES, ...more };
}

describe('a hook', () => {
  it('gets one argument, and no environment but its own', async () => {
    process.env['PANA_SECRET_OF_THE_DAEMON'] = 'x';
    const program = await script('env > "$OUT/env"; printf "%s" "$#:$1" > "$OUT/arguments"; pwd > "$OUT/pwd"');
    expect(await runner.run(job(program, { psk: PSK }))).toBe(true);
    delete process.env['PANA_SECRET_OF_THE_DAEMON'];
    expect(await out('arguments')).toBe('1:up');
    expect(await out('pwd')).toBe('/\n');
    const environment = Object.fromEntries(
      (await out('env'))
        .trim()
        .split('\n')
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
    // What the shell adds by itself.
    for (const name of ['PWD', 'SHLVL', '_', 'OLDPWD']) delete environment[name];
    const { MIP6_PSK_FILE: keyFile, HOME: _home, ...rest } = environment;
    expect(keyFile).toMatch(new RegExp(`^${folder}/state/keys/[0-9a-f]{16}$`));
    expect(rest).toEqual({
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      LANG: 'C',
      MIP6_EVENT: 'up',
      MIP6_ROLE: 'mn',
      MIP6_MN_ID: 'mn@home.example',
      MIP6_SESSION: 'host;1;2',
      MIP6_HA: '2001:db8:1::1',
      MIP6_HA_HOST: 'ha.home.example',
      MIP6_HA_ID: 'ha1',
      MIP6_HA_TARGET: '[2001:db8::9]:22',
      MIP6_HOA: '2001:db8:1::1234',
      MIP6_PREFIX: '2001:db8:1::',
      MIP6_PREFIX_LEN: '64',
      MIP6_LIFETIME: '3600',
      MIP6_IKE: 'ikev1',
      MIP6_COA: 'fe80::1%eth0',
      MIP6_INTERFACE: 'eth0',
      MIP6_STATE_DIR: join(folder, 'state'),
    });
    expect(JSON.stringify(environment)).not.toContain(toHex(PSK.octets()).slice(0, 16));
  });

  it('finds the key in a file of mode 0600 that is gone afterwards, and prints it in vain', async () => {
    const program = await script(
      'cat "$MIP6_PSK_FILE" > "$OUT/key"; stat -c %a "$MIP6_PSK_FILE" > "$OUT/mode"; cat "$MIP6_PSK_FILE"',
    );
    await runner.run(job(program, { psk: PSK }));
    expect(await out('key')).toBe(`0x${toHex(PSK.octets())}\n`);
    expect((await out('mode')).trim()).toBe('600');
    await vi.waitFor(async () => expect(await readdir(join(folder, 'state', 'keys'))).toEqual([]));
    expect((await stat(join(folder, 'state', 'keys'))).mode & 0o777).toBe(0o700);
    await vi.waitFor(() => expect(reports.some(({ type }) => type === 'line')).toBe(true));
    expect(JSON.stringify(reports)).not.toContain(toHex(PSK.octets()).slice(0, 32));
  });

  it('shows no part of the key, however it is written', () => {
    const hex = toHex(PSK.octets());
    expect(withoutKey(`0x${hex}`, PSK)).toBe('0x[key]');
    for (const text of [hex.toUpperCase(), hex.slice(40, 60), `f${hex.slice(20, 50)}`, `00ff${hex}00`]) {
      expect(withoutKey(`key ${text}.`, PSK)).toBe('key [key].');
    }
    const other = 'session 0123456789abcdef0123456789abcdef';
    expect(withoutKey(other, PSK)).toBe(other);
  });

  it('speaks in lines, both of its outputs, with nothing that a terminal would obey', async () => {
    const program = await script('echo one; printf "two\\033[31m\\n" >&2; echo three');
    await runner.run(job(program));
    await vi.waitFor(() => expect(reports.filter(({ type }) => type === 'line')).toHaveLength(3));
    const lines = reports.flatMap((report) => (report.type === 'line' ? [report.line] : [])).sort();
    expect(lines).toEqual(['one', 'three', 'two\\u001b[31m']);
  });

  it('is ended with all that it started when its time is over', async () => {
    runner = makeRunner({ timeout: 200 });
    const program = await script('sleep 600 > "$OUT/pipe" & wait');
    const pipe = join(folder, 'out', 'pipe');
    await promisify(execFile)('mkfifo', [pipe]);
    // Comes to its end when nobody has the pipe open for writing any more.
    const ended = readFile(pipe);
    expect(await runner.run(job(program, { event: 'down' }))).toBe(false);
    expect(await ended).toHaveLength(0);
    expect(reports).toMatchObject([
      { type: 'finished', try: 1, outcome: { ok: false, reason: 'no end after 200 ms' } },
    ]);
  });

  it('that is not there, or fails, is reported, and does not hold up whoever waits for its first try', async () => {
    expect(await runner.run(job('/nowhere/hook'))).toBe(false);
    expect(await runner.run(job(await script('exit 3'), { subject: 'other' }))).toBe(false);
    const reasons = reports.flatMap((report) =>
      report.type === 'finished' && !report.outcome.ok ? [report.outcome.reason] : [],
    );
    expect(reasons).toEqual(['cannot run /nowhere/hook: ENOENT', 'exit status 3']);
    expect(runner.status()).toMatchObject([
      { subject: 'mn', tries: 1 },
      { subject: 'other', problem: 'exit status 3' },
    ]);
  });

  it('that fails is tried again, later each time, until it works', async () => {
    const program = await script('echo x >> "$OUT/tries"; [ "$(wc -l < "$OUT/tries")" -ge 3 ]');
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const waits: number[] = [];
    const first = runner.run(job(program));
    await vi.waitUntil(() => reports.length === 1, { interval: 1 });
    expect(await first).toBe(false);
    for (const tries of [2, 3]) {
      let waited = 0;
      for (; reports.length < tries && waited < 10_000; waited += 100) {
        await vi.advanceTimersByTimeAsync(100);
        // The process is real: it ends in its own time.
        if (waited >= (tries === 2 ? 1000 : 2000)) {
          vi.useRealTimers();
          await vi.waitUntil(() => reports.length >= tries, { timeout: 5_000 });
          vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
        }
      }
      waits.push(waited);
    }
    expect(waits[0]).toBeGreaterThanOrEqual(1000);
    expect(waits[1]).toBeGreaterThanOrEqual(2000);
    expect(reports.map((report) => report.type === 'finished' && report.outcome.ok)).toEqual([false, false, true]);
  });
});

describe('hooks', () => {
  it('of one subject run one after another, in order', async () => {
    const program = await script('echo "begin $1" >> "$OUT/order"; sleep 0.05; echo "end $1" >> "$OUT/order"');
    await Promise.all((['up', 'refresh', 'move', 'down'] as const).map((event) => runner.run(job(program, { event }))));
    const order = (await out('order')).trim().split('\n');
    expect(order).toEqual(['up', 'refresh', 'move', 'down'].flatMap((event) => [`begin ${event}`, `end ${event}`]));
  });

  it('that refresh again and again run once for all that came meanwhile', async () => {
    const program = await script('echo "$1 $MIP6_LIFETIME" >> "$OUT/order"; sleep 0.05');
    const refresh = (lifetime: number) =>
      runner.run(job(program, { event: 'refresh', variables: { ...VARIABLES, lifetime }, psk: PSK }));
    const first = runner.run(job(program));
    const all = Array.from({ length: 500 }, (_, i) => refresh(i));
    expect(runner.backlog('mn')).toBe(2);
    const last = runner.run(job(program, { event: 'down' }));
    expect(await Promise.all([first, ...all, last])).toEqual([true, ...all.slice(1).map(() => false), true, true]);
    expect(await out('order')).toBe('up 3600\nrefresh 499\ndown 3600\n');
    expect(runner.backlog('mn')).toBe(0);
  });

  it('of different subjects run side by side, but not more than so many', async () => {
    runner = makeRunner({ maxParallel: 2 });
    const program = await script(
      'touch "$OUT/run.$$"; ls "$OUT" | grep -c run >> "$OUT/counts"; sleep 0.1; rm "$OUT/run.$$"',
    );
    await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((subject) => runner.run(job(program, { subject }))));
    const counts = (await out('counts')).trim().split('\n').map(Number);
    expect(counts).toHaveLength(6);
    expect(Math.max(...counts)).toBe(2);
  });

  it('that waits to be tried again gives way to what holds now', async () => {
    const failing = await script('exit 1', 'failing');
    const working = await script('echo "$1" >> "$OUT/done"', 'working');
    expect(await runner.run(job(failing))).toBe(false);
    expect(await runner.run(job(working, { event: 'down' }))).toBe(true);
    expect(await out('done')).toBe('down\n');
    expect(reports.filter((report) => report.type === 'finished' && report.event === 'up')).toHaveLength(1);
  });

  it('are all given their one try at the end, and no more', async () => {
    const failing = await script('echo x >> "$OUT/tries"; exit 1');
    void runner.run(job(failing));
    void runner.run(job(failing, { subject: 'other', event: 'down' }));
    await runner.stop(5_000);
    expect((await out('tries')).trim().split('\n')).toHaveLength(2);
  });
});

describe('a value that is hostile', () => {
  const HOSTILE = [
    'a"b',
    "a'b",
    'a\nb',
    '$(reboot)',
    'a;b',
    '`a`',
    '-rf',
    '.hidden',
    '..',
    'a..b',
    'a/b',
    '',
    'x'.repeat(300),
    'ä',
  ];

  it.each(HOSTILE)('never reaches a hook as a name: %j', async (mnId) => {
    const program = await script('touch "$OUT/ran"');
    expect(await runner.run(job(program, { variables: { ...VARIABLES, mnId }, psk: PSK }))).toBe(false);
    expect(reports).toMatchObject([{ type: 'refused' }]);
    await expect(out('ran')).rejects.toThrow('ENOENT');
    // The same value would be refused again: there is no other try.
    expect(runner.status()).toEqual([]);
  });

  it.each([
    { homeAddress: '2001:DB8::1' },
    { homeAddress: '2001:db8::1 ; reboot' },
    { homeAgent: 'ha.home.example' },
    { homeAgent: 'ff02::1' },
    { homeAddress: '::1' },
    { homeAddress: '0.0.0.0' },
    { prefix: 'fe80::' },
    { homeAgentHost: 'ha home' },
    { homeAgentId: '../x' },
    { homeAgentTarget: '-oProxyCommand=x' },
    { prefixLength: -1 },
    { lifetime: 1.5 },
    { careOfAddress: '2001:db8::1%$(x)' },
    { interface: 'eth0;x' },
    { session: 'a b' },
  ])('never reaches a hook: %j', async (more) => {
    const program = await script('touch "$OUT/ran"');
    await runner.run(job(program, { variables: { ...VARIABLES, ...more } }));
    expect(reports).toMatchObject([{ type: 'refused' }]);
    await expect(out('ran')).rejects.toThrow('ENOENT');
  });
});
