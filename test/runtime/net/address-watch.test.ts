import { EventEmitter } from 'node:events';
import type { NetworkInterfaceInfo } from 'node:os';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AddressWatch } from '../../../src/runtime/net/address-watch.js';
import { eventually } from '../../eventually.js';
import { VirtualHost } from '../../virtual-host.js';

const computer = vi.hoisted(() => ({ addresses: [] as string[], monitors: [] as unknown[] }));

/** A substitute for the monitor program, controlled by the test. */
class Monitor extends EventEmitter {
  readonly stdout: EventEmitter | undefined = new EventEmitter();
  killed = false;

  kill(): void {
    this.killed = true;
  }
}

vi.mock('node:child_process', async (original) => {
  const real = await original<typeof import('node:child_process')>();
  const spawn = (program: string, ...more: never[]) => {
    if (program !== 'monitor') return (real.spawn as (...all: unknown[]) => unknown)(program, ...more);
    const monitor = new Monitor();
    computer.monitors.push(monitor);
    return monitor;
  };
  return { ...real, spawn };
});

vi.mock('node:os', async (original) => ({
  ...(await original<typeof import('node:os')>()),
  networkInterfaces: () => ({ lo: computer.addresses.map((address) => ({ address }) as NetworkInterfaceInfo) }),
}));

let watch: AddressWatch | undefined;

beforeEach(() => {
  computer.monitors.length = 0;
});

afterEach(() => watch?.stop());

/** An AddressWatch that uses this substitute. */
function watched() {
  const host = new VirtualHost();
  const seen = { changes: 0 };
  const count = () => {
    seen.changes += 1;
  };
  watch = new AddressWatch(count, host, ['monitor']);
  const monitors = computer.monitors as Monitor[];
  return { host, seen, monitors, watch };
}

it('AddressWatch without a monitor program reports each change once, within about a second', async () => {
  const host = new VirtualHost();
  let changes = 0;
  const count = () => {
    changes += 1;
  };
  computer.addresses = ['::1'];
  watch = new AddressWatch(count, host, ['/nowhere/monitor']);
  // The monitor program does not exist.
  await eventually(() => expect(host.timers).toBe(1));
  host.advance(10_000);
  expect(changes).toBe(0);
  for (const addresses of [['::1', '2001:db8::1'], ['::1'], ['2001:db8::2']]) {
    computer.addresses = addresses;
    host.advance(1_020);
  }
  expect(changes).toBe(3);
  host.advance(10_000);
  expect(changes).toBe(3);
  computer.addresses = [];
  watch.stop();
  host.advance(10_000);
  expect(changes).toBe(3);
  expect(host.timers).toBe(0);
});

describe('AddressWatch with a monitor program', () => {
  it('reports a burst of changes once', () => {
    const { host, seen, monitors } = watched();
    for (let n = 0; n < 3; n += 1) monitors[0]?.stdout?.emit('data', 'changed');
    host.advance(19);
    expect(seen.changes).toBe(0);
    host.advance(1);
    expect([seen.changes, host.timers]).toEqual([1, 0]);
    monitors[0]?.stdout?.emit('data', 'changed');
    host.advance(20);
    expect(seen.changes).toBe(2);
  });

  it('reports a change when the program exits, because it may have missed one, and restarts the program after 5 s', () => {
    const { host, seen, monitors } = watched();
    monitors[0]?.emit('exit');
    host.advance(20);
    expect(seen.changes).toBe(1);
    host.advance(4_979);
    expect(monitors).toHaveLength(1);
    host.advance(1);
    expect(monitors).toHaveLength(2);
    monitors[1]?.stdout?.emit('data', 'changed');
    host.advance(20);
    expect(seen.changes).toBe(2);
  });

  it('polls if the program cannot be started, even if its exit is reported too', () => {
    const { host, monitors } = watched();
    monitors[0]?.emit('error', new Error());
    monitors[0]?.emit('exit');
    expect(host.timers).toBe(1);
    host.advance(60_000);
    expect(monitors).toHaveLength(1);
  });

  it('ends the program when it is stopped, and then neither starts another one nor reports or polls', () => {
    const { host, seen, monitors, watch } = watched();
    monitors[0]?.stdout?.emit('data', 'changed');
    watch.stop();
    expect(monitors[0]?.killed).toBe(true);
    monitors[0]?.stdout?.emit('data', 'changed');
    monitors[0]?.emit('exit');
    monitors[0]?.emit('error', new Error());
    expect(host.timers).toBe(0);
    host.advance(60_000);
    expect([seen.changes, monitors.length]).toEqual([0, 1]);
  });

  it('does not restart the program after the watch was stopped, if it had exited before', () => {
    const { host, monitors, watch } = watched();
    monitors[0]?.emit('exit');
    watch.stop();
    host.advance(60_000);
    expect(monitors).toHaveLength(1);
  });
});
