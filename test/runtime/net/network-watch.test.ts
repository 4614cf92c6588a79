import { EventEmitter } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { kernelEventOf } from '../../../src/protocol/attachment/kernel-events.js';
import type { LinkSnapshot } from '../../../src/runtime/net/network-snapshot.js';
import { type Monitor, NetworkWatch } from '../../../src/runtime/net/network-watch.js';
import { eventually } from '../../eventually.js';
import { VirtualHost } from '../../virtual-host.js';

const computer = vi.hoisted(() => ({ played: [] as unknown[], refuses: undefined as Error | undefined }));
const played = computer.played as PlayedMonitor[];

/** A substitute for the monitor program, controlled by the test. */
class PlayedMonitor extends EventEmitter {
  readonly did: string[] = [];
  readonly stdout = Object.assign(new EventEmitter(), {
    setEncoding: () => this.stdout,
    pause: () => this.did.push('pause'),
    resume: () => this.did.push('resume'),
    destroy: () => this.did.push('destroy'),
  });

  kill(): void {
    this.did.push('kill');
  }

  say(...lines: readonly string[]): void {
    this.stdout.emit('data', `${lines.join('\n')}\n`);
  }
}

vi.mock('node:child_process', async (original) => {
  const real = await original<typeof import('node:child_process')>();
  const spawn = (program: string, ...more: never[]) => {
    if (program !== 'played') return (real.spawn as (...all: unknown[]) => unknown)(program, ...more);
    if (computer.refuses) throw computer.refuses;
    const monitor = new PlayedMonitor();
    monitor.did.push(...(more as unknown as [readonly string[]])[0]);
    computer.played.push(monitor);
    return monitor;
  };
  return { ...real, spawn };
});

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-network-watch-'));
  computer.played.length = 0;
  computer.refuses = undefined;
});

afterEach(() => rm(folder, { recursive: true, force: true }));

function watching(monitor: Monitor | undefined) {
  const host = new VirtualHost();
  const changes: string[] = [];
  const counted: string[] = [];
  const missing: string[] = [];
  const network = { addresses: '::1', links: new Map<string, LinkSnapshot>() };
  const listener = {
    changed: ({ reasons }: { readonly reasons: readonly string[] }) => changes.push(reasons.join(' ')),
    counted: (kind: string) => counted.push(kind),
    monitorMissing: (reason: string) => missing.push(reason),
  };
  const reader = {
    all: () => ({ addresses: network.addresses, links: new Map(network.links) }),
    link: (name: string) => network.links.get(name) ?? { up: false, generation: ' ' },
  };
  const watch = new NetworkWatch('eth0', listener, host, monitor, reader);
  onTestFinished(() => watch.stop());
  return { host, watch, network, changes, counted, missing };
}

/** A monitor that runs a shell script and counts its starts in a file. */
function script(text: string): Monitor {
  return { command: ['sh', '-c', `echo started >> ${join(folder, 'starts')}\n${text}`], read: kernelEventOf };
}

const PLAYED: Monitor = { command: ['played'], read: kernelEventOf };
const UP = '2: eth0: <BROADCAST,UP,LOWER_UP> mtu 1500 state UP group default \\    link/ether';
const DOWN = '2: eth0: <BROADCAST,UP> mtu 1500 state DOWN group default \\    link/ether';
const ROUTE = '2001:db8::/64 dev eth0 proto kernel metric 256 pref medium';

const starts = async () => (await readFile(join(folder, 'starts'), 'utf8').catch(() => '')).split('\n').length - 1;

