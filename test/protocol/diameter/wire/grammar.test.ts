import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../../../src/protocol/bytes/octets.js';
import {
  AVP_FLAG,
  type Avp,
  type DiameterMessage,
  decodeDiameter,
  encodeDiameter,
  encodeGroup,
  FLAG,
} from '../../../../src/protocol/diameter/wire/codec.js';
import {
  APPLICATION,
  CEA,
  CER,
  COMMANDS,
  type CommandSpec,
  commandOf,
  DEA,
  DER,
  DPR,
  DWR,
  ERROR_ANSWER,
  STR,
} from '../../../../src/protocol/diameter/wire/commands.js';
import { AVPS, type AvpName, Dictionary, specOf } from '../../../../src/protocol/diameter/wire/dictionary.js';
import {
  Grammarian,
  isViolation,
  type Message,
  type Violation,
} from '../../../../src/protocol/diameter/wire/grammar.js';
import { RESULT } from '../../../../src/protocol/diameter/wire/result-codes.js';
import { runs } from '../../../seed.js';
import { isRequest, unknownAvp, VECTORS, vector } from './vectors.js';

const OWN_VENDOR = 32_473;
const grammarian = new Grammarian(new Dictionary());

const der: Message<typeof DER> = {
  'Session-Id': 'paa.visited.example;1;2',
  'Auth-Application-Id': APPLICATION.EAP,
  'Origin-Host': 'paa.visited.example',
  'Origin-Realm': 'visited.example',
  'Destination-Realm': 'home.example',
  'Auth-Request-Type': 3,
  'EAP-Payload': Uint8Array.of(2, 1, 0, 5, 1),
  'MIP6-Feature-Vector': 3n,
  'Mobility-Capability': 0x3f,
  'MIP6-Agent-Info': [
    {
      'MIP-Home-Agent-Host': { 'Destination-Realm': 'visited.example', 'Destination-Host': 'ha.visited.example' },
      'MIP-Home-Agent-Address': [new Uint8Array(16).fill(1), Uint8Array.of(192, 0, 2, 1)],
    },
  ],
  'MIP-Mobile-Node-Address': [new Uint8Array(16).fill(2)],
};

function message(content = der): DiameterMessage {
  return grammarian.message(DER, APPLICATION.EAP, content);
}

/** The message with these AVPs appended. */
function plus(...avps: Avp[]): DiameterMessage {
  const base = message();
  return { ...base, avps: [...base.avps, ...avps] };
}

function without(name: AvpName): DiameterMessage {
  const base = message();
  return { ...base, avps: base.avps.filter((avp) => avp.code !== AVPS[name].code) };
}

function violation(result: object): Violation {
  if (!isViolation(result)) throw new Error('no violation');
  return result;
}

describe('recorded messages', () => {
  it.each(VECTORS.map((each, i) => [`${i} ${each.message}`, each] as const))(
    'match their grammar, and have the same content when written again: %s',
    (_, { hex }) => {
      const recorded = decodeDiameter(Buffer.from(hex, 'hex'));
      const spec = commandOf(recorded.commandCode, isRequest(recorded));
      expect(spec).toBeDefined();
      const content = grammarian.read(recorded.flags & FLAG.E ? ERROR_ANSWER : (spec ?? ERROR_ANSWER), recorded);
      expect(content).not.toHaveProperty('resultCode');
      // The content is written in the order and with the flags of this project.
      const again = grammarian.read(spec ?? ERROR_ANSWER, {
        ...recorded,
        avps: grammarian.write(spec ?? DER, content as never),
      });
      expect(again).toEqual(content);
    },
  );

  it('have the values that freeDiameter put into its CER', () => {
    const cer = grammarian.read(CER, decodeDiameter(vector('CER')));
    expect(cer).toMatchObject({
      'Origin-Host': 'gw.visited.fdtest',
      'Host-IP-Address': [Uint8Array.of(0x0a, 0x63, 0, 3)],
      'Product-Name': 'freeDiameter',
      'Auth-Application-Id': [1, 5, 0xffff_ffff],
    });
  });
});

