import { describe, expect, it } from 'vitest';
import { concat, encodeUtf8, fromHex } from '../../src/protocol/bytes/octets.js';
import { encodeDiameter, encodeGroup } from '../../src/protocol/diameter/wire/codec.js';
import { AVPS, type AvpSpec } from '../../src/protocol/diameter/wire/dictionary.js';
import { unsupportedAvp, valueNames } from '../../src/tool/decode/avp-names.js';
import { Decoder } from '../../src/tool/decode/decoder.js';
import { u32 } from './frames.js';

/** The lines for AVPs without a vendor. */
function lines(...avps: readonly (readonly [code: number, data: Uint8Array])[]): string[] {
  const octets = encodeDiameter({
    flags: 0,
    commandCode: 271,
    applicationId: 3,
    hopByHop: 0,
    endToEnd: 0,
    avps: avps.map(([code, data]) => ({ code, flags: 0, vendorId: undefined, data })),
  });
  const { text } = new Decoder(32473).message(octets);
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().replace(/^(\S+) +/, '$1: '));
}

describe('Names of values', () => {
  it.each([
    // RFC 6733
    [268, 3011, 'Result-Code: 3011 REALM_REDIRECT_INDICATION'],
    [268, 5012, 'Result-Code: 5012 UNABLE_TO_COMPLY'],
    [273, 2, 'Disconnect-Cause: 2 DO_NOT_WANT_TO_TALK_TO_YOU'],
    [274, 3, 'Auth-Request-Type: 3 AUTHORIZE_AUTHENTICATE'],
    [277, 1, 'Auth-Session-State: 1 NO_STATE_MAINTAINED'],
    [285, 0, 'Re-Auth-Request-Type: 0 AUTHORIZE_ONLY'],
    [271, 3, 'Session-Server-Failover: 3 TRY_AGAIN_ALLOW_SERVICE'],
    [261, 6, 'Redirect-Host-Usage: 6 ALL_USER'],
    [270, 5, 'Session-Binding: 5 RE_AUTH ACCOUNTING'],
    [299, 1, 'Inband-Security-Id: 1 TLS'],
    [295, 8, 'Termination-Cause: 8 SESSION_TIMEOUT'],
    [480, 4, 'Accounting-Record-Type: 4 STOP_RECORD'],
    [483, 3, 'Accounting-Realtime-Required: 3 GRANT_AND_LOSE'],
    [258, 5, 'Auth-Application-Id: 5 EAP'],
    // RFC 7155
    [295, 29, 'Termination-Cause: 29 Supplicant Restart'],
    [6, 17, 'Service-Type: 17 Authorize Only'],
    [7, 1, 'Framed-Protocol: 1 PPP'],
    [61, 19, 'NAS-Port-Type: 19 Wireless - IEEE 802.11'],
    [64, 13, 'Tunnel-Type: 13 VLAN'],
    [65, 6, 'Tunnel-Medium-Type: 6 802'],
    [15, 8, 'Login-Service: 8 TCP Clear Quiet'],
    [406, 5, 'Accounting-Auth-Method: 5 EAP'],
    [403, 5, 'CHAP-Algorithm: 5 CHAP with MD5'],
    // RFC 2866
    [40, 3, 'Acct-Status-Type: 3 Interim-Update'],
    [45, 4, 'Acct-Authentic: 4 Diameter'],
    [49, 18, 'Acct-Terminate-Cause: 18 Host Request'],
    [46, 60, 'Acct-Session-Time: 60'],
    [61, 4711, 'NAS-Port-Type: 4711 unknown'],
  ])('of AVP %d: %d', (code, value, text) => {
    expect(lines([code, u32(value)])).toEqual([text]);
  });

  it('exist for every Enumerated AVP', () => {
    const supported = Object.entries(AVPS as Readonly<Record<string, AvpSpec>>).map(([name, { type }]) => ({
      name,
      type,
    }));
    const others = Array.from({ length: 600 }, (_, code) => unsupportedAvp(code)).flatMap((avp) => avp ?? []);
    const enumerated = [...supported, ...others].filter(({ type }) => type === 'Enumerated');
    expect(enumerated.length).toBeGreaterThan(20);
    for (const { name } of enumerated) expect(valueNames(name), name).toBeDefined();
  });

  it('are those of groups and 64-bit values too, and of no password', () => {
    const group = encodeGroup([{ code: 404, flags: 0, vendorId: undefined, data: Uint8Array.of(7) }]);
    expect(lines([402, group], [363, concat(u32(1), u32(2))], [124, concat(u32(0), u32(3))])).toEqual([
      'CHAP-Auth',
      'CHAP-Ident: 07',
      'Accounting-Input-Octets: 4294967298',
      'MIP6-Feature-Vector: 0x0000000000000003 MIP6_INTEGRATED LOCAL_HOME_AGENT_ASSIGNMENT',
    ]);
    for (const code of [2, 69, 70, 405])
      expect(lines([code, encodeUtf8('secret')])[0]).toMatch(/: 6 octets, not shown$/);
  });

  it('of EAP methods', () => {
    expect(lines([462, fromHex('0101000515')])[0]).toContain('EAP Request  identifier 1  EAP-TTLS');
    expect(lines([462, fromHex('0101000537')])[0]).toContain('TEAP');
  });
});
