import { expect, it } from 'vitest';
import { UdpSocket } from '../../../src/runtime/net/udp.js';

it('A closed UdpSocket discards what is sent and keeps its address', async () => {
  const there = await UdpSocket.open({ address: '127.0.0.1', port: 0 }, () => undefined);
  const here = await UdpSocket.connect(there.address, {}, () => undefined);
  const { address } = here;
  // A node between two networks has closed one socket and not opened the next.
  await here.close();
  await here.close();
  expect(() => here.send(Uint8Array.of(1), there.address)).not.toThrow();
  expect(here.address).toEqual(address);
  await there.close();
});

it.each([0, 65_536, -1, Number.NaN])(
  'UdpSocket discards what cannot be sent, without an exception: port %s',
  async (port) => {
    const socket = await UdpSocket.open({ address: '127.0.0.1', port: 0 }, () => undefined);
    expect(socket.send(Uint8Array.of(1), { address: '127.0.0.1', port })).toBe(false);
    expect(socket.send(new Uint8Array(100_000), { address: '127.0.0.1', port: 9 })).toBe(true);
    expect(socket.send(Uint8Array.of(1), { address: 'fe80::1%nowhere', port: 9 })).toBe(true);
    await socket.close();
  },
);

it('UdpSocket looks up no names', async () => {
  const no = { address: 'localhost', port: 9 };
  await expect(UdpSocket.open(no, () => undefined)).rejects.toThrow('EINVAL');
  await expect(UdpSocket.connect(no, {}, () => undefined)).rejects.toThrow('EINVAL');
});
