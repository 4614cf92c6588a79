import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Size of an EAP packet in octets that every IPv6 link carries, whose MTU is at least 1280 (RFC 8200, section 5). */
export const SMALL_EAP_PACKET = 1100;

/** Maximum size of an EAP packet in octets. */
const LARGEST_EAP_PACKET = 1400;

/** Octets of IPv6, UDP and PANA around an EAP packet, with the AVPs of a protected message. */
const AROUND_EAP = 100;

/**
 * The size in octets of the largest EAP packet that a link carries in one PANA message without IP fragments.
 * SMALL_EAP_PACKET if the MTU of the interface is unknown, as on other systems than Linux.
 */
export function eapPacketOf(interfaceName: string | undefined, folder = '/sys/class/net'): number {
  const mtu = interfaceName === undefined ? Number.NaN : mtuOf(join(folder, interfaceName, 'mtu'));
  return mtu >= 1280 ? Math.min(LARGEST_EAP_PACKET, mtu - AROUND_EAP) : SMALL_EAP_PACKET;
}

/** NaN if the file cannot be read. */
function mtuOf(path: string): number {
  try {
    return Number(readFileSync(path, 'utf8'));
  } catch {
    return Number.NaN;
  }
}
