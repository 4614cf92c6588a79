// Long, because it tests the runner twice: with real processes, and in virtual time.

import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, open, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toHex } from '../../../src/protocol/bytes/octets.js';
import { Secret } from '../../../src/protocol/bytes/secret.js';
import type { HookOutcome } from '../../../src/protocol/hooks/alphabet.js';
import {
  type HookProcess,
  type HookProcessRunner,
  HostProcesses,
  withoutKey,
} from '../../../src/runtime/hooks/process.js';
import { type HookJob, type HookOptions, type HookReport, HookRunner } from '../../../src/runtime/hooks/runner.js';
import { systemHost } from '../../../src/runtime/system/host.js';
import { eventually, within } from '../../eventually.js';
import { SimulatedProcesses } from '../../simulated-hooks.js';
import { VirtualHost } from '../../virtual-host.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

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
  await rm(folder, { recursive: true, force: true });
});

function makeRunner(more: Partial<HookOptions> = {}): HookRunner {
  return new HookRunner({
    stateDir: join(folder, 'state'),
    timeout: 10_000,
    maxParallel: 4,
    onEvent: (report) => reports.push(report),
    host: systemHost,
    processes: new HostProcesses(systemHost),
    ...more,
  });
}

/** Writes a shell hook with these lines; `$OUT` is a folder for its output. */
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

/** Paths of the files in a folder that this process has open, even if they were removed. */
async function openFiles(folder: string): Promise<string[]> {
  const descriptors = await readdir('/proc/self/fd');
  // The descriptor with which the folder was read is closed by now.
  const paths = await Promise.all(descriptors.map((number) => readlink(`/proc/self/fd/${number}`).catch(() => '')));
  return paths.filter((path) => path.startsWith(`${folder}/`));
}

function endOf(): { promise: Promise<HookOutcome>; ended: (outcome: HookOutcome) => void } {
  let ended: (outcome: HookOutcome) => void = () => undefined;
  const promise = new Promise<HookOutcome>((resolve) => {
    ended = resolve;
  });
  return { promise, ended };
}

function job(program: string, more: Partial<HookJob> = {}): HookJob {
  return { program, role: 'mn', event: 'up', subject: 'mn', variables: VARIABLES, ...more };
}

