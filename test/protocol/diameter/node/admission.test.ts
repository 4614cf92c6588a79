import { describe, expect, it } from 'vitest';
import { CER_TIMEOUT } from '../../../../src/protocol/diameter/node/new-connections.js';
import { type DiameterMessage, FLAG } from '../../../../src/protocol/diameter/wire/codec.js';
import { APPLICATION, DWR } from '../../../../src/protocol/diameter/wire/commands.js';
import { AVPS } from '../../../../src/protocol/diameter/wire/dictionary.js';
import { MAX_NEW_CONNECTIONS } from '../../../../src/protocol/fairness/connection-slots.js';
import { cerOf, der, grammarian } from '../messages.js';
import { World } from './world.js';

const SERVER = 'server.example';
const CLIENT = 'client.example';

/** A server that accepts one client from a network without TLS, and another one only over TLS. */
function server() {
  const world = new World();
  const node = world.add(SERVER, [
    { host: CLIENT, from: ['192.0.2.0/29'] },
    { host: 'secure.example', secure: true },
  ]);
  world.start();
  return { world, node };
}

const nameless = (): DiameterMessage => {
  const cer = cerOf(CLIENT);
  return { ...cer, avps: cer.avps.filter(({ code }) => code !== AVPS['Origin-Host'].code) };
};

describe('the first message of a connection', () => {
  it.each<[string, DiameterMessage, { from?: string; names?: string[] }, number, string]>([
    ['a CER of an unknown peer', cerOf('mallory.example'), {}, 3010, 'unknown-peer'],
    ['a CER without Origin-Host', nameless(), {}, 5005, 'unknown-peer'],
    ['a CER of a peer from an address that is not its own', cerOf(CLIENT), { from: '192.0.2.8' }, 3010, 'peer-address'],
    [
      'a CER with an Origin-Host that the certificate does not name',
      cerOf(CLIENT),
      { names: ['x.example'] },
      3010,
      'peer-not-authenticated',
    ],
    ['a CER without TLS of a peer that must use TLS', cerOf('secure.example'), {}, 3010, 'peer-not-authenticated'],
  ])('is refused when it is %s', (_what, cer, { from = '192.0.2.1', names }, result, code) => {
    const { world, node } = server();
    const stranger = world.connect(node, from, names);
    stranger.send({ ...cer, hopByHop: 7, endToEnd: 8 });
    expect([stranger.result, stranger.closed]).toEqual([result, 'close']);
    expect(stranger.answers[0]).toMatchObject({ hopByHop: 7, endToEnd: 8 });
    expect((stranger.answers[0]?.flags ?? 0) & FLAG.E).toBe(result < 4000 ? FLAG.E : 0);
    const peer = code === 'unknown-peer' && result === 5005 ? undefined : grammarian.find(cer.avps, 'Origin-Host');
    expect(node.events).toEqual([{ type: 'peerRefused', peer, address: from, code }]);
    expect(node.machine.status().map(({ state }) => state)).toEqual(['Closed', 'Closed']);
  });

  it.each<[string, DiameterMessage]>([
    ['DWR', grammarian.message(DWR, APPLICATION.COMMON, { 'Origin-Host': CLIENT, 'Origin-Realm': 'example' })],
    ['DER', der(CLIENT)],
    ['CEA', { ...cerOf(CLIENT), flags: 0 }],
    ['CER of another application', { ...cerOf(CLIENT), applicationId: APPLICATION.EAP }],
  ])('closes the connection when it is a %s', (_what, message) => {
    const { world, node } = server();
    const stranger = world.connect(node, '192.0.2.1');
    expect(stranger.send(message)).toEqual([]);
    expect(stranger.closed).toBe('reset');
    expect(node.events).toEqual([{ type: 'dropped', peer: undefined, code: 'no-cer' }]);
  });

  it('closes the connection when it does not decode', () => {
    for (const [input, code] of [
      [{ type: 'malformed', code: 'bad-length', salvage: undefined }, 'bad-length'],
      [{ type: 'untrusted', salvage: undefined }, 'bad-stream'],
    ] as const) {
      const { world, node } = server();
      const stranger = world.connect(node, '192.0.2.1');
      world.feed(node, { ...input, connection: stranger.connection });
      expect(stranger.closed).toBe('reset');
      expect(node.events).toEqual([{ type: 'dropped', peer: undefined, code }]);
    }
  });

  it('opens the connection when it is the CER of a peer at its address, or over TLS with its certificate', () => {
    const { world, node } = server();
    expect(world.connect(node, '192.0.2.7').send(cerOf(CLIENT))).toHaveLength(1);
    const secured = world.connect(node, '203.0.113.9', ['other.example', 'SECURE.example']);
    secured.send(cerOf('secure.example'));
    expect([secured.result, secured.closed]).toEqual([2001, undefined]);
    expect(node.machine.status().map(({ state }) => state)).toEqual(['R-Open', 'R-Open']);
  });

  it('does not affect a connected peer when it is a CER with its name from another address', () => {
    const { world, node } = server();
    const real = world.connect(node, '192.0.2.1');
    real.send(cerOf(CLIENT, { 'Origin-State-Id': 5 }));
    world.connect(node, '192.0.2.9').send(cerOf(CLIENT, { 'Origin-State-Id': 0xffff_fff0 }));
    world.run(10_000);
    expect(node.said('peerClosed')).toEqual([]);
    expect(real.closed).toBeUndefined();
    real.send({ ...der(CLIENT), hopByHop: 7 });
    world.run(1);
    expect(real.answers[0]).toMatchObject({ hopByHop: 7 });
  });
});

