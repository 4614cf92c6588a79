import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../../../src/protocol/bytes/address.js';
import { CAPABILITY, decodePrefix, encodePrefix, wishOf } from '../../../src/protocol/mip6/assignment.js';
import {
  type AnswerContext,
  agentInfo,
  answerMobility,
  type DiameterMobility,
  FEATURE,
  type HomeAgentOffer,
  requestMobility,
  sessionLifetimes,
} from '../../../src/protocol/mip6/diameter-mobility.js';
import { homeAddress, isReservedIdentifier } from '../../../src/protocol/mip6/home-address.js';
import { checkName } from '../../../src/protocol/mip6/names.js';

function address(text: string): Uint8Array {
  const octets = parseAddress(text);
  if (!octets) throw new Error(text);
  return octets;
}

function offerOf(prefix: string, name: string): HomeAgentOffer {
  return {
    homeAgent: address(`${prefix}::1`),
    homeAddress: address(`${prefix}::1234`),
    prefix: { length: 64, octets: address(`${prefix}::`) },
    host: { realm: 'home.example', host: name },
  };
}

const LOCAL = offerOf('2001:db8:a', 'ha.access.example');
const HOME = offerOf('2001:db8:1', 'ha.home.example');
const { MIP6, LOCAL_HA, HOME_HA, HOA_ASSIGN, IKEV1_PSK, IKEV2_PSK, PSK_FROM_EMSK } = CAPABILITY;
const ANY = MIP6 | HOA_ASSIGN | IKEV1_PSK;
const BOTH = FEATURE.MIP6_INTEGRATED | FEATURE.LOCAL_HOME_AGENT_ASSIGNMENT;

describe('requestMobility', () => {
  it.each([
    { what: 'no wish', wish: undefined, local: LOCAL, says: {} },
    { what: 'a wish without the MIP6 bit', wish: HOA_ASSIGN, local: LOCAL, says: {} },
    {
      what: 'a wish when there is no local home agent',
      wish: ANY,
      local: undefined,
      says: { features: FEATURE.MIP6_INTEGRATED, own: ANY },
    },
    {
      what: 'a wish for a home agent at home',
      wish: ANY | HOME_HA,
      local: LOCAL,
      says: { features: FEATURE.MIP6_INTEGRATED, own: ANY | HOME_HA },
    },
    {
      what: 'a wish for a local home agent',
      wish: ANY | LOCAL_HA,
      local: LOCAL,
      says: { features: BOTH, own: ANY | LOCAL_HA, proposal: true },
    },
    {
      what: 'a wish without a preference',
      wish: ANY,
      local: LOCAL,
      says: { features: BOTH, own: ANY, proposal: true },
    },
  ])('writes the AVPs for $what', ({ wish, local, says }) => {
    const avps = requestMobility(wish, local);
    expect(avps['MIP6-Feature-Vector']).toBe('features' in says ? says.features : undefined);
    expect(avps['Mobility-Capability']).toBe('own' in says ? says.own : undefined);
    const proposes = 'proposal' in says;
    expect(avps['MIP6-Agent-Info']).toEqual(proposes ? [agentInfo(LOCAL)] : undefined);
    expect(avps['MIP-Mobile-Node-Address']).toEqual(proposes ? [LOCAL.homeAddress] : undefined);
  });
});

