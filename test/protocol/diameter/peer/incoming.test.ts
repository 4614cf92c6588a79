import { describe, expect, it } from 'vitest';
import type { PeerCapabilities } from '../../../../src/protocol/diameter/peer/capabilities.js';
import { EndToEndIdentifiers, SessionIds } from '../../../../src/protocol/diameter/peer/identifiers.js';
import { checkRequest } from '../../../../src/protocol/diameter/peer/incoming.js';
import { type DiameterMessage, FLAG } from '../../../../src/protocol/diameter/wire/codec.js';
import { APPLICATION, DER } from '../../../../src/protocol/diameter/wire/commands.js';
import { Dictionary } from '../../../../src/protocol/diameter/wire/dictionary.js';
import { Grammarian } from '../../../../src/protocol/diameter/wire/grammar.js';

const grammarian = new Grammarian(new Dictionary());
const RECEIVER = { origin: { host: 'aaa.home.example', realm: 'home.example' }, applications: [APPLICATION.EAP] };
const PEER: PeerCapabilities = {
  host: 'paa.example',
  realm: 'example',
  productName: undefined,
  originStateId: undefined,
  applications: [APPLICATION.EAP],
  relay: false,
};

function der(more: object = {}): DiameterMessage {
  return grammarian.message(DER, APPLICATION.EAP, {
    'Session-Id': 'paa.example;1;1',
    'Auth-Application-Id': APPLICATION.EAP,
    'Origin-Host': 'paa.example',
    'Origin-Realm': 'example',
    'Destination-Realm': 'home.example',
    'Auth-Request-Type': 3,
    'EAP-Payload': new Uint8Array(0),
    ...more,
  });
}

/** The relay agents that the receiver is configured with: `relay.example` and `relay0.example`. */
const isAgent = (host: string) => /^relay0?\.example$/.test(host);
const check = (request: DiameterMessage, peer: PeerCapabilities | undefined = PEER) =>
  checkRequest(grammarian, RECEIVER, peer, request, isAgent)?.resultCode;

describe('checkRequest', () => {
  it('accepts a request of a peer for this node', () => {
    expect(check(der())).toBeUndefined();
    expect(check(der({ 'Destination-Host': 'AAA.home.example' }))).toBeUndefined();
    expect(check({ ...der(), applicationId: APPLICATION.COMMON })).toBeUndefined();
    expect(checkRequest(grammarian, RECEIVER, undefined, der(), isAgent)).toBeUndefined();
    expect(check({ ...der(), avps: [] })).toBeUndefined();
  });

  it('names the realm that it does not serve, cut to the length of a name', () => {
    const text = (realm: string) =>
      checkRequest(grammarian, RECEIVER, PEER, der({ 'Destination-Realm': realm }), isAgent)?.text;
    expect(text('Hoem.example')).toBe('this node does not serve the realm Hoem.example');
    expect(text('a'.repeat(5_000))).toBe(`this node does not serve the realm ${'a'.repeat(253)}`);
  });

  it.each<[string, DiameterMessage, number]>([
    ['with the E bit', { ...der(), flags: FLAG.R | FLAG.E }, 3008],
    ['of another application', { ...der(), applicationId: 4 }, 3007],
    ['of an unknown command', { ...der(), commandCode: 9999 }, 3001],
    ['for another host', der({ 'Destination-Host': 'other.home.example' }), 3002],
    ['that this node has routed before', der({ 'Route-Record': ['relay.example', 'AAA.home.example'] }), 3005],
    ['for a realm that is not served', der({ 'Destination-Realm': 'other.example' }), 3003],
    [
      'with an unsupported Auth-Application-Id',
      { ...der({ 'Auth-Application-Id': 1 }), applicationId: APPLICATION.COMMON },
      5004,
    ],
    ['with the Origin-Host of another host', der({ 'Origin-Host': 'other.example' }), 5012],
  ])('refuses a request %s', (_what, request, code) => {
    expect(check(request)).toBe(code);
  });

  it('accepts the Origin-Host of another host only from a relay agent with a Route-Record of that host', () => {
    const relay = { ...PEER, host: 'relay.example', relay: true };
    const through = der({ 'Origin-Host': 'other.example', 'Route-Record': ['Other.example', 'relay0.example'] });
    expect(check(through, relay)).toBeUndefined();
    expect(check(through)).toBe(5012);
    // RFC 6733 6.1.9: an agent adds the host that it received the request from.
    expect(check(der({ 'Origin-Host': 'other.example' }), relay)).toBe(5012);
    expect(check(der({ 'Origin-Host': 'other.example', 'Route-Record': ['third.example'] }), relay)).toBe(5012);
    expect(check(der({ 'Origin-Host': 'RELAY.example' }), relay)).toBeUndefined();
  });

  it('refuses an Origin-Host that is named only by a Route-Record of another host behind the relay agent', () => {
    const relay = { ...PEER, host: 'relay.example', relay: true };
    // paa2 forges the first two; the relay agent adds paa2, from which it received the request.
    const forged = ['paa1.example', 'relay0.example', 'paa2.example'];
    expect(check(der({ 'Origin-Host': 'paa1.example', 'Route-Record': forged }), relay)).toBe(5012);
    expect(check(der({ 'Origin-Host': 'paa2.example', 'Route-Record': forged }), relay)).toBeUndefined();
  });

  it('accepts its own Destination-Host in any realm, and without Destination-Host only its realms', () => {
    const elsewhere = { 'Destination-Realm': 'Other.example' };
    expect(check(der({ ...elsewhere, 'Destination-Host': 'aaa.home.example' }))).toBeUndefined();
    const serving = (realms: string[]) =>
      checkRequest(grammarian, { ...RECEIVER, realms }, PEER, der(elsewhere), isAgent)?.resultCode;
    expect(serving(['other.example'])).toBeUndefined();
    expect(serving(['*'])).toBeUndefined();
    expect(serving(['third.example'])).toBe(3003);
  });
});

describe('identifiers (RFC 6733 3 and 8.8)', () => {
  it('of requests (End-to-End) start with the time, increase by one and wrap around', () => {
    const ids = new EndToEndIdentifiers(0xabc_def, 0xffff_ffff);
    expect(ids.next()).toBe((((0xabc_def << 20) | 0xf_ffff) + 1) >>> 0);
    const last = new EndToEndIdentifiers(0xfff, 0xffff_ffff);
    expect([last.next(), last.next()]).toEqual([0, 1]);
  });

  it('of sessions contain the host, the start time, a counter and an optional part', () => {
    const ids = new SessionIds('paa.example', 77.9);
    expect([ids.next(), ids.next('x')]).toEqual(['paa.example;77;1', 'paa.example;77;2;x']);
  });
});
