import { describe, expect, it } from 'vitest';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import { AVP_FLAG, type Avp, type DiameterMessage, FLAG } from '../../../../src/protocol/diameter/wire/codec.js';
import { APPLICATION, COMMANDS, commandOf } from '../../../../src/protocol/diameter/wire/commands.js';
import { AVPS, type AvpName, specOf } from '../../../../src/protocol/diameter/wire/dictionary.js';
import { isViolation } from '../../../../src/protocol/diameter/wire/grammar.js';
import { RESULT } from '../../../../src/protocol/diameter/wire/result-codes.js';
import { grammarian } from '../messages.js';

const ERROR_AVPS = '[Error-Message] [Error-Reporting-Host] *[Failed-AVP] [Experimental-Result]';

/**
 * The commands as in RFC 6733 5.3 to 5.5 and 8.3 to 8.5, RFC 4072 3 and RFC 5447 6, without the AVPs of `*[AVP]` that
 * this implementation does not use. Not RFC: `*[Failed-AVP]`, the Class of RAA and ASA, and the optional AVPs of CEA;
 * see src/protocol/diameter/wire/commands.ts.
 */
const ABNF = `
CER ::= <257, REQ> {Origin-Host} {Origin-Realm} 1*{Host-IP-Address} {Vendor-Id} {Product-Name} [Origin-State-Id]
  *[Supported-Vendor-Id] *[Auth-Application-Id] *[Inband-Security-Id] *[Acct-Application-Id]
  *[Vendor-Specific-Application-Id] [Firmware-Revision]
CEA ::= <257> {Result-Code} {Origin-Host} {Origin-Realm} *[Host-IP-Address] [Vendor-Id] [Product-Name]
  [Origin-State-Id] [Error-Message] *[Failed-AVP] *[Supported-Vendor-Id] *[Auth-Application-Id]
  *[Inband-Security-Id] *[Acct-Application-Id] *[Vendor-Specific-Application-Id] [Firmware-Revision]
DPR ::= <282, REQ> {Origin-Host} {Origin-Realm} {Disconnect-Cause}
DPA ::= <282> {Result-Code} {Origin-Host} {Origin-Realm} [Error-Message] *[Failed-AVP]
DWR ::= <280, REQ> {Origin-Host} {Origin-Realm} [Origin-State-Id]
DWA ::= <280> {Result-Code} {Origin-Host} {Origin-Realm} [Error-Message] *[Failed-AVP] [Origin-State-Id]
RAR ::= <258, REQ, PXY> {Session-Id} {Origin-Host} {Origin-Realm} {Destination-Realm} {Destination-Host}
  {Auth-Application-Id} {Re-Auth-Request-Type} [User-Name] [Origin-State-Id] *[Proxy-Info] *[Route-Record]
RAA ::= <258, PXY> {Session-Id} {Result-Code} {Origin-Host} {Origin-Realm} [User-Name] [Origin-State-Id] *[Class]
  ${ERROR_AVPS} *[Proxy-Info]
ASR ::= <274, REQ, PXY> {Session-Id} {Origin-Host} {Origin-Realm} {Destination-Realm} {Destination-Host}
  {Auth-Application-Id} [User-Name] [Origin-State-Id] *[Proxy-Info] *[Route-Record]
ASA ::= <274, PXY> {Session-Id} {Result-Code} {Origin-Host} {Origin-Realm} [User-Name] [Origin-State-Id] *[Class]
  ${ERROR_AVPS} *[Proxy-Info]
STR ::= <275, REQ, PXY> {Session-Id} {Origin-Host} {Origin-Realm} {Destination-Realm} {Auth-Application-Id}
  {Termination-Cause} [User-Name] [Destination-Host] *[Class] [Origin-State-Id] *[Proxy-Info] *[Route-Record]
STA ::= <275, PXY> {Session-Id} {Result-Code} {Origin-Host} {Origin-Realm} [User-Name] *[Class] [Origin-State-Id]
  ${ERROR_AVPS} *[Proxy-Info]
DER ::= <268, REQ, PXY> {Session-Id} {Auth-Application-Id} {Origin-Host} {Origin-Realm} {Destination-Realm}
  {Auth-Request-Type} [Destination-Host] [NAS-Identifier] [NAS-IP-Address] [NAS-IPv6-Address] [NAS-Port]
  [NAS-Port-Id] [NAS-Port-Type] [Origin-State-Id] [User-Name] {EAP-Payload} [EAP-Key-Name] [Service-Type] [State]
  [Authorization-Lifetime] [Auth-Grace-Period] [Auth-Session-State] [Called-Station-Id] [Calling-Station-Id]
  [Framed-MTU] [MIP6-Feature-Vector] [Mobility-Capability] *[MIP6-Agent-Info] *[MIP-Mobile-Node-Address]
  *[Proxy-Info] *[Route-Record]
DEA ::= <268, PXY> {Session-Id} {Auth-Application-Id} {Auth-Request-Type} {Result-Code} {Origin-Host} {Origin-Realm}
  [User-Name] [EAP-Payload] [EAP-Reissued-Payload] [EAP-Master-Session-Key] [EAP-Key-Name] [Multi-Round-Time-Out]
  *[Accounting-EAP-Auth-Method] *[Class] [Authorization-Lifetime] [Auth-Grace-Period] [Auth-Session-State]
  [Re-Auth-Request-Type] [Session-Timeout] [Session-Binding] [Session-Server-Failover] [State] *[Reply-Message]
  [Origin-State-Id] [Framed-MTU] [MIP6-Feature-Vector] [Mobility-Capability] *[MIP6-Agent-Info]
  *[MIP-Mobile-Node-Address] ${ERROR_AVPS} *[Proxy-Info]
`;

