import { describe, expect, it } from 'vitest';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import { INTEGRITY, INTEGRITY_ALGORITHMS } from '../../../../src/protocol/pana/wire/algorithms.js';
import { encodePana, FLAG, MESSAGE_TYPE } from '../../../../src/protocol/pana/wire/codec.js';
import { makeAvp } from '../../../../src/protocol/pana/wire/dictionary.js';
import { type Protection, signInPlace, verifyAuth } from '../../../../src/protocol/pana/wire/keys.js';
import { EAP, ForeignPaa, ForeignPac, PAN, PAR, PNA, PNR, PTA, PTR } from '../wire/foreign.js';

describe('flags of a received answer (RFC 5191 5.5, 6.2)', () => {
  it('must match at the PaC: PNA[A] does not answer PNR[P], nor PNA[P] PNR[A]', () => {
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

  it('must match at the PAA: PNA[A] does not answer PNR[P]', () => {
    const pac = new ForeignPac().open();
    pac.now = 10_000;
    pac.session({ type: 'ping' }).take();
    pac.answer(PNA, FLAG.A);
    expect([pac.take(), pac.state]).toEqual([['dropped out-of-sequence'], 'WAIT_PNA_PING']);
    pac.answer(PNA, FLAG.P);
    expect(pac.state).toBe('OPEN');
  });

  it('must match at the PAA: PAN does not answer PAR[C], nor PAN[C] PAR', () => {
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

describe('PAN while the PAA terminates the session', () => {
  it('answers the PAR of the interrupted re-authentication, and PTR follows', () => {
    const pac = new ForeignPac().open();
    pac.session({ type: 'reauthenticate' }).eapRequest().session({ type: 'terminate', cause: 4 });
    expect([pac.last.name, pac.state]).toEqual(['PAR', 'SESS_TERM']);
    pac.respond(true);
    expect([pac.last.name, pac.state]).toEqual(['PTR', 'SESS_TERM']);
    pac.take();
    pac.answer(PTA, 0);
    expect(pac.take()).toEqual(['closed administrative']);
  });
});

describe('PAN[C] of a re-authentication', () => {
  it('must repeat the Key-Id of PAR[C], which is one higher than before (RFC 5191 4.1, 5.3)', () => {
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

describe('flags of a sent message', () => {
  it('are exactly those of its name, with R on requests only', () => {
    const paa = new ForeignPaa().open();
    paa.feed({ type: 'ping' }).answer(PNA, FLAG.P);
    paa.request(PNR, FLAG.P);
    paa.feed({ type: 'reauthenticate' }).answer(PNA, FLAG.A);
    paa.feed({ type: 'terminate' });
    const pac = new ForeignPac().open();
    pac.session({ type: 'ping' }).answer(PNA, FLAG.P);
    pac.request(PNR, FLAG.P);
    pac.request(PNR, FLAG.A);
    pac.request(PTR, 0, [makeAvp('Termination-Cause', 1)]);
    const expected = new Map<string, number>([
      ['PCI', 0],
      ['PAR[S]', FLAG.R | FLAG.S],
      ['PAN[S]', FLAG.S],
      ['PAR', FLAG.R],
      ['PAN', 0],
      ['PAR[C]', FLAG.R | FLAG.C],
      ['PAN[C]', FLAG.C],
      ['PNR[P]', FLAG.R | FLAG.P],
      ['PNA[P]', FLAG.P],
      ['PNR[A]', FLAG.R | FLAG.A],
      ['PNA[A]', FLAG.A],
      ['PTR', FLAG.R],
      ['PTA', 0],
    ]);
    const all = [...paa.sent, ...pac.sent].map(({ name, message }) => [name, message.flags] as const);
    for (const [name, flags] of all) expect([name, flags]).toEqual([name, expected.get(name)]);
    expect(new Set(all.map(([name]) => name))).toEqual(new Set(expected.keys()));
  });

  it('include I in PAR and PAR[C] of the first authentication only, if configured (RFC 5191 6.2)', () => {
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

describe('verifyAuth', () => {
  const integrity = INTEGRITY_ALGORITHMS.get(INTEGRITY.HMAC_SHA2_256_128);
  if (!integrity) throw new Error('SHA-256 is implemented');
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

  it('accepts AUTH only with its own AVP code and length', () => {
    expect(verifyAuth(protection, signed(1, tagLength))).toBe(true);
    for (const length of [0, tagLength - 1, tagLength + 1, tagLength + 4]) {
      expect(verifyAuth(protection, signed(1, length))).toBe(false);
    }
    expect(verifyAuth(protection, signed(2, tagLength))).toBe(false);
  });

  it('rejects a truncated message without throwing', () => {
    const octets = signed(1, tagLength);
    for (let length = 0; length < octets.length; length += 1) {
      expect(verifyAuth(protection, signInPlaceIfItFits(octets.slice(octets.length - length)))).toBe(false);
    }
  });

  function signInPlaceIfItFits(octets: Uint8Array): Uint8Array {
    return octets.length >= tagLength ? signInPlace(protection, octets) : octets;
  }
});
