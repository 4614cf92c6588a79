import { expect, it } from 'vitest';
import { type TransportConnection, tcpTransport } from '../../../src/runtime/diameter/transport.js';
import { unguarded } from '../../../src/runtime/service/barrier.js';
import { eventually } from '../../eventually.js';

interface Ends {
  readonly here: TransportConnection;
  readonly there: TransportConnection;
  close(): Promise<void>;
}

async function connected(): Promise<Ends> {
  let accept: (connection: TransportConnection) => void = () => undefined;
  const accepted = new Promise<TransportConnection>((resolve) => {
    accept = resolve;
  });
  const incoming = { accepted: accept, closed: () => undefined };
  const listener = await tcpTransport.listen({ address: '127.0.0.1', port: 0 }, () => incoming, unguarded);
  const here = await tcpTransport.connect(listener, '', new AbortController().signal);
  const there = await accepted;
  here.stream.on('error', () => undefined);
  there.stream.on('error', () => undefined);
  const close = async () => {
    here.reset();
    there.reset();
    await listener.close();
  };
  return { here, there, close };
}

it('A TCP connection sends what is written in one turn together, in order, where it is', async () => {
  const { here, there, close } = await connected();
  const received: Buffer[] = [];
  there.stream.on('data', (chunk) => received.push(Buffer.from(chunk)));
  const parts = ['one', 'two', 'three'].map((text) => Buffer.from(text));
  const overwritten: number[] = [];
  for (const [i, part] of parts.entries()) {
    here.stream.write(part, () => {
      part.fill(0);
      overwritten.push(i);
    });
  }
  expect(here.stream.writableLength).toBe(11);
  await eventually(() => expect(Buffer.concat(received).toString()).toBe('onetwothree'));
  await eventually(() => expect(overwritten).toEqual([0, 1, 2]));
  here.stream.write(Buffer.from('four'));
  await eventually(() => expect(Buffer.concat(received).toString()).toBe('onetwothreefour'));
  await close();
});

it('A TCP connection that ends sends what was written before in the same turn', async () => {
  const { here, there, close } = await connected();
  const received: Buffer[] = [];
  let closed = false;
  there.stream.on('data', (chunk) => received.push(Buffer.from(chunk)));
  there.stream.on('close', () => {
    closed = true;
  });
  here.stream.write(Buffer.from('last'));
  here.stream.end();
  expect(here.stream.writable).toBe(false);
  await eventually(() => expect(closed).toBe(true));
  expect(Buffer.concat(received).toString()).toBe('last');
  await close();
});

it('A TCP connection that is reset releases what was written in the same turn', async () => {
  const { here, close } = await connected();
  const key = Buffer.from('key');
  here.stream.write(key, () => key.fill(0));
  here.reset();
  await eventually(() => expect([...key]).toEqual([0, 0, 0]));
  await close();
});