describe('answerMobility (RFC 5447 4.2.5)', () => {
  const context = (wish: number, local: HomeAgentOffer | undefined = LOCAL): AnswerContext => ({
    wish,
    local,
    ikeIdentity: 'mn@home.example',
    lifetime: 3600,
  });
  const home: DiameterMobility = {
    'MIP6-Agent-Info': [agentInfo(HOME)],
    'MIP-Mobile-Node-Address': HOME.homeAddress ? [HOME.homeAddress] : [],
  };
  const I = FEATURE.MIP6_INTEGRATED;

  it.each<{ what: string; answer: DiameterMobility; wish: number; kind: 'home' | 'local' | undefined }>([
    { what: 'LOCAL 0 and no home agent', answer: { 'MIP6-Feature-Vector': I }, wish: ANY, kind: undefined },
    {
      what: 'LOCAL 0 and a home agent at home',
      answer: { 'MIP6-Feature-Vector': I, ...home },
      wish: ANY | LOCAL_HA,
      kind: 'home',
    },
    { what: 'LOCAL 1 and no home agent', answer: { 'MIP6-Feature-Vector': BOTH }, wish: ANY, kind: 'local' },
    {
      what: 'LOCAL 1 and the local home agent',
      answer: { 'MIP6-Feature-Vector': BOTH, 'MIP6-Agent-Info': [agentInfo(LOCAL)] },
      wish: ANY,
      kind: 'local',
    },
    {
      what: 'LOCAL 1 and a home agent at home when local is wanted',
      answer: { 'MIP6-Feature-Vector': BOTH, ...home },
      wish: ANY | LOCAL_HA,
      kind: 'local',
    },
    {
      what: 'LOCAL 1 and a home agent at home without a preference',
      answer: { 'MIP6-Feature-Vector': BOTH, ...home },
      wish: ANY,
      kind: 'home',
    },
    {
      what: 'LOCAL 1 and both home agents when local is wanted',
      answer: { ...home, 'MIP6-Feature-Vector': BOTH, 'MIP6-Agent-Info': [agentInfo(LOCAL), agentInfo(HOME)] },
      wish: ANY | LOCAL_HA,
      kind: 'local',
    },
    {
      what: 'LOCAL 1 and both home agents without a preference',
      answer: { ...home, 'MIP6-Feature-Vector': BOTH, 'MIP6-Agent-Info': [agentInfo(LOCAL), agentInfo(HOME)] },
      wish: ANY,
      kind: 'home',
    },
    { what: 'no feature vector and a home agent at home', answer: home, wish: ANY, kind: 'home' },
    { what: 'an answer to no wish', answer: { 'MIP6-Feature-Vector': BOTH, ...home }, wish: 0, kind: undefined },
  ])('selects the right home agent for $what', ({ answer, wish, kind }) => {
    const result = answerMobility(answer, context(wish));
    expect(result?.kind).toBe(kind);
    const agent = result?.assignment && formatAddress(result.assignment.homeAgent);
    expect(agent).toBe(kind === undefined ? undefined : kind === 'home' ? '2001:db8:1::1' : '2001:db8:a::1');
  });

  it('selects nothing for LOCAL 1 without a proposal', () => {
    expect(answerMobility({ 'MIP6-Feature-Vector': BOTH }, { ...context(ANY), local: undefined })).toBeUndefined();
  });

  it('returns the whole assignment', () => {
    const { assignment } = answerMobility({ 'MIP6-Feature-Vector': I, ...home }, context(ANY)) ?? {};
    expect(assignment).toMatchObject({
      homeAddress: HOME.homeAddress,
      prefix: HOME.prefix,
      host: 'ha.home.example',
      ikeIdentity: 'mn@home.example',
      lifetime: 3600,
      capability: MIP6 | HOME_HA | HOA_ASSIGN | IKEV1_PSK,
    });
  });

  it('uses the capability of the answer if there is one', () => {
    const granted = MIP6 | HOME_HA | HOA_ASSIGN | IKEV2_PSK | PSK_FROM_EMSK;
    const answer = { 'MIP6-Feature-Vector': I, 'Mobility-Capability': granted, ...home };
    expect(answerMobility(answer, context(ANY))?.assignment?.capability).toBe(granted);
  });

  it('gives a local home agent no key from the EMSK, and only its own IKE version', () => {
    const granted = MIP6 | LOCAL_HA | IKEV1_PSK | IKEV2_PSK | PSK_FROM_EMSK;
    const answer = { 'MIP6-Feature-Vector': BOTH, 'Mobility-Capability': granted };
    const local = { ...LOCAL, ike: IKEV1_PSK };
    expect(answerMobility(answer, context(ANY | LOCAL_HA, local))?.assignment?.capability).toBe(
      MIP6 | LOCAL_HA | IKEV1_PSK,
    );
  });

  it('uses the first IPv6 address of a home agent with IPv4 and IPv6 addresses', () => {
    const info = { ...agentInfo(HOME), 'MIP-Home-Agent-Address': [address('192.0.2.1'), HOME.homeAgent] };
    const result = answerMobility({ 'MIP6-Feature-Vector': I, 'MIP6-Agent-Info': [info] }, context(ANY));
    expect(result?.assignment && formatAddress(result.assignment.homeAgent)).toBe('2001:db8:1::1');
  });

  it('treats :: and a bare prefix as no home address', () => {
    for (const text of ['::', '2001:db8:1::']) {
      const answer = { 'MIP6-Feature-Vector': I, ...home, 'MIP-Mobile-Node-Address': [address(text)] };
      expect(answerMobility(answer, context(ANY))?.assignment?.homeAddress).toBeUndefined();
    }
  });
});

