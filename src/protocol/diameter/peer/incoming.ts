import type { Origin } from '../wire/answers.js';
import { type Avp, type DiameterMessage, FLAG } from '../wire/codec.js';
import { APPLICATION, commandOf } from '../wire/commands.js';
import type { Grammarian, Violation } from '../wire/grammar.js';
import { RESULT } from '../wire/result-codes.js';
import type { PeerCapabilities } from './capabilities.js';

/** The longest name of a host or realm, in octets (RFC 1035 2.3.4). */
const MAX_NAME = 253;

export interface Receiver {
  readonly origin: Origin;
  readonly applications: readonly number[];
  /** Realms that it serves besides its own; `*`: all realms. */
  readonly realms?: readonly string[] | undefined;
}

/** Whether a host, in lower case, is configured as an agent. */
export type IsAgent = (host: string) => boolean;

/**
 * Checks whether a node that is not an agent may process a request of a peer (RFC 6733 6.1, 7.1.3), before the command
 * is decoded. Returns the violation to answer with, if any.
 */
export function checkRequest(
  grammarian: Grammarian,
  receiver: Receiver,
  peer: PeerCapabilities | undefined,
  request: DiameterMessage,
  isAgent: IsAgent,
): Violation | undefined {
  const { flags, applicationId, commandCode, avps } = request;
  if (flags & FLAG.E) return violation(RESULT.INVALID_HDR_BITS, 'a request with the E bit');
  // RFC 4072 3 sends RAR, ASR and STR with application 0. Peers that follow RFC 6733 use the application of the
  // session. Both are accepted.
  if (applicationId !== APPLICATION.COMMON && !receiver.applications.includes(applicationId)) {
    return violation(RESULT.APPLICATION_UNSUPPORTED, `application ${applicationId}`);
  }
  if (!commandOf(commandCode, true)) return violation(RESULT.COMMAND_UNSUPPORTED, `command ${commandCode}`);
  const named = applicationOf(grammarian, avps);
  if (named && applicationId === APPLICATION.COMMON && !receiver.applications.includes(named.id)) {
    return { ...violation(RESULT.INVALID_AVP_VALUE, `Auth-Application-Id ${named.id}`), failedAvp: named.avp };
  }
  const us = receiver.origin.host.toLowerCase();
  const destination = grammarian.find(avps, 'Destination-Host');
  if (destination !== undefined && destination.toLowerCase() !== us) {
    return violation(RESULT.UNABLE_TO_DELIVER, 'the Destination-Host is not this node');
  }
  // RFC 6733 6.1.4: without Destination-Host the Destination-Realm decides.
  const realm = grammarian.find(avps, 'Destination-Realm');
  if (destination === undefined && realm !== undefined && !serves(receiver, realm)) {
    return violation(RESULT.REALM_NOT_SERVED, `this node does not serve the realm ${realm.slice(0, MAX_NAME)}`);
  }
  if (routeOf(grammarian, avps).includes(us)) return violation(RESULT.LOOP_DETECTED, 'a Route-Record names this node');
  return peer && checkOrigin(grammarian, peer, avps, isAgent);
}

/**
 * Checks Origin-Host. A peer may send requests only in its own name. An agent may also forward requests of the host in
 * the last Route-Record (RFC 6733 6.1.9) and, if that host is an agent too, of the host before it. Earlier
 * Route-Records are not trusted, because a host behind an agent can forge them.
 */
function checkOrigin(
  grammarian: Grammarian,
  peer: PeerCapabilities,
  avps: readonly Avp[],
  isAgent: IsAgent,
): Violation | undefined {
  const origin = grammarian.find(avps, 'Origin-Host')?.toLowerCase();
  if (origin === undefined || origin === peer.host.toLowerCase()) return undefined;
  if (!peer.relay) {
    return violation(RESULT.UNABLE_TO_COMPLY, 'the Origin-Host is not the peer, and the peer is no relay');
  }
  const from = routeOf(grammarian, avps).findLast((host) => host === origin || !isAgent(host));
  return from === origin
    ? undefined
    : violation(RESULT.UNABLE_TO_COMPLY, 'no Route-Record of a configured agent names the Origin-Host');
}

function serves({ origin, realms = [] }: Receiver, realm: string): boolean {
  const wanted = realm.toLowerCase();
  return [origin.realm, ...realms].some((served) => served === '*' || served.toLowerCase() === wanted);
}

function applicationOf(grammarian: Grammarian, avps: readonly Avp[]) {
  const id = grammarian.find(avps, 'Auth-Application-Id');
  const avp = avps.find(({ code, vendorId }) => grammarian.dictionary.nameOf(code, vendorId) === 'Auth-Application-Id');
  return id === undefined || avp === undefined ? undefined : { id, avp };
}

/** The hosts that a request has passed through, in lower case, the most recent one last (RFC 6733 6.1.9). */
function routeOf(grammarian: Grammarian, avps: readonly Avp[]): string[] {
  return avps
    .filter(({ code, vendorId }) => grammarian.dictionary.nameOf(code, vendorId) === 'Route-Record')
    .map((avp) => grammarian.find([avp], 'Route-Record')?.toLowerCase() ?? '');
}

function violation(resultCode: number, text: string): Violation {
  return { resultCode, failedAvp: undefined, text };
}
