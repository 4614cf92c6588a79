import { describe, expect, it } from 'vitest';
import { Drbg } from '../../../../src/protocol/bytes/drbg.js';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import { Channel, type Draft } from '../../../../src/protocol/pana/session/channel.js';
import { REQUEST_DEFAULTS } from '../../../../src/protocol/pana/session/retransmission.js';
import { INTEGRITY, INTEGRITY_ALGORITHMS } from '../../../../src/protocol/pana/wire/algorithms.js';
import { decodePana, FLAG, MAX_MESSAGE, MESSAGE_TYPE } from '../../../../src/protocol/pana/wire/codec.js';
import { makeAvp } from '../../../../src/protocol/pana/wire/dictionary.js';
import { type Protection, verifyAuth } from '../../../../src/protocol/pana/wire/keys.js';

const PING: Draft = { type: MESSAGE_TYPE.NOTIFICATION, flags: FLAG.P, avps: [] };
const REAUTHENTICATION: Draft = { type: MESSAGE_TYPE.NOTIFICATION, flags: FLAG.A, avps: [] };
const TERMINATION: Draft = { type: MESSAGE_TYPE.TERMINATION, flags: 0, avps: [] };

function keyOf(octet: number): Protection {
  const integrity = INTEGRITY_ALGORITHMS.get(INTEGRITY.HMAC_SHA2_256_128);
  if (!integrity) throw new Error('SHA-256 is not implemented');
  return { integrity, key: Secret.make(integrity.keyLength, (out) => out.fill(octet)) };
}

/** A channel whose first request has sequence number 100. */
function channelOf(): Channel {
  return new Channel(new Drbg(new Uint8Array(32).fill(5)), REQUEST_DEFAULTS, 7, 100);
}

function only(result: Uint8Array[] | 'failed' | 'too-long'): Uint8Array {
  if (typeof result === 'string' || result.length !== 1 || !result[0]) throw new Error(`not one message: ${result}`);
  return result[0];
}

describe('Channel.tick and Channel.resend', () => {
  it('retransmit the same octets while the key is the same', () => {
    const channel = channelOf();
    channel.protect(keyOf(1));
    const first = only(channel.request(PING, 0)).slice();
    expect(only(channel.tick(channel.deadline ?? 0))).toEqual(first);
    expect(only(channel.resend())).toEqual(first);
  });

  it('sign a retransmitted request with the new key if the key has changed, under the same sequence number', () => {
    for (const again of [
      (channel: Channel) => channel.tick(channel.deadline ?? 0),
      (channel: Channel) => channel.resend(),
    ]) {
      const channel = channelOf();
      const [old, current] = [keyOf(1), keyOf(2)];
      channel.protect(old);
      const first = only(channel.request(PING, 0));
      expect([verifyAuth(old, first), verifyAuth(current, first)]).toEqual([true, false]);
      channel.protect(current);
      const second = only(again(channel)).slice();
      expect([verifyAuth(old, second), verifyAuth(current, second)]).toEqual([false, true]);
      expect(decodePana(second)).toMatchObject({ sequence: 100, flags: FLAG.R | FLAG.P });
      expect(only(again(channel))).toEqual(second);
    }
  });

  it('add AUTH to a retransmitted request if a key has been derived meanwhile', () => {
    const channel = channelOf();
    expect(decodePana(only(channel.request(PING, 0))).avps).toEqual([]);
    const key = keyOf(1);
    channel.protect(key);
    expect(verifyAuth(key, only(channel.resend()))).toBe(true);
  });
});

describe('Channel.dropPrevious and Channel.destroy', () => {
  it('end the time in which the previous key also verifies, and wipe keys', () => {
    const channel = channelOf();
    const [old, current] = [keyOf(1), keyOf(2)];
    channel.protect(old);
    const before = only(channel.request(PING, 0)).slice();
    channel.protect(current);
    expect([channel.verify(before), old.key.isWiped]).toEqual([old, false]);
    channel.dropPrevious();
    expect([channel.verify(before), old.key.isWiped]).toEqual([undefined, true]);
    expect([channel.protection, current.key.isWiped]).toEqual([current, false]);
    channel.dropPrevious();
    expect(channel.verify(only(channel.resend()).slice())).toBe(current);
  });

  it('wipe the current key, the previous one, and those of queued requests', () => {
    const channel = channelOf();
    const keys = [1, 2, 3].map(keyOf);
    const [old, current, queued] = keys as [Protection, Protection, Protection];
    channel.protect(old);
    channel.protect(current);
    channel.request(PING, 0);
    channel.request({ ...PING, protect: queued }, 0);
    channel.destroy();
    expect(keys.map(({ key }) => key.isWiped)).toEqual([true, true, true]);
    expect([channel.protection, channel.busy, channel.queues(PING.type, PING.flags)]).toEqual([
      undefined,
      false,
      false,
    ]);
  });
});

describe('a message that would be longer than the largest', () => {
  const LONG: Draft = { ...PING, avps: [makeAvp('EAP-Payload', new Uint8Array(MAX_MESSAGE))] };

  it('is not sent as a request: nothing changes, and the key that it would have activated is wiped', () => {
    const channel = channelOf();
    const protect = keyOf(1);
    expect(channel.request({ ...LONG, protect }, 0)).toBe('too-long');
    expect([channel.busy, channel.protection, protect.key.isWiped]).toEqual([false, undefined, true]);
    expect(decodePana(only(channel.request(PING, 0))).sequence).toBe(100);
  });

  it('is not sent as an answer: the request stays unanswered', () => {
    const channel = channelOf();
    const octets = only(new Channel(new Drbg(new Uint8Array(32)), REQUEST_DEFAULTS, 7, 50).request(PING, 0));
    channel.accept(decodePana(octets), octets);
    expect([channel.answer(LONG), channel.owesAnswer]).toEqual(['too-long', true]);
    expect(decodePana(only(channel.answer(PING)))).toMatchObject({ sequence: 50, flags: FLAG.P });
    expect(channel.owesAnswer).toBe(false);
  });
});

describe('Channel.withdraw', () => {
  /** Flags of the requests that follow the outstanding one, in order. */
  function followers(channel: Channel): string[] {
    const names: string[] = [];
    for (let next = channel.answered(0); next.length > 0; next = channel.answered(0)) {
      const { type, flags, sequence } = decodePana(only(next));
      names.push(`${type} ${flags & ~FLAG.R} ${sequence}`);
    }
    return names;
  }

  function busy(): Channel {
    const channel = channelOf();
    for (const draft of [PING, REAUTHENTICATION, PING, TERMINATION]) channel.request(draft, 0);
    return channel;
  }

  const [ping, reauthentication, termination] = [PING, REAUTHENTICATION, TERMINATION].map(
    ({ type, flags }) => `${type} ${flags}`,
  );

  it('removes the queued request of this type and flags, and no other', () => {
    const channel = busy();
    expect(channel.queues(PING.type, PING.flags)).toBe(true);
    channel.withdraw(PING.type, PING.flags);
    expect(channel.queues(PING.type, PING.flags)).toBe(false);
    expect(followers(channel)).toEqual([`${reauthentication} 101`, `${termination} 102`]);
  });

  it('leaves the outstanding request and all others if none is queued', () => {
    const channel = busy();
    channel.withdraw(MESSAGE_TYPE.AUTH, 0);
    expect(channel.asked).toBe(PING);
    expect(followers(channel)).toEqual([`${reauthentication} 101`, `${ping} 102`, `${termination} 103`]);
  });
});
