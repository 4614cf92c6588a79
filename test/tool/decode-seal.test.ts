import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../src/protocol/bytes/address.js';
import { DEFAULT_VENDOR_ID } from '../../src/protocol/bytes/assigned-numbers.js';
import { concat, toHex } from '../../src/protocol/bytes/octets.js';
import { Secret } from '../../src/protocol/bytes/secret.js';
import { AVP_FLAG, encodeDiameter } from '../../src/protocol/diameter/wire/codec.js';
import { emskName, sealingKey } from '../../src/protocol/keys/kdf.js';
import { CAPABILITY } from '../../src/protocol/mip6/assignment.js';
import { encodePana, FLAG, MESSAGE_TYPE } from '../../src/protocol/pana/wire/codec.js';
import { makeAvp } from '../../src/protocol/pana/wire/dictionary.js';
import { sealAssignment } from '../../src/protocol/pana/wire/sealed-assignment.js';
import { writeMobility } from '../../src/protocol/radius/mip6/mobility.js';
import { CODE, encodeRadius } from '../../src/protocol/radius/wire/codec.js';
import { Decoder } from '../../src/tool/decode/decoder.js';
import { SessionKeys } from '../../src/tool/decode/keys.js';
import { FROM, ipv6, pcap, TO, u16 } from './frames.js';

const EMSK = Secret.take(new Uint8Array(64).fill(5));
const SESSION = new Uint8Array(65).fill(13);
const WISH = CAPABILITY.MIP6 | CAPABILITY.HOME_HA | CAPABILITY.SEALED;
const octets = (text: string) => parseAddress(text) ?? new Uint8Array();
const ASSIGNMENT = {
  capability: WISH,
  homeAgent: octets('2001:db8:1::1'),
  homeAddress: octets('2001:db8:1::100'),
  prefix: { length: 64, octets: octets('2001:db8:1::') },
  host: 'ha1.home.example',
  ikeIdentity: 'mn1\u202e@home.example',
  lifetime: 3600,
};
const SEAL = sealAssignment(ASSIGNMENT, { emsk: EMSK, sessionId: SESSION, wish: WISH }, new Uint8Array(12));
const keyLine = (wish: number) =>
  `MIP6_SEALING_KEY ${toHex(emskName(SESSION))} ${wish.toString(16).padStart(8, '0')} ${sealingKey(EMSK).use(toHex)}`;

const PAR = encodePana({
  type: MESSAGE_TYPE.AUTH,
  flags: FLAG.R | FLAG.C,
  sessionId: 7,
  sequence: 1,
  avps: [makeAvp('MIP6-Sealed-Assignment', SEAL)],
});
const DEA = encodeDiameter({
  flags: 0x40,
  commandCode: 268,
  applicationId: 5,
  hopByHop: 1,
  endToEnd: 2,
  avps: [{ code: 1009, flags: AVP_FLAG.V, vendorId: DEFAULT_VENDOR_ID, data: SEAL }],
});
const EMPTY = { features: undefined, capability: undefined, homeAgent: undefined, homeAgentHost: undefined };
const ACCEPT = encodeRadius({
  code: CODE['Access-Accept'],
  identifier: 1,
  authenticator: new Uint8Array(16),
  attributes: writeMobility({ ...EMPTY, homeAddress: undefined, prefix: undefined, sealed: SEAL }, DEFAULT_VENDOR_ID),
});
const ACCEPT_FRAME = ipv6(17, concat(u16(1812), u16(40_000), u16(ACCEPT.length + 8), u16(0), ACCEPT), FROM, TO);

function decode(input: Uint8Array, keys?: string): string {
  const known = keys === undefined ? undefined : SessionKeys.read(keys, 'keys');
  return [...new Decoder(DEFAULT_VENDOR_ID, known).decode(input)].map(({ text }) => text).join('\n');
}

describe.each([
  ['PANA', Buffer.from(toHex(PAR))],
  ['Diameter', Buffer.from(toHex(DEA))],
  ['RADIUS', pcap(101, [ACCEPT_FRAME])],
])('A sealed assignment in a message of %s', (_protocol, input) => {
  it('is opened by decode with its key, and its text is escaped', () => {
    const text = decode(input, keyLine(WISH));
    expect(text).toContain(`opened with MIP6_SEALING_KEY ${toHex(emskName(SESSION))}`);
    expect(text).toMatch(/MIP6-Home-Agent-Address +2001:db8:1::1\n/);
    expect(text).toMatch(/MIP6-Home-Address +2001:db8:1::100\n/);
    expect(text).toContain('mn1\\u202e@home.example');
  });

  it('does not open if the request was changed, and stays closed without its key', () => {
    expect(decode(input, keyLine(WISH | CAPABILITY.LOCAL_HA))).toMatch(/sealed assignment +does not open: .*changed/);
    const other = keyLine(WISH).replace(/ [0-9a-f]{16} /, ' 0000000000000000 ');
    for (const text of [decode(input), decode(input, other)]) {
      expect(text).toMatch(/MIP6-Sealed-Assignment .* encrypted/);
      expect(text).not.toMatch(/2001:db8:1::1|opened|does not open/);
    }
  });
});
