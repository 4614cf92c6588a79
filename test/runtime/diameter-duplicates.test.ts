import { describe, expect, it } from 'vitest';
import { Secret } from '../../src/protocol/bytes/secret.js';
import { answerTo } from '../../src/protocol/diameter/answers.js';
import type { DiameterMessage } from '../../src/protocol/diameter/codec.js';
import { APPLICATION, DEA, DER } from '../../src/protocol/diameter/commands.js';
import { DUPLICATE_TIME, DuplicateCache, MAX_DUPLICATES } from '../../src/runtime/diameter-duplicates.js';
import { der, grammarian } from './diameter-rig.js';

const MSK = Secret.take(new Uint8Array(64).fill(7));

function answer(request: DiameterMessage, msk = MSK): DiameterMessage {
  return answerTo(
    request,
    grammarian.write(DEA, {
      'Session-Id': 'x;1;1',
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
    const cache = new DuplicateCache(grammarian);
    const first = request(5);
    cache.keep(first, Promise.resolve(answer(first)), 0);
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
    const cache = new DuplicateCache(grammarian);
    const first = request(5);
    let settle: (message: DiameterMessage) => void = () => undefined;
    cache.keep(first, new Promise((resolve) => (settle = resolve)), 0);
    const found = cache.find(request(5, 2), 0);
    settle(answer(first));
    expect(await found).toMatchObject({ hopByHop: 2 });
  });

  it('is another one with another number, session, command or origin, and after four minutes', () => {
    const cache = new DuplicateCache(grammarian);
    const first = request(5);
    cache.keep(first, Promise.resolve(answer(first)), 0);
    expect(cache.find(request(6), 0)).toBeUndefined();
    expect(cache.find({ ...request(5), avps: der('paa2.example').avps }, 0)).toBeUndefined();
    expect(cache.find({ ...request(5), commandCode: 275 }, 0)).toBeUndefined();
    expect(cache.find({ ...request(5), avps: [] }, 0)).toBeUndefined();
    expect(cache.find(request(5), DUPLICATE_TIME)).toBeUndefined();
    cache.keep({ ...request(7), avps: [] }, Promise.resolve(answer(first)), 0);
    expect(cache.size).toBe(1);
  });

  it('is served anew when the first could not be', async () => {
    const cache = new DuplicateCache(grammarian);
    const failing = Promise.reject<DiameterMessage>(new Error('no'));
    cache.keep(request(5), failing, 0);
    await failing.catch(() => undefined);
    expect(cache.size).toBe(0);
  });

  it('is not remembered for ever, nor are the keys in its answer', async () => {
    const cache = new DuplicateCache(grammarian);
    const keyOf = (message: DiameterMessage) => grammarian.find(message.avps, 'EAP-Master-Session-Key');
    const kept = answer(request(0));
    cache.keep(request(0), Promise.resolve(kept), 0);
    for (let i = 1; i <= MAX_DUPLICATES; i += 1) cache.keep(request(i), Promise.resolve(kept), 0);
    expect(cache.size).toBe(MAX_DUPLICATES);
    await Promise.resolve();
    expect(keyOf(kept)?.octets()).toEqual(new Uint8Array(64));
    const other = answer(request(1));
    const late = new DuplicateCache(grammarian);
    late.keep(request(1), Promise.resolve(other), 0);
    late.keep(request(2), Promise.resolve(answer(request(2))), DUPLICATE_TIME);
    expect(late.size).toBe(1);
    late.clear();
    await Promise.resolve();
    expect(late.size).toBe(0);
    expect(keyOf(other)?.octets()).toEqual(new Uint8Array(64));
  });
});