describe('NetworkWatch without a monitor program', () => {
  it('reports the missing program once, and each change once, within about a second', async () => {
    const { host, watch, network, changes, missing } = watching({ command: ['/nowhere/ip'], read: kernelEventOf });
    await eventually(() => expect(missing).toEqual(['cannot run /nowhere/ip: ENOENT']));
    host.advance(10_000);
    expect(changes).toEqual([]);
    for (const addresses of ['::1 2001:db8::1', '::1', '2001:db8::2']) {
      network.addresses = addresses;
      host.advance(2_000);
    }
    expect(changes).toEqual(['', '', '']);
    host.advance(600_000);
    expect([changes.length, missing.length]).toEqual([3, 1]);
    network.addresses = '';
    watch.stop();
    host.advance(10_000);
    expect([changes.length, host.timers]).toEqual([3, 0]);
  });

  it('does not try to start it again, even if its exit is reported as well', () => {
    const { host, missing } = watching(PLAYED);
    played[0]?.emit('error', Object.assign(new Error(), { code: 'ENOENT' }));
    played[0]?.emit('exit', -2, null);
    host.advance(600_000);
    expect([played.length, missing]).toEqual([1, ['cannot run played: ENOENT']]);
  });

  it.each([
    ['lost its carrier for less than a second', { up: true, generation: '2 4' }, ['link-up']],
    ['is another one of the same name', { up: true, generation: '7 2' }, ['link-up']],
    ['is down', { up: false, generation: '2 3' }, ['']],
    ['is gone', undefined, ['']],
  ])('notices that an interface %s', (_what, link, expected) => {
    const { host, network, changes } = watching(undefined);
    network.links.set('eth0', { up: true, generation: '2 2' });
    host.advance(2_000);
    changes.length = 0;
    if (link) network.links.set('eth0', link);
    else network.links.delete('eth0');
    host.advance(2_000);
    expect(changes).toEqual(expected);
  });

  it('retries a program that could not be started for another reason, and polls until then', () => {
    computer.refuses = Object.assign(new Error(), { code: 'ENOMEM' });
    const { host, network, changes, missing } = watching(PLAYED);
    network.addresses = '2001:db8::1';
    host.advance(1_020);
    computer.refuses = undefined;
    host.advance(2_000);
    expect([played.length, changes, missing]).toEqual([1, [''], ['cannot run played: ENOMEM']]);
  });
});

