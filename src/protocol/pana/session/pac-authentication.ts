import type { Secret } from '../../bytes/secret.js';
import type { PanaAvp } from '../wire/codec.js';
import { makeAvp } from '../wire/dictionary.js';
import { Run } from './key-agreement.js';
import type { PacOutput } from './pac-interface.js';
import { answerWithEap } from './pac-start.js';
import {
  close,
  type PacContext,
  type PacState,
  type PacStep,
  type Session,
  setKeys,
  type WaitEapMsg,
} from './pac-state.js';
import { authentication } from './requests.js';
import { type Dropped, dropped, type Received, type Send, sends } from './session.js';
import { after, stay } from './step.js';

/** EAP in PAR and PAN, RFC 5191 4.1, 4.3; RFC 5609 7.5 WAIT_PAA, WAIT_EAP_MSG. */

/** Code and Type of an EAP-Request/Identity, RFC 3748 4.1, 5.1. */
const EAP_REQUEST = 1;
const EAP_IDENTITY = 1;

/** Handles a PAR without S and C. */
export function par(context: PacContext, state: PacState, received: Received, now: number): PacStep {
  switch (state.name) {
    case 'WAIT_PAA':
      return eapRequest(context, state, state.session, received, now);
    // OPEN       PAR        | PAA re-authenticates | EAP(m); …         | WAIT_EAP_MSG
    case 'OPEN':
    case 'WAIT_PNA_PING': {
      const run = new Run(false, state.session.algorithms, context.drbg);
      return eapRequest(context, state, state.session, received, now, run);
    }
    // A PaC that requested re-authentication accepts no PAR before PNA[A] (RFC 5191 4.3).
    default:
      return stay(state, [dropped('unexpected')]);
  }
}

function eapRequest(
  { config, liveness }: PacContext,
  state: PacState,
  session: Session,
  { values, message, octets }: Received,
  now: number,
  newRun?: Run,
): PacStep {
  const packet = values['EAP-Payload'];
  if (!packet) return stay(state, [dropped('avp-missing')]);
  const run = newRun ?? session.run;
  // RFC 5191 4.1, 4.3: only the first PAR without S of an authentication carries the Nonce.
  if (!run.expects(values.Nonce)) return stay(state, [dropped('nonce')]);

  // RFC 3748 2: an EAP-Request/Identity restarts EAP. A PAA sends it if the AAA server was overloaded.
  const again = run.peerNonce !== undefined && packet[0] === EAP_REQUEST && packet[4] === EAP_IDENTITY;
  liveness.heard(now);
  session.begun = true;
  run.take(values.Nonce);
  if (again || newRun) setKeys(session, undefined);
  session.run = run;
  session.channel.accept(message, octets);
  const out: PacOutput[] = newRun || again ? [{ type: 'eapRestart' }] : [];
  // WAIT_PAA   PAR        | not pb             | EAP(m); Tx PAN      | WAIT_EAP_MSG
  if (!config.piggyback) out.push(...pan(session, []));
  out.push({ type: 'eapPacket', packet });
  // WAIT_PAA   PAR        | pb                 | EAP(m); respT+      | WAIT_EAP_MSG
  const replyBy = config.piggyback ? now + config.eapReplyTimeout : undefined;
  const until = now + config.failedSessionTimeout;
  return { state: { name: 'WAIT_EAP_MSG', session, pci: undefined, replyBy, until }, out };
}

/** A PAN without S and C. The first one of an authentication carries the Nonce. */
function pan({ channel, run }: Session, avps: readonly PanaAvp[]): (Send | Dropped)[] {
  return sends(channel.answer(authentication(0, [...avps, ...run.nonceAvps()])));
}

// WAIT_EAP_MSG  EAP reply timer | piggyback  | Tx PAN (Nonce)      | WAIT_PAA
export function tickEap(state: PacState, now: number): PacStep {
  if (state.name !== 'WAIT_EAP_MSG' || state.replyBy === undefined || now < state.replyBy) return stay(state);
  const { session, until } = state;
  return after(pan(session, []), stay({ name: 'WAIT_PAA', session, pci: undefined, until }));
}

/** Stores the MSK that the EAP method has derived. Takes ownership of it. */
export function eapKeys(state: PacState, msk: Secret, confirmed: boolean): PacStep {
  if ('session' in state) setKeys(state.session, { msk, confirmed });
  else msk.wipe();
  return stay(state);
}

export function eapResponse(context: PacContext, state: PacState, packet: Uint8Array, now: number): PacStep {
  switch (state.name) {
    case 'INITIAL':
      return answerWithEap(context, state, packet, now);
    case 'WAIT_EAP_MSG':
      return respond(context, state, packet, now);
    // Not RFC: the EAP reply timer has already sent an empty PAN, so the response is sent in a PAR.
    case 'WAIT_PAA': {
      if (!state.session.begun) return stay(state);
      const draft = authentication(0, [makeAvp('EAP-Payload', packet)]);
      return stay(state, sends(state.session.channel.request(draft, now)));
    }
    default:
      return stay(state);
  }
}

function respond({ config }: PacContext, { session, pci }: WaitEapMsg, packet: Uint8Array, now: number): PacStep {
  const avps = [makeAvp('EAP-Payload', packet)];
  const next: PacState = { name: 'WAIT_PAA', session, pci, until: now + config.failedSessionTimeout };
  // WAIT_EAP_MSG  EAP_RESPONSE | pb            | Tx PAN(EAP, Nonce)  | WAIT_PAA
  if (session.channel.owesAnswer) return stay(next, pan(session, avps));
  // WAIT_EAP_MSG  EAP_RESPONSE | not pb        | Tx PAR(EAP); RTX+   | WAIT_PAA
  return stay(next, sends(session.channel.request(authentication(0, avps), now)));
}

// WAIT_EAP_MSG  EAP_DISCARD | pb               | Tx PAN(); DISC      | CLOSED
// WAIT_EAP_MSG  EAP_DISCARD | not pb           | DISC                | CLOSED
export function eapDiscarded(state: PacState): PacStep {
  if (state.name !== 'WAIT_EAP_MSG') return stay(state);
  const out = state.session.channel.owesAnswer ? pan(state.session, []) : [];
  return after(out, close(state, 'eap-failed'));
}