describe('a connection without a CER', () => {
  it('is reset after CER_TIMEOUT, not earlier', () => {
    const { world, node } = server();
    const silent = world.connect(node, '192.0.2.1');
    world.run(1_000);
    const other = world.connect(node, '192.0.2.1');
    world.run(CER_TIMEOUT - 1_001);
    expect([silent.closed, other.closed]).toEqual([undefined, undefined]);
    world.run(1);
    expect([silent.closed, other.closed]).toEqual(['reset', undefined]);
    expect(node.events).toEqual([{ type: 'dropped', peer: undefined, code: 'no-cer' }]);
    // CER_TIMEOUT does not apply to a connection that has sent its CER or is closed.
    other.send(cerOf(CLIENT));
    world.run(20_000);
    expect(other.closed).toBeUndefined();
  });

  it('is not evicted by other connections if its address is listed for a peer', () => {
    const { world, node } = server();
    const slow = world.connect(node, '192.0.2.1');
    const strangers = Array.from({ length: MAX_NEW_CONNECTIONS + 100 }, (_, i) =>
      world.connect(node, `10.${i >> 8}.${i & 0xff}.1`),
    );
    const closed = strangers.filter((stranger) => stranger.closed === 'reset');
    expect(closed).toHaveLength(101);
    expect(node.said('dropped')).toHaveLength(101);
    expect(node.said('dropped')[0]).toEqual({ type: 'dropped', peer: undefined, code: 'too-many-connections' });
    slow.send(cerOf(CLIENT));
    expect(slow.result).toBe(2001);
  });

  it('is not evicted by other connections if a peer has used its address before', () => {
    const { world, node } = server();
    const names = ['secure.example'];
    world.connect(node, '203.0.113.9', names).send(cerOf('secure.example'));
    const slow = world.connect(node, '203.0.113.9', names);
    for (let i = 0; i < MAX_NEW_CONNECTIONS + 100; i += 1) world.connect(node, `10.${i >> 8}.${i & 0xff}.1`);
    expect(slow.closed).toBeUndefined();
  });

  it('takes one slot from the start of its handshake, and frees it when it closes', () => {
    const { world, node } = server();
    for (let i = 0; i < MAX_NEW_CONNECTIONS; i += 1) {
      world.feed(node, { type: 'incoming', connection: 1_000 + i, address: `10.${i >> 8}.${i & 0xff}.1` });
    }
    const ends = { localAddress: new Uint8Array(4), remoteAddress: '10.0.0.1', identities: [] };
    world.feed(node, { type: 'accepted', connection: 1_000, ends });
    expect(node.events).toEqual([]);
    for (const connection of [1_000, 1_001]) world.feed(node, { type: 'closed', connection });
    world.connect(node, '10.9.0.1');
    world.connect(node, '10.9.1.1');
    expect(node.events).toEqual([]);
    world.connect(node, '10.9.2.1');
    expect(node.said('dropped')).toHaveLength(1);
  });
});
