import { describe, expect, it } from 'vitest';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import { AVP_FLAG, type Avp, type DiameterMessage } from '../../../../src/protocol/diameter/wire/codec.js';
import { APPLICATION, ASR, CER, DEA, DER, RAR, STR } from '../../../../src/protocol/diameter/wire/commands.js';
import {
  AVPS,
  type AvpName,
  Dictionary,
  MOBILITY_AVPS,
  specOf,
} from '../../../../src/protocol/diameter/wire/dictionary.js';
import { Grammarian, isViolation } from '../../../../src/protocol/diameter/wire/grammar.js';

const grammarian = new Grammarian(new Dictionary());

const SESSION = {
  'Session-Id': 'paa.example;1;1',
  'Auth-Application-Id': APPLICATION.EAP,
  'Origin-Host': 'paa.example',
  'Origin-Realm': 'example',
} as const;
const TO = { 'Destination-Realm': 'home.example', 'Destination-Host': 'aaa.home.example' } as const;

const REQUESTS = {
  DER: () =>
    grammarian.message(DER, APPLICATION.EAP, {
      ...SESSION,
      ...TO,
      'Auth-Request-Type': 3,
      'EAP-Payload': new Uint8Array(0),
    }),
  STR: () => grammarian.message(STR, APPLICATION.EAP, { ...SESSION, ...TO, 'Termination-Cause': 1 }),
  ASR: () => grammarian.message(ASR, APPLICATION.EAP, { ...SESSION, ...TO }),
  RAR: () => grammarian.message(RAR, APPLICATION.EAP, { ...SESSION, ...TO, 'Re-Auth-Request-Type': 1 }),
  DEA: () =>
    grammarian.message(DEA, APPLICATION.EAP, {
      ...SESSION,
      'Auth-Request-Type': 3,
      'Result-Code': 2001,
      'Auth-Session-State': 0,
    }),
};
const SPECS = { DER, STR, ASR, RAR, DEA };
type Name = keyof typeof SPECS;

function avp(name: AvpName, data: readonly number[]): Avp {
  return { code: AVPS[name].code, flags: AVP_FLAG.M, vendorId: undefined, data: Uint8Array.from(data) };
}

/** The message with this AVP in place of the AVP of the same name, or appended. */
function having(message: DiameterMessage, given: Avp): DiameterMessage {
  const rest = message.avps.filter(({ code }) => code !== given.code);
  return { ...message, avps: [...rest, given] };
}

function violationIn(name: Name, message: DiameterMessage) {
  const read = grammarian.read(SPECS[name], message);
  return isViolation(read) ? { code: read.resultCode, failed: read.failedAvp?.code } : undefined;
}

describe('a closed enumeration (RFC 6733 7.1.5)', () => {
  it.each<[Name, AvpName, number]>([
    ['DER', 'Auth-Request-Type', 99],
    ['DER', 'Auth-Request-Type', 0],
    ['DER', 'Auth-Session-State', 7],
    ['DEA', 'Auth-Request-Type', 4],
    ['DEA', 'Auth-Session-State', 2],
    ['DEA', 'Session-Server-Failover', 4],
    ['DEA', 'Re-Auth-Request-Type', 2],
    ['RAR', 'Re-Auth-Request-Type', 2],
    // Known, but not in the grammar of DER.
    ['DER', 'Re-Auth-Request-Type', 9],
  ])('is rejected with 5004 and Failed-AVP for %s with %s %i', (command, name, value) => {
    const message = having(REQUESTS[command](), avp(name, [0, 0, 0, value]));
    expect(violationIn(command, message)).toEqual({ code: 5004, failed: AVPS[name].code });
  });

  it('does not limit Termination-Cause and NAS-Port-Type, which IANA extends', () => {
    expect(violationIn('STR', having(REQUESTS.STR(), avp('Termination-Cause', [0, 0, 0, 21])))).toBeUndefined();
    expect(violationIn('DER', having(REQUESTS.DER(), avp('NAS-Port-Type', [0, 0, 200, 1])))).toBeUndefined();
  });
});

describe('an AVP of defined length', () => {
  it.each<[AvpName, number]>([
    ['Event-Timestamp', 3],
    ['Framed-MTU', 5],
    ['NAS-IP-Address', 5],
    ['NAS-IPv6-Address', 4],
    ['Framed-IP-Address', 3],
    ['Framed-IPv6-Prefix', 19],
    ['Accounting-EAP-Auth-Method', 4],
    ['Acct-Interim-Interval', 0],
    ['Idle-Timeout', 8],
  ])('is rejected with 5014 for %s of %i octets, whether or not the grammar names it', (name, octets) => {
    const message = having(REQUESTS.DER(), avp(name, new Array<number>(octets).fill(0x61)));
    expect(violationIn('DER', message)).toEqual({ code: 5014, failed: AVPS[name].code });
  });

  it.each<[AvpName, number]>([
    ['Event-Timestamp', 4],
    ['NAS-IP-Address', 4],
    ['NAS-IPv6-Address', 16],
    ['Framed-IPv6-Prefix', 2],
    ['Framed-IPv6-Prefix', 18],
  ])('is accepted for %s of %i octets', (name, octets) => {
    const message = having(REQUESTS.DER(), avp(name, new Array<number>(octets).fill(0x61)));
    expect(violationIn('DER', message)).toBeUndefined();
  });
});

