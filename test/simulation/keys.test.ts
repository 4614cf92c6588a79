import { beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../src/protocol/bytes/secret.js';
import { INTEGRITY, INTEGRITY_ALGORITHMS } from '../../src/protocol/pana/wire/algorithms.js';
import { encodePana, FLAG, MESSAGE_TYPE } from '../../src/protocol/pana/wire/codec.js';
import { makeAvp } from '../../src/protocol/pana/wire/dictionary.js';
import { signInPlace } from '../../src/protocol/pana/wire/keys.js';
import { Life } from './clock.js';
import { type Forgery, SessionKeys } from './keys.js';

const SESSION = 0x12345678;
const NODE = { address: '2001:db8:a1::1:1', port: 40_001 };
const PAA = { address: '2001:db8:a1::1', port: 716 };
const keyOf = (fill: number) => Secret.take(new Uint8Array(32).fill(fill));

/** A ping with this key. */
function ping(fill: number, sequence: number): Uint8Array {
  const integrity = INTEGRITY_ALGORITHMS.get(INTEGRITY.HMAC_SHA2_256_128);
  if (!integrity) throw new Error('no algorithm');
  const avps = [makeAvp('AUTH', new Uint8Array(integrity.tagLength))];
  const header = { type: MESSAGE_TYPE.NOTIFICATION, flags: FLAG.R | FLAG.P, sessionId: SESSION, sequence };
  return signInPlace({ integrity, key: keyOf(fill) }, encodePana({ ...header, avps }));
}

describe('SessionKeys', () => {
  let forgeries: Forgery[];
  let keys: SessionKeys;
  const life = new Life('paa1');

  /** Makes both ends authenticate; their key is filled with this octet. */
  function authenticated(fill: number): void {
    for (const machine of ['mn1', 'paa1']) {
      const integrity = INTEGRITY.HMAC_SHA2_256_128;
      keys.derived(machine, { type: 'key', sessionId: SESSION, keyId: fill, integrity, key: keyOf(fill) });
    }
    for (const machine of ['mn1', 'paa1']) {
      const line = { machine, at: 0, level: 'info', fields: { session: SESSION.toString(16) } } as const;
      expect(keys.logged({ ...line, message: fill === 1 ? 'session authorized' : 'session reauthenticated' })).toBe(
        undefined,
      );
    }
  }

  const arrive = (octets: Uint8Array) => keys.receiving({ machine: 'paa1', life, octets, from: NODE, to: PAA });

  beforeEach(() => {
    forgeries = [];
    keys = new SessionKeys((forgery) => void forgeries.push(forgery));
    authenticated(1);
  });

  it('requires that every request is signed with the newest key', () => {
    expect(keys.sending('mn1', ping(1, 5))).toBeUndefined();
    expect(keys.sending('mn1', ping(2, 5))).toBe('mn1 sends a request of 12345678 that is not signed with key 1');
    authenticated(2);
    expect(keys.sending('mn1', ping(1, 6))).toBe('mn1 sends a request of 12345678 that is not signed with key 2');
    expect(keys.sending('mn1', ping(2, 6))).toBeUndefined();
  });

  it('sends a message with the old key after the next authentication, and requires that it is not answered', () => {
    expect(arrive(ping(1, 5))).toBeUndefined();
    authenticated(2);
    expect(forgeries).toEqual([{ octets: ping(1, 6), from: NODE, to: PAA }]);
    const check = arrive(ping(1, 6));
    expect(check?.()).toBeUndefined();
    life.datagrams.sent += 1;
    expect(check?.()).toBe('paa1 answers a message with an old key of 12345678');
  });

  it('ignores a message with the old key if its sequence number was used meanwhile', () => {
    arrive(ping(1, 5));
    authenticated(2);
    arrive(ping(2, 6));
    expect(arrive(ping(1, 6))).toBeUndefined();
  });
});
