import { describe, expect, it } from 'vitest';
import { pskOf, refusal } from '../../../src/protocol/attachment/binding.js';
import { Secret } from '../../../src/protocol/bytes/secret.js';
import { derivePsk } from '../../../src/protocol/keys/kdf.js';
import { CAPABILITY, type MobilityAssignment } from '../../../src/protocol/mip6/assignment.js';

const HOME_AGENT = new Uint8Array(16).fill(1);
const HOME_ADDRESS = new Uint8Array(16).fill(2);

function assignment(bits: number): MobilityAssignment {
  return {
    capability: CAPABILITY.MIP6 | CAPABILITY.HOME_HA | CAPABILITY.IKEV1_PSK | bits,
    homeAgent: HOME_AGENT,
    homeAddress: HOME_ADDRESS,
    prefix: undefined,
    host: undefined,
    ikeIdentity: undefined,
    lifetime: undefined,
  };
}

describe('the root of the IKE pre-shared key at the node', () => {
  it.each([
    { root: 'emsk', bits: 0, why: /from the MSK, which the access network has/ },
    { root: 'msk', bits: CAPABILITY.PSK_FROM_EMSK, why: /from the EMSK, but mobility\.psk-root is msk/ },
    { root: 'emsk', bits: CAPABILITY.PSK_FROM_EMSK, why: undefined },
    { root: 'msk', bits: 0, why: undefined },
  ] as const)('set to $root with the granted bits $bits is accepted only if they match', ({ root, bits, why }) => {
    const refused = refusal(assignment(bits), root);
    if (why) expect(refused).toMatch(why);
    else expect(refused).toBeUndefined();
  });

  it('selects the key from which the pre-shared key is derived', () => {
    const keys = {
      msk: Secret.take(new Uint8Array(64).fill(3)),
      emsk: Secret.take(new Uint8Array(64).fill(4)),
      sessionId: new Uint8Array(65),
    };
    for (const root of ['msk', 'emsk'] as const) {
      const expected = derivePsk(keys[root], HOME_AGENT, HOME_ADDRESS).octets();
      expect(pskOf(assignment(0), keys, root).octets()).toEqual(expected);
    }
    expect(pskOf(assignment(0), keys, 'msk').octets()).not.toEqual(pskOf(assignment(0), keys, 'emsk').octets());
  });
});
