import type { NetworkInterfaceInfo } from 'node:os';
import { afterEach, expect, it, vi } from 'vitest';
import { AddressWatch } from '../../../src/runtime/net/address-watch.js';
import { eventually } from '../../eventually.js';
import { VirtualHost } from '../../virtual-host.js';

const computer = vi.hoisted(() => ({ addresses: [] as string[] }));

vi.mock('node:os', async (original) => ({
  ...(await original<typeof import('node:os')>()),
  networkInterfaces: () => ({ lo: computer.addresses.map((address) => ({ address }) as NetworkInterfaceInfo) }),
}));

let watch: AddressWatch | undefined;

afterEach(() => watch?.stop());

it('AddressWatch without a monitor program reports each change once, within about a second', async () => {
  const host = new VirtualHost();
  let told = 0;
  const count = () => {
    told += 1;
  };
  computer.addresses = ['::1'];
  watch = new AddressWatch(count, host, ['/nowhere/monitor']);
  // The monitor program does not exist.
  await eventually(() => expect(host.timers).toBe(1));
  host.advance(10_000);
  expect(told).toBe(0);
  for (const addresses of [['::1', '2001:db8::1'], ['::1'], ['2001:db8::2']]) {
    computer.addresses = addresses;
    host.advance(1_020);
  }
  expect(told).toBe(3);
  host.advance(10_000);
  expect(told).toBe(3);
  computer.addresses = [];
  watch.stop();
  host.advance(10_000);
  expect(told).toBe(3);
  expect(host.timers).toBe(0);
});
