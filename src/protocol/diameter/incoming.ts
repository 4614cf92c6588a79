import type { Origin } from './answers.js';
import type { PeerCapabilities } from './capabilities.js';
import { type Avp, type DiameterMessage, FLAG } from './codec.js';
import { APPLICATION, commandOf } from './commands.js';
import type { Grammarian, Violation } from './grammar.js';
import { RESULT } from './result-codes.js';

export interface Receiver {
  readonly origin: Origin;
  readonly applications: readonly number[];
}

/**
 * Whether a node that is no agent takes this request of a peer at all (RFC 6733 6.1, 7.1.3), before its command is read;
 * otherwise what to answer.
 */
export function checkRequest(
  grammarian: Grammarian,
  receiver: Receiver,
  peer: PeerCapabilities | undefined,
  request: DiameterMessage,
): Violation | undefined {
  const { flags, applicationId, commandCode, avps } = request;
  if (flags & FLAG.E) return violation(RESULT.INVALID_HDR_BITS, 'a request with the E bit');
  // RFC 4072 3 gives RAR, ASR and STR application 0, peers of RFC 6733 that of their session: both are taken.
  if (applicationId !== APPLICATION.COMMON && !receiver.applications.includes(applicationId)) {
    return violation(RESULT.APPLICATION_UNSUPPORTED, `application ${applicationId}`);
  }
  if (!commandOf(commandCode, true)) return violation(RESULT.COMMAND_UNSUPPORTED, `command ${commandCode}`);
  const us = receiver.origin.host.toLowerCase();
  const destination = grammarian.find(avps, 'Destination-Host');
  if (destination !== undefined && destination.toLowerCase() !== us) {
    return violation(RESULT.UNABLE_TO_DELIVER, 'the Destination-Host is another one');
  }
  if (hasPassed(grammarian, avps, us)) return violation(RESULT.LOOP_DETECTED, 'the request has been here before');
  const origin = grammarian.find(avps, 'Origin-Host');
  if (peer && !peer.relay && origin !== undefined && origin.toLowerCase() !== peer.host.toLowerCase()) {
    return violation(RESULT.UNABLE_TO_COMPLY, 'the Origin-Host is not the peer, and the peer is no relay');
  }
  return undefined;
}

/** RFC 6733 6.1.3: our own name in a Route-Record. */
function hasPassed(grammarian: Grammarian, avps: readonly Avp[], us: string): boolean {
  return avps.some(
    (avp) =>
      grammarian.dictionary.nameOf(avp.code, avp.vendorId) === 'Route-Record' &&
      grammarian.find([avp], 'Route-Record')?.toLowerCase() === us,
  );
}

function violation(resultCode: number, text: string): Violation {
  return { resultCode, failedAvp: undefined, text };
}
