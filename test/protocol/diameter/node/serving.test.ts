import { describe, expect, it, vi } from 'vitest';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import { KEY_TIME } from '../../../../src/protocol/diameter/node/duplicates.js';
import { MAX_SERVING } from '../../../../src/protocol/diameter/node/serving.js';
import {
  type DiameterMessage,
  encodeDiameter,
  FLAG,
  salvageDiameter,
} from '../../../../src/protocol/diameter/wire/codec.js';
import { MAX_MESSAGE } from '../../../../src/protocol/diameter/wire/framer.js';
import { cerOf, deaTo, der, grammarian } from '../messages.js';
import { type Stranger, World } from './world.js';

const SERVER = 'server.example';
const CLIENT = 'client.example';
const OTHER = 'other.example';
const KEY = Buffer.alloc(64, 7);

const keyOf = ({ avps }: DiameterMessage) => grammarian.find(avps, 'EAP-Master-Session-Key')?.octets();

/** A server with two clients; the test sends their messages. */
function server(isAnswered = true) {
  const world = new World();
  const node = world.add(SERVER, [
    { host: CLIENT, from: ['192.0.2.0/24'] },
    { host: OTHER, from: ['192.0.2.0/24'] },
  ]);
  if (!isAnswered) node.serves = () => undefined;
  world.start();
  const [client, other] = [CLIENT, OTHER].map((host) => {
    const stranger = world.connect(node, '192.0.2.9');
    stranger.send(cerOf(host));
    stranger.answers.length = 0;
    return stranger;
  }) as [Stranger, Stranger];
  /** Answers the last request that the node was given to serve. Returns the answer. */
  const answer = (more: object = {}) => {
    const { token, message: request } = node.served.at(-1) ?? { token: 0, message: der(CLIENT) };
    const message = deaTo(request, SERVER, more);
    world.feed(node, { type: 'answer', token, message });
    return message;
  };
  return { world, node, client, other, answer };
}

describe('a request that this node does not serve', () => {
  it.each([
    ['an unknown command', { commandCode: 999 }, 3001],
    ['an unknown application', { applicationId: 99 }, 3007],
    ['the E bit', { flags: FLAG.R | FLAG.P | FLAG.E }, 3008],
    ['a realm that is not served', { avps: der(CLIENT, { 'Destination-Realm': 'other' }).avps }, 3003],
    ['the Destination-Host of another node', { avps: der(CLIENT, { 'Destination-Host': 'else.example' }).avps }, 3002],
  ])('gets an error answer at once for %s', (_what, change, result) => {
    const { node, client } = server();
    const [answer] = client.send({ ...der(CLIENT), ...change, hopByHop: 77, endToEnd: 88 });
    expect(client.result).toBe(result);
    expect(answer).toMatchObject({ hopByHop: 77, endToEnd: 88, flags: FLAG.E | FLAG.P });
    expect(node.served).toEqual([]);
  });
});