describe('sessionLifetimes', () => {
  const FALLBACK = 1_000_000;
  it.each([
    { what: 'no AVPs', answer: {}, lifetime: FALLBACK, authorization: undefined },
    { what: 'a Session-Timeout', answer: { 'Session-Timeout': 3600 }, lifetime: 3_600_000, authorization: undefined },
    { what: 'a Session-Timeout of 0', answer: { 'Session-Timeout': 0 }, lifetime: FALLBACK, authorization: undefined },
    {
      what: 'unlimited AVPs',
      answer: { 'Session-Timeout': 0xffff_ffff, 'Authorization-Lifetime': 0xffff_ffff },
      lifetime: FALLBACK,
      authorization: undefined,
    },
    {
      what: 'an Authorization-Lifetime with a grace period',
      answer: { 'Authorization-Lifetime': 600, 'Auth-Grace-Period': 60 },
      lifetime: 660_000,
      authorization: 600_000,
    },
    {
      what: 'a Session-Timeout below the Authorization-Lifetime',
      answer: { 'Session-Timeout': 300, 'Authorization-Lifetime': 600 },
      lifetime: 300_000,
      authorization: 600_000,
    },
    // 0 would cause endless re-authentication; more seconds than PANA can announce would wrap around.
    {
      what: 'an Authorization-Lifetime of 0',
      answer: { 'Authorization-Lifetime': 0 },
      lifetime: FALLBACK,
      authorization: 10_000,
    },
    {
      what: 'an Authorization-Lifetime below the minimum',
      answer: { 'Authorization-Lifetime': 9, 'Auth-Grace-Period': 1 },
      lifetime: 10_000,
      authorization: 10_000,
    },
    {
      what: 'a Session-Timeout below the minimum',
      answer: { 'Session-Timeout': 1, 'Authorization-Lifetime': 1 },
      lifetime: 5_000,
      authorization: 10_000,
    },
    {
      what: 'AVPs above the maximum',
      answer: { 'Authorization-Lifetime': 0xffff_fffe, 'Auth-Grace-Period': 0xffff_ffff },
      lifetime: 0xffff_fffe * 1000,
      authorization: 0xffff_fffe * 1000,
    },
  ])('returns the lifetimes for $what', ({ answer, lifetime, authorization }) => {
    expect(sessionLifetimes(answer, FALLBACK)).toEqual({ lifetime, authorizationLifetime: authorization });
  });
});

describe('wishOf', () => {
  it('returns a preference only if exactly one of the two bits is set', () => {
    expect([0, LOCAL_HA, HOME_HA, LOCAL_HA | HOME_HA].map(wishOf)).toEqual(['any', 'local', 'home', 'any']);
  });
});

describe('encodePrefix and decodePrefix', () => {
  it('clear the bits after the prefix at any length, and reject malformed ones', () => {
    for (let length = 0; length <= 128; length += 1) {
      const encoded = encodePrefix({ length, octets: new Uint8Array(16).fill(0xff) });
      const bits = [...encoded.subarray(1)].map((octet) => octet.toString(2).padStart(8, '0')).join('');
      expect(bits).toBe('1'.repeat(length) + '0'.repeat(128 - length));
      expect(decodePrefix(encoded)).toEqual({ length, octets: encoded.slice(1) });
    }
    expect(decodePrefix(new Uint8Array(17).fill(129))).toBeUndefined();
    expect(decodePrefix(new Uint8Array(16))).toBeUndefined();
  });
});

describe('a home address', () => {
  const secret = new Uint8Array(32).fill(7);
  const prefix = address('2001:db8:1::');

  it('is the same for a subscriber (in any case) and a prefix, and differs otherwise', () => {
    const one = homeAddress(secret, 'mn@home.example', prefix, 0);
    expect(homeAddress(secret, 'MN@Home.example', prefix, 0)).toEqual(one);
    const others = [
      homeAddress(secret, 'mn2@home.example', prefix, 0),
      homeAddress(secret, 'mn@home.example', address('2001:db8:2::'), 0),
      homeAddress(secret, 'mn@home.example', prefix, 1),
      homeAddress(new Uint8Array(32), 'mn@home.example', prefix, 0),
    ].map((octets) => octets && formatAddress(octets));
    expect(new Set([one && formatAddress(one), ...others]).size).toBe(5);
    expect(one?.slice(0, 8)).toEqual(prefix.slice(0, 8));
  });

  it.each([
    ['0000000000000000', true],
    ['0000000000000001', false],
    ['02005efffe000000', true],
    ['02005efffe005212', true],
    ['02005effff000000', false],
    ['fdffffffffffff80', true],
    ['fdfffffffffffffe', true],
    ['fdffffffffffff7f', false],
  ])('with the identifier %s is reserved: %s (RFC 5453)', (hex, reserved) => {
    expect(isReservedIdentifier(new Uint8Array(Buffer.from(hex, 'hex')))).toBe(reserved);
  });
});

describe('checkName', () => {
  it.each(['mn@home.example', 'ha1.home.example', '7', 'a_b+c-d@x'])("accepts '%s'", (name) =>
    expect(checkName(name)).toBeUndefined(),
  );
  it.each(['', '.a', '-a', '_a', '@a', 'a..b', 'a b', 'a"b', "a'b", 'a;b', 'a$b', 'a`b', 'a\nb', 'a/b', 'ä', 'a\0b'])(
    'rejects %j',
    (name) => expect(checkName(name)).toBeDefined(),
  );

  it('rejects a name of 254 octets', () => expect(checkName('x'.repeat(254))).toBeDefined());
});
