import { CAPABILITY } from '../protocol/mip6/assignment.js';
import { SERVICE_BIT } from '../protocol/mip6/services.js';
import type { PacConfig, PacMobility } from '../protocol/pana/session/pac-interface.js';
import { PCI_DEFAULTS, REQUEST_DEFAULTS } from '../protocol/pana/session/retransmission.js';
import { type PacOptions, pskRootOf } from './options.js';

/**
 * Default time limits for PCIs to one PAA, in milliseconds. `usual`: there is another PAA to try. `short`: after a move;
 * time for two PCIs.
 */
const PCI_LIMITS = { none: 0, usual: 10_000, short: 1_500 };

/** Returns the configuration of a session machine. */
export function sessionConfig(
  { pana, mobility }: PacOptions,
  limit: keyof typeof PCI_LIMITS,
  exportKeys: boolean,
): PacConfig {
  return {
    vendorId: pana['vendor-id'],
    prf: pana.prf,
    integrity: pana.integrity,
    sa: pana.sa,
    encryption: pana.encryption,
    piggyback: pana['piggyback-responses'],
    eapReplyTimeout: pana['eap-reply-timeout'],
    failedSessionTimeout: pana['progress-timeout'],
    pci: { ...PCI_DEFAULTS, mrd: pana['pci-limit'] || PCI_LIMITS[limit] },
    request: REQUEST_DEFAULTS,
    pingInterval: pana['ping-interval'],
    reauthenticateAt: pana['reauthenticate-at'],
    mobility: mobilityOf(mobility),
    exportKeys,
  };
}

function mobilityOf(mobility: PacOptions['mobility']): PacMobility | undefined {
  const { mode, services } = mobility;
  const bits = services.reduce((sum, service) => sum | SERVICE_BIT[service], 0);
  if (mode !== 'off') return { mode, wish: wishOf(mobility) | bits, sealed: mobility.privacy === 'required' };
  if (bits === 0) return undefined;
  return { mode: 'wanted', wish: bits | (pskRootOf(mobility) === 'emsk' ? CAPABILITY.PSK_FROM_EMSK : 0) };
}

function wishOf(mobility: PacOptions['mobility']): number {
  const { 'home-agent': where, ike, privacy, 'home-address': by } = mobility;
  const key =
    (pskRootOf(mobility) === 'emsk' ? CAPABILITY.PSK_FROM_EMSK : 0) | (privacy === 'off' ? 0 : CAPABILITY.SEALED);
  // Only a home agent of the home network asks the AAA server for the node, and only IKEv2 has EAP.
  if (by === 'ikev2') return CAPABILITY.MIP6 | CAPABILITY.HOME_HA | CAPABILITY.IKEV2_PSK | key;
  let wish: number = CAPABILITY.MIP6 | CAPABILITY.HOA_ASSIGN | key;
  if (where === 'home') wish |= CAPABILITY.HOME_HA;
  if (where === 'local') wish |= CAPABILITY.LOCAL_HA;
  if (ike.includes('ikev1')) wish |= CAPABILITY.IKEV1_PSK;
  if (ike.includes('ikev2')) wish |= CAPABILITY.IKEV2_PSK;
  return wish;
}