describe('NetworkWatch with a monitor program', () => {
  it('reads the events of the monitor, and counts and ignores lines that are no events', async () => {
    const lines = [UP, 'nonsense', DOWN, UP];
    const { host, changes, counted } = watching(script(`printf '%s\\n' '${lines.join("' '")}'; exec sleep 1000`));
    await eventually(() => expect(counted).toEqual(['link', 'unreadable', 'link', 'link']));
    host.advance(20);
    expect(changes).toEqual(['link-up']);
  });

  it('reports a burst of changes once', () => {
    const { host, changes } = watching(PLAYED);
    for (let n = 0; n < 3; n += 1) played[0]?.say(ROUTE);
    host.advance(19);
    expect(changes).toEqual([]);
    host.advance(1);
    expect(changes).toEqual(['']);
    host.advance(2_000);
    played[0]?.say(ROUTE);
    host.advance(20);
    expect(changes).toEqual(['', '']);
  });

  it('polls until the monitor has run for a second, because it misses what happens before', () => {
    const { host, network, changes } = watching(PLAYED);
    network.addresses = '2001:db8::1';
    host.advance(1_020);
    expect(changes).toEqual(['']);
    network.addresses = '2001:db8::2';
    host.advance(60_000);
    expect(changes).toEqual(['']);
  });

  it('reports once that a monitor exits at once, restarts it after growing waits, and polls in between', async () => {
    const { host, network, changes, missing } = watching(script('exit 1'));
    for (const [i, wait] of [1_000, 2_000, 4_000].entries()) {
      await eventually(async () => expect(await starts()).toBe(i + 1));
      // Of the clocks, polling and the next start.
      await eventually(() => expect(host.timers).toBe(3));
      network.addresses = `2001:db8::${i}`;
      host.advance(wait - 1);
      expect(await starts()).toBe(i + 1);
      host.advance(1);
      host.advance(20);
    }
    // None of them is a sign that the node has moved.
    expect([changes, missing]).toEqual([['', '', ''], ['sh exits at once: 1']]);
  });

  it('treats the exit of a working monitor as a sign of movement, and polls until the next one works', () => {
    const { host, network, changes, missing, counted } = watching(PLAYED);
    host.advance(5_000);
    played[0]?.emit('exit', null, 'SIGKILL');
    host.advance(20);
    expect(changes).toEqual(['events-lost']);
    host.advance(979);
    expect(played).toHaveLength(1);
    host.advance(1);
    expect(played).toHaveLength(2);
    network.addresses = '2001:db8::1';
    host.advance(2_000);
    played[1]?.say(ROUTE);
    host.advance(20);
    expect([changes, missing, counted]).toEqual([['events-lost', '', ''], [], ['lost', 'route']]);
  });

  it('restarts after a second a monitor that ran for a minute', () => {
    const { host } = watching(PLAYED);
    for (const [lives, wait] of [
      [500, 1_000],
      [500, 2_000],
      [60_000, 1_000],
    ] as const) {
      const run = played.length;
      host.advance(lives);
      played[run - 1]?.emit('exit', 0, null);
      host.advance(wait - 1);
      expect(played).toHaveLength(run);
      host.advance(1);
      expect(played).toHaveLength(run + 1);
    }
  });

  it('reads at most 1,000 lines a second, and treats further lines as a sign of movement', () => {
    const { host, changes, counted } = watching(PLAYED);
    host.advance(5_000);
    const [monitor] = played;
    for (let piece = 0; piece < 10; piece += 1) monitor?.say(...Array.from({ length: 150 }, () => ROUTE));
    expect([counted.length, monitor?.did.includes('pause')]).toEqual([1_000, true]);
    host.advance(999);
    expect(monitor?.did).not.toContain('resume');
    host.advance(1);
    expect(monitor?.did.at(-1)).toBe('resume');
    host.advance(1_000);
    expect([counted.length, counted.at(-1), changes.at(-1)]).toEqual([1_001, 'lost', 'events-lost']);
    monitor?.say(ROUTE);
    expect(counted.at(-1)).toBe('route');
  });

  it('reads at most 4 MB a second of a line without an end', () => {
    const { host, changes, counted } = watching(PLAYED);
    host.advance(5_000);
    const [monitor] = played;
    for (let piece = 0; piece < 63; piece += 1) monitor?.stdout.emit('data', 'x'.repeat(65_536));
    expect(monitor?.did).toEqual(['pause']);
    host.advance(1_020);
    expect([monitor?.did, counted, changes]).toEqual([['pause', 'resume'], ['lost'], ['events-lost']]);
  });

  it('reports at most one change a second, however long a flood lasts', () => {
    const { host, changes } = watching(PLAYED);
    for (let n = 0; n < 60_000; n += 10) {
      played[0]?.say(
        `prefix 2001:db8:${n.toString(16)}::/64 dev eth0 onlink`,
        `default via fe80::${n.toString(16)} dev eth0 `,
      );
      host.advance(10);
    }
    expect(changes.length).toBeLessThan(70);
  });

  it('keeps of a line without an end no more than the longest event has', async () => {
    await writeFile(join(folder, 'x'), 'x'.repeat(1_000_000));
    const { counted } = watching(script(`cat ${folder}/x; echo; echo 'default via fe80::1 dev eth0 '; sleep 9`));
    await eventually(() => expect(counted).toEqual(['unreadable', 'router']));
  });

  it('reports the end of a sleep, but not an hour for which the process was stopped', () => {
    const { host, changes } = watching(undefined);
    host.stall(3_600_000);
    host.advance(2_000);
    expect(changes).toEqual([]);
    host.slept = 3_600_000;
    host.advance(1_020);
    expect(changes).toEqual(['wake']);
  });
});

/** A watch of eth0, which is up, with a monitor and a program that makes the kernel forget neighbours. */
function connected(name = 'eth0') {
  const watched = watching({ ...PLAYED, forget: (link) => ['played', 'forget', link] });
  const set = (changes: number) => watched.network.links.set(name, { up: true, generation: `2 ${changes}` });
  set(2);
  played[0]?.say(UP.replaceAll('eth0', name));
  watched.host.advance(5_000);
  expect(watched.changes).toEqual([]);
  return { ...watched, set, say: (line: string) => played[0]?.say(line.replaceAll('eth0', name)) };
}

