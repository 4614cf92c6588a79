import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import { prfPlus } from '../../../../src/protocol/keys/prf-plus.js';
import { CAPABILITY } from '../../../../src/protocol/mip6/assignment.js';
import { EPOCH, StatelessStart, VARIANT } from '../../../../src/protocol/pana/agent/stateless-start.js';
import { Offers } from '../../../../src/protocol/pana/session/pac-offers.js';
import {
  nextRetransmission,
  type RetransmissionParameters,
  startRetransmission,
} from '../../../../src/protocol/pana/session/retransmission.js';
import { receive } from '../../../../src/protocol/pana/session/session.js';
import type { PacEndpoint } from '../../../../src/protocol/pana/session/start.js';
import { algorithmsOf } from '../../../../src/protocol/pana/wire/algorithms.js';
import { encodePana, FLAG, MESSAGE_TYPE } from '../../../../src/protocol/pana/wire/codec.js';
import { makeAvp, type PanaValues, readPana } from '../../../../src/protocol/pana/wire/dictionary.js';
import { verifyAuth } from '../../../../src/protocol/pana/wire/keys.js';
import { mobilityAvps, readAssignment } from '../../../../src/protocol/pana/wire/mobility.js';
import { HOME } from './ladder.js';

const PEER: PacEndpoint = { address: '2001:db8::5', port: 4000, local: 'a' };

function valuesOf(avps: ReturnType<typeof mobilityAvps>): PanaValues {
  const values = readPana({ type: MESSAGE_TYPE.AUTH, flags: FLAG.R | FLAG.C, sessionId: 1, sequence: 1, avps });
  if (typeof values === 'string') throw new Error(values);
  return values;
}

describe('the assignment in PAR[C]', () => {
  const { assignment } = HOME;

  it('is read as it was written: complete, with the home agent only, and in IPv4', () => {
    if (!assignment) throw new Error('HOME has an assignment');
    const alone = { ...assignment, homeAddress: undefined, prefix: undefined, host: undefined, ikeIdentity: undefined };
    const four = {
      ...assignment,
      homeAgent: Uint8Array.of(192, 0, 2, 1),
      homeAddress: Uint8Array.of(192, 0, 2, 7),
      prefix: undefined,
    };
    for (const each of [assignment, { ...alone, lifetime: undefined }, four]) {
      expect(readAssignment(valuesOf(mobilityAvps(each, 32473)))).toEqual(each);
    }
  });

  it('reads capability 0 without Mobility-Capability', () => {
    const agent = makeAvp('MIP6-Home-Agent-Address', Uint8Array.of(0, 2, ...new Uint8Array(16).fill(0x20)));
    expect(readAssignment(valuesOf([agent]))).toMatchObject({ capability: 0 });
  });

  it('is undefined without a home agent', () => {
    expect(readAssignment(valuesOf([makeAvp('MIP6-Lifetime', 5)]))).toBeUndefined();
  });

  it('is reported with a reason when an address or prefix is malformed', () => {
    const right = Uint8Array.of(0, 2, ...new Uint8Array(16).fill(0x20));
    const wrong = [
      new Uint8Array(0),
      Uint8Array.of(0),
      Uint8Array.of(0, 1, 1, 2, 3),
      right.subarray(0, 17),
      Uint8Array.of(0, 3, 1),
    ];
    for (const value of wrong) {
      const agent = makeAvp('MIP6-Home-Agent-Address', right);
      expect(readAssignment(valuesOf([makeAvp('MIP6-Home-Agent-Address', value)]))).toBeTypeOf('string');
      expect(readAssignment(valuesOf([agent, makeAvp('MIP6-Home-Address', value)]))).toBeTypeOf('string');
    }
    const agent = makeAvp('MIP6-Home-Agent-Address', right);
    for (const value of [new Uint8Array(0), new Uint8Array(16), new Uint8Array(18), new Uint8Array(17).fill(129)]) {
      expect(readAssignment(valuesOf([agent, makeAvp('MIP6-Home-Link-Prefix', value)]))).toBeTypeOf('string');
    }
  });
});

describe('a PaC that does without Mobile IPv6 rather than without a seal', () => {
  const { MIP6, HOME_HA, PSK_FROM_EMSK, SEALED, ECHO } = CAPABILITY;
  const offers = (mode: 'wanted' | 'required', sealed: boolean) =>
    new Offers({ mode, wish: MIP6 | HOME_HA | PSK_FROM_EMSK | SEALED, sealed });
  const without = MIP6 | HOME_HA | PSK_FROM_EMSK | ECHO;
  const context = { before: 0, asks: true };

  it('asks nothing of a PAA that does not offer one, or does not use the PAA', () => {
    expect(offers('wanted', true).judge(without, context)).toBe('take');
    expect(offers('wanted', true).answerTo(without)).toBe(ECHO);
    expect(offers('required', true).judge(without, context)).toBe('drop');
    expect(offers('required', true).judge(without | SEALED, context)).toBe('take');
    expect(offers('required', true).answerTo(without | SEALED)).toBe(without | SEALED);
  });

  it('differs from one that only wants it', () => {
    expect(offers('required', false).judge(without, context)).toBe('take');
    expect(offers('wanted', false).answerTo(without)).toBe(without);
  });
});