describe('requests of a peer', () => {
  it(`are served up to ${MAX_SERVING} at once; further ones get 3004, and another peer is not affected`, () => {
    const { node, client, other, answer } = server(false);
    for (let i = 0; i < MAX_SERVING; i += 1) expect(client.send({ ...der(CLIENT), endToEnd: i })).toEqual([]);
    expect(node.machine.status()[0]?.serving).toBe(MAX_SERVING);
    const [busy] = client.send({ ...der(CLIENT), endToEnd: MAX_SERVING, hopByHop: 9 });
    expect(client.result).toBe(3004);
    expect(busy).toMatchObject({ hopByHop: 9, flags: FLAG.E | FLAG.P });
    expect(other.send({ ...der(OTHER), endToEnd: 1 })).toEqual([]);
    answer();
    expect(other.result).toBe(2001);
    // An answered request frees its slot.
    const [{ token, message } = { token: 0, message: der(CLIENT) }] = node.served;
    client.answers.length = 0;
    const reply = deaTo(message, SERVER);
    expect(node.machine.handle({ type: 'answer', token, message: reply }, 0)).toHaveLength(2);
    expect(client.send({ ...der(CLIENT), endToEnd: MAX_SERVING + 1 })).toEqual([]);
  });

  it('get the same answer when repeated while the first copy is served, with their own Hop-by-Hop Identifier', () => {
    const { node, client, answer } = server(false);
    client.send({ ...der(CLIENT), endToEnd: 5, hopByHop: 1 });
    client.send({ ...der(CLIENT), endToEnd: 5, hopByHop: 2, flags: FLAG.R | FLAG.P | FLAG.T });
    expect(node.served).toHaveLength(1);
    expect(node.machine.status()[0]?.serving).toBe(2);
    answer({ 'EAP-Master-Session-Key': Secret.take(new Uint8Array(64).fill(7)) });
    const keys = client.answers.map(({ avps }) => grammarian.find(avps, 'EAP-Master-Session-Key')?.octets());
    expect(client.answers.map(({ hopByHop }) => hopByHop)).toEqual([1, 2]);
    expect(keys).toEqual([new Uint8Array(64).fill(7), new Uint8Array(64).fill(7)]);
    expect(node.machine.status()[0]?.serving).toBe(0);
    expect(node.said('duplicate')).toEqual([{ type: 'duplicate', peer: CLIENT }]);
  });

  it('have the encoded answer wiped once their copies are answered', () => {
    const { client, answer } = server(false);
    client.send({ ...der(CLIENT), endToEnd: 5, hopByHop: 1 });
    client.send({ ...der(CLIENT), endToEnd: 5, hopByHop: 2, flags: FLAG.R | FLAG.P | FLAG.T });
    const wiped: Uint8Array[] = [];
    const { fill } = Uint8Array.prototype;
    vi.spyOn(Uint8Array.prototype, 'fill').mockImplementation(function (this: Uint8Array, ...given) {
      // An encoded answer is longer than its key.
      if (given[0] === 0 && this.length > 64 && Buffer.from(this).includes(KEY)) wiped.push(this);
      return fill.apply(this, given);
    });
    answer({ 'EAP-Master-Session-Key': Secret.copyOf(KEY) });
    vi.restoreAllMocks();
    expect(wiped).toHaveLength(1);
    expect(wiped[0]?.every((octet) => octet === 0)).toBe(true);
    expect(client.answers).toHaveLength(2);
  });

  it('get the remembered answer when repeated later, until its key is forgotten or KEY_TIME has passed', () => {
    const key = () => ({ 'EAP-Master-Session-Key': Secret.take(new Uint8Array(64).fill(7)) });
    for (const forget of ['forgetKeys', 'forgetKeysOf', 'time'] as const) {
      const { world, node, client, answer } = server(false);
      const request = { ...der(CLIENT), endToEnd: 5 };
      client.send(request);
      answer(key());
      expect(client.send({ ...request, hopByHop: 9 })[0]).toMatchObject({ hopByHop: 9 });
      expect(node.served).toHaveLength(1);
      if (forget === 'forgetKeys') world.feed(node, { type: forget, sessionId: `${CLIENT};1;1` });
      else if (forget === 'forgetKeysOf') world.feed(node, { type: forget, origin: CLIENT });
      else world.run(KEY_TIME);
      // The connection has been idle for a minute, so a DWR may be among the messages.
      client.send(request);
      expect(node.served, forget).toHaveLength(2);
    }
  });

  it('get 3004 when the node is stopping, except copies of earlier requests', () => {
    const { world, node, client, answer } = server(false);
    const answered = { ...der(CLIENT), endToEnd: 5 };
    const pending = { ...der(CLIENT), endToEnd: 6 };
    client.send(answered);
    answer();
    client.send(pending);
    world.feed(node, { type: 'stop', timeout: 60_000 });
    const resultOf = (endToEnd: number) => {
      client.send({ ...der(CLIENT), endToEnd });
      return client.result;
    };
    expect(resultOf(5)).toBe(2001);
    expect(resultOf(7)).toBe(3004);
    expect(resultOf(7)).toBe(3004);
    client.answers.length = 0;
    expect(client.send({ ...pending, hopByHop: 9 })).toEqual([]);
    expect(node.served).toHaveLength(2);
  });

  it('get 5012 for every copy when they could not be served, and are served when repeated', () => {
    const { world, node, client } = server(false);
    const request = { ...der(CLIENT), endToEnd: 5 };
    client.send(request);
    client.send({ ...request, hopByHop: 9 });
    world.feed(node, { type: 'unserved', token: node.served[0]?.token ?? 0 });
    const results = client.answers.map(({ avps }) => grammarian.find(avps, 'Result-Code'));
    expect(results).toEqual([5012, 5012]);
    expect(node.machine.status()[0]?.serving).toBe(0);
    client.send(request);
    expect(node.served).toHaveLength(2);
  });

  it('get 5012 when the answer exceeds MAX_MESSAGE, and its key is wiped', () => {
    const { node, client, answer } = server(false);
    client.send({ ...der(CLIENT), endToEnd: 5 });
    const key = Secret.take(new Uint8Array(64).fill(7));
    const long = answer({ 'EAP-Payload': new Uint8Array(MAX_MESSAGE), 'EAP-Master-Session-Key': key });
    expect(client.result).toBe(5012);
    expect(node.said('dropped')).toEqual([{ type: 'dropped', peer: CLIENT, code: 'too-long' }]);
    expect(keyOf(long)).toEqual(new Uint8Array(64));
    client.send({ ...der(CLIENT), endToEnd: 6 });
    answer({ 'EAP-Payload': new Uint8Array(MAX_MESSAGE - 1_000) });
    expect(client.result).toBe(2001);
  });

  it('get no answer when the connection is gone, and the keys in the answer are wiped', () => {
    const { world, node, client } = server(false);
    client.send(der(CLIENT));
    world.feed(node, { type: 'closed', connection: client.connection });
    const { token = 0, message = der(CLIENT) } = node.served[0] ?? {};
    const late = deaTo(message, SERVER, { 'EAP-Master-Session-Key': Secret.take(new Uint8Array(64).fill(7)) });
    const outputs = node.machine.handle({ type: 'answer', token, message: late }, world.now);
    expect(outputs).toEqual([]);
    expect(keyOf(late)).toEqual(new Uint8Array(64));
    // A second answer, and an answer to an unknown request, are ignored.
    for (const other of [token, 999]) {
      expect(node.machine.handle({ type: 'answer', token: other, message: late }, world.now)).toEqual([]);
    }
  });
});