describe('a message', () => {
  it('is read as it was written', () => {
    const octets = encodeDiameter(message());
    expect(grammarian.read(DER, decodeDiameter(octets))).toEqual(der);
  });

  it('begins with Session-Id, and has the M flags that the dictionary requires', () => {
    const { avps, flags } = message();
    expect(flags).toBe(FLAG.R | FLAG.P);
    expect(avps[0]?.code).toBe(263);
    expect(avps.find(({ code }) => code === 462)?.flags).toBe(AVP_FLAG.M);
    // RFC 6733 2.3: no new mandatory AVPs in an existing application.
    for (const code of [124, 333, 486, 1001]) expect(avps.find((avp) => avp.code === code)?.flags).toBe(0);
  });

  it('has the AVP of this project under the configured vendor only', () => {
    const other = new Grammarian(new Dictionary(9));
    const avp = message().avps.find(({ code }) => code === 1001);
    expect(avp?.vendorId).toBe(OWN_VENDOR);
    expect(other.avp('Mobility-Capability', 1).vendorId).toBe(9);
    expect(other.read(DER, message())).not.toHaveProperty('Mobility-Capability');
    expect(grammarian.dictionary.nameOf(1001, undefined)).toBeUndefined();
    expect(grammarian.dictionary.nameOf(264, OWN_VENDOR)).toBeUndefined();
    expect(grammarian.dictionary.nameOf(264, 0)).toBe('Origin-Host');
  });

  it('is accepted with M set on MIPv6 AVPs', () => {
    const base = message();
    const avps = base.avps.map((avp) => ({ ...avp, flags: AVP_FLAG.M }));
    expect(grammarian.read(DER, { ...base, avps })).toEqual(der);
  });

  it('may contain AVPs without M that are unknown or not in its grammar', () => {
    const origin = grammarian.avp('Product-Name', 'any');
    expect(grammarian.read(DER, plus(unknownAvp(false), unknownAvp(false, 9), origin))).toEqual(der);
  });

  it('has single values that find returns, even if other AVPs are missing or invalid', () => {
    const { avps } = without('EAP-Payload');
    expect(grammarian.find(avps, 'Origin-Host')).toBe('paa.visited.example');
    expect(grammarian.find(avps, 'User-Name')).toBeUndefined();
    const broken = { ...grammarian.avp('User-Name', 'x'), data: Uint8Array.of(0xff) };
    expect(grammarian.find([broken], 'User-Name')).toBeUndefined();
  });
});

describe('a violation', () => {
  const unreadable = (name: AvpName, data: Uint8Array): Avp => ({
    code: AVPS[name].code,
    flags: AVP_FLAG.M,
    vendorId: undefined,
    data,
  });

  it.each<[string, DiameterMessage, number, Avp | undefined]>([
    ['an unknown mandatory AVP', plus(unknownAvp(true)), RESULT.AVP_UNSUPPORTED, unknownAvp(true)],
    [
      'an unknown mandatory AVP of another vendor',
      plus(unknownAvp(true, 9)),
      RESULT.AVP_UNSUPPORTED,
      unknownAvp(true, 9),
    ],
    [
      'an AVP that the command must not have',
      plus(grammarian.avp('Session-Timeout', 1)),
      RESULT.AVP_NOT_ALLOWED,
      grammarian.avp('Session-Timeout', 1),
    ],
    [
      'an AVP that occurs too often',
      plus(grammarian.avp('Origin-Host', 'b.example')),
      RESULT.AVP_OCCURS_TOO_MANY_TIMES,
      grammarian.avp('Origin-Host', 'b.example'),
    ],
    [
      'a number of three octets',
      plus(unreadable('Framed-MTU', new Uint8Array(3))),
      RESULT.INVALID_AVP_LENGTH,
      unreadable('Framed-MTU', new Uint8Array(3)),
    ],
    [
      'text that is not UTF-8',
      plus(unreadable('User-Name', Uint8Array.of(0xff))),
      RESULT.INVALID_AVP_VALUE,
      unreadable('User-Name', Uint8Array.of(0xff)),
    ],
    [
      'reserved AVP flags',
      plus({ ...grammarian.avp('User-Name', 'x'), flags: 0x41 }),
      RESULT.INVALID_AVP_BITS,
      { ...grammarian.avp('User-Name', 'x'), flags: 0x41 },
    ],
    // RFC 6733 7.1.5: an example of the missing AVP, filled with zeros.
    ['a missing EAP-Payload', without('EAP-Payload'), RESULT.MISSING_AVP, unreadable('EAP-Payload', new Uint8Array(0))],
    [
      'a missing Auth-Request-Type',
      without('Auth-Request-Type'),
      RESULT.MISSING_AVP,
      unreadable('Auth-Request-Type', new Uint8Array(4)),
    ],
  ])('is reported for %s', (_, broken, resultCode, failedAvp) => {
    expect(violation(grammarian.read(DER, broken))).toMatchObject({ resultCode, failedAvp });
  });

  it('inside groups is reported with the enclosing groups (RFC 6733 7.5)', () => {
    const host = unreadable('Destination-Host', Uint8Array.of(0x20));
    const inner = {
      ...unreadable('MIP-Home-Agent-Host', encodeGroup([grammarian.avp('Destination-Realm', 'r.ex'), host])),
    };
    const info = { ...unreadable('MIP6-Agent-Info', encodeGroup([inner])) };
    const found = violation(grammarian.read(DER, plus(info)));
    expect(found.resultCode).toBe(RESULT.INVALID_AVP_VALUE);
    const expected = { ...info, data: encodeGroup([{ ...inner, data: encodeGroup([host]) }]) };
    expect(toHex(found.failedAvp?.data ?? new Uint8Array(0))).toBe(toHex(expected.data));
  });

  it('is reported for a truncated group', () => {
    const info = unreadable('MIP6-Agent-Info', Uint8Array.of(0, 0, 1));
    expect(violation(grammarian.read(DER, plus(info)))).toMatchObject({
      resultCode: RESULT.INVALID_AVP_LENGTH,
      failedAvp: info,
    });
  });

  it('is not reported for the content of Failed-AVP', () => {
    const failed = grammarian.avp('Failed-AVP', [unknownAvp(true)]);
    const answer = { 'Result-Code': 5001, 'Origin-Host': 'a.example', 'Origin-Realm': 'example' };
    const base = grammarian.message(ERROR_ANSWER, APPLICATION.EAP, answer);
    expect(grammarian.read(ERROR_ANSWER, { ...base, avps: [...base.avps, failed, failed] })).toEqual({
      ...answer,
      'Failed-AVP': [[unknownAvp(true)], [unknownAvp(true)]],
    });
  });

  it('has a Result-Code above 3000 for random AVPs that are invalid', () => {
    const outcomes = new Set<boolean>();
    const codes = Object.values(AVPS).map(({ code }) => code);
    const avp = fc.record({
      code: fc.oneof(fc.constantFrom(...codes), fc.nat(0xffff_ffff)),
      flags: fc.constantFrom(0, AVP_FLAG.M, 0x7f),
      vendorId: fc.constantFrom(undefined, 0, 9, OWN_VENDOR),
      data: fc.uint8Array({ maxLength: 30, size: 'max' }),
    });
    const specs = fc.constantFrom<CommandSpec>(...COMMANDS, ERROR_ANSWER);
    const any = fc.property(specs, fc.array(avp, { maxLength: 6 }), fc.boolean(), (spec, avps, behind) => {
      const content = grammarian.read(spec, { ...message(), avps: behind ? [...message().avps, ...avps] : avps });
      outcomes.add(isViolation(content));
      if (isViolation(content)) expect(content.resultCode).toBeGreaterThan(3000);
    });
    fc.assert(any, { numRuns: runs(20_000) });
    expect(outcomes).toEqual(new Set([true, false]));
  });
});

