import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Secret } from '../../../src/protocol/bytes/secret.js';
import { answerTo } from '../../../src/protocol/diameter/wire/answers.js';
import { type DiameterMessage, decodeDiameter, encodeDiameter } from '../../../src/protocol/diameter/wire/codec.js';
import { APPLICATION, DEA, DER } from '../../../src/protocol/diameter/wire/commands.js';
import { wipeKeys } from '../../../src/protocol/diameter/wire/keys.js';
import {
  DUPLICATE_TIME,
  DuplicateCache,
  ENTRY_OCTETS,
  KEY_TIME,
  MAX_DUPLICATE_OCTETS,
  MAX_DUPLICATES,
} from '../../../src/runtime/diameter/duplicates.js';
import { systemHost } from '../../../src/runtime/system/host.js';
import { der, grammarian } from './rig.js';

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

const request = (endToEnd: number, hopByHop = 1): DiameterMessage => ({ ...der('paa.example'), endToEnd, hopByHop });

describe('a request that comes again', () => {
  it('gets the same answer, with its own Hop-by-Hop and Proxy-Info', async () => {
    const cache = new DuplicateCache(grammarian, systemHost);
    const first = request(5);
    cache.keep(first, Promise.resolve(answer(first)), 0, PAA);
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
    const found = await cache.find({ ...again, endToEnd: 5, hopByHop: 9 }, 1000);
    expect(found).toMatchObject({ hopByHop: 9, endToEnd: 5, commandCode: DER.code });
    expect(grammarian.find(found?.avps ?? [], 'Result-Code')).toBe(2001);
    expect(found?.avps.at(-1)).toEqual(again.avps.at(-1));
  });

  it('while the first is being answered waits for that', async () => {
    const cache = new DuplicateCache(grammarian, systemHost);
    const first = request(5);
    let settle: (message: DiameterMessage) => void = () => undefined;
    cache.keep(first, new Promise((resolve) => (settle = resolve)), 0, PAA);
    const found = cache.find(request(5, 2), 0);
    settle(answer(first));
    expect(await found).toMatchObject({ hopByHop: 2 });
  });

  it('is another one with another number, session, command or origin, and after four minutes', () => {
    const cache = new DuplicateCache(grammarian, systemHost);
    const first = request(5);
    cache.keep(first, Promise.resolve(answer(first)), 0, PAA);
    expect(cache.find(request(6), 0)).toBeUndefined();
    expect(cache.find({ ...request(5), avps: der('paa2.example').avps }, 0)).toBeUndefined();
    expect(cache.find({ ...request(5), commandCode: 275 }, 0)).toBeUndefined();
    expect(cache.find({ ...request(5), avps: [] }, 0)).toBeUndefined();
    expect(cache.find(request(5), DUPLICATE_TIME)).toBeUndefined();
    cache.keep({ ...request(7), avps: [] }, Promise.resolve(answer(first)), 0, PAA);
    expect(cache.size).toBe(1);
  });

  it('is served anew when the first could not be', async () => {
    const cache = new DuplicateCache(grammarian, systemHost);
    const failing = Promise.reject<DiameterMessage>(new Error('no'));
    cache.keep(request(5), failing, 0, PAA);
    await failing.catch(() => undefined);
    expect(cache.size).toBe(0);
  });

  it('is not remembered for ever, nor are the keys in its answer', async () => {
    const wiped: Uint8Array[] = [];
    const fill = vi.spyOn(Uint8Array.prototype, 'fill').mockImplementation(function (this: Uint8Array) {
      wiped.push(this);
      return this;
    });
    const cache = new DuplicateCache(grammarian, systemHost);
    cache.keep(request(1), Promise.resolve(answer(request(1))), 0, PAA);
    cache.keep(request(2), Promise.resolve(answer(request(2))), DUPLICATE_TIME, PAA);
    expect(cache.size).toBe(1);
    cache.clear();
    await settled();
    fill.mockRestore();
    expect([cache.size, cache.octets]).toEqual([0, 0]);
    const withKey = wiped.filter((octets) => Buffer.from(octets).includes(Buffer.from(MSK.octets())));
    expect(withKey).toHaveLength(2);
  });

  it('has its answer even when the keys of the first copy were overwritten after it was sent', async () => {
    const cache = new DuplicateCache(grammarian, systemHost);
    const first = answer(request(5));
    cache.keep(request(5), Promise.resolve(first), 0, PAA);
    await Promise.resolve(first);
    wipeKeys(first.avps);
    const keyOf = (message: DiameterMessage | undefined) =>
      grammarian.find(message?.avps ?? [], 'EAP-Master-Session-Key')?.octets();
    expect(keyOf(first)).toEqual(new Uint8Array(64));
    expect(keyOf(await cache.find(request(5, 2), 0))).toEqual(MSK.octets());
  });
});

