import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../../src/protocol/bytes/address.js';
import { agentInfo, answerMobility, type DiameterMobility } from '../../../src/protocol/diameter/mip6/mobility.js';
import {
  assignmentProblem,
  hostAddressProblem,
  isInPrefix,
  prefixProblem,
} from '../../../src/protocol/mip6/address-checks.js';
import type { MobilityAssignment } from '../../../src/protocol/mip6/assignment.js';

function octets(text: string): Uint8Array {
  const address = parseAddress(text);
  if (!address) throw new Error(text);
  return address;
}

const GOOD = {
  homeAgent: octets('2001:db8:1::1'),
  homeAddress: octets('2001:db8:1::77'),
  prefix: { length: 64, octets: octets('2001:db8:1::') },
  host: 'ha.home.example',
  ikeIdentity: 'mn@home.example',
} satisfies Partial<MobilityAssignment>;

const UNFIT = [
  '::',
  '::1',
  'ff02::1',
  'ff0e::5',
  'fe80::1',
  'febf::1',
  '::ffff:192.0.2.1',
  '::192.0.2.1',
  '0.0.0.0',
  '127.0.0.1',
  '224.0.0.1',
  '255.255.255.255',
  '169.254.1.1',
];

describe('hostAddressProblem', () => {
  it.each([
    '2001:db8::1',
    'fd00::1',
    'fec0::1',
    '192.0.2.1',
    '10.0.0.1',
    // Addresses next to ranges that no host can use.
    '1.0.0.1',
    '126.0.0.1',
    '128.0.0.1',
    '223.255.255.254',
    '169.253.1.1',
    '169.255.1.1',
    '10.254.1.1',
  ])('accepts %s', (text) => {
    expect(hostAddressProblem(octets(text))).toBeUndefined();
  });

  it.each(UNFIT)('rejects %s', (text) => {
    expect(hostAddressProblem(octets(text))).toBeTypeOf('string');
  });

  it('rejects ::/96 and ::ffff:0:0/96, and accepts neighbouring addresses', () => {
    expect(hostAddressProblem(octets('::ffff:192.0.2.1'))).toBe('it is an IPv4-mapped address');
    expect(hostAddressProblem(octets('::192.0.2.1'))).toBe('it is unspecified, loopback or IPv4-compatible');
    for (const near of ['::1ff:c000:201', '::ff01:c000:201', '::1:c000:201', '::100:c000:201', '::1:ffff:c000:201']) {
      expect(hostAddressProblem(octets(near))).toBeUndefined();
    }
  });

  it('accepts only 4 or 16 octets', () => {
    for (let length = 0; length < 40; length += 1) {
      const problem = hostAddressProblem(new Uint8Array(length).fill(0x20));
      expect(problem === undefined).toBe(length === 4 || length === 16);
    }
  });
});

describe('a home link prefix', () => {
  it('must have 64 to 128 bits and must not be link-local', () => {
    const lengths = Array.from({ length: 256 }, (_, length) => length);
    const good = lengths.filter((length) => prefixProblem({ ...GOOD.prefix, length }) === undefined);
    expect([good[0], good.at(-1), good.length]).toEqual([64, 128, 65]);
    expect(prefixProblem({ length: 64, octets: octets('fe80::') })).toBeTypeOf('string');
  });

  it('contains an address only if all bits of the prefix match', () => {
    const link = (text: string, length: number) => ({ length, octets: octets(text) });
    expect(isInPrefix(octets('2001:db8::1'), link('2001:db8::', 127))).toBe(true);
    expect(isInPrefix(octets('2001:db8::2'), link('2001:db8::', 127))).toBe(false);
    expect(isInPrefix(octets('2001:db8:0:1::1'), link('2001:db8::', 64))).toBe(false);
    expect(isInPrefix(octets('2001:db8::8000:0:0:1'), link('2001:db8::', 65))).toBe(false);
    expect(isInPrefix(octets('192.0.2.1'), link('2001:db8::', 64))).toBe(false);
  });
});

describe('assignmentProblem', () => {
  it('accepts a valid assignment', () => {
    expect(assignmentProblem(GOOD)).toBeUndefined();
    expect(assignmentProblem({ ...GOOD, homeAddress: undefined, prefix: undefined })).toBeUndefined();
  });

  it.each<[string, object]>([
    ...UNFIT.map((text): [string, object] => [`the home agent ${text}`, { homeAgent: octets(text) }]),
    ...UNFIT.map((text): [string, object] => [
      `the home address ${text}`,
      { homeAddress: octets(text), prefix: undefined },
    ]),
    ['the home agent address as home address', { homeAddress: GOOD.homeAgent }],
    ['a home address outside the prefix', { homeAddress: octets('2001:db8:2::77') }],
    ['a home address of 15 octets', { homeAddress: new Uint8Array(15).fill(0x20) }],
    ['an empty home agent address', { homeAgent: new Uint8Array(0) }],
    ['a prefix of 63 bits', { prefix: { ...GOOD.prefix, length: 63 } }],
    ['a host name of 66,000 characters', { host: 'h'.repeat(66_000) }],
    ['a host name that is unsafe for hooks', { host: 'a;reboot' }],
    ['an IKE identity of 70,000 characters', { ikeIdentity: 'a'.repeat(70_000) }],
  ])('rejects an assignment with %s', (_what, more) => {
    expect(assignmentProblem({ ...GOOD, ...more })).toBeTypeOf('string');
  });
});

describe('answerMobility with invalid mobility AVPs', () => {
  const context = { wish: 0x1d, local: undefined, ikeIdentity: 'mn@home.example', lifetime: 60 };
  const good = { ...agentInfo({ ...GOOD, host: { realm: 'home.example', host: GOOD.host } }) };
  const answer: DiameterMobility = {
    'MIP6-Feature-Vector': 1n,
    'MIP6-Agent-Info': [good],
    'MIP-Mobile-Node-Address': [GOOD.homeAddress],
  };

  it.each<[string, DiameterMobility]>([
    ['a home address of 7 octets', { 'MIP-Mobile-Node-Address': [new Uint8Array(7).fill(9)] }],
    ['a multicast home address', { 'MIP-Mobile-Node-Address': [octets('ff02::1:2')] }],
    ['a prefix of 16 octets', { 'MIP6-Agent-Info': [{ ...good, 'MIP6-Home-Link-Prefix': new Uint8Array(16) }] }],
    [
      'a prefix of 200 bits',
      { 'MIP6-Agent-Info': [{ ...good, 'MIP6-Home-Link-Prefix': new Uint8Array(17).fill(200) }] },
    ],
    ['the home agent ::1', { 'MIP6-Agent-Info': [{ ...good, 'MIP-Home-Agent-Address': [octets('::1')] }] }],
    [
      'a host name of 66,000 characters',
      {
        'MIP6-Agent-Info': [
          { ...good, 'MIP-Home-Agent-Host': { 'Destination-Realm': 'x', 'Destination-Host': 'h'.repeat(66_000) } },
        ],
      },
    ],
  ])('returns a problem and no assignment for %s', (_what, broken) => {
    expect(answerMobility(answer, context)?.problem).toBeUndefined();
    const result = answerMobility({ ...answer, ...broken }, context);
    expect(result?.problem).toBeTypeOf('string');
    expect(result?.assignment).toBeUndefined();
  });
});
