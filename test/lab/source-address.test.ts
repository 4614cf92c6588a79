import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { bindWhenPossible } from '../../src/lab/network-lab/source-address.js';
import { within } from '../eventually.js';

describe('a socket with a source address', () => {
  it('is bound when the host gets the address', async () => {
    const socket = createSocket('udp6');
    onTestFinished(() => void socket.close());
    const refused = once(socket, 'error');
    // 2001:db8::/32 is for documentation: no host has it. Later the same address stands for one that this host has.
    let from = '2001:db8::1';
    const bind = socket.bind.bind(socket);
    socket.bind = ((port: number) => bind(port, from)) as typeof socket.bind;
    const bound = new Promise<void>((resolve) => bindWhenPossible(socket, from, resolve));
    await within(refused, 'the address is refused');
    from = '::1';
    await within(bound, 'the socket is bound');
    expect(socket.address().address).toBe('::1');
  });
});
