import { expect, it } from 'vitest';
import { UdpSocket } from '../../src/runtime/udp.js';

it('a socket that is closed loses what is sent on it, and still knows where it was', async () => {
  const there = await UdpSocket.open({ address: '127.0.0.1', port: 0 }, () => undefined);
  const here = await UdpSocket.connect(there.address, {}, () => undefined);
  const { address } = here;
  // A node between two networks has closed one socket and has no other yet.
  await here.close();
  await here.close();
  expect(() => here.send(Uint8Array.of(1), there.address)).not.toThrow();
  expect(here.address).toEqual(address);
  await there.close();
});
