import { describe, expect, it } from 'vitest';
import { Drbg } from '../../../../src/protocol/bytes/drbg.js';
import { encodeUtf8 } from '../../../../src/protocol/bytes/octets.js';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import type { ClientConfig, ClientOutput } from '../../../../src/protocol/radius/client/alphabet.js';
import { RadiusClient } from '../../../../src/protocol/radius/client/client.js';
import { MAX_SOCKETS } from '../../../../src/protocol/radius/client/identifiers.js';
import { AttributeReader, attribute } from '../../../../src/protocol/radius/wire/attributes.js';
import { encodeResponse } from '../../../../src/protocol/radius/wire/authenticators.js';
import { CODE, decodeRadius } from '../../../../src/protocol/radius/wire/codec.js';

const secret = Secret.take(encodeUtf8('a secret of the test'));
const other = Secret.take(encodeUtf8('another secret'));

type Sent = Extract<ClientOutput, { type: 'send' }>;

function config(names: readonly string[], statusServer = true): ClientConfig {
  const servers = names.map((name) => ({ name, secret, accounting: false, statusServer, isReliable: false }));
  return { servers, watchdog: 30_000, requestTimeout: 30_000, identity: [] };
}

/** A client and what it has put out, with a clock that only the test moves. */
class Rig {
  now = 0;
  readonly out: { readonly at: number; readonly output: ClientOutput }[] = [];
  readonly client: RadiusClient;

  constructor(names: readonly string[], statusServer = true) {
    this.client = new RadiusClient(config(names, statusServer), new Drbg(new Uint8Array(32)), 0);
  }

  take(outputs: readonly ClientOutput[]): ClientOutput[] {
    for (const output of outputs) this.out.push({ at: this.now, output });
    return [...outputs];
  }

  request(token: number, only?: string): ClientOutput[] {
    return this.take(
      this.client.handle({ type: 'request', token, service: 'authentication', attributes: [], only }, this.now),
    );
  }

  /** Runs the timers up to this time. */
  until(time: number): void {
    for (let due = this.client.deadline; due !== undefined && due <= time; due = this.client.deadline) {
      this.now = Math.max(this.now, due);
      this.take(this.client.handle({ type: 'tick' }, this.now));
    }
    this.now = time;
  }

  deliver({ server, socket }: Pick<Sent, 'server' | 'socket'>, octets: Uint8Array): ClientOutput[] {
    return this.take(
      this.client.handle({ type: 'datagram', server, service: 'authentication', socket, octets }, this.now),
    );
  }

  sent(code: number): { readonly at: number; readonly sent: Sent }[] {
    return this.out.flatMap(({ at, output }) =>
      output.type === 'send' && output.octets[0] === code ? [{ at, sent: output }] : [],
    );
  }

  /** Answers all Status-Servers that were not answered. */
  alive(): void {
    for (const { sent } of this.sent(CODE['Status-Server'])) this.deliver(sent, answerTo(sent));
  }

  ended(token: number): string | undefined {
    return this.out.find(
      ({ output }) => (output.type === 'answered' || output.type === 'failed') && output.token === token,
    )?.output.type;
  }
}

function answerTo({ octets }: Sent, code: number = CODE['Access-Accept'], key = secret): Uint8Array {
  const { identifier, authenticator } = decodeRadius(octets);
  return encodeResponse({ code, identifier, attributes: [] }, authenticator, key);
}

function codesOf(outputs: readonly ClientOutput[]): string[] {
  return outputs.flatMap((output) =>
    output.type === 'event' && output.event.type === 'dropped' ? [output.event.code] : [],
  );
}

function theSent(outputs: readonly ClientOutput[]): Sent {
  const found = outputs.find((output) => output.type === 'send');
  if (found?.type !== 'send') throw new Error('nothing was sent');
  return found;
}

