import { afterEach, describe, expect, it, vi } from 'vitest';
import type { NodeInput, NodePeer } from '../../../../src/protocol/diameter/node/alphabet.js';
import { Peer } from '../../../../src/protocol/diameter/peer/peer.js';
import { DISCONNECT_CAUSE } from '../../../../src/protocol/diameter/wire/dictionary.js';
import { deaTo, der, grammarian } from '../messages.js';
import { LATENCY, World, type WorldNode } from './world.js';

const CLIENT = 'client.example';
const FIRST = 'first.example';
const SECOND = 'second.example';

const ENDS = { localAddress: Uint8Array.of(192, 0, 2, 1), remoteAddress: '192.0.2.9', identities: undefined };
const RESET = { type: 'reset', connection: 9 };

/** A client with its servers, all connected. */
function connected(servers: readonly string[] = [FIRST], more: (index: number) => Partial<NodePeer> = () => ({})) {
  const world = new World();
  const there = servers.map((host) => world.add(host, [{ host: CLIENT, from: ['192.0.2.0/24'] }]));
  const peers = there.map(({ host, address }, priority) => ({ host, address, priority, ...more(priority) }));
  const client = world.add(CLIENT, peers);
  world.start();
  world.run(100);
  const [first, second] = there as [WorldNode, WorldNode];
  return { world, client, first, second };
}

const states = ({ machine }: WorldNode) => machine.status().map(({ host, state }) => `${host} ${state}`);

afterEach(() => {
  vi.restoreAllMocks();
});

describe('two nodes', () => {
  it('exchange capabilities, a request and its answer, and disconnect with DPR', () => {
    const { world, client, first } = connected();
    const token = world.ask(client);
    world.run(100);
    expect(client.outcome(token)).toBe(`2001 ${FIRST}`);
    world.feed(client, { type: 'stop', timeout: 2_000 });
    world.run(100);
    expect(world.ladder).toEqual([
      `10 ${CLIENT} > ${FIRST} CER`,
      `20 ${FIRST} > ${CLIENT} CEA 2001`,
      `100 ${CLIENT} > ${FIRST} DER`,
      `111 ${FIRST} > ${CLIENT} DEA 2001`,
      `200 ${CLIENT} > ${FIRST} DPR`,
      `210 ${FIRST} > ${CLIENT} DPA 2001`,
    ]);
    expect(client.stoppedAt).toBe(220);
    expect(states(first)).toEqual([`${CLIENT} Closed`]);
    expect(first.machine.capabilitiesOf(CLIENT)).toBeUndefined();
  });

  it('report the state, realm, address and applications of each other', () => {
    const { client, first } = connected();
    expect(first.machine.status()).toMatchObject([
      { host: CLIENT, state: 'R-Open', watchdog: 'OKAY', realm: 'example', remoteAddress: client.address },
    ]);
    expect(client.machine.capabilitiesOf('FIRST.example')).toMatchObject({ host: FIRST, applications: [5] });
  });

  it('connect again after one of them restarts', () => {
    const { world, client, first } = connected();
    world.kill(first);
    world.run(5_000);
    expect(states(client)).toEqual([`${FIRST} Closed`]);
    world.revive(first, 2);
    world.run(40_000);
    expect(states(client)).toEqual([`${FIRST} I-Open`]);
  });
});

