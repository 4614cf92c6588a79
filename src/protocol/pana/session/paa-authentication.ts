import { equalOctets } from '../../bytes/octets.js';
import { FLAG } from '../wire/codec.js';
import { makeAvp } from '../wire/dictionary.js';
import type { Protection } from '../wire/keys.js';
import { Run } from './key-agreement.js';
import type { PaaSessionOutput } from './paa-interface.js';
import { eapFailure } from './paa-result.js';
import {
  ask,
  heardFrom,
  type PaaContext,
  type PaaState,
  type PaaStep,
  progressLimit,
  reconfigure,
} from './paa-state.js';
import { authentication } from './requests.js';
import { type Dropped, dropped, type Received, type Send, sends } from './session.js';
import { stay } from './step.js';

/** EAP in PAR and PAN, RFC 5191 4.1, 4.3; RFC 5609 8.5 WAIT_EAP_MSG, WAIT_PAN_OR_PAR. */

/**
 * If the AAA server made no decision about a re-authentication, it is retried after this time. Each further retry
 * doubles the time, up to the maximum. A PaC waits for one minute. Milliseconds.
 */
const POSTPONED_FIRST = 5_000;
const POSTPONED_LONGEST = 30_000;

// OPEN       REAUTH_TIMEOUT                    | EAPrestart          | WAIT_EAP_MSG
export function beginRun(context: PaaContext, now: number): PaaStep {
  context.run = new Run(false, context.algorithms, context.drbg);
  context.postponed = 0;
  return startEap(context, now);
}

/** Restarts EAP within the current authentication, whose nonce the PaC already has. */
export function restartRun(context: PaaContext, now: number): PaaStep {
  if (!context.channel.busy) return startEap(context, now);
  // The PaC has not answered yet. Its request is retransmitted up to the limit; no other request can be sent.
  return stay({ name: 'WAIT_PAN_OR_PAR', until: progressLimit(context, now) });
}

function startEap(context: PaaContext, now: number): PaaStep {
  const until = progressLimit(context, now);
  return stay({ name: 'WAIT_EAP_MSG', until, retryAt: undefined }, [
    {
      type: 'eapStart',
      reauthentication: true,
      preAuthentication: context.role === 'candidate',
      wish: context.wish,
      asked: undefined,
    },
  ]);
}

// WAIT_EAP_MSG  EAP_REQUEST                    | Tx PAR(EAP, Nonce); RTX+ | WAIT_PAN_OR_PAR
export function eapRequest(context: PaaContext, state: PaaState, packet: Uint8Array, now: number): PaaStep {
  if (state.name !== 'WAIT_EAP_MSG') return stay(state);
  const avps = [makeAvp('EAP-Payload', packet), ...context.run.nonceAvps()];
  const next: PaaState = { name: 'WAIT_PAN_OR_PAR', until: progressLimit(context, now) };
  return ask(context, next, authentication(reconfigure(context), avps), now);
}

// WAIT_EAP_MSG  no verdict  | first run          | Result 1; Tx PAR[C]; RTX+ | WAIT_FAIL_PAN
// WAIT_EAP_MSG  no verdict  | re-authentication  | EAPrestart later    | WAIT_EAP_MSG
// Not RFC: RFC 5609 has no such event. A session that the AAA server granted must not end because the server is
// overloaded.
export function eapPostponed(context: PaaContext, state: PaaState, now: number): PaaStep {
  if (state.name !== 'WAIT_EAP_MSG' || context.run.first) return eapFailure(context, state, undefined, now);
  const retryAt = now + Math.min(POSTPONED_FIRST * 2 ** context.postponed, POSTPONED_LONGEST);
  context.postponed += 1;
  return stay({ name: 'WAIT_EAP_MSG', until: progressLimit(context, retryAt), retryAt });
}

// WAIT_PAN_OR_PAR  PAR                          | EAP(m); RTX-; Tx PAN()| WAIT_EAP_MSG
export function par(
  context: PaaContext,
  state: PaaState,
  { message, values, octets }: Received,
  verified: Protection | undefined,
  now: number,
): PaaStep {
  const packet = values['EAP-Payload'];
  if (state.name !== 'WAIT_PAN_OR_PAR' || message.flags & (FLAG.S | FLAG.C | FLAG.I) || !packet) {
    return stay(state, [dropped('unexpected')]);
  }
  // Not RFC: the request that this PAR responds to remains outstanding until its PAN arrives, so that no sequence
  // number is skipped. The PaC's answer may be delayed rather than lost.
  const { channel, liveness } = context;
  liveness.heard(now);
  channel.accept(message, octets, verified);
  if (channel.busy) context.starting = undefined;
  else if (context.starting) context.starting = { response: packet };
  const out: PaaSessionOutput[] = sends(channel.answer(authentication(0, [])));
  const next: PaaState = { name: 'WAIT_EAP_MSG', until: progressLimit(context, now), retryAt: undefined };
  return stay(next, [...out, ...heardFrom(context, undefined), { type: 'eapPacket', packet }]);
}

/**
 * Not RFC: a PaC that has restarted at the same address and port may continue the start that is in progress, because
 * its PCI was taken as one of that start. Its sequence numbers differ, but its first response is the same. Undefined:
 * the PAR does not come from such a PaC.
 */
export function takenUp(
  { starting, channel }: PaaContext,
  { message, octets, values }: Received,
): (Send | Dropped)[] | undefined {
  const packet = values['EAP-Payload'];
  if (!starting?.response || !packet || !equalOctets(packet, starting.response)) return undefined;
  channel.accept(message, octets);
  return sends(channel.answer(authentication(0, [])));
}

// WAIT_PAN_OR_PAR  PAN      | EAP-Payload        | EAP(m); RTX-        | WAIT_EAP_MSG
// WAIT_PAN_OR_PAR  PAN      | no EAP-Payload     | RTX-                | WAIT_PAN_OR_PAR
export function pan(context: PaaContext, state: PaaState, { values }: Received, now: number): PaaStep {
  const { channel, liveness, run } = context;
  // Not RFC: this may be the answer to a PAR whose EAP response arrived earlier in a PAR of the PaC. PAR[C] is queued
  // behind it. In SESS_TERM, PTR is queued behind a PAR of the re-authentication that the termination interrupts.
  const isLate = state.name === 'WAIT_SUCC_PAN' || state.name === 'WAIT_FAIL_PAN' || state.name === 'SESS_TERM';
  if (!isLate && state.name !== 'WAIT_PAN_OR_PAR' && state.name !== 'WAIT_EAP_MSG')
    return stay(state, [dropped('unexpected')]);
  if (!isLate && !run.expects(values.Nonce)) return stay(state, [dropped('nonce')]);
  liveness.heard(now);
  if (!isLate) {
    context.starting = undefined;
    run.take(values.Nonce);
  }
  const out: PaaSessionOutput[] = [...heardFrom(context, channel.askedAt), ...sends(channel.answered(now))];
  if (isLate) return stay(state, out);
  const packet = values['EAP-Payload'];
  const until = progressLimit(context, now);
  if (state.name === 'WAIT_EAP_MSG') return stay({ name: 'WAIT_EAP_MSG', until, retryAt: undefined }, out);
  if (!packet) return stay({ name: 'WAIT_PAN_OR_PAR', until }, out);
  return stay({ name: 'WAIT_EAP_MSG', until, retryAt: undefined }, [...out, { type: 'eapPacket', packet }]);
}
