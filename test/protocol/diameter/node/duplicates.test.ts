import { describe, expect, it, vi } from 'vitest';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import {
  DUPLICATE_TIME,
  Duplicates,
  ENTRY_OCTETS,
  KEY_TIME,
  MAX_DUPLICATE_OCTETS,
  MAX_DUPLICATES,
} from '../../../../src/protocol/diameter/node/duplicates.js';
import { answerTo } from '../../../../src/protocol/diameter/wire/answers.js';
import { type DiameterMessage, decodeDiameter, encodeDiameter } from '../../../../src/protocol/diameter/wire/codec.js';
import { APPLICATION, DEA, DER } from '../../../../src/protocol/diameter/wire/commands.js';
import { wipeKeys } from '../../../../src/protocol/diameter/wire/keys.js';
import { der, grammarian } from '../messages.js';

const PAA = 'paa.example';
const MSK = Secret.take(new Uint8Array(64).fill(7));

function answer(request: DiameterMessage, msk = MSK, sessionId = 'x;1;1'): DiameterMessage {
  return answerTo(
    request,
    grammarian.write(DEA, {
      'Session-Id': sessionId,
      'Auth-Application-Id': APPLICATION.EAP,
      'Auth-Request-Type': 3,
      'Result-Code': 2001,
      'Origin-Host': 'aaa.example',
      'Origin-Realm': 'example',
      'EAP-Master-Session-Key': msk,
    }),
  );
}

let lastToken = 0;

/** A request that is new to the cache, and its answer. */
function keep(cache: Duplicates, asked: DiameterMessage, made: DiameterMessage, now: number, peer: string): void {
  lastToken += 1;
  expect(cache.take(asked, lastToken, peer, now)).toEqual({ state: 'new' });
  cache.answered(lastToken, made, now);
}

/** The remembered answer to a request. */
function find(cache: Duplicates, asked: DiameterMessage, now: number): DiameterMessage | undefined {
  const found = cache.take(asked, 0, 'seeker.example', now);
  if (found.state === 'new') cache.failed(0);
  return found.state === 'answered' ? found.answer : undefined;
}

const request = (endToEnd: number, hopByHop = 1): DiameterMessage => ({ ...der('paa.example'), endToEnd, hopByHop });

describe('a repeated request', () => {
  it('gets the same answer with its own Hop-by-Hop Identifier and Proxy-Info', () => {
    const cache = new Duplicates(grammarian);
    const first = request(5);
    keep(cache, first, answer(first), 0, PAA);
    const again = grammarian.message(DER, APPLICATION.EAP, {
      'Session-Id': 'paa.example;1;1',
      'Auth-Application-Id': APPLICATION.EAP,
      'Origin-Host': 'paa.example',
      'Origin-Realm': 'example',
      'Destination-Realm': 'example',
      'Auth-Request-Type': 3,
      'EAP-Payload': new Uint8Array(0),
      'Proxy-Info': [{ 'Proxy-Host': 'relay.example', 'Proxy-State': Uint8Array.of(1) }],
    });
    const found = find(cache, { ...again, endToEnd: 5, hopByHop: 9 }, 1000);
    expect(found).toMatchObject({ hopByHop: 9, endToEnd: 5, commandCode: DER.code });
    expect(grammarian.find(found?.avps ?? [], 'Result-Code')).toBe(2001);
    expect(found?.avps.at(-1)).toEqual(again.avps.at(-1));
  });

  it('waits for the answer to the first copy while that is being served', () => {
    const cache = new Duplicates(grammarian);
    expect(cache.take(request(5), 1, PAA, 0)).toEqual({ state: 'new' });
    expect(cache.take(request(5, 2), 2, PAA, 0)).toEqual({ state: 'pending', token: 1 });
    cache.answered(1, answer(request(5)), 0);
    expect(cache.take(request(5, 3), 3, PAA, 0)).toMatchObject({ state: 'answered', answer: { hopByHop: 3 } });
  });

  it('is not a duplicate with another identifier, origin or command, nor after DUPLICATE_TIME', () => {
    const cache = new Duplicates(grammarian);
    const first = request(5);
    keep(cache, first, answer(first), 0, PAA);
    expect(find(cache, request(6), 0)).toBeUndefined();
    expect(find(cache, { ...request(5), avps: der('paa2.example').avps }, 0)).toBeUndefined();
    expect(find(cache, { ...request(5), commandCode: 275 }, 0)).toBeUndefined();
    expect(find(cache, { ...request(5), avps: [] }, 0)).toBeUndefined();
    expect(find(cache, request(5), DUPLICATE_TIME - 1)).toBeDefined();
    expect(find(cache, request(5), DUPLICATE_TIME)).toBeUndefined();
  });

  it('is never a duplicate without Origin-Host', () => {
    const cache = new Duplicates(grammarian);
    const nameless = { ...request(7), avps: [] };
    keep(cache, nameless, answer(nameless), 0, PAA);
    expect(cache.size).toBe(0);
    expect(find(cache, nameless, 0)).toBeUndefined();
  });

  it('is served again when the first copy could not be served', () => {
    const cache = new Duplicates(grammarian);
    cache.take(request(5), 1, PAA, 0);
    cache.failed(1);
    expect(cache.size).toBe(0);
    expect(cache.take(request(5), 2, PAA, 0)).toEqual({ state: 'new' });
  });

  it('is forgotten after DUPLICATE_TIME or by clear, and the keys in its answer are wiped', () => {
    const wiped: Uint8Array[] = [];
    const fill = vi.spyOn(Uint8Array.prototype, 'fill').mockImplementation(function (this: Uint8Array) {
      wiped.push(this);
      return this;
    });
    const cache = new Duplicates(grammarian);
    keep(cache, request(1), answer(request(1)), 0, PAA);
    keep(cache, request(2), answer(request(2)), DUPLICATE_TIME, PAA);
    expect(cache.size).toBe(1);
    cache.clear();
    fill.mockRestore();
    expect([cache.size, cache.octets]).toEqual([0, 0]);
    const withKey = wiped.filter((octets) => Buffer.from(octets).includes(Buffer.from(MSK.octets())));
    expect(withKey).toHaveLength(2);
  });

  it('gets the key although the key in the answer sent first has been wiped', () => {
    const cache = new Duplicates(grammarian);
    const first = answer(request(5));
    keep(cache, request(5), first, 0, PAA);
    wipeKeys(first.avps);
    const keyOf = (message: DiameterMessage | undefined) =>
      grammarian.find(message?.avps ?? [], 'EAP-Master-Session-Key')?.octets();
    expect(keyOf(first)).toEqual(new Uint8Array(64));
    expect(keyOf(find(cache, request(5, 2), 0))).toEqual(MSK.octets());
  });
});

