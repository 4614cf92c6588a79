import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MAX_SERVING } from '../../../src/protocol/diameter/node/serving.js';
import {
  type DiameterMessage,
  decodeDiameter,
  encodeDiameter,
  FLAG,
} from '../../../src/protocol/diameter/wire/codec.js';
import { APPLICATION, CER, DEA, DER, DWR } from '../../../src/protocol/diameter/wire/commands.js';
import { AVPS } from '../../../src/protocol/diameter/wire/dictionary.js';
import { DiameterFramer } from '../../../src/protocol/diameter/wire/framer.js';
import { isViolation } from '../../../src/protocol/diameter/wire/grammar.js';
import { MAX_NEW_CONNECTIONS } from '../../../src/protocol/fairness/connection-slots.js';
import type { DiameterNode } from '../../../src/runtime/diameter/node.js';
import { cerOf, der, grammarian } from '../../protocol/diameter/messages.js';
import { makeNode, makeServer, nodes, stopNodes } from './rig.js';

const sockets: Socket[] = [];

afterEach(async () => {
  await stopNodes();
  for (const socket of sockets.splice(0)) socket.destroy();
});

async function pair(resultCode?: number) {
  const server = makeServer('server.example', ['client.example'], resultCode);
  await server.node.start();
  const client = makeNode('client.example', {
    peers: [{ host: 'server.example', address: '127.0.0.1', port: server.node.addresses[0]?.port }],
  });
  await client.node.start();
  await vi.waitFor(() => expect(client.events.some(({ type }) => type === 'peerOpen')).toBe(true));
  return { server, client };
}

describe('two nodes', () => {
  it('exchange capabilities, requests and answers, and part in order', async () => {
    const { server, client } = await pair();
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => client.node.request(der('client.example'), 'server.example', 5_000)),
    );
    for (const answer of answers) {
      const content = grammarian.read(DEA, answer);
      expect(!isViolation(content) && content['Result-Code']).toBe(2001);
    }
    expect(server.node.status()).toMatchObject([{ host: 'client.example', state: 'R-Open', watchdog: 'OKAY' }]);
    await client.node.stop();
    await vi.waitFor(() => expect(server.node.status()[0]?.state).toBe('Closed'));
    const names = client.events.flatMap((event) => (event.type === 'message' ? [event.message.commandCode] : []));
    // DPR and DPA are the last words.
    expect(names.slice(-2)).toEqual([282, 282]);
  });

  it('come together again by themselves when one restarts', async () => {
    const { server, client } = await pair();
    const [{ port = 0 } = {}] = server.node.addresses;
    await server.node.stop();
    await vi.waitFor(() => expect(client.events.some(({ type }) => type === 'peerClosed')).toBe(true));
    const again = makeNode('server.example', {
      listen: [{ address: '127.0.0.1', port }],
      peers: [{ host: 'client.example' }],
    });
    await again.node.start();
    await vi.waitFor(() => expect(again.events.some(({ type }) => type === 'peerOpen')).toBe(true), {
      timeout: 10_000,
    });
  });

  it('a request whose connection is lost is rejected at once', async () => {
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
    await vi.waitFor(() => expect(client.events.some(({ type }) => type === 'peerOpen')).toBe(true));
    const asked = client.node.request(der('client.example'), 'server.example', 60_000);
    await vi.waitFor(() => expect(server.node.status()[0]?.serving).toBe(1));
    const stopping = server.node.stop(50);
    await expect(asked).rejects.toThrow('server.example');
    await stopping;
  });

  it('a request that is not answered is rejected in time, and one without a peer at once', async () => {
    const server = makeNode('server.example', {
      listen: [{ address: '127.0.0.1', port: 0 }],
      peers: [{ host: 'client.example' }],
      onRequest: () => new Promise(() => undefined),
    });
    await server.node.start();
    const client = makeNode('client.example', {
      peers: [{ host: 'server.example', address: '127.0.0.1', port: server.node.addresses[0]?.port }],
    });
    await expect(client.node.request(der('client.example'), 'server.example', 5_000)).rejects.toMatchObject({
      code: 'ERR_DIAMETER_NO_PEER',
    });
    await client.node.start();
    await vi.waitFor(() => expect(client.events.some(({ type }) => type === 'peerOpen')).toBe(true));
    await expect(client.node.request(der('client.example'), 'server.example', 20)).rejects.toMatchObject({
      code: 'ERR_DIAMETER_TIMEOUT',
    });
    nodes.splice(nodes.indexOf(server.node), 1);
    await server.node.stop(20);
  });

  it('more requests at once than a node serves are answered 3004', async () => {
    const server = makeNode('server.example', {
      listen: [{ address: '127.0.0.1', port: 0 }],
      peers: [{ host: 'client.example' }],
      onRequest: () => new Promise(() => undefined),
    });
    await server.node.start();
    const { socket, next } = await stranger(server.node);
    socket.write(encodeDiameter(cerOf('client.example')));
    await next();
    const requests = Array.from({ length: MAX_SERVING + 1 }, (_, i) =>
      encodeDiameter({ ...der('client.example'), endToEnd: i, hopByHop: i }),
    );
    socket.write(Buffer.concat(requests));
    const answer = await next();
    expect(grammarian.find(answer.avps, 'Result-Code')).toBe(3004);
    expect(answer).toMatchObject({ hopByHop: MAX_SERVING, flags: FLAG.E | FLAG.P });
    nodes.splice(nodes.indexOf(server.node), 1);
    await server.node.stop(20);
  });

  it('a request goes to the next peer, with T, when the first one fails', async () => {
    const first = makeNode('first.example', {
      listen: [{ address: '127.0.0.1', port: 0 }],
      peers: [{ host: 'client.example' }],
      onRequest: () => new Promise(() => undefined),
    });
    const second = makeServer('second.example', ['client.example']);
    await Promise.all([first.node.start(), second.node.start()]);
    const client = makeNode('client.example', {
      peers: [first, second].map(({ node }, priority) => ({
        host: node.origin.host,
        address: '127.0.0.1',
        port: node.addresses[0]?.port,
        priority,
      })),
    });
    await client.node.start();
    await vi.waitFor(() => expect(client.events.filter(({ type }) => type === 'peerOpen')).toHaveLength(2));
    const asked = client.node.request(der('client.example'), {}, 60_000);
    await vi.waitFor(() => expect(first.node.status()[0]?.serving).toBe(1));
    nodes.splice(nodes.indexOf(first.node), 1);
    await first.node.stop(20);
    const content = grammarian.read(DEA, await asked);
    expect(!isViolation(content) && content['Origin-Host']).toBe('second.example');
    const sent = client.events.flatMap((event) =>
      event.type === 'message' && event.message.commandCode === DER.code && event.direction === 'out'
        ? [event.message]
        : [],
    );
    expect(sent.map(({ flags }) => flags & FLAG.T)).toEqual([0, FLAG.T]);
    expect(sent[0]?.endToEnd).toBe(sent[1]?.endToEnd);
  });
});

