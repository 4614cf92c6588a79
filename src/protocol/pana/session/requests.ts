import { FLAG, MESSAGE_TYPE, type PanaAvp } from '../wire/codec.js';
import { makeAvp, type PANA_TERMINATION_CAUSE } from '../wire/dictionary.js';
import type { Draft } from './channel.js';

/** Drafts of the messages that either end may send, RFC 5191 7.4 to 7.7. */

/** PNR[P], or its answer PNA[P]: a ping. */
export function ping(avps: readonly PanaAvp[] = []): Draft {
  return { type: MESSAGE_TYPE.NOTIFICATION, flags: FLAG.P, avps };
}

/** PNR[A], or its answer PNA[A]: requests a re-authentication. */
export function reauthentication(): Draft {
  return { type: MESSAGE_TYPE.NOTIFICATION, flags: FLAG.A, avps: [] };
}

/** PTR: terminates the session. */
export function termination(cause: (typeof PANA_TERMINATION_CAUSE)[keyof typeof PANA_TERMINATION_CAUSE]): Draft {
  return { type: MESSAGE_TYPE.TERMINATION, flags: 0, avps: [], hidden: [makeAvp('Termination-Cause', cause)] };
}

/** PTA. */
export function terminated(): Draft {
  return { type: MESSAGE_TYPE.TERMINATION, flags: 0, avps: [] };
}

/** PAR or PAN; `flags`: S, C and I. */
export function authentication(flags: number, avps: readonly PanaAvp[]): Draft {
  return { type: MESSAGE_TYPE.AUTH, flags, avps };
}
