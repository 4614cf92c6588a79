import { AddressSet } from '../protocol/bytes/address-set.js';
import type { Origin } from '../protocol/diameter/wire/answers.js';
import { CAPABILITY } from '../protocol/mip6/assignment.js';
import { SERVICE_BITS } from '../protocol/mip6/services.js';
import type { NasOrigin } from '../protocol/nas/aaa-messages.js';
import type { NasConfig } from '../protocol/nas/alphabet.js';
import { identityRequest } from '../protocol/nas/eap.js';
import type { PaaConfig } from '../protocol/pana/agent/paa-interface.js';
import { REQUEST_DEFAULTS } from '../protocol/pana/session/retransmission.js';
import { INTEGRITY, PRF } from '../protocol/pana/wire/algorithms.js';
import { eapPacketOf } from '../runtime/net/link-mtu.js';
import type { PaaOptions } from './options.js';

/** Stands for the realm of the NAS, which RADIUS does not have. */
const RADIUS_REALM = 'radius';

/**
 * The Diameter identity of the NAS. With RADIUS its NAS-Identifier stands for it. The schema makes sure that there is
 * one.
 */
export function originOf({ aaa, diameter, nas }: PaaOptions): Origin {
  if (aaa === 'radius') return { host: nas.identifier ?? '', realm: RADIUS_REALM };
  return { host: diameter.host ?? '', realm: diameter.realm ?? '' };
}

/** The identity of the NAS in messages. `stateId`: Origin-State-Id. */
export function nasOrigin(options: PaaOptions, stateId: number): NasOrigin {
  const { pana, nas } = options;
  const origin = originOf(options);
  return {
    ...origin,
    stateId,
    ownVendor: pana['vendor-id'],
    nasIdentifier: nas.identifier ?? origin.host,
    framedMtu: nas['framed-mtu'] ?? eapPacketOf(pana.interface),
  };
}

/** Converts the options to the configuration of the NAS machine. */
export function nasConfig(options: PaaOptions): NasConfig {
  const { pana, hooks, diameter, aaa, 'local-home-agent': local } = options;
  const routes = aaa === 'radius' ? [] : diameter.routes;
  return {
    paa: paaConfig(options),
    sessionLifetime: pana['session-lifetime'],
    preAuthenticationLifetime: pana['pre-authentication'].lifetime,
    sessionsPerSubscriber: pana.limits['sessions-per-subscriber'],
    enforcement:
      hooks.ep === undefined && pana.relays.every(({ ep }) => ep === undefined) ? undefined : { wait: hooks.wait },
    local,
    routes,
    // Without an identity, the realm of its user is unknown.
    emptyStart:
      pana['identity-request'] === 'server' ? { realm: routes[0]?.realm ?? originOf(options).realm } : undefined,
  };
}

function paaConfig({ pana, mobility, 'local-home-agent': local, 'key-log': keyLog }: PaaOptions): PaaConfig {
  const { limits, 'pre-authentication': early } = pana;
  const offer =
    CAPABILITY.MIP6 |
    CAPABILITY.HOME_HA |
    CAPABILITY.HOA_ASSIGN |
    CAPABILITY.IKEV1_PSK |
    CAPABILITY.IKEV2_PSK |
    CAPABILITY.PSK_FROM_EMSK |
    CAPABILITY.SEALED |
    (mobility.services ? SERVICE_BITS : 0) |
    CAPABILITY.ECHO |
    (local ? CAPABILITY.LOCAL_HA : 0);
  return {
    vendorId: pana['vendor-id'],
    prf: pana.peers === 'legacy' ? sha1First(pana.prf, PRF.HMAC_SHA1) : pana.prf,
    integrity: pana.peers === 'legacy' ? sha1First(pana.integrity, INTEGRITY.HMAC_SHA1_160) : pana.integrity,
    peers: pana.peers,
    sa: pana.sa,
    encryption: pana.encryption,
    failedSessionTimeout: pana['progress-timeout'],
    request: REQUEST_DEFAULTS,
    pingInterval: pana['ping-interval'],
    reauthenticateAt: pana['reauthenticate-at'],
    lifetimeGrace: pana['lifetime-grace'],
    mobility: mobility.offer ? offer : undefined,
    firstRequest: pana['optimised-start'] && pana['identity-request'] === 'paa' ? identityRequest(0) : undefined,
    reconfigure: pana['ip-reconfiguration'],
    exportKeys: keyLog !== undefined,
    relays: pana.relays.map(({ address }) => address),
    preAuthentication: early.allow
      ? { networks: early.from.length === 0 ? 'any' : new AddressSet(early.from), sessions: early.sessions }
      : undefined,
    limits: {
      pciPerAddress: limits['pci-per-address'],
      pciPerNetwork: limits['pci-per-network'],
      pciInAll: limits.pci,
      halfOpenPerAddress: limits['half-open-per-address'],
      halfOpenPerNetwork: limits['half-open-per-network'],
      halfOpen: limits['half-open'],
      sessions: limits.sessions,
    },
  };
}

/** Moves SHA-1 to the front: old PaCs accept only the first algorithm of an offer, and support only SHA-1. */
function sha1First(ids: readonly number[], sha1: number): number[] {
  return [...ids.filter((id) => id === sha1), ...ids.filter((id) => id !== sha1)];
}