/** A connection that we drive by hand. */
async function stranger(
  node: DiameterNode,
  localAddress = '127.0.0.1',
): Promise<{ socket: Socket; next: () => Promise<DiameterMessage> }> {
  const socket = connect({ host: '127.0.0.1', port: node.addresses[0]?.port ?? 0, localAddress });
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  const framer = new DiameterFramer();
  const waiting: DiameterMessage[] = [];
  socket.on('data', (chunk) => {
    for (const octets of framer.push(chunk)) waiting.push(decodeDiameter(octets));
  });
  const next = () =>
    vi.waitFor(
      () => {
        const message = waiting.shift();
        if (!message) throw new Error('nothing came');
        return message;
      },
      { timeout: 10_000 },
    );
  return { socket, next };
}

describe('a stranger', () => {
  it('that is not in the list of peers gets 3010 and is closed', async () => {
    const server = makeServer('server.example', ['client.example']);
    await server.node.start();
    const { socket, next } = await stranger(server.node);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(encodeDiameter(cerOf('mallory.example')));
    const answer = await next();
    expect(grammarian.find(answer.avps, 'Result-Code')).toBe(3010);
    expect(answer.flags & FLAG.E).toBe(FLAG.E);
    await closed;
  });

  it('that says no name gets 5005 with Origin-Host', async () => {
    const server = makeServer('server.example', ['client.example']);
    await server.node.start();
    const { socket, next } = await stranger(server.node);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    const cer = cerOf('client.example');
    const nameless = cer.avps.filter(({ code }) => code !== AVPS['Origin-Host'].code);
    socket.write(encodeDiameter({ ...cer, avps: nameless }));
    const answer = await next();
    expect(grammarian.find(answer.avps, 'Result-Code')).toBe(5005);
    expect(grammarian.find(answer.avps, 'Failed-AVP')?.map(({ code }) => code)).toEqual([AVPS['Origin-Host'].code]);
    await closed;
  });

  it('in the name of a peer, from an address that is not its own, gets 3010 and changes nothing', async () => {
    const server = makeServer('server.example', [], 2001, {
      peers: [{ host: 'client.example', from: ['127.0.0.0/29'] }],
    });
    await server.node.start();
    const real = await stranger(server.node, '127.0.0.6');
    real.socket.write(encodeDiameter(cerOf('client.example', { 'Origin-State-Id': 5 })));
    expect(grammarian.find((await real.next()).avps, 'Result-Code')).toBe(2001);
    const thief = await stranger(server.node, '127.0.0.8');
    thief.socket.write(encodeDiameter(cerOf('client.example', { 'Origin-State-Id': 0xffff_fff0 })));
    expect(grammarian.find((await thief.next()).avps, 'Result-Code')).toBe(3010);
    expect(server.events).toContainEqual({
      ...{ type: 'peerRefused', peer: 'client.example' },
      ...{ address: '127.0.0.8', code: 'peer-address' },
    });
    real.socket.write(encodeDiameter({ ...der('client.example'), hopByHop: 7 }));
    expect(await real.next()).toMatchObject({ hopByHop: 7 });
    expect(server.events.some(({ type }) => type === 'peerClosed')).toBe(false);
  });

  it('that is the peer by its address does not end a connection that lives', async () => {
    const server = makeServer('server.example', ['client.example']);
    await server.node.start();
    const client = makeNode('client.example', {
      originStateId: 5,
      peers: [{ host: 'server.example', address: '127.0.0.1', port: server.node.addresses[0]?.port }],
    });
    await client.node.start();
    await vi.waitFor(() => expect(client.events.some(({ type }) => type === 'peerOpen')).toBe(true));
    const thief = await stranger(server.node);
    const closed = new Promise((resolve) => thief.socket.once('close', resolve));
    thief.socket.write(encodeDiameter(cerOf('client.example', { 'Origin-State-Id': 0xffff_fff0 })));
    await closed;
    expect(server.events.some(({ type }) => type === 'peerClosed')).toBe(false);
    const answer = await client.node.request(der('client.example'), 'server.example', 5_000);
    expect(grammarian.find(answer.avps, 'Result-Code')).toBe(2001);
  });

  it('that begins with anything but CER is closed', async () => {
    const server = makeServer('server.example', ['client.example']);
    await server.node.start();
    for (const octets of [
      encodeDiameter(grammarian.message(DWR, APPLICATION.COMMON, { 'Origin-Host': 'a', 'Origin-Realm': 'b' })),
      encodeDiameter(der('client.example')),
      new Uint8Array(4096).fill(0x41),
      new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n'),
    ]) {
      const { socket } = await stranger(server.node);
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.write(octets);
      await closed;
    }
    expect(server.events.filter(({ type }) => type === 'dropped').length).toBeGreaterThanOrEqual(4);
  });

  it('cannot hold more sockets than a few', async () => {
    const server = makeServer('server.example', ['client.example'], 2001, {
      peers: [{ host: 'client.example', from: ['127.0.0.1'] }],
    });
    await server.node.start();
    const [{ port = 0 } = {}] = server.node.addresses;
    // From the address of the peer, long before the others, and slow.
    const { socket: slow, next } = await stranger(server.node);
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
    await vi.waitFor(() => expect(closed.size).toBeGreaterThanOrEqual(100), { timeout: 10_000 });
    expect(slow.closed).toBe(false);
    slow.write(cer.subarray(50));
    expect(grammarian.find((await next()).avps, 'Result-Code')).toBe(2001);
  });
});

