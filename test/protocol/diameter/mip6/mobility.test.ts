import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../../../../src/protocol/bytes/address.js';
import {
  type AnswerContext,
  agentInfo,
  answerMobility,
  type DiameterMobility,
  requestMobility,
} from '../../../../src/protocol/diameter/mip6/mobility.js';
import { CAPABILITY } from '../../../../src/protocol/mip6/assignment.js';
import { FEATURE } from '../../../../src/protocol/mip6/feature-vector.js';
import type { HomeAgentOffer } from '../../../../src/protocol/mip6/home-agent-offer.js';

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
