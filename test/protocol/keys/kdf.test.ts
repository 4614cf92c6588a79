import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../../src/protocol/bytes/address.js';
import { concat, toHex } from '../../../src/protocol/bytes/octets.js';
import { Secret } from '../../../src/protocol/bytes/secret.js';
import { derivePsk, emskName, fingerprint, usrk } from '../../../src/protocol/keys/kdf.js';

const root = Secret.take(Uint8Array.from({ length: 64 }, (_, i) => i));
const hex = (key: Secret) => toHex(key.octets());

function address(text: string): Uint8Array {
  const octets = parseAddress(text);
  if (!octets) throw new Error(text);
  return octets;
}

describe('the key derivations', () => {
  it('derive the USRK of RFC 5295', () => {
    expect(hex(usrk(root, 'mip6-psk@example.com'))).toBe(
      '57c48fcacb4add281cab8798f9a244b018d493707d7f564100273c9a2ceb6698cee0740023169f40777d9ce49e703da5a82f6f855c33fa16626ef0a57cadcfcc',
    );
  });

  it('derive the EMSKname of RFC 5295', () => {
    expect(toHex(emskName(concat(Uint8Array.of(13), root.octets())))).toBe('ab3ab718ead64c4c');
  });

  it('derive the pre-shared key of IKE', () => {
    expect(hex(derivePsk(root, address('2001:db8:1::1'), address('2001:db8:1::100')))).toBe(
      '7a4cb85a14aaa58453caeb358a034c29567efe6f922b27279f0f4e2307e16b65c7da34ad6f932ac9837a1a68b8a32bf5255cb737a6ce765c4a1fbe27f8bdd10b',
    );
  });

  it('encode an unassigned home address as zeros', () => {
    const home = address('2001:db8:1::1');
    expect(hex(derivePsk(root, home, undefined))).toBe(hex(derivePsk(root, home, new Uint8Array(16))));
    expect(hex(derivePsk(root, address('192.0.2.1'), undefined))).toBe(
      hex(derivePsk(root, address('::ffff:192.0.2.1'), undefined)),
    );
  });

  it('make a fingerprint of eight digits that are not part of the key', () => {
    expect(fingerprint(root)).toMatch(/^[0-9a-f]{8}$/);
    expect(hex(root)).not.toContain(fingerprint(root));
  });
});
