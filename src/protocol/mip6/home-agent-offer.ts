import type { AddressOctets } from '../bytes/address.js';
import { CAPABILITY, type HomeLinkPrefix, wishOf } from './assignment.js';

/** A home agent and a home address that the NAS proposes or the AAA server assigns. */
export interface HomeAgentOffer {
  readonly homeAgent: AddressOctets;
  readonly homeAddress: AddressOctets | undefined;
  readonly prefix: HomeLinkPrefix | undefined;
  readonly host: { readonly realm: string; readonly host: string } | undefined;
  /** The IKE bits of CAPABILITY that the home agent supports; undefined if unknown. */
  readonly ike?: number | undefined;
}

/** Bits of CAPABILITY that select a version of IKE. */
export const IKE_BITS = CAPABILITY.IKEV1_PSK | CAPABILITY.IKEV2_PSK;

/**
 * Whether the visited network proposes its own home agent to a node that requests these capability bits. The visited
 * network knows its own home agent, so that the assignment of it cannot be sealed.
 */
export function proposesLocal(wish: number | undefined): wish is number {
  return (
    wish !== undefined && (wish & CAPABILITY.MIP6) !== 0 && (wish & CAPABILITY.SEALED) === 0 && wishOf(wish) !== 'home'
  );
}
