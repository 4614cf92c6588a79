import { equalOctets } from '../../bytes/octets.js';
import { FLAG, MESSAGE_TYPE } from '../wire/codec.js';
import { AVPS, makeAvp, PANA_TERMINATION_CAUSE } from '../wire/dictionary.js';
import type { Protection } from '../wire/keys.js';
import { beginRun, pan } from './paa-authentication.js';
import type { PaaClosed, PaaSessionOutput, PaaTermination } from './paa-interface.js';
import { open } from './paa-result.js';
import { close, heardFrom, isEstablished, isIdle, type PaaContext, type PaaState, type PaaStep } from './paa-state.js';
import { ping as pingDraft, reauthentication, terminated, termination } from './requests.js';
import { dropped, open as openEncrypted, type Received, sends } from './session.js';
import { after, stay } from './step.js';

/** Answers, pings, re-authentication and the end of a session: RFC 5191 4.2 to 4.4; RFC 5609 8.5 OPEN and later. */

/** Number of octets in the Echo AVP of a PNR. */
const ECHO_LENGTH = 16;

// OPEN, WAIT_PNA_PING  PTR                      | Tx PTA; ST-; DISC   | CLOSED
// SESS_TERM  PTR        | both ends end it   | Tx PTA              | SESS_TERM
// Not RFC: also during a re-authentication, where RFC 5191 5.5 does not forbid it.
export function ptr(
  context: PaaContext,
  state: PaaState,
  { message, octets }: Received,
  verified: Protection | undefined,
  now: number,
): PaaStep {
  if (!isEstablished(context, state)) return stay(state, [dropped('unexpected')]);
  const { channel, liveness } = context;
  liveness.heard(now);
  channel.accept(message, octets, verified);
  const out = sends(channel.answer(terminated()));
  return state.name === 'SESS_TERM' ? stay(state, out) : after(out, close(context, 'logout'));
}

// any but INITIAL  PNR[P]                       | Tx PNA[P]           | same
// OPEN, WAIT_PNA_PING  PNR[A]                  | Tx PNA[A]; EAPrestart | WAIT_EAP_MSG
export function pnr(
  context: PaaContext,
  state: PaaState,
  { message, octets }: Received,
  verified: Protection | undefined,
  now: number,
): PaaStep {
  const isReauthentication = (message.flags & FLAG.A) !== 0;
  if (!isEstablished(context, state) || (isReauthentication && state.name === 'SESS_TERM'))
    return stay(state, [dropped('unexpected')]);
  const { channel, liveness } = context;
  liveness.heard(now);
  channel.accept(message, octets, verified);
  if (context.role === 'candidate' && !isReauthentication && (message.flags & FLAG.E) === 0 && verified) {
    // OPEN       PNR[P] without E  | was pre-authenticated | let it in    | same
    channel.preAuthenticates = false;
    context.role = 'arriving';
    const out = heardFrom(context, undefined);
    // A PaC whose PAN[C] was lost is known to be authenticated when that arrives.
    return stay(state, state.name === 'WAIT_SUCC_PAN' && context.run.first ? out : [...out, { type: 'arriving' }]);
  }
  const draft = isReauthentication ? reauthentication() : pingDraft();
  const out: PaaSessionOutput[] = [...sends(channel.answer(draft)), ...heardFrom(context, undefined)];
  if (!isReauthentication) return stay(state, out);
  // Not RFC: a PNR[A] that crosses a re-authentication started by the PAA is answered, and that authentication
  // continues. After PAR[C], the PNR[A] comes from a PaC in OPEN whose PAN[C] was lost. Its re-authentication starts
  // after PAN[C].
  if (state.name === 'WAIT_SUCC_PAN') return stay({ ...state, again: true }, out);
  return isIdle(state) ? after(out, beginRun(context, now)) : stay(state, out);
}

/** Handles PAN, PNA or PTA. */
export function answer(context: PaaContext, state: PaaState, closed: Received, now: number): PaaStep {
  const { message, octets } = closed;
  const { channel, liveness } = context;
  if (!channel.answers(message)) return stay(state, [dropped('out-of-sequence')]);
  const { protection } = channel;
  const verified = channel.verify(octets);
  if (protection && !verified) return stay(state, [dropped('auth')]);
  const received = openEncrypted(closed, verified, context.config.vendorId);
  if ('type' in received) return stay(state, [received]);
  const { values } = received;
  const isAuth = message.type === MESSAGE_TYPE.AUTH;
  if (isAuth && (message.flags & FLAG.C) === 0) return pan(context, state, received, now);
  // RFC 5191 5.3: PAN[C] is the first message with which the PaC proves the new key.
  if (isAuth && verified !== protection) return stay(state, [dropped('auth')]);
  // RFC 5191 4.1: PAN[C] repeats the Key-Id of PAR[C].
  if (isAuth && state.name === 'WAIT_SUCC_PAN' && context.algorithms && values['Key-Id'] !== context.keyId)
    return stay(state, [dropped('avp-missing')]);
  const echo = echoAskedFor(context);
  if (echo && !(values.Echo && equalOctets(values.Echo, echo))) return stay(state, [dropped('echo')]);
  liveness.heard(now);
  const out: PaaSessionOutput[] = [...heardFrom(context, channel.askedAt), ...sends(channel.answered(now))];
  if (echo && echo === context.proof) out.push({ type: 'reached' });
  return after(out, answered(context, state, message.type, now));
}