describe('a request', () => {
  it('fails over with T and the same End-to-End Identifier when the first peer hangs', () => {
    const { world, client, first, second } = connected([FIRST, SECOND]);
    first.hangs = true;
    const token = world.ask(client, {}, 120_000);
    // RFC 3539: DWR after Tw. After another Tw without an answer the peer is suspected.
    world.run(70_000);
    expect(client.outcome(token)).toBe(`2001 ${SECOND}`);
    expect(client.said('peerSuspected', 'failedOver')).toEqual([
      { type: 'peerSuspected', peer: FIRST },
      { type: 'failedOver', peer: FIRST, to: SECOND },
    ]);
    const asked = world.ladder.filter((line) => line.includes(' DER'));
    expect(asked.map((line) => line.replace(/^\S+ /, ''))).toEqual([
      `${CLIENT} > ${FIRST} DER`,
      `${CLIENT} > ${SECOND} DER T`,
    ]);
    const sent = client.events.flatMap((event) =>
      event.type === 'message' && event.direction === 'out' && event.message.commandCode === 268 ? [event.message] : [],
    );
    expect(sent[0]?.endToEnd).toBe(sent[1]?.endToEnd);
    const at = Number(asked[1]?.split(' ')[0]);
    expect(at).toBeGreaterThanOrEqual(2 * 28_000);
    expect(at).toBeLessThanOrEqual(2 * 32_000 + 100);
    expect(second.served).toHaveLength(1);
    // A new request does not go to the peer that hangs.
    const next = world.ask(client);
    world.run(100);
    expect(client.outcome(next)).toBe(`2001 ${SECOND}`);
  });

  it('fails over at once when the connection is cut, and fails at once when no other peer is left', () => {
    const { world, client, first, second } = connected([FIRST, SECOND]);
    for (const server of [first, second]) server.serves = () => undefined;
    const token = world.ask(client);
    world.run(50);
    world.kill(first);
    world.run(50);
    expect(second.served).toHaveLength(1);
    world.kill(second);
    world.run(0);
    expect(client.outcome(token)).toBe('peer-lost');
  });

  it('fails exactly at its timeout, and its late answer is dropped', () => {
    const { world, client, first } = connected();
    first.serves = () => undefined;
    const token = world.ask(client, {}, 3_000);
    world.run(2_999);
    expect(client.outcome(token)).toBeUndefined();
    world.run(1);
    expect(client.outcome(token)).toBe('timeout');
    const [served] = first.served;
    if (!served) throw new Error('not served');
    world.feed(first, { type: 'answer', token: served.token, message: deaTo(served.message, FIRST) });
    world.run(100);
    expect(client.said('dropped')).toEqual([{ type: 'dropped', peer: FIRST, code: 'unknown-answer' }]);
    expect(client.machine.status()[0]?.inFlight).toBe(0);
  });

  it('goes only to the peers that its target names', () => {
    const { world, client } = connected([FIRST, SECOND]);
    const token = world.ask(client, { peers: [SECOND] });
    world.run(100);
    expect(client.outcome(token)).toBe(`2001 ${SECOND}`);
    expect(client.outcome(world.ask(client, { peers: ['other.example'] }))).toBe('no-peer');
  });
});

describe('a connection attempt', () => {
  it('tries each address of the peer for an equal part of the timeout', () => {
    const world = new World();
    const server = world.add(FIRST, [{ host: CLIENT, from: ['192.0.2.0/24'] }]);
    const addresses = ['198.51.100.1', '198.51.100.2', server.address];
    const client = world.add(CLIENT, [{ host: FIRST, addresses }], { timeout: 6_000 });
    world.start();
    world.run(3_999);
    expect(states(client)).toEqual([`${FIRST} Wait-Conn-Ack`]);
    world.run(1 + 3 * LATENCY);
    expect(states(client)).toEqual([`${FIRST} I-Open`]);
  });

  it.each([
    ['is refused', true, 'cannot connect to 192.0.2.1 port 3868: ECONNREFUSED', LATENCY],
    ['gets no answer', false, 'cannot connect to 192.0.2.1 port 3868: no answer', 5_000],
  ])('reports the reason when it %s, and is made again later', (_what, isRefused, reason, at) => {
    const world = new World();
    const server = world.add(FIRST, [{ host: CLIENT, from: ['192.0.2.0/24'] }]);
    const client = world.add(CLIENT, [{ host: FIRST, address: server.address }]);
    server.isUp = false;
    server.hangs = !isRefused;
    world.start();
    world.run(at - 1);
    expect(client.said('peerClosed')).toEqual([]);
    world.run(1);
    expect(client.said('peerClosed')).toEqual([{ type: 'peerClosed', peer: FIRST, reason }]);
    world.revive(server, 2);
    world.run(5_000);
    expect(states(client)).toEqual([`${FIRST} I-Open`]);
  });

  it('is reset when the certificate names another host, or when it succeeds after it was abandoned', () => {
    const world = new World();
    const client = world.add(CLIENT, [{ host: FIRST, address: '198.51.100.1', secure: true }]);
    const ends = { localAddress: new Uint8Array(4), remoteAddress: '198.51.100.1', identities: [SECOND] };
    const [connect] = client.machine.handle({ type: 'start' }, 0);
    expect(connect).toEqual({ type: 'connect', attempt: 1, peer: FIRST, address: '198.51.100.1', port: 5868 });
    const outputs = client.machine.handle({ type: 'connected', attempt: 1, connection: 1, ends }, 1);
    expect(outputs[0]).toEqual({ type: 'reset', connection: 1 });
    expect(outputs).toContainEqual({
      type: 'event',
      event: { type: 'peerClosed', peer: FIRST, reason: `the other end is not ${FIRST}` },
    });
    // A connection of an abandoned attempt is closed too.
    const late = { type: 'connected', attempt: 1, connection: 2, ends: { ...ends, identities: [FIRST] } } as const;
    expect(client.machine.handle(late, 2)).toEqual([{ type: 'reset', connection: 2 }]);
  });
});