describe('retransmission (RFC 5191 9)', () => {
  const parameters = fc.record({
    irt: fc.integer({ min: 1, max: 5_000 }),
    mrt: fc.oneof(fc.constant(0), fc.integer({ min: 5_000, max: 120_000 })),
    mrc: fc.integer({ min: 0, max: 12 }),
    mrd: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 100_000 })),
  });

  it('respects IRT, MRT, MRC and MRD for random parameters', () => {
    fc.assert(
      fc.property(
        parameters,
        fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 20 }),
        (given, units) => {
          const { irt, mrt, mrc, mrd }: RetransmissionParameters = given;
          let timer = startRetransmission(given, 0, units[0] ?? 0);
          expect(timer.rt / irt).toBeGreaterThanOrEqual(0.9 - 1e-9);
          expect(timer.rt / irt).toBeLessThanOrEqual(1.1 + 1e-9);
          let sent = 1;
          for (const unit of units.slice(1, 20)) {
            if (mrd !== 0) expect(timer.at).toBeLessThanOrEqual(mrd);
            const { at, rt } = timer;
            const next = nextRetransmission(timer, at, unit);
            if (!next) break;
            sent += 1;
            expect(next.sent).toBe(sent);
            // RFC 5191 9: RT = 2 * RTprev + RAND * RTprev, at most MRT + RAND * MRT; RAND is at most 0.1.
            const mayCap = mrt !== 0 && 2.1 * rt > mrt;
            const [low, high] = mayCap ? [Math.min(1.9 * rt, 0.9 * mrt), 1.1 * mrt] : [1.9 * rt, 2.1 * rt];
            expect(next.rt).toBeGreaterThanOrEqual(low - 1e-9);
            expect(next.rt).toBeLessThanOrEqual(high + 1e-9);
            timer = next;
          }
          if (mrc !== 0) expect(sent).toBeLessThanOrEqual(mrc);
        },
      ),
    );
  });
});

describe('StatelessStart', () => {
  const starts = new StatelessStart(new Uint8Array(32).fill(1), [[], [makeAvp('PRF-Algorithm', 5)]]);

  it('accepts its session identifier and sequence number only from their address, in their epoch and the next', () => {
    const start = starts.offer(PEER, 0, VARIANT.PLAIN, 3);
    const { sessionId, sequence } = start;
    expect(starts.prove(PEER, sessionId, sequence, EPOCH)).toEqual(start);
    expect(starts.prove(PEER, sessionId, sequence, 2 * EPOCH)).toBeUndefined();
    expect(starts.prove({ ...PEER, port: 1 }, sessionId, sequence, 0)).toBeUndefined();
    expect(starts.prove(PEER, sessionId ^ 1, sequence, 0)).toBeUndefined();
    for (let bit = 0; bit < 32; bit += 1) {
      expect(starts.prove(PEER, sessionId, (sequence ^ (1 << bit)) >>> 0, 0)).toBeUndefined();
    }
  });

  it('allows at most eight offers', () => {
    expect(() => new StatelessStart(new Uint8Array(32), Array(9).fill([]))).toThrow(RangeError);
  });
});

describe('malformed input', () => {
  it('is dropped by receive with the code of the decoder', () => {
    expect(receive(Uint8Array.of(1, 2), 32473)).toEqual({ type: 'dropped', code: 'truncated' });
    const pci = encodePana({ type: MESSAGE_TYPE.PCI, flags: 0, sessionId: 0, sequence: 0, avps: [] });
    expect(receive(pci, 32473)).toMatchObject({ octets: pci });
    expect(() => receive(undefined as never, 32473)).toThrow(TypeError);
  });

  it('is rejected by verifyAuth, prfPlus and algorithmsOf', () => {
    const pair = algorithmsOf(5, 12);
    if (!pair) throw new Error('not implemented');
    expect(verifyAuth({ integrity: pair.integrity, key: Secret.take(new Uint8Array(32)) }, new Uint8Array(39))).toBe(
      false,
    );
    expect(() => prfPlus(pair.prf.hash, Secret.take(new Uint8Array(1)), new Uint8Array(1), 32 * 255 + 1)).toThrow(
      RangeError,
    );
    expect(algorithmsOf(undefined, undefined)).toBeUndefined();
  });

  it('makes readPana report avp-value for a host name that is not UTF-8', () => {
    const avps = [{ ...makeAvp('MIP6-Home-Agent-Host', ''), value: Uint8Array.of(0xff, 0xfe) }];
    expect(readPana({ type: MESSAGE_TYPE.AUTH, flags: FLAG.R | FLAG.C, sessionId: 1, sequence: 1, avps })).toBe(
      'avp-value',
    );
  });
});