describe('a message that does not decode', () => {
  const octets = () => {
    const whole = encodeDiameter({ ...der(CLIENT), hopByHop: 3 });
    // The length of the last AVP exceeds the message.
    whole[whole.length - 1] = 99;
    return whole;
  };

  it('gets an error answer if it is a request, and the connection stays open (RFC 6733 7.1.5)', () => {
    const { world, node, client } = server();
    const salvage = salvageDiameter(octets());
    expect(salvage).toBeDefined();
    const { connection } = client;
    world.feed(node, { type: 'malformed', connection, code: 'truncated', salvage });
    expect([client.result, client.answers[0]?.hopByHop, client.closed]).toEqual([5014, 3, undefined]);
    expect(node.said('dropped')).toEqual([{ type: 'dropped', peer: CLIENT, code: 'truncated' }]);
    client.answers.length = 0;
    const answer = salvage && { ...salvage, header: { ...salvage.header, flags: 0 } };
    for (const other of [answer, undefined]) {
      world.feed(node, { type: 'malformed', connection, code: 'truncated', salvage: other });
    }
    expect([client.answers, client.closed]).toEqual([[], undefined]);
  });

  it('ends the connection when its length cannot be trusted (RFC 6733 2.1)', () => {
    for (const [isRequest, closed] of [
      [true, 'close'],
      [false, 'reset'],
    ] as const) {
      const { world, node, client } = server();
      const salvage = salvageDiameter(encodeDiameter(der(CLIENT)).fill(2, 0, 1));
      const { connection } = client;
      world.feed(node, { type: 'untrusted', connection, salvage: isRequest ? salvage : undefined });
      expect(client.closed).toBe(closed);
      expect(client.result).toBe(isRequest ? 5011 : undefined);
      expect(node.said('dropped', 'peerClosed').map(({ type }) => type)).toEqual(['dropped', 'peerClosed']);
      expect(node.machine.status()[0]?.state).toBe('Closed');
    }
  });
});
