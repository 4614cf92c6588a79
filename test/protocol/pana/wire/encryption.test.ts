import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../../../src/protocol/bytes/decode-error.js';
import { concat, fromHex, toHex } from '../../../../src/protocol/bytes/octets.js';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import { open, receive } from '../../../../src/protocol/pana/session/session.js';
import { algorithmsOf, ENCRYPTION_ALGORITHMS } from '../../../../src/protocol/pana/wire/algorithms.js';
import { encodePana, FLAG, MESSAGE_TYPE, type PanaAvp } from '../../../../src/protocol/pana/wire/codec.js';
import { makeAvp } from '../../../../src/protocol/pana/wire/dictionary.js';
import { counterBlock, encapsulate, openEncapsulation } from '../../../../src/protocol/pana/wire/encryption.js';
import { type Encryption, panaEncryptionKey, signInPlace } from '../../../../src/protocol/pana/wire/keys.js';
import { HOME } from '../session/ladder.js';

const VENDOR = 32473;
const sha256 = algorithmsOf(5, 12) ?? never();
const aes = ENCRYPTION_ALGORITHMS.get(1) ?? never();

function never(): never {
  throw new Error('not implemented');
}

/** The input of the vectors: as that of PANA_AUTH_KEY in keys.test.ts, with an Encryption-Algorithm in PAR[S] and PAN[S]. */
const INPUT = {
  msk: Secret.take(Uint8Array.from({ length: 64 }, (_, i) => i)),
  iPar: fromHex(
    '00000034c000000211223344a0b0c0d000060000000400000000000500030000000400000000000c000d00000004000000000001',
  ),
  iPan: fromHex(
    '000000344000000211223344a0b0c0d000060000000400000000000500030000000400000000000c000d00000004000000000001',
  ),
  pacNonce: new Uint8Array(20).fill(0x50),
  paaNonce: new Uint8Array(20).fill(0xa5),
  keyId: 1,
};

const keyOf = (from: 'PaC' | 'PAA') => panaEncryptionKey(from, sha256, aes, INPUT);

function endOf(end: 'PaC' | 'PAA'): Encryption {
  return { algorithm: aes, keyId: 1, sends: keyOf(end), receives: keyOf(end === 'PaC' ? 'PAA' : 'PaC') };
}

const NUMBERS = { sessionId: 0x11223344, sequence: 0xa0b0c0d2 };
const LIFETIME = makeAvp('Session-Lifetime', 3600);
const CAUSE = makeAvp('Termination-Cause', 1);
const AUTH_KEY = { integrity: sha256.integrity, key: Secret.take(new Uint8Array(32).fill(9)) };

/** A signed PAR[C], or PTR, with these AVPs in clear and this Encryption-Encap. */
function message(type: number, avps: readonly PanaAvp[], encap: PanaAvp): Uint8Array {
  const flags = FLAG.R | (type === MESSAGE_TYPE.AUTH ? FLAG.C : 0);
  const octets = encodePana({
    ...NUMBERS,
    type,
    flags,
    avps: [...avps, encap, makeAvp('AUTH', new Uint8Array(16))],
  });
  return signInPlace(AUTH_KEY, octets);
}

const CLEAR = [makeAvp('Result-Code', 0), makeAvp('EAP-Payload', fromHex('03070004')), makeAvp('Key-Id', 1)];

/** What an end makes of a message whose AUTH is valid. */
function read(octets: Uint8Array, encryption: Encryption | undefined) {
  const received = receive(octets, VENDOR);
  return 'type' in received ? received : open(received, { encryption }, VENDOR);
}

describe('the keys and counters of RFC 6786', () => {
  // Computed by an independent script from the formulas of RFC 6786 3 and 4.1.
  it.each([
    ['PaC', '7ef09ee4c9d1fbf7429fe0cc31b46c4b'],
    ['PAA', 'd5784974614bea152ad8338fc5eb77e6'],
  ] as const)('differ by direction: that of messages of the %s', (from, key) => {
    expect(toHex(keyOf(from).octets())).toBe(key);
  });

  it('begin each message with its own counter', () => {
    const numbers = { sessionId: 0xaabbccdd, sequence: 0x11223344 };
    expect(toHex(counterBlock(0x55667788, numbers))).toBe('0255667788aabbccdd11223344000001');
  });

  it('encrypt a golden message of each direction', () => {
    const ofPaa = message(MESSAGE_TYPE.AUTH, CLEAR, encapsulate([LIFETIME], endOf('PAA'), NUMBERS));
    expect(toHex(ofPaa)).toBe(
      '00000060a000000211223344a0b0c0d2000700000004000000000000000200000004000003070004000400000004000000000001000c0000000c00000e17e49205c73473752860be0001000000100000bfb32286c383e63b39890b6435421744',
    );
    const ofPac = message(MESSAGE_TYPE.TERMINATION, [], encapsulate([CAUSE], endOf('PaC'), NUMBERS));
    expect(toHex(ofPac)).toBe(
      '0000003c8000000311223344a0b0c0d2000c0000000c0000e0413f953798be6414460cc900010000001000006f42e83d88a9e1b08c842bb1c86ec38e',
    );
    expect(read(ofPaa, endOf('PaC'))).toMatchObject({ values: { 'Result-Code': 0, 'Session-Lifetime': 3600 } });
    expect(read(ofPac, endOf('PAA'))).toMatchObject({ values: { 'Termination-Cause': 1 } });
  });
});