describe('a change of peers and routes', () => {
  it('keeps the connection of a peer that stays, even with another priority, weight or order', () => {
    const { world, client, first, second } = connected([FIRST, SECOND]);
    const peers = [first, second].map(({ host, address }, i) => ({ host, address, priority: 1 - i, weight: 7 }));
    world.feed(client, { type: 'configure', peers });
    world.run(100);
    expect(client.said('peerClosed')).toEqual([]);
    const preferred = world.ask(client);
    world.run(100);
    expect(client.outcome(preferred)).toBe(`2001 ${SECOND}`);
    world.feed(client, { type: 'configure', peers, routes: [{ realm: 'example', peers: [FIRST] }] });
    const routed = world.ask(client);
    world.run(100);
    expect(client.outcome(routed)).toBe(`2001 ${FIRST}`);
  });

  it('disconnects a removed peer with DO_NOT_WANT_TO_TALK_TO_YOU, and that peer does not return for 200 s', () => {
    const { world, client, first } = connected();
    world.feed(first, { type: 'configure', peers: [] });
    const [dpr] = first.events.flatMap((event) =>
      event.type === 'message' && event.direction === 'out' && event.message.commandCode === 282 ? [event.message] : [],
    );
    expect(grammarian.find(dpr?.avps ?? [], 'Disconnect-Cause')).toBe(DISCONNECT_CAUSE.DO_NOT_WANT_TO_TALK_TO_YOU);
    world.run(100);
    expect(states(first)).toEqual([]);
    expect(states(client)).toEqual([`${FIRST} Closed`]);
    // RFC 6733 5.4.3: the peer must not reconnect soon.
    world.run(200_000);
    expect(first.said('peerRefused')).toEqual([]);
  });

  it('reconnects a peer whose settings change, after DPA', () => {
    const { world, client, first } = connected();
    const before = world.ladder.length;
    world.feed(client, { type: 'configure', peers: [{ host: FIRST, addresses: [first.address], relay: true }] });
    world.run(10 * LATENCY);
    const after = world.ladder.slice(before).map((line) => line.replace(/^\d+ .* > \S+ /, ''));
    expect(after).toEqual(['DPR', 'DPA 2001', 'CER', 'CEA 2001']);
    expect(states(client)).toEqual([`${FIRST} I-Open`]);
  });

  it('connects to a new peer at once', () => {
    const { world, client, first } = connected();
    const second = world.add(SECOND, [{ host: CLIENT, from: ['192.0.2.0/24'] }]);
    world.feed(second, { type: 'start' });
    const peers = [first, second].map(({ host, address }) => ({ host, address }));
    world.feed(client, { type: 'configure', peers });
    world.run(100);
    expect(states(client).sort()).toEqual([`${FIRST} I-Open`, `${SECOND} I-Open`]);
  });
});

