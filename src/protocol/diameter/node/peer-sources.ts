import { AddressSet, LOOPBACK } from '../../bytes/address-set.js';

/** Addresses of a peer, as a configuration has them. */
export interface PeerAddresses {
  /** Where to connect to, each tried in turn; none: the peer connects to us. */
  readonly address?: string | undefined;
  readonly addresses?: readonly string[] | undefined;
  /** Addresses and networks (`2001:db8:1::/64`) that it connects from without TLS, beside those. */
  readonly from?: readonly string[] | undefined;
}

/** The addresses that we connect to, in their order. */
export function addressesOf({ address, addresses = [] }: PeerAddresses): readonly string[] {
  return address === undefined ? addresses : [address, ...addresses];
}

/** Whether anything says where a peer connects from. */
export function hasSources(peer: PeerAddresses): boolean {
  return addressesOf(peer).length > 0 || (peer.from ?? []).length > 0;
}

/**
 * Where a peer may connect from without TLS, since only its address identifies it then. A peer without any address connects from
 * this host, where labs and tests run everything.
 */
export function sourcesOf(peer: PeerAddresses): AddressSet {
  return new AddressSet(hasSources(peer) ? [...addressesOf(peer), ...(peer.from ?? [])] : LOOPBACK);
}
