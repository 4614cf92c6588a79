import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type DiameterMessage,
  decodeDiameter,
  encodeDiameter,
  FLAG,
} from '../../../src/protocol/diameter/wire/codec.js';
import { CER, DEA } from '../../../src/protocol/diameter/wire/commands.js';
import { DiameterFramer } from '../../../src/protocol/diameter/wire/framer.js';
import { isViolation } from '../../../src/protocol/diameter/wire/grammar.js';
import { MAX_NEW_CONNECTIONS } from '../../../src/protocol/fairness/connection-slots.js';
import type { DiameterNode } from '../../../src/runtime/diameter/node.js';
import { eventually, within } from '../../eventually.js';
import { cerOf, der, grammarian } from '../../protocol/diameter/messages.js';
import { VirtualHost } from '../../virtual-host.js';
import { makeNode, makeServer, stopNodes } from './rig.js';

const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await stopNodes();
});

async function pair(resultCode?: number) {
  const server = makeServer('server.example', ['client.example'], resultCode);
  await server.node.start();
  const client = makeNode('client.example', {
    peers: [{ host: 'server.example', address: '127.0.0.1', port: server.node.addresses[0]?.port }],
    reconnect: 1_000,
  });
  await client.node.start();
  await eventually(() => expect(client.events.map(({ type }) => type)).toContain('peerOpen'));
  return { server, client };
}

describe('Two Diameter nodes', () => {
  it('exchange capabilities, requests and answers, and disconnect with DPR and DPA', async () => {
    const { server, client } = await pair();
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => client.node.request(der('client.example'), 'server.example', 60_000)),
    );
    for (const answer of answers) {
      const content = grammarian.read(DEA, answer);
      expect(!isViolation(content) && content['Result-Code']).toBe(2001);
    }
    expect(server.node.status()).toMatchObject([{ host: 'client.example', state: 'R-Open', watchdog: 'OKAY' }]);
    await client.node.stop();
    await eventually(() => expect(server.node.status()[0]?.state).toBe('Closed'));
    const names = client.events.flatMap((event) => (event.type === 'message' ? [event.message.commandCode] : []));
    // DPR and DPA are the last messages.
    expect(names.slice(-2)).toEqual([282, 282]);
  });

  it('reconnect after one has restarted', async () => {
    const { server, client } = await pair();
    const [{ port = 0 } = {}] = server.node.addresses;
    await server.node.stop();
    await eventually(() => expect(client.events.map(({ type }) => type)).toContain('peerClosed'));
    const again = makeNode('server.example', {
      listen: [{ address: '127.0.0.1', port }],
      peers: [{ host: 'client.example' }],
    });
    await again.node.start();
    await eventually(() => expect(again.events.map(({ type }) => type)).toContain('peerOpen'));
  });

  it('fail a request at once when its connection is lost', async () => {
    const server = makeNode('server.example', {
      listen: [{ address: '127.0.0.1', port: 0 }],
      peers: [{ host: 'client.example' }],
      onRequest: () => new Promise(() => undefined),
    });
    await server.node.start();
    const client = makeNode('client.example', {
      peers: [{ host: 'server.example', address: '127.0.0.1', port: server.node.addresses[0]?.port }],
    });
    await client.node.start();
    await eventually(() => expect(client.events.map(({ type }) => type)).toContain('peerOpen'));
    const asked = client.node.request(der('client.example'), 'server.example', 60_000);
    await eventually(() => expect(server.node.status()[0]?.serving).toBe(1));
    const stopping = server.node.stop(50);
    await expect(asked).rejects.toThrow('server.example');
    await stopping;
  });
});

/** Opens a connection whose messages the test sends. */
async function rawConnection(
  node: DiameterNode,
  localAddress = '127.0.0.1',
): Promise<{ socket: Socket; next: () => Promise<DiameterMessage> }> {
  const socket = connect({ host: '127.0.0.1', port: node.addresses[0]?.port ?? 0, localAddress });
  sockets.push(socket);
  socket.on('error', () => undefined);
  await within(once(socket, 'connect'), 'the socket connects');
  const framer = new DiameterFramer();
  const waiting: DiameterMessage[] = [];
  socket.on('data', (chunk) => {
    for (const octets of framer.push(chunk)) waiting.push(decodeDiameter(octets));
  });
  const next = () =>
    eventually(() => {
      const message = waiting.shift();
      if (!message) throw new Error('no message received');
      return message;
    });
  return { socket, next };
}

