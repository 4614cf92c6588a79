import { FLAG, MESSAGE_TYPE } from '../wire/codec.js';
import { makeAvp, PANA_TERMINATION_CAUSE } from '../wire/dictionary.js';
import { Run } from './key-agreement.js';
import type { PacOutput } from './pac-interface.js';
import { startAnew } from './pac-start.js';
import {
  type Begun,
  close,
  isAuthenticating,
  type PacContext,
  type PacState,
  type PacStep,
  setKeys,
} from './pac-state.js';
import { ping as pingDraft, reauthentication, terminated, termination } from './requests.js';
import { dropped, open, type Received, sends } from './session.js';
import { after, stay } from './step.js';

/** Pings, re-authentication, movement and the end of a session: RFC 5191 4.2 to 4.4, 5.6; RFC 5609 7.5 OPEN onward. */

/**
 * Number of transmissions of a request after which a PAA counts as `silent`: seven seconds with the defaults of RFC
 * 5191 9.1.
 */
const SILENT_AFTER = 4;

/** Retransmits the outstanding request and reports silence. */
export function tickRequest(state: PacState, now: number): PacStep {
  if (!('session' in state)) return stay(state);
  const { session } = state;
  const again = session.channel.tick(now);
  // any        RTX timeout| limit reached      | DISC                | CLOSED
  if (again === 'failed') return close(state, state.name === 'SESS_TERM' ? 'terminated' : 'no-answer');
  // any        RTX timeout| below the limit    | send again          | same
  const out: PacOutput[] = sends(again);
  const asks = state.name === 'WAIT_PNA_PING' || state.name === 'WAIT_PNA_REAUTH';
  if (asks && again.length > 0 && session.channel.transmissions >= SILENT_AFTER) {
    session.silent = true;
    out.push({ type: 'silent' });
  }
  return stay(state, out);
}

export function tickOpen(context: PacContext, state: PacState, now: number): PacStep {
  if (state.name !== 'OPEN') return stay(state);
  const { reauthenticateAt } = state.life;
  if (reauthenticateAt !== undefined && now >= reauthenticateAt) return reauthenticate(state, now);
  return context.liveness.isPingDue(now) ? ping(context, state, now) : stay(state);
}

// any but INITIAL  PNR[P]                       | Tx PNA[P]           | same
export function pnr({ config, liveness }: PacContext, state: Begun, received: Received, now: number): PacStep {
  const { message, octets, values } = received;
  if ((message.flags & FLAG.P) === 0) return stay(state, [dropped('unexpected')]);
  const { channel } = state.session;
  liveness.heard(now);
  channel.accept(message, octets);
  // The Echo value confirms to the PAA that the PaC is at the address to which the PNR was sent.
  const avps = values.Echo ? [makeAvp('Echo', values.Echo, config.vendorId)] : [];
  return stay(state, sends(channel.answer(pingDraft(avps))));
}

// OPEN, WAIT_PNA_PING, WAIT_PNA_REAUTH  PTR      | Tx PTA; DISC        | CLOSED
// SESS_TERM  PTR        | both ends end it   | Tx PTA              | SESS_TERM
// Not RFC: also in the other states of a re-authentication, where RFC 5191 5.5 does not forbid a PTR.
export function ptr({ liveness }: PacContext, state: Begun, { message, octets }: Received, now: number): PacStep {
  const { channel } = state.session;
  liveness.heard(now);
  channel.accept(message, octets);
  const out = sends(channel.answer(terminated()));
  return state.name === 'SESS_TERM' ? stay(state, out) : after(out, close(state, 'terminated-by-paa'));
}