type Times = '{' | '[' | '*[' | '1*{';
interface Definition {
  readonly name: string;
  readonly code: number;
  readonly flags: readonly string[];
  readonly avps: readonly (readonly [name: AvpName, times: Times])[];
}

const DEFINITIONS: Definition[] = ABNF.trim()
  .split(/\n(?=\w)/)
  .map((text) => {
    const [, name = '', code, flags = ''] = /^(\w+) ::= <(\d+)([^>]*)>/.exec(text) ?? [];
    const avps = [...text.matchAll(/([{[*1]+)([\w-]+)[\]}]/g)].map(
      ([, times, avp]) => [avp as AvpName, times as Times] as const,
    );
    return { name, code: Number(code), flags: flags.match(/\w+/g) ?? [], avps };
  });

const VALUES = {
  OctetString: new Uint8Array(4),
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

/** The required members of the groups. */
const GROUPS: Partial<Record<AvpName, unknown>> = {
  'Failed-AVP': [],
  'Proxy-Info': { 'Proxy-Host': 'x.example', 'Proxy-State': new Uint8Array(1) },
  'Experimental-Result': { 'Vendor-Id': 1, 'Experimental-Result-Code': 2001 },
  'NAS-IPv6-Address': new Uint8Array(16),
  'Auth-Application-Id': APPLICATION.EAP,
};

function exampleOf(name: AvpName): unknown {
  const { type } = specOf(name);
  return GROUPS[name] ?? (type === 'Grouped' ? {} : VALUES[type]);
}

const avpOf = (name: AvpName): Avp => grammarian.avp(name, exampleOf(name) as never);

const messageOf = ({ code, flags }: Definition, names: readonly AvpName[]): DiameterMessage => ({
  flags: (flags.includes('REQ') ? FLAG.R : 0) | (flags.includes('PXY') ? FLAG.P : 0),
  commandCode: code,
  applicationId: APPLICATION.EAP,
  hopByHop: 1,
  endToEnd: 1,
  avps: names.map(avpOf),
});

describe.each(DEFINITIONS)('$name', (definition) => {
  const spec = commandOf(definition.code, definition.flags.includes('REQ'));
  if (!spec) throw new Error('no such command');
  const all = definition.avps.map(([name]) => name);
  const read = (names: readonly AvpName[]) => grammarian.read(spec, messageOf(definition, names));
  /** Result-Code and the code of Failed-AVP; undefined: the message is accepted. */
  const violationOf = (names: readonly AvpName[]) => {
    const content = read(names);
    return isViolation(content) ? [content.resultCode, content.failedAvp?.code] : undefined;
  };
  const repeated = (name: AvpName) => all.flatMap((each) => (each === name ? [each, each] : [each]));

  it('has the flags of its RFC', () => {
    const { flags } = grammarian.message(spec, APPLICATION.EAP, {} as never);
    expect(spec.name).toBe(definition.name);
    expect(flags).toBe(messageOf(definition, []).flags);
  });

  it('is read with all its AVPs', () => {
    expect(Object.keys(read(all)).toSorted()).toEqual(all.toSorted());
  });

  it('is written with all its AVPs', () => {
    const content = definition.avps.map(([name, times]) => [
      name,
      times === '*[' || times === '1*{' ? [exampleOf(name)] : exampleOf(name),
    ]);
    const { avps } = grammarian.message(spec, APPLICATION.EAP, Object.fromEntries(content) as never);
    const codes = (written: readonly Avp[]) => written.map(({ code }) => code).toSorted((a, b) => a - b);
    expect(codes(avps)).toEqual(codes(all.map(avpOf)));
  });

  it('is rejected with 5005 without an AVP that must be present, and with no other', () => {
    for (const [name, times] of definition.avps) {
      const violation = violationOf(all.filter((each) => each !== name));
      const isRequired = times === '{' || times === '1*{';
      expect([name, violation]).toEqual([name, isRequired ? [RESULT.MISSING_AVP, AVPS[name].code] : undefined]);
    }
  });

  it('is rejected with 5009 if an AVP that may occur once is repeated, and with no other', () => {
    for (const [name, times] of definition.avps) {
      const isSingle = times === '{' || times === '[';
      const expected = isSingle ? [RESULT.AVP_OCCURS_TOO_MANY_TIMES, AVPS[name].code] : undefined;
      expect([name, violationOf(repeated(name))]).toEqual([name, expected]);
    }
  });
});

it('DER is rejected with 5008 and each AVP that only an answer may have', () => {
  const definition = DEFINITIONS.find(({ name }) => name === 'DER') as Definition;
  const der = messageOf(
    definition,
    definition.avps.map(([name]) => name),
  );
  const answers: AvpName[] = ['Session-Timeout', 'Class', 'Multi-Round-Time-Out', 'Result-Code'];
  for (const name of [...answers, 'EAP-Master-Session-Key', 'EAP-Reissued-Payload'] as const) {
    const [spec] = COMMANDS.filter((each) => each.name === 'DER');
    if (!spec) throw new Error('no DER');
    const content = grammarian.read(spec, { ...der, avps: [...der.avps, { ...avpOf(name), flags: AVP_FLAG.M }] });
    expect(content).toMatchObject({ resultCode: RESULT.AVP_NOT_ALLOWED, failedAvp: { code: AVPS[name].code } });
  }
});

it('Every command with a grammar is tested here', () => {
  const tested = DEFINITIONS.map(({ name }) => name).toSorted();
  const defined = COMMANDS.flatMap((spec) => ('one' in spec ? [spec.name] : [])).toSorted();
  expect(tested).toEqual(defined);
});
