import { describe, expect, it } from 'vitest';
import { CAPABILITY } from '../../../src/protocol/mip6/assignment.js';
import { Access, type DeaValues } from '../../../src/protocol/nas/access.js';
import { eap, identityResponse } from './aaa-server.js';
import { LOCAL, NasWorld } from './nas-world.js';

const ANSWER: DeaValues = {
  'Result-Code': 1001,
  'Origin-Host': 'aaa.home.example',
  'Origin-Realm': 'home.example',
};

describe('the request for the EAP identity', () => {
  it('takes one more Diameter round trip if the server makes it', () => {
    const world = new NasWorld({ config: { emptyStart: { realm: 'home.example' } } });
    world.node();
    const ladder = world.run(1_000).take();
    expect(ladder).toEqual([
      '0 mn1 -> PCI',
      '1 mn1 <- PAR[S]',
      '2 mn1 -> PAN[S]',
      '3 --> DER',
      '7 <-- DEA 1001',
      '7 mn1 <- PAR',
      '8 mn1 -> PAN',
      '9 --> DER',
      '13 <-- DEA 1001',
      '13 mn1 <- PAR',
      '14 mn1 -> PAN',
      '15 --> DER',
      '19 <-- DEA 1001',
      '19 mn1 <- PAR',
      '20 mn1 -> PAN',
      '21 --> DER',
      '25 <-- DEA 2001',
      '25 mn1 <- PAR[C]',
      '26 mn1 -> PAN[C]',
      '27 admit',
    ]);
    const [first, second] = world.server.ders;
    expect(first).toMatchObject({ 'EAP-Payload': new Uint8Array(), 'Destination-Realm': 'home.example' });
    expect(first?.['User-Name']).toBeUndefined();
    expect(second).toMatchObject({ 'User-Name': '@home.example', 'Destination-Realm': 'home.example' });
    expect(world.sessionOf()).toMatchObject({ state: 'OPEN', nai: 'mn@home.example' });
  });

  it('is followed by another request for mobility with the identity, because the server may restart there', () => {
    const world = new NasWorld({ config: { emptyStart: { realm: 'home.example' }, local: LOCAL } });
    const wish = CAPABILITY.MIP6 | CAPABILITY.LOCAL_HA | CAPABILITY.HOA_ASSIGN | CAPABILITY.IKEV2_PSK;
    world.node({ pac: { mobility: { mode: 'wanted', wish } } });
    world.run(1_000);
    const asked = world.server.ders.map((der) => [der['MIP6-Feature-Vector'], der['MIP-Mobile-Node-Address']]);
    expect(asked[0]).toEqual([3n, [expect.any(Uint8Array)]]);
    expect(asked.slice(1)).toEqual([asked[0], [undefined, undefined], [undefined, undefined]]);
  });

  it('is needed for a new identity: without it the session keeps the identity that it has', () => {
    const access = new Access({ sessionLifetime: 60_000 }, 40);
    access.handle({ type: 'start', wish: undefined });
    access.handle({ type: 'packet', packet: identityResponse(41, '@home.example') });
    const answer = { ...ANSWER, 'EAP-Payload': eap('REQUEST', 42, false, 1) };
    access.handle({ type: 'answer', answer });
    expect(access.handle({ type: 'packet', packet: identityResponse(42, '@other.example') })).toMatchObject([
      { type: 'request', request: { identity: '@home.example' } },
    ]);
  });

  it.each([
    ['by the PAA', {}, {}, 6, 3],
    ['by the PAA in PAR[S]', {}, { firstRequest: Uint8Array.of(1, 0, 0, 5, 1) }, 5, 3],
    ['by the server', { emptyStart: { realm: 'home.example' } }, {}, 6, 4],
  ])('takes these numbers of messages from PCI to PAN[C] if it is made %s', (_who, config, paa, pana, diameter) => {
    const world = new NasWorld({ config, paa });
    world.node();
    const lines = world.run(1_000).takeTexts();
    const count = (what: RegExp) => lines.filter((text) => what.test(text)).length;
    // The simulated EAP method has two rounds, as many as EAP-TLS 1.3 with flights that fit into one packet each.
    expect([count(/ -> /), count(/ <- /), count(/^--> /), count(/^<-- /)]).toEqual([
      pana,
      pana - 1,
      diameter,
      diameter,
    ]);
    expect(lines.filter((text) => text !== 'admit').at(-1)).toBe('mn1 -> PAN[C]');
  });
});