describe('the dictionary', () => {
  it('has each AVP once', () => {
    const keys = Object.values(AVPS).map((spec) => `${'vendorId' in spec ? spec.vendorId : 0}|${spec.code}`);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('has every AVP of the grammars, and each grammar names an AVP once', () => {
    const groups = Object.values(AVPS).flatMap((spec) => ('group' in spec && spec.group !== 'any' ? [spec.group] : []));
    for (const grammar of [...COMMANDS, ERROR_ANSWER, ...groups]) {
      const { one = [], maybe = [], many = [], some = [], never = [] } = grammar as CommandSpec;
      const names = [...one, ...maybe, ...many, ...some, ...never];
      for (const name of names) expect(AVPS).toHaveProperty([name]);
      expect(new Set(names).size).toBe(names.length);
    }
  });

  it('nests groups three deep at most', () => {
    const depth = (name: AvpName): number => {
      const spec = specOf(name);
      if (spec.type !== 'Grouped' || spec.group === 'any') return 0;
      const { one = [], maybe = [], many = [] } = spec.group;
      return 1 + Math.max(0, ...[...one, ...maybe, ...many].map((member) => depth(member as AvpName)));
    };
    expect(Math.max(...(Object.keys(AVPS) as AvpName[]).map(depth))).toBeLessThanOrEqual(3);
  });
});

describe('commandOf', () => {
  it('finds a command by its code and direction', () => {
    expect(commandOf(268, true)).toBe(DER);
    expect(commandOf(268, false)).toBe(DEA);
    expect(commandOf(280, true)).toBe(DWR);
    expect(commandOf(282, true)).toBe(DPR);
    expect(commandOf(275, true)).toBe(STR);
    expect(commandOf(257, false)).toBe(CEA);
    expect(commandOf(999, true)).toBeUndefined();
  });
});

describe('Grammarian.example', () => {
  it('returns the shortest value of a known AVP, and no octets for an unknown one', () => {
    expect(new Grammarian(new Dictionary()).example(AVPS['Result-Code'].code, undefined).data).toHaveLength(4);
    for (const [name, length] of [
      ['Class', 0],
      ['Redirect-Host', 0],
      ['Origin-Host', 0],
      ['User-Name', 0],
      ['Failed-AVP', 0],
      ['Host-IP-Address', 6],
    ] as const) {
      expect(new Grammarian(new Dictionary()).example(AVPS[name].code, undefined).data).toHaveLength(length);
    }
    expect(new Grammarian(new Dictionary()).example(99_999, 7)).toEqual({
      code: 99_999,
      flags: 0,
      vendorId: 7,
      data: new Uint8Array(0),
    });
  });
});