describe('A hook process', () => {
  it('that prints "ready" is not waited for, and its end is still reported', async () => {
    const program = await script('echo ready; until [ -e "$OUT/go" ]; do sleep 0.01; done; exit 3');
    const { promise, ended } = endOf();
    const done = new Promise<boolean>((resolve) => {
      runner.queue(job(program, { event: 'probe' }), { firstResult: ended, done: ({ ok }) => resolve(ok) });
    });
    expect(await promise).toMatchObject({ ok: true });
    expect(reports.map(({ type }) => type)).toEqual(['line']);
    await writeFile(join(folder, 'out', 'go'), '');
    expect(await done).toBe(false);
    expect(reports.map(({ type }) => type)).toEqual(['line', 'tried']);
  });

  it('gets one argument and only the environment of the hook contract', async () => {
    process.env['PANA_SECRET_OF_THE_DAEMON'] = 'x';
    const program = await script('env > "$OUT/env"; printf "%s" "$#:$1" > "$OUT/arguments"; pwd > "$OUT/pwd"');
    expect(await runner.run(job(program, { psk: PSK }))).toMatchObject({ ok: true });
    delete process.env['PANA_SECRET_OF_THE_DAEMON'];
    expect(await out('arguments')).toBe('1:up');
    expect(await out('pwd')).toBe('/\n');
    const environment = Object.fromEntries(
      (await out('env'))
        .trim()
        .split('\n')
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
    // Added by the shell.
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

  it('finds the key in a file of mode 0600 that is removed afterwards; a printed key is masked', async () => {
    const program = await script(
      'cat "$MIP6_PSK_FILE" > "$OUT/key"; stat -c %a "$MIP6_PSK_FILE" > "$OUT/mode"; cat "$MIP6_PSK_FILE"',
    );
    await runner.run(job(program, { psk: PSK }));
    expect(await out('key')).toBe(`0x${toHex(PSK.octets())}\n`);
    expect((await out('mode')).trim()).toBe('600');
    await eventually(async () => expect(await readdir(join(folder, 'state', 'keys'))).toEqual([]));
    expect(await openFiles(join(folder, 'state', 'keys'))).toEqual([]);
    expect((await stat(join(folder, 'state', 'keys'))).mode & 0o777).toBe(0o700);
    await eventually(() => expect(reports.map(({ type }) => type)).toContain('line'));
    expect(JSON.stringify(reports)).not.toContain(toHex(PSK.octets()).slice(0, 32));
  });

  it('has every part of the key masked in its output, in upper and lower case', () => {
    const hex = toHex(PSK.octets());
    expect(withoutKey(`0x${hex}`, PSK)).toBe('0x[key]');
    for (const text of [hex.toUpperCase(), hex.slice(40, 60), `f${hex.slice(20, 50)}`, `00ff${hex}00`]) {
      expect(withoutKey(`key ${text}.`, PSK)).toBe('key [key].');
    }
    const other = 'session 0123456789abcdef0123456789abcdef';
    expect(withoutKey(other, PSK)).toBe(other);
  });

  it('has both outputs reported by line, with control characters escaped', async () => {
    const program = await script('echo one; printf "two\\033[31m\\n" >&2; echo three');
    await runner.run(job(program));
    await eventually(() => expect(reports.filter(({ type }) => type === 'line')).toHaveLength(3));
    const lines = reports.flatMap((report) => (report.type === 'line' ? [report.line] : [])).sort();
    expect(lines).toEqual(['one', 'three', 'two\\u001b[31m']);
  });

  it('has the first 200 lines of its output reported, each cut to 500 characters', async () => {
    const program = await script(
      'printf "%0600d\\n" 1; seq 2 250; until [ -e "$OUT/go" ]; do sleep 0.01; done; echo late',
    );
    const running = runner.run(job(program));
    const lines = () => reports.flatMap((report) => (report.type === 'line' ? [report.line] : []));
    await eventually(() => expect(lines().length).toBeGreaterThanOrEqual(200));
    await writeFile(join(folder, 'out', 'go'), '');
    await running;
    expect(lines()).toEqual(['0'.repeat(500), ...Array.from({ length: 199 }, (_, i) => String(i + 2))]);
  });

  it('has at most 200 lines reported of both streams together', async () => {
    const program = await script('seq 1 150; seq 151 300 >&2; until [ -e "$OUT/go" ]; do sleep 0.01; done');
    const running = runner.run(job(program));
    const lines = () => reports.filter(({ type }) => type === 'line').length;
    await eventually(() => expect(lines()).toBe(200));
    await writeFile(join(folder, 'out', 'go'), '');
    await running;
    expect(lines()).toBe(200);
  });

  it('is killed with its children at its timeout', async () => {
    const clock = new VirtualHost();
    runner = makeRunner({ timeout: 200, host: clock });
    // The child ignores SIGTERM from before it opens the pipe.
    const program = await script('(trap "" TERM; exec sleep 600 > "$OUT/pipe") & wait');
    const pipe = join(folder, 'out', 'pipe');
    await promisify(execFile)('mkfifo', [pipe]);
    const running = runner.run(job(program, { event: 'down' }));
    // Opens when the hook has opened the pipe for writing, and ends when no process has it open for writing.
    const reading = await within(open(pipe), 'the hook opens the pipe');
    clock.advance(200);
    expect(await within(running, 'the hook ends')).toMatchObject({ ok: false });
    expect(await within(reading.readFile(), 'the pipe ends')).toHaveLength(0);
    await reading.close();
    expect(reports).toMatchObject([
      { type: 'tried', try: 1, outcome: { ok: false, reason: 'timeout after 200 ms' } },
      { type: 'limit', event: 'down', milliseconds: 400 },
    ]);
  });

  it('that is missing or fails is reported, and the first try resolves with the reason', async () => {
    expect(await runner.run(job('/nowhere/hook'))).toMatchObject({ reason: 'cannot run /nowhere/hook: ENOENT' });
    const failing = job(await script('exit 3'), { subject: 'other' });
    expect(await runner.run(failing)).toMatchObject({ reason: 'exit status 3' });
    expect(runner.status()).toMatchObject([
      { subject: 'mn', tries: 1 },
      { subject: 'other', problem: 'exit status 3' },
    ]);
  });

  it('is not started if the runner stops while its key file is written', async () => {
    const clock = new VirtualHost();
    runner = makeRunner({ host: clock });
    const program = await script('touch "$OUT/ran"');
    const first = runner.run(job(program, { psk: PSK }));
    const stopped = runner.stop(0);
    // Before the file is written.
    clock.advance(0);
    await within(stopped, 'the runner stops');
    expect(await first).toMatchObject({ ok: false });
    // On a slow disk the runner stops before the file is removed.
    await eventually(async () => expect(await readdir(join(folder, 'state', 'keys'))).toEqual([]));
    await expect(out('ran')).rejects.toThrow('ENOENT');
  });

  it('leaves no key file if the key is wiped while the file is written', async () => {
    const psk = PSK.copy();
    const { promise, ended } = endOf();
    const call = {
      program: '/bin/true',
      event: 'up',
      environment: {},
      stateDir: folder,
      input: undefined,
      psk,
    } as const;
    new HostProcesses(systemHost).start(call, { line: () => undefined, ended, fault: () => undefined });
    psk.wipe();
    expect(await promise).toMatchObject({ ok: false, reason: 'the key has been wiped' });
    expect(await readdir(join(folder, 'keys'))).toEqual([]);
  });

  it('finds no key files of an earlier run, which removeLeftovers deletes', async () => {
    const keys = join(folder, 'keys');
    await mkdir(keys);
    for (const name of ['0123456789abcdef', '0123456789abcdef.conf', 'notes']) await writeFile(join(keys, name), 'x');
    const processes = new HostProcesses(systemHost);
    await processes.removeLeftovers(folder);
    expect((await readdir(keys)).sort()).toEqual(['0123456789abcdef.conf', 'notes']);
    await expect(processes.removeLeftovers(join(folder, 'none'))).resolves.toBeUndefined();
  });

  it('gets the events of its lane as lines of standard input', async () => {
    const program = await script(
      'cat > "$OUT/lines"; env | grep ^MIP6_ | sort > "$OUT/env"; printf "%s" "$1" > "$OUT/event"',
    );
    const lane = { name: 'ep', variables: { interface: 'eth0' } };
    const permit = (session: string) =>
      runner.run(job(program, { role: 'ep', event: 'permit', subject: session, variables: { session }, lane }));
    expect(await Promise.all([permit('1'), permit('2')])).toMatchObject([{ ok: true }, { ok: true }]);
    expect(await out('lines')).toBe('permit MIP6_SESSION=1\npermit MIP6_SESSION=2\n');
    expect(await out('event')).toBe('batch');
    expect(await out('env')).toBe(
      `MIP6_EVENT=batch\nMIP6_INTERFACE=eth0\nMIP6_ROLE=ep\nMIP6_STATE_DIR=${join(folder, 'state')}\n`,
    );
  });
});

describe('HookRunner in virtual time', () => {
  let host: VirtualHost;
  let processes: SimulatedProcesses;

  beforeEach(() => {
    host = new VirtualHost();
    processes = new SimulatedProcesses();
    runner = makeRunner({ host, processes });
  });

  // The cleanup needs a runner with a real clock.
  afterEach(() => {
    runner = makeRunner();
  });

  it('retries a failed hook at growing intervals until it succeeds', async () => {
    const first = runner.run(job('/hook'));
    const starts: number[] = [];
    for (const waits of [1_000, 2_000, 4_000]) {
      starts.push(host.monotonic());
      processes.only.end('exit status 1');
      host.advance(waits - 1);
      expect(processes.running).toEqual([]);
      host.advance(1);
    }
    expect(await first).toMatchObject({ reason: 'exit status 1' });
    processes.only.end();
    expect(starts).toEqual([0, 1_000, 3_000]);
    expect(reports.map((report) => report.type === 'tried' && report.outcome.ok)).toEqual([false, false, false, true]);
    expect(runner.status()).toEqual([]);
    expect(host.timers).toBe(0);
  });

  it('passes the key to each try and wipes it after the last', () => {
    const psk = PSK.copy();
    void runner.run(job('/hook', { psk }));
    psk.wipe();
    for (let tries = 0; tries < 3; tries += 1) {
      expect(processes.only.call.psk?.octets()).toEqual(PSK.octets());
      processes.only.end('exit status 1');
      expect(processes.calls.at(-1)?.psk?.isWiped).toBe(false);
      host.advance(4_000);
    }
    const { call } = processes.only;
    processes.only.end();
    expect(call.psk?.isWiped).toBe(true);
  });

  it('wipes the key when a newer event ends the retries, when a refresh is replaced, and at stop', async () => {
    void runner.run(job('/hook', { psk: PSK }));
    processes.only.end('exit status 1');
    void runner.run(job('/hook', { psk: PSK }));
    expect(processes.calls.map(({ psk }) => psk?.isWiped)).toEqual([true, false]);
    for (let n = 0; n < 3; n += 1) void runner.run(job('/hook', { event: 'refresh', psk: PSK }));
    processes.only.end();
    processes.only.end();
    expect(processes.calls).toHaveLength(3);
    void runner.run(job('/hook', { psk: PSK }));
    const stopped = runner.stop(1_000);
    host.advance(1_000);
    expect(processes.only.signals).toEqual(['SIGKILL']);
    processes.only.end('ended by SIGKILL');
    await stopped;
    expect(processes.calls.map(({ psk }) => psk?.isWiped)).toEqual([true, true, true, true]);
  });

  it('reports lines and ends with the time since the event', () => {
    void runner.run(job('/hook'));
    host.advance(20);
    processes.only.say('hello');
    host.advance(30);
    processes.only.end();
    expect(reports).toMatchObject([
      { type: 'line', line: 'hello', sinceEvent: 20 },
      { type: 'tried', sinceEvent: 50, try: 1 },
    ]);
  });

  it('sends SIGTERM at the timeout and SIGKILL two seconds later', () => {
    void runner.run(job('/hook'));
    host.advance(10_000);
    expect(processes.only.signals).toEqual(['SIGTERM']);
    host.advance(2_000);
    expect(processes.only.signals).toEqual(['SIGTERM', 'SIGKILL']);
    processes.only.end();
    expect(reports).toMatchObject([
      { outcome: { ok: false, reason: 'timeout after 10000 ms' } },
      { type: 'limit', event: 'up', milliseconds: 20_000 },
    ]);
  });

  it('keeps no reference to a process that has ended', async () => {
    const ended: WeakRef<HookProcess>[] = [];
    const start: HookProcessRunner['start'] = (call, listener) => {
      const { kill } = processes.start(call, listener);
      // Only the runner references it.
      const process = { kill };
      ended.push(new WeakRef(process));
      return process;
    };
    runner = makeRunner({ host, processes: { start, removeLeftovers: () => Promise.resolve() } });
    void runner.run(job('/hook'));
    processes.only.end();
    processes.atOnce = true;
    void runner.run(job('/hook'));
    // Two turns: a WeakRef keeps its target until the end of the turn that created it.
    for (let turn = 0; turn < 2; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    expect(ended.map((process) => process.deref())).toEqual([undefined, undefined]);
  });

  it('drops only the events of a lane whose values are rejected', async () => {
    const lane = { name: 'ep', variables: {} };
    const tell = (session: string) =>
      runner.run(job('/hook', { event: 'permit', subject: session, variables: { session }, lane }));
    const both = [tell('a b'), tell('2')];
    host.advance(0);
    expect(processes.only.call.input).toBe('permit MIP6_SESSION=2\n');
    processes.only.end();
    expect(await Promise.all(both)).toMatchObject([{ ok: false }, { ok: true }]);
    expect(reports.map(({ type }) => type)).toEqual(['refused', 'tried']);
  });

  it('evaluates variables at each try, and drops the job if there are none', () => {
    const sessions = ['1', '2'];
    const variables = () => {
      const session = sessions.shift();
      return session === undefined ? undefined : { variables: { session }, input: `${session}\n` };
    };
    void runner.run(job('/hook', { variables }));
    processes.only.end('exit status 1');
    host.advance(1_000);
    processes.only.end('exit status 1');
    // The third try has no variables.
    host.advance(2_000);
    expect(processes.calls.map(({ input, environment }) => [input, environment['MIP6_SESSION']])).toEqual([
      ['1\n', '1'],
      ['2\n', '2'],
    ]);
    expect(runner.status()).toEqual([]);
  });
});

describe('HookRunner', () => {
  it('runs hooks of different subjects in parallel up to maxParallel', async () => {
    runner = makeRunner({ maxParallel: 2 });
    const program = await script(
      'touch "$OUT/run.$$"; ls "$OUT" | grep -c run >> "$OUT/counts"; sleep 0.1; rm "$OUT/run.$$"',
    );
    await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((subject) => runner.run(job(program, { subject }))));
    const counts = (await out('counts')).trim().split('\n').map(Number);
    expect(counts).toHaveLength(6);
    expect(Math.max(...counts)).toBeLessThanOrEqual(2);
  });

  it('gives every pending hook one try at stop', async () => {
    const failing = await script('echo x >> "$OUT/tries"; exit 1');
    void runner.run(job(failing));
    void runner.run(job(failing, { subject: 'other', event: 'down' }));
    await runner.stop(5_000);
    expect((await out('tries')).trim().split('\n')).toHaveLength(2);
  });

  it('neither runs nor retries a hook with a rejected value', async () => {
    const program = await script('touch "$OUT/ran"');
    const refused = await runner.run(job(program, { variables: { ...VARIABLES, mnId: 'a;b' }, psk: PSK }));
    expect(refused).toMatchObject({ ok: false });
    expect(reports).toMatchObject([{ type: 'refused' }]);
    await expect(out('ran')).rejects.toThrow('ENOENT');
    expect(runner.status()).toEqual([]);
  });
});