/** Handles PAN, PNA or PTA. */
export function answer(context: PacContext, state: Begun, received: Received, now: number): PacStep {
  const { message, octets } = received;
  const { session } = state;
  const { channel } = session;
  if (!channel.answers(message)) return stay(state, [dropped('out-of-sequence')]);
  const verified = channel.verify(octets);
  if (channel.protection && !verified) return stay(state, [dropped('auth')]);
  const opened = open(received, verified, context.config.vendorId);
  if ('type' in opened) return stay(state, [opened]);
  context.liveness.heard(now);
  const out: PacOutput[] = sends(channel.answered(now));
  if (session.silent || session.awaited) out.push({ type: 'heard' });
  session.silent = false;
  session.awaited = false;
  const isArrival = message.type === MESSAGE_TYPE.NOTIFICATION && (message.flags & (FLAG.P | FLAG.E)) === FLAG.P;
  if (session.arriving && isArrival) {
    session.arriving = false;
    out.push({ type: 'arrived' });
  }
  // SESS_TERM  PTA                             | DISC                | CLOSED
  if (message.type === MESSAGE_TYPE.TERMINATION) return after(out, close(state, 'terminated'));
  // WAIT_PNA_PING  PNA[P]                      | RTX-                | OPEN
  if (state.name === 'WAIT_PNA_PING' && message.flags & FLAG.P) return stay({ ...state, name: 'OPEN' }, out);
  // WAIT_PNA_REAUTH  PNA[A]                    | ST(FAILED)          | WAIT_PAA
  if (state.name === 'WAIT_PNA_REAUTH' && message.flags & FLAG.A) {
    setKeys(session, undefined);
    session.run = new Run(false, session.algorithms, context.drbg);
    const until = now + context.config.failedSessionTimeout;
    return stay({ name: 'WAIT_PAA', session, pci: undefined, until }, [...out, { type: 'eapRestart' }]);
  }
  return stay(state, out);
}

// OPEN       ping trigger                      | Tx PNR[P]; RTX+     | WAIT_PNA_PING
export function ping({ liveness }: PacContext, state: PacState, now: number): PacStep {
  if (state.name !== 'OPEN') return stay(state);
  liveness.pinged(now);
  return stay({ ...state, name: 'WAIT_PNA_PING' }, sends(state.session.channel.request(pingDraft(), now)));
}

/**
 * RFC 5191 5.6: the PAA learns the new address from any protected message. The outstanding request is sent again now.
 * The PAA may already have it from the old address, and a repetition does not move the session; a ping therefore
 * follows. Not RFC: a ping is also sent during a re-authentication, where RFC 5191 4.2 has none, because no other
 * message is possible.
 */
export function moved(context: PacContext, state: PacState, now: number): PacStep {
  if (!('session' in state)) return stay(state);
  const { channel } = state.session;
  if (!channel.protection) return stay(state);
  state.session.awaited = true;
  if (state.name === 'OPEN' && !channel.busy) return ping(context, state, now);
  const again = sends(channel.resend());
  const isAsked = channel.queues(MESSAGE_TYPE.NOTIFICATION, FLAG.P);
  if (state.name === 'SESS_TERM' || isAsked) return stay(state, again);
  return stay(state, [...again, ...sends(channel.request(pingDraft(), now))]);
}

/**
 * RFC 5873 3: the node is in the network of the PAA. It says so by a PNR[P] without E, and no message has E from now on.
 * The PNR follows the outstanding request, to which the PAA may have answered before.
 */
export function arrive(context: PacContext, state: PacState, now: number): PacStep {
  if (!('session' in state)) return stay(state);
  const { channel } = state.session;
  if (!channel.protection || !channel.preAuthenticates) return stay(state);
  channel.preAuthenticates = false;
  state.session.arriving = true;
  return moved(context, state, now);
}

/** Checks whether the PAA still has the session although the address is the same (RFC 5191 4.2). */
export function probe(context: PacContext, state: PacState, now: number): PacStep {
  if (state.name === 'INITIAL') return startAnew(context, state, now);
  if (!('session' in state) || state.session.channel.protection) return moved(context, state, now);
  state.session.awaited = true;
  return ping(context, state, now);
}

// OPEN       re-auth trigger                   | Tx PNR[A]; RTX+     | WAIT_PNA_REAUTH
export function reauthenticate(state: PacState, now: number): PacStep {
  if (state.name !== 'OPEN' && state.name !== 'WAIT_PNA_PING') return stay(state);
  const out = sends(state.session.channel.request(reauthentication(), now));
  return stay({ ...state, name: 'WAIT_PNA_REAUTH' }, out);
}

// OPEN       terminate trigger                 | Tx PTR; RTX+; ST-   | SESS_TERM
// Not RFC: also during a re-authentication, where RFC 5191 5.5 allows PTR. Before the first key, no PTR can be sent.
export function terminate(state: PacState, now: number): PacStep {
  if (state.name === 'CLOSED' || state.name === 'SESS_TERM') return stay(state);
  if (!('session' in state)) return close(state, 'terminated');
  const { session } = state;
  if (!session.channel.protection && isAuthenticating(state)) return close(state, 'terminated');
  const out = sends(session.channel.request(termination(PANA_TERMINATION_CAUSE.LOGOUT), now));
  return stay({ name: 'SESS_TERM', session }, out);
}
