import { isLinkLocal } from '../../bytes/address.js';
import { DecodeError, type DecodeErrorCode } from '../../bytes/decode-error.js';
import type { PacEndpoint } from '../session/start.js';
import { decodeRelay, encodeRelay } from '../wire/relayed.js';

/** A message of a PaC behind a relay. */
export interface OpenedRelay {
  readonly octets: Uint8Array;
  readonly from: PacEndpoint;
}

/**
 * Opens a PRY, RFC 6345 3: only of the relays with these addresses, because a relay may name any PaC. Otherwise returns
 * why it is dropped.
 */
export function openRelay(
  octets: Uint8Array,
  from: PacEndpoint,
  relays: readonly string[],
): OpenedRelay | DecodeErrorCode | 'unknown-relay' {
  if (!relays.includes(from.address)) return 'unknown-relay';
  try {
    const { pac, octets: inner } = decodeRelay(octets);
    const { address, port, local } = from;
    // Link-local addresses are unique on the link of a relay only.
    const scoped = isLinkLocal(pac.address) ? `${pac.address}%${address}` : pac.address;
    const relay = { address, port, local };
    return {
      octets: inner,
      from: { address: scoped, port: pac.port, local: `relay|${address}|${port}|${local}`, relay },
    };
  } catch (error) {
    if (error instanceof DecodeError) return error.code;
    throw error;
  }
}

/** A message for a PaC as a datagram: to the PaC itself, or as a PRY to its relay (RFC 6345 4). */
export function toPac(octets: Uint8Array, to: PacEndpoint): { readonly octets: Uint8Array; readonly to: PacEndpoint } {
  if (!to.relay) return { octets, to };
  return { octets: encodeRelay({ pac: { address: withoutScope(to.address), port: to.port }, octets }), to: to.relay };
}

/** An address without the interface or relay after `%`. */
export function withoutScope(address: string): string {
  return address.split('%', 1)[0] ?? '';
}