describe('Auth-Application-Id', () => {
  it.each(Object.keys(SPECS) as Name[])(
    'of %s must be the application of the header; otherwise the result is 5004',
    (name) => {
      const message = REQUESTS[name]();
      expect(violationIn(name, message)).toBeUndefined();
      const other = { code: 5004, failed: AVPS['Auth-Application-Id'].code };
      expect(violationIn(name, having(message, avp('Auth-Application-Id', [0, 0, 0, 1])))).toEqual(other);
      expect(violationIn(name, { ...message, applicationId: 1 })).toEqual(other);
      // RFC 4072 3 sends RAR, ASR and STR in application 0, and nothing else.
      const inBase = { ...message, applicationId: APPLICATION.COMMON };
      expect(violationIn(name, inBase)).toEqual(name === 'DER' || name === 'DEA' ? other : undefined);
    },
  );

  it('of a CER is a list, and the header has the base application', () => {
    const cer = grammarian.message(CER, APPLICATION.COMMON, {
      'Origin-Host': 'paa.example',
      'Origin-Realm': 'example',
      'Host-IP-Address': [new Uint8Array(4)],
      'Vendor-Id': 0,
      'Product-Name': 'x',
      'Auth-Application-Id': [1, 5],
    });
    expect(isViolation(grammarian.read(CER, cer))).toBe(false);
  });
});

describe('readSparing', () => {
  const spare = (message: DiameterMessage) => grammarian.readSparing(DEA, message, MOBILITY_AVPS);
  const good = [grammarian.avp('Mobility-Capability', 5), grammarian.avp('MIP6-Feature-Vector', 1n)];
  const dea = () => ({ ...REQUESTS.DEA(), avps: [...REQUESTS.DEA().avps, ...good] });

  it('keeps valid mobility AVPs', () => {
    expect(spare(dea())).toMatchObject({
      spared: undefined,
      content: { 'Mobility-Capability': 5, 'MIP6-Feature-Vector': 1n },
    });
  });

  it.each<[string, Avp, number]>([
    ['of a wrong length', avp('MIP-Mobile-Node-Address', [0, 2, 1]), 5014],
    ['repeated', grammarian.avp('Mobility-Capability', 6), 5009],
    ['with an unknown member that has M', avp('MIP6-Agent-Info', [0, 0, 0xfd, 0xe8, AVP_FLAG.M, 0, 0, 8]), 5001],
    ['with reserved flags', { ...avp('MIP6-Feature-Vector', [0, 0, 0, 0, 0, 0, 0, 0]), flags: 1 }, 3009],
    ['invalid and not in the grammar', avp('MIP-MSA-Lifetime', [1]), 5014],
  ])('leaves out all mobility AVPs when one is %s', (_what, broken, code) => {
    const read = spare({ ...dea(), avps: [...dea().avps, broken] });
    expect(read).toMatchObject({ spared: { resultCode: code }, content: { 'Result-Code': 2001 } });
    if (isViolation(read)) throw new Error(read.text);
    expect([...MOBILITY_AVPS].filter((name) => name in read.content)).toEqual([]);
  });

  it('returns the violation when another AVP is invalid', () => {
    const message = { ...dea(), avps: [...dea().avps, avp('Session-Timeout', [1])] };
    expect(spare(message)).toMatchObject({ resultCode: 5014 });
  });
});

/**
 * AVPs without M. RFC 6733 4.5, RFC 7155 4 and RFC 4072 4 require M for all others. RFC 5447 4.2.6: mobility AVPs must
 * not have it in an existing application.
 */
const WITHOUT_M: readonly string[] = [
  'Product-Name',
  'Firmware-Revision',
  'Error-Message',
  'Error-Reporting-Host',
  'Chargeable-User-Identity',
  'Service-Selection',
  ...MOBILITY_AVPS,
];

it('Grammarian.avp sets the M flag of every AVP as its RFC requires', () => {
  const wrong = (Object.keys(AVPS) as AvpName[]).filter((name) => {
    const { type } = specOf(name);
    const grouped = 'group' in AVPS[name] && (AVPS[name] as { group: unknown }).group === 'any' ? [] : {};
    const value = type === 'Grouped' ? grouped : VALUES[type];
    const written = grammarian.avp(name, value as never);
    return written.flags !== (WITHOUT_M.includes(name) ? 0 : AVP_FLAG.M);
  });
  expect(wrong).toEqual([]);
});

const VALUES = {
  OctetString: new Uint8Array(1),
  Key: Secret.copyOf(new Uint8Array(64)),
  UTF8String: 'x',
  DiameterIdentity: 'x.example',
  DiameterURI: 'aaa://x.example',
  Integer32: 1,
  Unsigned32: 1,
  Enumerated: 1,
  Float32: 1,
  Time: 0,
  Address: new Uint8Array(4),
  Integer64: 1n,
  Unsigned64: 1n,
  Float64: 1,
} as const;
