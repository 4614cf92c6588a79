import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type NetworkInterfaceInfo, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { kernelEventOf } from '../../../src/protocol/attachment/kernel-events.js';
import { type Monitor, NetworkWatch } from '../../../src/runtime/net/network-watch.js';
import { eventually } from '../../eventually.js';
import { VirtualHost } from '../../virtual-host.js';

const computer = vi.hoisted(() => ({ addresses: [] as string[] }));

vi.mock('node:os', async (original) => ({
  ...(await original<typeof import('node:os')>()),
  networkInterfaces: () => ({ lo: computer.addresses.map((address) => ({ address }) as NetworkInterfaceInfo) }),
}));

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-network-watch-'));
  computer.addresses = ['::1'];
});

afterEach(() => rm(folder, { recursive: true, force: true }));

function watching(monitor: Monitor | undefined) {
  const host = new VirtualHost();
  const changes: string[] = [];
  const counted: string[] = [];
  const missing: string[] = [];
  const listener = {
    changed: ({ reasons }: { readonly reasons: readonly string[] }) => changes.push(reasons.join(' ')),
    counted: (kind: string) => counted.push(kind),
    monitorMissing: (program: string) => missing.push(program),
  };
  const watch = new NetworkWatch('eth0', listener, host, monitor);
  onTestFinished(() => watch.stop());
  return { host, watch, changes, counted, missing };
}

/** A monitor that runs a shell script and counts its starts in a file. */
function script(text: string): Monitor {
  return { command: ['sh', '-c', `echo started >> ${join(folder, 'starts')}\n${text}`], read: kernelEventOf };
}

const starts = async () => (await readFile(join(folder, 'starts'), 'utf8').catch(() => '')).split('\n').length - 1;

describe('NetworkWatch', () => {
  it('without a monitor program says so once, and reports each change once, within about a second', async () => {
    const { host, watch, changes, missing } = watching({ command: ['/nowhere/monitor'], read: kernelEventOf });
    await eventually(() => expect(missing).toEqual(['/nowhere/monitor']));
    host.advance(10_000);
    expect(changes).toEqual([]);
    for (const addresses of [['::1', '2001:db8::1'], ['::1'], ['2001:db8::2']]) {
      computer.addresses = addresses;
      host.advance(2_000);
    }
    expect(changes).toEqual(['', '', '']);
    host.advance(600_000);
    expect([changes.length, missing.length]).toEqual([3, 1]);
    computer.addresses = [];
    watch.stop();
    host.advance(10_000);
    expect([changes.length, host.timers]).toEqual([3, 0]);
  });

  it('reads the events of the monitor, and counts and ignores lines that are none', async () => {
    const lines = [
      '2: eth0: <BROADCAST,UP,LOWER_UP> mtu 1500 state UP group default \\\\    link/ether',
      'nonsense',
      '2: eth0: <BROADCAST,UP> mtu 1500 state DOWN group default \\\\    link/ether',
      '2: eth0: <BROADCAST,UP,LOWER_UP> mtu 1500 state UP group default \\\\    link/ether',
    ];
    const { host, changes, counted } = watching(script(`printf '%s\\n' '${lines.join("' '")}'; exec sleep 1000`));
    await eventually(() => expect(counted).toEqual(['link', 'unreadable', 'link', 'link']));
    host.advance(20);
    expect(changes).toEqual(['link-up']);
  });

  it('starts a monitor that died again, later each time, polls meanwhile, and then looks at the network anew', async () => {
    const { host, changes } = watching(script('exit 1'));
    for (const [i, wait] of [1_000, 2_000, 4_000].entries()) {
      await eventually(async () => expect(await starts()).toBe(i + 1));
      // Of the clocks, polling and the next start; after the first one also of the report that a start causes.
      await eventually(() => expect(host.timers).toBe(i === 0 ? 3 : 4));
      computer.addresses = [`2001:db8::${i}`];
      host.advance(wait - 1);
      expect(await starts()).toBe(i + 1);
      host.advance(1);
    }
    host.advance(1_000);
    expect(changes.length).toBeGreaterThanOrEqual(3);
  });

  it('ends its monitor when it stops', async () => {
    const { watch, host } = watching(
      script(`trap 'echo ended >> ${join(folder, 'ends')}; exit' TERM; while :; do sleep 0.05; done`),
    );
    await eventually(async () => expect(await starts()).toBe(1));
    watch.stop();
    await eventually(async () => expect(await readFile(join(folder, 'ends'), 'utf8')).toBe('ended\n'));
    host.advance(100_000);
    expect(await starts()).toBe(1);
  });

  it('keeps no more of a line without an end than of the longest event', async () => {
    await writeFile(join(folder, 'long'), 'x'.repeat(1_000_000));
    const { counted } = watching(
      script(`cat ${join(folder, 'long')}; echo; echo 'default via fe80::1 dev eth0 '; exec sleep 1000`),
    );
    await eventually(() => expect(counted).toEqual(['unreadable', 'router']));
  });

  it('takes every output of a monitor without a reader for a change', async () => {
    const { host, changes, counted } = watching({
      command: ['sh', '-c', 'echo got message; exec sleep 1000'],
      read: undefined,
    });
    await eventually(() => expect(host.timers).toBe(2));
    host.advance(20);
    expect([changes, counted]).toEqual([[''], []]);
  });

  it('reports the end of a sleep', () => {
    const { host, changes } = watching(undefined);
    host.advance(5_000);
    host.wallOffset += 3_600_000;
    host.advance(1_020);
    expect(changes).toEqual(['wake']);
  });
});