describe('the stop of a node', () => {
  it('waits for pending answers and refuses new requests, then sends DPR', () => {
    const { world, client, first } = connected();
    first.serves = () => undefined;
    const token = world.ask(client);
    world.run(50);
    world.feed(first, { type: 'stop', timeout: 2_000 });
    const late = world.ask(client);
    world.run(50);
    expect(client.outcome(late)).toBe(`3004 ${FIRST}`);
    expect(first.stoppedAt).toBeUndefined();
    const [served] = first.served;
    if (!served) throw new Error('not served');
    world.feed(first, { type: 'answer', token: served.token, message: deaTo(served.message, FIRST) });
    world.run(100);
    expect(client.outcome(token)).toBe(`2001 ${FIRST}`);
    expect(world.ladder.slice(-3).map((line) => line.replace(/^.* > \S+ /, ''))).toEqual([
      'DEA 2001',
      'DPR',
      'DPA 2001',
    ]);
    expect(first.stoppedAt).toBe(200 + 2 * LATENCY);
  });

  it('ends at its timeout when answers or DPA do not arrive', () => {
    for (const isAsked of [true, false]) {
      const { world, client, first } = connected();
      first.serves = () => undefined;
      const token = isAsked ? world.ask(client) : 0;
      world.run(50);
      client.hangs = true;
      const begun = world.now;
      world.feed(first, { type: 'stop', timeout: 2_000 });
      world.run(1_999);
      expect(first.stoppedAt).toBeUndefined();
      world.run(1);
      expect(first.stoppedAt).toBe(begun + 2_000);
      expect(first.machine.deadline).toBeUndefined();
      world.run(LATENCY);
      expect(client.outcome(token)).toBe(isAsked ? 'peer-lost' : undefined);
    }
  });

  it("fails the node's own requests, abandons its connection attempts and refuses connections", () => {
    const world = new World();
    const server = world.add(FIRST, [{ host: CLIENT, from: ['192.0.2.0/24'] }]);
    const client = world.add(CLIENT, [
      { host: FIRST, address: server.address },
      { host: SECOND, address: '198.51.100.1' },
    ]);
    server.serves = () => undefined;
    world.start();
    world.run(100);
    const token = world.ask(client);
    const outputs = client.machine.handle({ type: 'stop', timeout: 2_000 }, world.now);
    expect(outputs).toContainEqual({ type: 'abandon', attempt: 2 });
    expect(outputs).toContainEqual({ type: 'failed', token, code: 'no-peer', text: 'the node is stopping' });
    expect(client.machine.handle({ type: 'incoming', connection: 9, address: '::1' }, world.now)).toEqual([
      { type: 'reset', connection: 9 },
    ]);
  });

  it('ends at once when the node was never started', () => {
    const world = new World();
    const node = world.add(FIRST, [{ host: CLIENT, address: '192.0.2.9' }]);
    world.feed(node, { type: 'stop', timeout: 2_000 });
    expect(node.stoppedAt).toBe(0);
  });

  it.each<readonly [name: string, input: NodeInput, outputs: readonly object[]]>([
    ['ignores start', { type: 'start' }, []],
    ['connects to no new peer', { type: 'configure', peers: [{ host: SECOND, address: '192.0.2.8' }] }, []],
    ['resets a new connection', { type: 'incoming', connection: 9, address: '::1' }, [RESET]],
    ['resets a late connection', { type: 'connected', attempt: 1, connection: 9, ends: ENDS }, [RESET]],
    [
      'fails a request',
      { type: 'request', token: 7, message: der(FIRST), target: {}, timeout: 2_000 },
      [{ type: 'failed', token: 7, code: 'no-peer', text: 'the node is stopping' }],
    ],
  ])('%s after its end, even when it is started again', (_, input, outputs) => {
    const world = new World();
    const { machine } = world.add(FIRST, [{ host: CLIENT, address: '192.0.2.9' }]);
    machine.handle({ type: 'start' }, 0);
    expect(machine.handle({ type: 'stop', timeout: 2_000 }, 0)).toContainEqual({ type: 'stopped' });
    expect(machine.handle({ type: 'start' }, 0)).toEqual([]);
    expect(machine.handle(input, 0)).toEqual(outputs);
    expect(machine.deadline).toBeUndefined();
  });
});

describe('an exception in the machine of a peer', () => {
  it('resets its connection and does not affect another peer', () => {
    const { world, client, first } = connected([FIRST, SECOND]);
    vi.spyOn(Peer.prototype, 'handle').mockImplementationOnce(() => {
      throw new Error('broken');
    });
    const message = der(FIRST);
    const connection = [...Array(50).keys()].find(
      (id) =>
        client.machine.handle({ type: 'malformed', connection: id, code: 'probe', salvage: undefined }, world.now)
          .length > 0,
    );
    if (connection === undefined) throw new Error('no connection');
    const outputs = client.machine.handle({ type: 'message', connection, message }, world.now);
    expect(outputs).toContainEqual({ type: 'reset', connection });
    expect(outputs.filter(({ type }) => type === 'reset')).toHaveLength(1);
    expect(outputs).toContainEqual({
      type: 'event',
      event: { type: 'fault', peer: FIRST, at: 'input', error: new Error('broken') },
    });
    world.feed(client, { type: 'closed', connection });
    world.cut(client, first);
    world.run(10_000);
    expect(states(client)).toEqual([`${FIRST} I-Open`, `${SECOND} I-Open`]);
  });

  it('postpones the next tick by a second when it happens at a tick', () => {
    const { world, client } = connected();
    world.run(20_000);
    const due = client.machine.deadline ?? 0;
    vi.spyOn(Peer.prototype, 'handle').mockImplementationOnce(() => {
      throw new Error('broken');
    });
    const outputs = client.machine.handle({ type: 'tick' }, due);
    expect(outputs.map(({ type }) => type)).toEqual(['event', 'reset']);
    expect(outputs[0]).toMatchObject({ event: { type: 'fault', at: 'tick' } });
    expect(client.machine.deadline).toBe(due + 1_000);
  });
});