describe('A link that is lost and back before the kernel reports it', () => {
  it('is reported when the kernel has forgotten its neighbours', () => {
    const { host, changes, set, say } = connected();
    set(4);
    say(UP);
    expect(played[1]?.did).toEqual(['forget', 'eth0']);
    host.advance(100);
    expect(changes).toEqual([]);
    played[1]?.emit('exit', 0, null);
    host.advance(20);
    expect([changes, host.timers]).toEqual([['link-up'], 1]);
    // Further events of the link.
    say(UP);
    host.advance(10_000);
    expect([changes, played.length]).toEqual([['link-up'], 2]);
  });

  it.each<[string, (child: PlayedMonitor | undefined) => void, number]>([
    ['cannot be started', (child) => child?.emit('error', new Error()), 20],
    ['fails', (child) => child?.emit('exit', 2, null), 20],
    ['does not end', () => undefined, 520],
  ])('is reported once if the program for that %s', (_how, end, after) => {
    const { host, changes, set, say } = connected();
    set(4);
    say(UP);
    end(played[1]);
    host.advance(after - 1);
    expect(changes).toEqual([]);
    host.advance(1);
    played[1]?.emit('exit', 0, null);
    host.advance(10_000);
    expect([changes, played[1]?.did.slice(2)]).toEqual([['link-up'], after > 500 ? ['kill'] : []]);
  });

  it('is reported at once if there are no resources for the program', () => {
    const { host, changes, set, say } = connected();
    computer.refuses = Object.assign(new Error(), { code: 'ENOMEM' });
    set(4);
    say(UP);
    host.advance(20);
    expect(changes).toEqual(['link-up']);
  });

  it('keeps its neighbours if the kernel has noticed the loss and forgotten them itself', () => {
    const { host, changes, set, say } = connected();
    set(3);
    say(DOWN);
    set(4);
    say(UP);
    host.advance(20);
    expect([changes, played.length]).toEqual([['link-up'], 1]);
  });

  it('keeps its neighbours if it is not the access link', () => {
    const { host, changes, set, say } = connected('eth1');
    set(4);
    say(UP);
    host.advance(20);
    expect([changes, played.length]).toEqual([[''], 1]);
  });

  it('is not reported after the watch has stopped', () => {
    const { host, watch, changes, set, say } = connected();
    set(4);
    say(UP);
    watch.stop();
    played[1]?.emit('exit', 0, null);
    host.advance(10_000);
    expect([changes, host.timers, played[1]?.did.at(-1)]).toEqual([[], 0, 'kill']);
  });
});

describe('A NetworkWatch that has stopped', () => {
  it('has ended its monitor', async () => {
    const { watch, host } = watching(
      script(`trap 'echo ended >> ${join(folder, 'ends')}; exit' TERM; while :; do sleep 0.05; done`),
    );
    await eventually(async () => expect(await starts()).toBe(1));
    watch.stop();
    await eventually(async () => expect(await readFile(join(folder, 'ends'), 'utf8')).toBe('ended\n'));
    host.advance(100_000);
    expect(await starts()).toBe(1);
  });

  it('neither starts another monitor nor reports, reads or polls', () => {
    const { host, changes, counted, missing, network, watch } = watching(PLAYED);
    const [monitor] = played;
    host.advance(5_000);
    monitor?.say(...Array.from({ length: 1_001 }, () => ROUTE));
    watch.stop();
    expect(monitor?.did).toEqual(['pause', 'kill', 'destroy']);
    counted.length = 0;
    monitor?.say(ROUTE);
    monitor?.emit('exit', null, 'SIGTERM');
    monitor?.emit('error', new Error());
    network.addresses = '2001:db8::1';
    expect(host.timers).toBe(0);
    host.advance(60_000);
    expect([changes, counted, missing, played.length]).toEqual([[], [], [], 1]);
  });

  it('does not restart a monitor that had exited', () => {
    const { host, watch } = watching(PLAYED);
    host.advance(5_000);
    played[0]?.emit('exit', 1, null);
    watch.stop();
    host.advance(60_000);
    expect([played.length, host.timers]).toEqual([1, 0]);
  });
});
