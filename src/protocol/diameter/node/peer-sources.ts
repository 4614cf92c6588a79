import { AddressSet, LOOPBACK } from '../../bytes/address-set.js';

/** Addresses of a peer in the configuration. */
export interface PeerAddresses {
  /** Addresses to connect to, tried in order. None: only the peer connects. */
  readonly address?: string | undefined;
  readonly addresses?: readonly string[] | undefined;
  /** Additional addresses and networks (`2001:db8:1::/64`) that it connects from without TLS. */
  readonly from?: readonly string[] | undefined;
}

/** The addresses to connect to, in order. */
export function addressesOf({ address, addresses = [] }: PeerAddresses): readonly string[] {
  return address === undefined ? addresses : [address, ...addresses];
}

/** Whether the configuration says where a peer connects from. */
export function hasSources(peer: PeerAddresses): boolean {
  return addressesOf(peer).length > 0 || (peer.from ?? []).length > 0;
}

/**
 * Addresses that a peer may connect from without TLS, because without TLS only the address identifies it. A peer
 * without any address must connect from this host, as in labs and tests.
 */
export function sourcesOf(peer: PeerAddresses): AddressSet {
  return new AddressSet(hasSources(peer) ? [...addressesOf(peer), ...(peer.from ?? [])] : LOOPBACK);
}
