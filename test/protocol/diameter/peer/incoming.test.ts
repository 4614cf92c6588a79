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

/** Of the receiver's configuration: `relay.example` and `relay0.example`. */
const isAgent = (host: string) => /^relay0?\.example$/.test(host);
const check = (request: DiameterMessage, peer: PeerCapabilities | undefined = PEER) =>
  checkRequest(grammarian, RECEIVER, peer, request, isAgent)?.resultCode;

describe('a request', () => {
  it('of a peer for us is taken', () => {
    expect(check(der())).toBeUndefined();
    expect(check(der({ 'Destination-Host': 'AAA.home.example' }))).toBeUndefined();
    expect(check({ ...der(), applicationId: APPLICATION.COMMON })).toBeUndefined();
    expect(checkRequest(grammarian, RECEIVER, undefined, der(), isAgent)).toBeUndefined();
    expect(check({ ...der(), avps: [] })).toBeUndefined();
  });

  it.each<[string, DiameterMessage, number]>([
    ['with the E bit', { ...der(), flags: FLAG.R | FLAG.E }, 3008],
    ['of another application', { ...der(), applicationId: 4 }, 3007],
    ['of a command that nobody knows', { ...der(), commandCode: 9999 }, 3001],
    ['for another host', der({ 'Destination-Host': 'other.home.example' }), 3002],
    ['that has been here before', der({ 'Route-Record': ['relay.example', 'AAA.home.example'] }), 3005],
    ['for a realm that is not served', der({ 'Destination-Realm': 'other.example' }), 3003],
    [
      'of a session of an application that is not',
      { ...der({ 'Auth-Application-Id': 1 }), applicationId: APPLICATION.COMMON },
      5004,
    ],
    ['of somebody else than the peer', der({ 'Origin-Host': 'other.example' }), 5012],
  ])('%s is refused with its code', (_what, request, code) => {
    expect(check(request)).toBe(code);
  });

  it('of somebody else comes through a relay that names it', () => {
    const relay = { ...PEER, host: 'relay.example', relay: true };
    const through = der({ 'Origin-Host': 'other.example', 'Route-Record': ['Other.example', 'relay0.example'] });
    expect(check(through, relay)).toBeUndefined();
    expect(check(through)).toBe(5012);
    // RFC 6733 6.1.9: an agent says whom it has a request from.
    expect(check(der({ 'Origin-Host': 'other.example' }), relay)).toBe(5012);
    expect(check(der({ 'Origin-Host': 'other.example', 'Route-Record': ['third.example'] }), relay)).toBe(5012);
    expect(check(der({ 'Origin-Host': 'RELAY.example' }), relay)).toBeUndefined();
  });

  it('of a host behind a relay is not taken for that of another one whose Route-Record it brings itself', () => {
    const relay = { ...PEER, host: 'relay.example', relay: true };
    // paa2 writes the first two; the relay says that it has the request from paa2.
    const forged = ['paa1.example', 'relay0.example', 'paa2.example'];
    expect(check(der({ 'Origin-Host': 'paa1.example', 'Route-Record': forged }), relay)).toBe(5012);
    expect(check(der({ 'Origin-Host': 'paa2.example', 'Route-Record': forged }), relay)).toBeUndefined();
  });

  it('with our own Destination-Host is ours in any realm, and without it in those that we serve', () => {
    const elsewhere = { 'Destination-Realm': 'Other.example' };
    expect(check(der({ ...elsewhere, 'Destination-Host': 'aaa.home.example' }))).toBeUndefined();
    const serving = (realms: string[]) =>
      checkRequest(grammarian, { ...RECEIVER, realms }, PEER, der(elsewhere), isAgent)?.resultCode;
    expect(serving(['other.example'])).toBeUndefined();
    expect(serving(['*'])).toBeUndefined();
    expect(serving(['third.example'])).toBe(3003);
  });
});

describe('identifiers, RFC 6733 3 and 8.8', () => {
  it('from end to end begin with the time, go up by one and wrap', () => {
    const ids = new EndToEndIdentifiers(0xabc_def, 0xffff_ffff);
    expect(ids.next()).toBe((((0xabc_def << 20) | 0xf_ffff) + 1) >>> 0);
    const last = new EndToEndIdentifiers(0xfff, 0xffff_ffff);
    expect([last.next(), last.next()]).toEqual([0, 1]);
  });

  it('of sessions hold the host, the time of the start, a number and what is added', () => {
    const ids = new SessionIds('paa.example', 77.9);
    expect([ids.next(), ids.next('x')]).toEqual(['paa.example;77;1', 'paa.example;77;2;x']);
  });
});