describe('an answer that holds a key', () => {
  const SESSIONS = ['x;1;1', 'x;1;2', 'x;1;3'];

  /** A cache with an answer for each session, and one without a key. */
  async function filled(): Promise<DuplicateCache> {
    const cache = new DuplicateCache(grammarian, systemHost);
    for (const [i, session] of SESSIONS.entries()) {
      cache.keep(request(i), Promise.resolve(answer(request(i), MSK, session)), 0, PAA);
    }
    cache.keep(request(9), Promise.resolve(answerTo(request(9), [])), 0, PAA);
    await settled();
    return cache;
  }

  const left = (cache: DuplicateCache) => [0, 1, 2, 9].filter((i) => cache.find(request(i), 0) !== undefined);

  it('is forgotten when its session is over, or its PAA has restarted', async () => {
    const cache = await filled();
    cache.forgetKeys('x;1;2');
    cache.forgetKeys('x;1;4');
    expect(left(cache)).toEqual([0, 2, 9]);
    cache.forgetKeysOf('other.example');
    expect(left(cache)).toEqual([0, 2, 9]);
    cache.forgetKeysOf('PAA.example');
    expect(left(cache)).toEqual([9]);
  });

  it('is forgotten when no peer can ask for it again', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const cache = await filled();
    vi.advanceTimersByTime(KEY_TIME - 1);
    expect(left(cache)).toEqual([0, 1, 2, 9]);
    vi.advanceTimersByTime(1);
    expect(left(cache)).toEqual([9]);
  });
});

describe('what is kept for requests that come again', () => {
  const BIG = new Uint8Array(100_000).fill(0x41);

  /** An answer as a request of 100 kB makes it: with the Proxy-Info of the request, and views of its octets. */
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

  it('is a small copy of the answer, however big the request was', async () => {
    const cache = new DuplicateCache(grammarian, systemHost);
    for (let i = 0; i < 100; i += 1) cache.keep(request(i), Promise.resolve(bigAnswer(i)), 0, PAA);
    await settled();
    expect(cache.size).toBe(100);
    expect(cache.octets).toBeLessThan(100 * (ENTRY_OCTETS + 200));
  });

  it('has a limit of octets, of which no peer takes the share of another', async () => {
    const cache = new DuplicateCache(grammarian, systemHost);
    const fat = (i: number): DiameterMessage => {
      const message = answer(request(i));
      return { ...message, avps: [...message.avps, { code: 4711, flags: 0, vendorId: undefined, data: BIG }] };
    };
    for (let i = 0; i < 50; i += 1) {
      const quiet: DiameterMessage = { ...request(i), avps: der('quiet.example').avps };
      cache.keep(quiet, Promise.resolve(answer(quiet)), 0, 'quiet.example');
    }
    for (let i = 0; i < 400; i += 1) cache.keep(request(i), Promise.resolve(fat(i)), 0, PAA);
    await settled();
    expect(cache.octets).toBeLessThanOrEqual(MAX_DUPLICATE_OCTETS);
    expect(cache.octets).toBeGreaterThan(MAX_DUPLICATE_OCTETS * 0.9);
    for (let i = 0; i < MAX_DUPLICATES + 10; i += 1)
      cache.keep(request(10_000 + i), Promise.resolve(answer(request(i))), 0, PAA);
    await settled();
    expect(cache.size).toBe(MAX_DUPLICATES);
    for (let i = 0; i < 50; i += 1) {
      expect(cache.find({ ...request(i), avps: der('quiet.example').avps }, 0)).toBeDefined();
    }
    // The oldest of the one that has the most is gone.
    expect(cache.find(request(0), 0)).toBeUndefined();
    expect(cache.find(request(10_000 + MAX_DUPLICATES), 0)).toBeDefined();
  });
});

/** Resolves when answers that are there have been taken in. */
async function settled(): Promise<void> {
  await new Promise(setImmediate);
}