describe('A RADIUS client', () => {
  it('retransmits the same octets at the times of RFC 5080 2.2.1, and gives up after MRD', () => {
    const rig = new Rig(['a'], false);
    rig.request(1);
    rig.until(60_000);
    const sent = rig.sent(CODE['Access-Request']);
    // With the longest jitter, MRD comes before the fifth.
    expect([4, 5]).toContain(sent.length);
    expect(new Set(sent.map((each) => Buffer.from(each.sent.octets).toString('hex'))).size).toBe(1);
    const waits = sent.slice(1).map(({ at }, i) => at - (sent[i]?.at ?? 0));
    for (const [i, base] of [2_000, 4_000, 8_000].entries()) {
      expect(waits[i]).toBeGreaterThan(base * 0.75);
      expect(waits[i]).toBeLessThan(base * 1.25);
    }
    const failures = rig.out.filter(({ output }) => output.type === 'failed');
    expect(failures).toMatchObject([{ at: 30_000, output: { token: 1 } }]);
  });

  it('fails a request as soon as all servers are down, unless only one can answer it', () => {
    const rig = new Rig(['a', 'b']);
    // Nothing is known of the servers yet.
    rig.request(1);
    rig.request(2, 'a');
    rig.until(7_000);
    expect(rig.client.status().map(({ status }) => status)).toEqual(['DOWN', 'DOWN']);
    const failures = rig.out.filter(({ output }) => output.type === 'failed');
    expect(failures).toMatchObject([{ at: 6_000, output: { token: 1, reason: 'not responding: a, b' } }]);
    rig.until(29_000);
    expect(rig.ended(2)).toBeUndefined();
  });

  it('sends attributes for the first server to no other one', () => {
    const rig = new Rig(['a', 'b'], false);
    const firstOnly = attribute('State', Uint8Array.of(7));
    const about = { type: 'request', token: 1, service: 'authentication', attributes: [], firstOnly } as const;
    rig.take(rig.client.handle({ ...about, first: 'b' }, 0));
    rig.until(9_000);
    const states = rig.sent(CODE['Access-Request']).map(({ sent }) => {
      return [sent.server, new AttributeReader(decodeRadius(sent.octets)).one('State')];
    });
    expect(states[0]).toEqual(['b', Uint8Array.of(7)]);
    expect(states.filter(([server]) => server === 'a')[0]).toEqual(['a', undefined]);
    expect(states.filter(([server, state]) => server === 'a' && state !== undefined)).toEqual([]);
  });

  it('believes only an authentic answer, from the port that was asked, and only once', () => {
    const rig = new Rig(['a', 'b'], false);
    const sent = theSent(rig.request(1));
    const right = answerTo(sent);
    expect(codesOf(rig.deliver(sent, answerTo(sent, CODE['Access-Accept'], other)))).toEqual(['forged']);
    expect(codesOf(rig.deliver({ server: 'b', socket: 0 }, right))).toEqual(['unknown-answer']);
    expect(codesOf(rig.deliver({ server: 'a', socket: 1 }, right))).toEqual(['unknown-answer']);
    expect(codesOf(rig.deliver(sent, answerTo(sent, CODE['Accounting-Response'])))).toEqual(['wrong-code']);
    for (let length = 0; length < right.length; length += 1) {
      expect(codesOf(rig.deliver(sent, right.slice(0, length)))).toEqual(['malformed']);
    }
    for (let at = 0; at < right.length; at += 1) {
      const changed = Uint8Array.from(right);
      changed[at] = (changed[at] ?? 0) ^ 0x40;
      expect(codesOf(rig.deliver(sent, changed))).toHaveLength(1);
    }
    expect(rig.ended(1)).toBeUndefined();
    rig.deliver(sent, right);
    expect(rig.ended(1)).toBe('answered');
    expect(codesOf(rig.deliver(sent, right))).toEqual(['unknown-answer']);
    // The identifier may be in use again: a stale answer does not fit the new authenticator.
    for (let token = 2; token < 2 + 256; token += 1) rig.request(token);
    expect(codesOf(rig.deliver(sent, right))).toEqual(['forged']);
  });

  it('drops an answer without Message-Authenticator', async () => {
    const { createHash } = await import('node:crypto');
    const rig = new Rig(['a'], false);
    const sent = theSent(rig.request(1));
    const { identifier, authenticator } = decodeRadius(sent.octets);
    const head = Uint8Array.of(CODE['Access-Accept'], identifier, 0, 20);
    const hash = createHash('md5').update(head).update(authenticator);
    const digest = secret.use((octets) => hash.update(octets).digest());
    expect(codesOf(rig.deliver(sent, Uint8Array.of(...head, ...digest)))).toEqual(['no-message-authenticator']);
    expect(rig.ended(1)).toBeUndefined();
  });

  it('uses further sockets for more than 256 requests, and refuses what exceeds all', () => {
    const rig = new Rig(['a'], false);
    const most = 256 * MAX_SOCKETS;
    const slots = new Set<string>();
    for (let token = 0; token < most; token += 1) {
      const { socket, octets } = theSent(rig.request(token));
      slots.add(`${socket} ${octets[1]}`);
    }
    expect(slots.size).toBe(most);
    expect(rig.request(most)).toMatchObject([{ type: 'failed', reason: 'a: too many pending requests' }]);
  });

  it('moves a request that no server has begun to the next server, but not a conversation', () => {
    const rig = new Rig(['a', 'b']);
    rig.until(0);
    rig.alive();
    rig.request(1);
    rig.request(2, 'a');
    rig.until(7_000);
    const moved = rig.sent(CODE['Access-Request']).filter(({ sent }) => sent.server === 'b');
    expect(moved).toHaveLength(1);
    const [first] = moved;
    if (first) rig.deliver(first.sent, answerTo(first.sent));
    expect(rig.ended(1)).toBe('answered');
    rig.until(60_000);
    expect(rig.ended(2)).toBe('failed');
    expect(theSent(rig.request(3)).server).toBe('b');
  });

  it('refuses at once if all servers are down, and asks one again that has come back', () => {
    const rig = new Rig(['a', 'b']);
    rig.until(0);
    rig.alive();
    rig.until(120_000);
    expect(rig.client.status().map(({ status }) => status)).toEqual(['DOWN', 'DOWN']);
    expect(rig.request(1)).toMatchObject([{ type: 'failed', reason: 'not responding: a, b' }]);
    for (let time = 121_000; time <= 127_000; time += 1_000) {
      rig.until(time);
      rig.alive();
    }
    expect(theSent(rig.request(2)).server).toBe('a');
    for (let time = 128_000; time <= 148_000; time += 1_000) {
      rig.until(time);
      rig.alive();
    }
    expect(rig.client.status().map(({ status }) => status)).toEqual(['OKAY', 'OKAY']);
  });
});