function answered(context: PaaContext, state: PaaState, type: number, now: number): PaaStep {
  switch (state.name) {
    case 'WAIT_SUCC_PAN': {
      if (type !== MESSAGE_TYPE.AUTH) return stay(state);
      const opened = open(context, state.grant, now);
      return state.again ? after(opened.out, beginRun(context, now)) : opened;
    }
    // WAIT_FAIL_PAN  PAN[C]                        | RTX-; DISC          | CLOSED
    case 'WAIT_FAIL_PAN':
      return type === MESSAGE_TYPE.AUTH ? close(context, 'rejected') : stay(state);
    // WAIT_PNA_PING  PNA[P]                        | RTX-                | OPEN
    case 'WAIT_PNA_PING':
      return stay({ ...state, name: 'OPEN' });
    // SESS_TERM  PTA                               | RTX-; DISC          | CLOSED
    case 'SESS_TERM':
      return type === MESSAGE_TYPE.TERMINATION ? close(context, state.cause) : stay(state);
    default:
      return stay(state);
  }
}

/** The Echo value that the outstanding request contains. */
function echoAskedFor({ channel }: PaaContext): Uint8Array | undefined {
  return channel.asked?.avps.find((avp) => avp.code === AVPS.Echo.code && avp.vendorId !== undefined)?.value;
}

// OPEN       ping trigger                      | Tx PNR[P]; RTX+     | WAIT_PNA_PING
export function ping({ channel, liveness }: PaaContext, state: PaaState, now: number): PaaStep {
  if (state.name !== 'OPEN') return stay(state);
  liveness.pinged(now);
  return stay({ ...state, name: 'WAIT_PNA_PING' }, sends(channel.request(pingDraft(), now)));
}

// OPEN       the PaC may have moved            | Tx PNR[P] (Echo); RTX+ | WAIT_PNA_PING
// Not RFC: also while another request is outstanding; PNR is then queued behind it.
export function prove(context: PaaContext, state: PaaState, now: number): PaaStep {
  const { channel, config, drbg, echoes, liveness } = context;
  if (!channel.protection || !echoes || state.name === 'SESS_TERM' || state.name === 'CLOSED') return stay(state);
  channel.withdraw(MESSAGE_TYPE.NOTIFICATION, FLAG.P);
  const proof = drbg.bytes(ECHO_LENGTH);
  context.proof = proof;
  liveness.pinged(now);
  const out = sends(channel.request(pingDraft([makeAvp('Echo', proof, config.vendorId)]), now));
  return stay(state.name === 'OPEN' ? { ...state, name: 'WAIT_PNA_PING' } : state, out);
}

// OPEN       the PaC was let in                | Tx PNA[P]           | OPEN
export function welcome(context: PaaContext, state: PaaState, now: number): PaaStep {
  if (context.role !== 'arriving' || state.name === 'CLOSED') return stay(state);
  context.role = 'serving';
  const out = sends(context.channel.answer(pingDraft()));
  return stay(isIdle(state) ? { ...state, reauthenticateAt: nextRun(context, state.until, now) } : state, out);
}

/** When the PAA authenticates a PaC again that it has let in, if the PaC does not. */
function nextRun({ config }: PaaContext, until: number | undefined, now: number): number | undefined {
  if (until === undefined || config.reauthenticateAt === 0) return undefined;
  return now + Math.max(0, until - config.lifetimeGrace - now) * config.reauthenticateAt;
}

// OPEN       terminate trigger                 | Tx PTR; ST-; RTX+   | SESS_TERM
export function terminate(context: PaaContext, state: PaaState, cause: PaaTermination, now: number): PaaStep {
  if (state.name === 'CLOSED' || state.name === 'SESS_TERM') return stay(state);
  const closed: PaaClosed = cause === PANA_TERMINATION_CAUSE.SESSION_TIMEOUT ? 'session-timeout' : 'administrative';
  if (!isEstablished(context, state)) return close(context, closed);
  return stay({ name: 'SESS_TERM', cause: closed }, sends(context.channel.request(termination(cause), now)));
}

// OPEN       replaced by another session       | Tx PTR; DISC        | CLOSED
// Not RFC: does not wait for PTA. Otherwise a subscriber could keep any number of sessions open.
export function replace(context: PaaContext, state: PaaState, now: number): PaaStep {
  if (state.name === 'CLOSED') return stay(state);
  const { channel } = context;
  const sendsPtr = isEstablished(context, state) && !channel.busy;
  const out = sendsPtr ? sends(channel.request(termination(PANA_TERMINATION_CAUSE.ADMINISTRATIVE), now)) : [];
  return after(out, close(context, 'replaced'));
}