describe('Encryption-Encap', () => {
  it('is not opened by the end that sent it, by another key, or without an agreement', () => {
    const octets = message(MESSAGE_TYPE.AUTH, CLEAR, encapsulate([LIFETIME], endOf('PAA'), NUMBERS));
    for (const wrong of [endOf('PAA'), { ...endOf('PaC'), keyId: 2 }, undefined]) {
      expect(read(octets, wrong)).toMatchObject({ type: 'dropped' });
    }
    expect(read(octets, undefined)).toEqual({ type: 'dropped', code: 'avp-not-allowed' });
  });

  it('is not opened in a message with another number: each has its own counter', () => {
    const encap = encapsulate([LIFETIME], endOf('PAA'), { ...NUMBERS, sequence: NUMBERS.sequence + 1 });
    expect(read(message(MESSAGE_TYPE.AUTH, CLEAR, encap), endOf('PaC'))).toMatchObject({ type: 'dropped' });
  });

  it.each<[string, readonly PanaAvp[], string]>([
    ['another Encryption-Encap', [encapsulate([LIFETIME], endOf('PAA'), NUMBERS)], 'avp-not-allowed'],
    ['AUTH', [makeAvp('AUTH', new Uint8Array(16))], 'avp-not-allowed'],
    ['a Nonce', [makeAvp('Nonce', new Uint8Array(16))], 'avp-not-allowed'],
    ['Key-Id', [makeAvp('Key-Id', 1)], 'avp-not-allowed'],
    ['Result-Code', [makeAvp('Result-Code', 0)], 'avp-not-allowed'],
    ['algorithms', [makeAvp('Encryption-Algorithm', 1)], 'avp-not-allowed'],
    ['an AVP that is also outside', [makeAvp('EAP-Payload', fromHex('03070004'))], 'avp-repeated'],
    ['an AVP twice', [LIFETIME, LIFETIME], 'avp-repeated'],
    ['an AVP that this message may not have', [CAUSE], 'avp-not-allowed'],
    ['an unknown AVP', [{ code: 99, flags: 0, vendorId: undefined, value: new Uint8Array(4) }], 'unknown-avp'],
    ['a value of the wrong length', [{ ...LIFETIME, value: new Uint8Array(3) }], 'avp-value'],
    ['more AVPs than a message may have', new Array(129).fill(LIFETIME), 'too-many'],
  ])('with %s inside makes the message invalid', (_name, inner, code) => {
    const octets = message(MESSAGE_TYPE.AUTH, CLEAR, encapsulate(inner, endOf('PAA'), NUMBERS));
    expect(read(octets, endOf('PaC'))).toEqual({ type: 'dropped', code });
  });

  it('cannot stand in the first messages, or twice, or in place of what a message must have', () => {
    const encap = encapsulate([LIFETIME], endOf('PAA'), NUMBERS);
    const at = (flags: number, avps: PanaAvp[]) =>
      receive(encodePana({ ...NUMBERS, type: MESSAGE_TYPE.AUTH, flags, avps }), VENDOR);
    expect(at(FLAG.R | FLAG.S, [encap])).toMatchObject({ code: 'avp-not-allowed' });
    expect(at(FLAG.S, [encap])).toMatchObject({ code: 'avp-not-allowed' });
    expect(at(FLAG.R | FLAG.C, [encap, encap])).toMatchObject({ code: 'avp-repeated' });
    // PTR without its Termination-Cause, or with it in another place.
    const empty = message(MESSAGE_TYPE.TERMINATION, [], encapsulate([], endOf('PaC'), NUMBERS));
    expect(read(empty, endOf('PAA'))).toEqual({ type: 'dropped', code: 'avp-missing' });
  });

  it('holds an assignment of any size, and is refused if it ends within an AVP', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1500, size: 'max' }), fc.nat(), (value, cut) => {
        const inner = [makeAvp('EAP-Payload', value), LIFETIME];
        const encap = encapsulate(inner, endOf('PAA'), NUMBERS);
        const whole = { ...NUMBERS, type: MESSAGE_TYPE.AUTH, flags: FLAG.R | FLAG.C, avps: [encap] };
        expect(openEncapsulation(whole, endOf('PaC'), VENDOR)).toEqual(inner);
        const length = cut % encap.value.length;
        const short = { ...whole, avps: [{ ...encap, value: encap.value.slice(0, length) }] };
        const boundary = 8 + ((value.length + 3) & ~3);
        if (length === 0 || length === boundary)
          expect(openEncapsulation(short, endOf('PaC'), VENDOR)).toHaveLength(length && 1);
        else expect(() => openEncapsulation(short, endOf('PaC'), VENDOR)).toThrow(DecodeError);
      }),
    );
  });

  it('with any octets inside gives a message or a reason, and never an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600, size: 'max' }), (value) => {
        const octets = message(MESSAGE_TYPE.AUTH, CLEAR, makeAvp('Encryption-Encap', value));
        const found = read(octets, endOf('PaC'));
        if ('type' in found) expect(found.type).toBe('dropped');
        else expect(found.values['Encryption-Encap']).toBeUndefined();
      }),
    );
  });

  it('hides what is inside', () => {
    const { assignment } = HOME;
    const host = makeAvp('MIP6-Home-Agent-Host', assignment?.host ?? '', VENDOR);
    const octets = message(MESSAGE_TYPE.AUTH, CLEAR, encapsulate([host], endOf('PAA'), NUMBERS));
    expect(Buffer.from(octets).toString('latin1')).not.toContain('ha.home.example');
    expect(toHex(concat(octets))).not.toContain(toHex(LIFETIME.value));
  });
});