describe('a peer', () => {
  it('that sends messages octet by octet, or many in one piece, is understood', async () => {
    const server = makeServer('server.example', ['client.example']);
    await server.node.start();
    const { socket, next } = await stranger(server.node);
    for (const octet of encodeDiameter(cerOf('client.example'))) socket.write(Uint8Array.of(octet));
    expect((await next()).commandCode).toBe(CER.code);
    const requests = Array.from({ length: 5 }, (_, i) => encodeDiameter({ ...der('client.example'), hopByHop: i }));
    socket.write(Buffer.concat(requests));
    const answers = [];
    for (const _ of requests) answers.push((await next()).hopByHop);
    expect(answers.sort()).toEqual([0, 1, 2, 3, 4]);
  });

  it.each([
    ['an unknown command', { commandCode: 999 }, 3001],
    ['an unknown application', { applicationId: 99 }, 3007],
    ['the E bit in a request', { flags: FLAG.R | FLAG.P | FLAG.E }, 3008],
    ['a realm that is not served', { avps: der('client.example', { 'Destination-Realm': 'other' }).avps }, 3003],
  ])('with %s gets an answer that says so', async (_what, change, result) => {
    const server = makeServer('server.example', ['client.example']);
    await server.node.start();
    const { socket, next } = await stranger(server.node);
    socket.write(encodeDiameter(cerOf('client.example')));
    await next();
    socket.write(encodeDiameter({ ...der('client.example'), ...change, hopByHop: 77, endToEnd: 88 }));
    const answer = await next();
    expect(grammarian.find(answer.avps, 'Result-Code')).toBe(result);
    expect(answer).toMatchObject({ hopByHop: 77, endToEnd: 88 });
    expect(answer.flags & FLAG.E).toBe(FLAG.E);
  });
});

it('an address that cannot be had rejects, and nothing is left open', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
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