describe('An unauthenticated connection', () => {
  it('with an unknown Origin-Host is answered with 3010 and closed', async () => {
    const server = makeServer('server.example', ['client.example']);
    await server.node.start();
    const { socket, next } = await rawConnection(server.node);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(encodeDiameter(cerOf('mallory.example')));
    const answer = await next();
    expect(grammarian.find(answer.avps, 'Result-Code')).toBe(3010);
    expect(answer.flags & FLAG.E).toBe(FLAG.E);
    await within(closed, 'the connection is closed');
  });

  it('that starts with anything but a CER is closed', async () => {
    const server = makeServer('server.example', ['client.example']);
    await server.node.start();
    for (const octets of [
      encodeDiameter(der('client.example')),
      new Uint8Array(4096).fill(0x41),
      new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n'),
    ]) {
      const { socket } = await rawConnection(server.node);
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.write(octets);
      await within(closed, 'the connection is closed');
    }
    expect(server.events.filter(({ type }) => type === 'dropped').length).toBeGreaterThanOrEqual(3);
  });

  it("is closed above the limit of new connections, and a peer's earlier connection stays", async () => {
    const server = makeServer('server.example', ['client.example'], 2001, {
      peers: [{ host: 'client.example', from: ['127.0.0.1'] }],
      // Time does not advance: a connection is closed by the limit of connections, not by its timeout.
      host: new VirtualHost(undefined, Date.now()),
    });
    await server.node.start();
    const [{ port = 0 } = {}] = server.node.addresses;
    // A slow connection from the address of the peer, opened before the others.
    const { socket: slow, next } = await rawConnection(server.node);
    const cer = encodeDiameter(cerOf('client.example'));
    slow.write(cer.subarray(0, 50));
    const closed = new Set<Socket>();
    const connects = async (localAddress: string) => {
      const socket = connect({ port, host: '127.0.0.1', localAddress });
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => closed.add(socket));
      await Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(() => undefined);
    };
    await Promise.all(
      Array.from({ length: MAX_NEW_CONNECTIONS + 100 }, (_, i) => connects(`127.0.${1 + (i % 100)}.${1 + (i % 7)}`)),
    );
    await eventually(() => expect(closed.size).toBeGreaterThanOrEqual(100));
    expect(slow.closed).toBe(false);
    slow.write(cer.subarray(50));
    expect(grammarian.find((await next()).avps, 'Result-Code')).toBe(2001);
  });
});

describe('A Diameter peer', () => {
  it('may send single octets or several messages at once', async () => {
    const server = makeServer('server.example', ['client.example']);
    await server.node.start();
    const { socket, next } = await rawConnection(server.node);
    for (const octet of encodeDiameter(cerOf('client.example'))) socket.write(Uint8Array.of(octet));
    expect((await next()).commandCode).toBe(CER.code);
    const requests = Array.from({ length: 5 }, (_, i) => encodeDiameter({ ...der('client.example'), hopByHop: i }));
    socket.write(Buffer.concat(requests));
    const answers = [];
    for (const _ of requests) answers.push((await next()).hopByHop);
    expect(answers.sort()).toEqual([0, 1, 2, 3, 4]);
  });
});

it('DiameterNode.start rejects if an address is in use, and leaves nothing open', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await within(once(taken, 'listening'), 'taken listens');
  const { port } = taken.address() as { port: number };
  const { node } = makeNode('server.example', {
    listen: [
      { address: '127.0.0.1', port: 0 },
      { address: '127.0.0.1', port },
    ],
  });
  await expect(node.start()).rejects.toMatchObject({ code: 'EADDRINUSE' });
  expect(node.addresses).toEqual([]);
  taken.close();
});
