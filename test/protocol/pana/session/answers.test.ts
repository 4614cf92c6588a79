import { describe, expect, it } from 'vitest';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import { INTEGRITY, INTEGRITY_ALGORITHMS } from '../../../../src/protocol/pana/wire/algorithms.js';
import { encodePana, FLAG, MESSAGE_TYPE } from '../../../../src/protocol/pana/wire/codec.js';
import { makeAvp } from '../../../../src/protocol/pana/wire/dictionary.js';
import { type Protection, signInPlace, verifyAuth } from '../../../../src/protocol/pana/wire/keys.js';
import { EAP, ForeignPaa, ForeignPac, PAN, PAR, PNA } from '../wire/foreign.js';

describe('an answer repeats the flags of its request (RFC 5191 5.5, 6.2)', () => {
  it('PNA[A] is no answer to PNR[P], nor PNA[P] to PNR[A]', () => {
    for (const [type, own, other] of [
      ['ping', FLAG.P, FLAG.A],
      ['reauthenticate', FLAG.A, FLAG.P],
    ] as const) {
      const paa = new ForeignPaa().open();
      paa.now = 10_000;
      paa.feed({ type }).take();
      const { state } = paa;
      paa.answer(PNA, other);
      expect([paa.take(), paa.state]).toEqual([['dropped out-of-sequence'], state]);
      paa.answer(PNA, own);
      expect(paa.state).toBe(type === 'ping' ? 'OPEN' : 'WAIT_PAA');
    }
  });

  it('PNA[A] is no answer to the PNR[P] of a PAA', () => {
    const pac = new ForeignPac().open();
    pac.now = 10_000;
    pac.session({ type: 'ping' }).take();
    pac.answer(PNA, FLAG.A);
    expect([pac.take(), pac.state]).toEqual([['dropped out-of-sequence'], 'WAIT_PNA_PING']);
    pac.answer(PNA, FLAG.P);
    expect(pac.state).toBe('OPEN');
  });

  it('PAN without C is no answer to PAR[C], nor PAN[C] to PAR', () => {
    const pac = new ForeignPac().start().eapRequest();
    pac.take();
    pac.answer(PAN, FLAG.C, [makeAvp('EAP-Payload', EAP.response), makeAvp('Nonce', pac.nonce)]);
    expect([pac.take(), pac.state]).toEqual([['dropped out-of-sequence'], 'WAIT_PAN_OR_PAR']);
    pac.respond(true).success().take();
    pac.key = pac.keyed();
    pac.answer(PAN, 0);
    expect([pac.take(), pac.state]).toEqual([['dropped out-of-sequence'], 'WAIT_SUCC_PAN']);
  });
});

describe('PAN[C] of a re-authentication', () => {
  it('repeats the Key-Id of its PAR[C], which is another one than before (RFC 5191 4.1, 5.3)', () => {
    const pac = new ForeignPac().open();
    const before = pac.sent.findLast(({ values }) => values['Key-Id'] !== undefined)?.values['Key-Id'] ?? 0;
    pac.session({ type: 'reauthenticate' }).eapRequest().respond(true).success().take();
    const { last } = pac;
    const keyId = last.values['Key-Id'] ?? 0;
    expect(keyId).toBe((before + 1) >>> 0);
    pac.key = pac.keyed();
    for (const avps of [[], [makeAvp('Key-Id', before)], [makeAvp('Key-Id', (keyId + 1) >>> 0)]]) {
      pac.answer(PAN, FLAG.C, avps, last);
      expect([pac.take(), pac.state]).toEqual([['dropped avp-missing'], 'WAIT_SUCC_PAN']);
    }
    pac.answer(PAN, FLAG.C, [makeAvp('Key-Id', keyId)], last);
    expect([pac.take(), pac.state]).toEqual([['authorized'], 'OPEN']);
  });
});

describe('flags of what the two ends send', () => {
  it('PAR[C], PNR[P], PNR[A] and their answers have those of their names, and R on requests alone', () => {
    const paa = new ForeignPaa().open();
    const pac = new ForeignPac().open();
    const all = [...paa.sent, ...pac.sent].map(({ name, message }) => [name, message.flags]);
    const expected = new Map<string, number>([
      ['PCI', 0],
      ['PAR[S]', FLAG.R | FLAG.S],
      ['PAN[S]', FLAG.S],
      ['PAR', FLAG.R],
      ['PAN', 0],
      ['PAR[C]', FLAG.R | FLAG.C],
      ['PAN[C]', FLAG.C],
    ]);
    for (const [name, flags] of all) expect([name, flags]).toEqual([name, expected.get(String(name))]);
    expect(new Set(all.map(([name]) => name))).toEqual(
      new Set(['PCI', 'PAN[S]', 'PAN', 'PAN[C]', 'PAR[S]', 'PAR', 'PAR[C]']),
    );
  });

  it('the I bit is set on PAR and PAR[C] of the first run alone, and only where it is configured (RFC 5191 6.2)', () => {
    for (const reconfigure of [true, false]) {
      const pac = new ForeignPac({ reconfigure }).open();
      pac.session({ type: 'reauthenticate' }).eapRequest().respond(true).success();
      const bits = pac.sent
        .filter(({ message }) => message.type === PAR.type && (message.flags & FLAG.S) === 0)
        .map(({ message }) => (message.flags & FLAG.I) !== 0);
      expect(bits).toEqual([reconfigure, reconfigure, false, false]);
    }
  });
});

describe('AUTH', () => {
  const integrity = INTEGRITY_ALGORITHMS.get(INTEGRITY.HMAC_SHA2_256_128);
  if (!integrity) throw new Error('there is one');
  const { keyLength, tagLength } = integrity;
  const protection: Protection = { integrity, key: Secret.make(keyLength, (out) => out.fill(7)) };

  function signed(code: number, length: number): Uint8Array {
    const avps = [makeAvp('AUTH', new Uint8Array(tagLength))];
    const octets = encodePana({ type: MESSAGE_TYPE.NOTIFICATION, flags: FLAG.P, sessionId: 1, sequence: 1, avps });
    const view = new DataView(octets.buffer, octets.byteOffset);
    const header = octets.length - tagLength - 8;
    view.setUint16(header, code);
    view.setUint16(header + 4, length);
    return signInPlace(protection, octets);
  }

  it('is an AVP of its own code and length: the same octets under another are none', () => {
    expect(verifyAuth(protection, signed(1, tagLength))).toBe(true);
    for (const length of [0, tagLength - 1, tagLength + 1, tagLength + 4]) {
      expect(verifyAuth(protection, signed(1, length))).toBe(false);
    }
    expect(verifyAuth(protection, signed(2, tagLength))).toBe(false);
  });

  it('stands behind a whole header: a shorter message has none, and costs no error', () => {
    const octets = signed(1, tagLength);
    for (let length = 0; length < octets.length; length += 1) {
      expect(verifyAuth(protection, signInPlaceIfItFits(octets.slice(octets.length - length)))).toBe(false);
    }
  });

  function signInPlaceIfItFits(octets: Uint8Array): Uint8Array {
    return octets.length >= tagLength ? signInPlace(protection, octets) : octets;
  }
});