describe('a remembered answer with a key', () => {
  const SESSIONS = ['x;1;1', 'x;1;2', 'x;1;3'];

  /** A cache with an answer for each session, and one without a key. */
  function filled(): Duplicates {
    const cache = new Duplicates(grammarian);
    for (const [i, session] of SESSIONS.entries()) {
      keep(cache, request(i), answer(request(i), MSK, session), 0, PAA);
    }
    keep(cache, request(9), answerTo(request(9), []), 0, PAA);
    return cache;
  }

  const left = (cache: Duplicates) => [0, 1, 2, 9].filter((i) => find(cache, request(i), 0) !== undefined);

  it('is forgotten when its session ends or its origin restarts', () => {
    const cache = filled();
    cache.forgetKeys('x;1;2');
    cache.forgetKeys('x;1;4');
    expect(left(cache)).toEqual([0, 2, 9]);
    cache.forgetKeysOf('other.example');
    expect(left(cache)).toEqual([0, 2, 9]);
    cache.forgetKeysOf('PAA.example');
    expect(left(cache)).toEqual([9]);
  });

  it('is forgotten after KEY_TIME', () => {
    const cache = filled();
    expect(cache.deadline).toBe(KEY_TIME);
    cache.tick(KEY_TIME - 1);
    expect(left(cache)).toEqual([0, 1, 2, 9]);
    cache.tick(KEY_TIME);
    expect(left(cache)).toEqual([9]);
    expect(cache.deadline).toBeUndefined();
  });

  it('no longer sets the deadline once it is forgotten', () => {
    const cache = new Duplicates(grammarian);
    keep(cache, request(1), answer(request(1)), 0, PAA);
    keep(cache, request(2), answer(request(2), MSK, 'x;1;2'), 500, PAA);
    cache.forgetKeys('x;1;1');
    expect(cache.deadline).toBe(500 + KEY_TIME);
  });
});

describe('the memory of the duplicate cache', () => {
  const BIG = new Uint8Array(100_000).fill(0x41);

  /** The answer to a request of 100 kB, with the Proxy-Info of that request as views of its octets. */
  function bigAnswer(endToEnd: number): DiameterMessage {
    const big = grammarian.message(DER, APPLICATION.EAP, {
      'Session-Id': `paa.example;1;${endToEnd}`,
      'Auth-Application-Id': APPLICATION.EAP,
      'Origin-Host': PAA,
      'Origin-Realm': 'example',
      'Destination-Realm': 'example',
      'Auth-Request-Type': 3,
      'EAP-Payload': new Uint8Array(0),
      'Proxy-Info': [{ 'Proxy-Host': 'relay.example', 'Proxy-State': BIG }],
    });
    const received = decodeDiameter(encodeDiameter(big));
    return answerTo(received, grammarian.write(DEA, { 'Result-Code': 3004, 'Error-Message': 'x' } as never));
  }

  it('holds a small copy of each answer, however large the request was', () => {
    const cache = new Duplicates(grammarian);
    for (let i = 0; i < 100; i += 1) keep(cache, request(i), bigAnswer(i), 0, PAA);
    expect(cache.size).toBe(100);
    expect(cache.octets).toBeLessThan(100 * (ENTRY_OCTETS + 200));
  });

  it('is limited in octets and entries, and a peer that fills it evicts only its own answers', () => {
    const cache = new Duplicates(grammarian);
    const fat = (i: number): DiameterMessage => {
      const message = answer(request(i));
      return { ...message, avps: [...message.avps, { code: 4711, flags: 0, vendorId: undefined, data: BIG }] };
    };
    for (let i = 0; i < 50; i += 1) {
      const quiet: DiameterMessage = { ...request(i), avps: der('quiet.example').avps };
      keep(cache, quiet, answer(quiet), 0, 'quiet.example');
    }
    for (let i = 0; i < 400; i += 1) keep(cache, request(i), fat(i), 0, PAA);
    expect(cache.octets).toBeLessThanOrEqual(MAX_DUPLICATE_OCTETS);
    expect(cache.octets).toBeGreaterThan(MAX_DUPLICATE_OCTETS * 0.9);
    for (let i = 0; i < MAX_DUPLICATES + 10; i += 1) keep(cache, request(10_000 + i), answer(request(i)), 0, PAA);
    expect(cache.size).toBe(MAX_DUPLICATES);
    for (let i = 0; i < 50; i += 1) {
      expect(find(cache, { ...request(i), avps: der('quiet.example').avps }, 0)).toBeDefined();
    }
    // The oldest answer of the peer with most octets is evicted.
    expect(find(cache, request(0), 0)).toBeUndefined();
    expect(find(cache, request(10_000 + MAX_DUPLICATES), 0)).toBeDefined();
  });
});
