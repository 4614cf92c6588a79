import { CAPABILITY } from '../../mip6/assignment.js';
import { FLAG } from '../wire/codec.js';
import { makeAvp, RESULT_CODE } from '../wire/dictionary.js';
import { type Protection, verifyAuth, wipeProtection } from '../wire/keys.js';
import { readAssignment, readServices } from '../wire/mobility.js';
import { deriveProtection, exportedKey } from './key-agreement.js';
import type { PacAuthorized, PacOutput } from './pac-interface.js';
import {
  close,
  type Life,
  type PacContext,
  type PacState,
  type PacStep,
  type Session,
  setKeys,
  type WaitEapResult,
} from './pac-state.js';
import { authentication } from './requests.js';
import { dropped, MIN_LIFETIME, open, type Received, sends } from './session.js';
import { after, stay } from './step.js';

/** PAR[C] and what follows, RFC 5191 4.1, 5.3; RFC 5609 7.5 WAIT_PAA, WAIT_EAP_RESULT, WAIT_EAP_RESULT_CLOSE. */

/**
 * Once the PaC has an MSK, it ignores a refusal without AUTH for this time, in milliseconds. A PAR[C] with AUTH must
 * arrive within it; the time is sufficient for two of its retransmissions.
 */
const REFUSAL_DOUBT = 5_000;

/** Handles PAR[C], the only message that is verified with a key derived from its own Key-Id (RFC 5191 5.3). */
export function parComplete(context: PacContext, state: PacState, sealed: Received, now: number): PacStep {
  if (state.name !== 'WAIT_PAA') return stay(state, [dropped('unexpected')]);
  const { session } = state;
  const result = sealed.values['Result-Code'];
  if (result === undefined) return stay(state, [dropped('avp-missing')]);
  const success = result === RESULT_CODE.SUCCESS;
  const isEncrypted = sealed.values['Encryption-Encap'] !== undefined;
  if (success && !sealed.values['EAP-Payload'] && !isEncrypted) return stay(state, [dropped('avp-missing')]);
  const checked = checkAuth(session, sealed, success);
  if (checked === 'auth') {
    // Not RFC: the refusal may be forged, or the server may have failed after it accepted the PaC.
    const doubted = !success && sealed.values.AUTH === undefined && !session.channel.protection;
    const until = doubted ? Math.min(state.until, now + REFUSAL_DOUBT) : state.until;
    return stay({ ...state, until }, [dropped('auth')]);
  }
  // RFC 6786 5: only a success is encrypted.
  const received = open(sealed, success ? checked.fresh : undefined, context.config.vendorId);
  const missing = 'type' in received || (success && !received.values['EAP-Payload']);
  if (missing) {
    if (checked.fresh) wipeProtection(checked.fresh);
    return stay(state, ['type' in received ? received : dropped('avp-missing')]);
  }
  const { values, message, octets } = received;
  const packet = values['EAP-Payload'];

  context.liveness.heard(now);
  session.begun = true;
  session.channel.accept(message, octets);
  const out: PacOutput[] = [];
  if (checked.fresh) {
    session.channel.protect(checked.fresh);
    if (context.config.exportKeys)
      out.push(exportedKey(session.channel.sessionId, values['Key-Id'] ?? 0, checked.fresh, 'PaC'));
  }
  session.channel.dropPrevious();
  const until = now + context.config.failedSessionTimeout;
  // WAIT_PAA   PAR[C]     | Result success     | EAP(m)              | WAIT_EAP_RESULT
  // WAIT_PAA   PAR[C]     | Result not success | EAP(m)              | WAIT_EAP_RESULT_CLOSE
  const next: WaitEapResult = {
    name: success ? 'WAIT_EAP_RESULT' : 'WAIT_EAP_RESULT_CLOSE',
    session,
    par: received,
    until,
  };
  // A failure without an EAP packet is alt_reject() of RFC 5609.
  return packet
    ? stay(next, [...out, { type: 'eapPacket', packet }])
    : after(out, eapResult(context, next, false, now));
}

/**
 * Checks AUTH of PAR[C]. A success uses the new key. A failure uses the new key if there is an MSK, otherwise the old
 * one. A message without AUTH is a failure in the first authentication, before a key exists.
 */
function checkAuth(
  session: Session,
  { values, octets }: Received,
  success: boolean,
): { readonly fresh: Protection | undefined } | 'auth' {
  const { algorithms, run, keys, channel } = session;
  if (!algorithms) return { fresh: undefined };
  const keyId = values['Key-Id'];
  if (keys && run.peerNonce && keyId !== undefined) {
    const nonces = { pacNonce: run.ownNonce, paaNonce: run.peerNonce };
    const fresh = deriveProtection(session, algorithms, nonces, keys.msk, keyId, 'PaC');
    if (verifyAuth(fresh, octets)) return { fresh };
    wipeProtection(fresh);
    return 'auth';
  }
  if (success || (values.AUTH !== undefined) !== (channel.protection !== undefined)) return 'auth';
  if (channel.protection) return channel.verify(octets) ? { fresh: undefined } : 'auth';
  return keys?.confirmed ? 'auth' : { fresh: undefined };
}

/** Handles the end of EAP: EAP_SUCCESS or EAP_FAILURE of RFC 5609 7. */
export function eapResult(context: PacContext, state: PacState, success: boolean, now: number): PacStep {
  // WAIT_EAP_MSG  EAP_FAILURE                    | ST-; DISC           | CLOSED
  if (state.name === 'WAIT_EAP_MSG') return success ? stay(state) : close(state, 'eap-failed');
  if (state.name !== 'WAIT_EAP_RESULT' && state.name !== 'WAIT_EAP_RESULT_CLOSE') return stay(state);
  const { session, par } = state;
  // RFC 5191 4.1: PAN[C] repeats the Key-Id of PAR[C].
  const keyId = success ? par.values['Key-Id'] : undefined;
  const avps = keyId === undefined ? [] : [makeAvp('Key-Id', keyId)];
  const out: PacOutput[] = sends(session.channel.answer(authentication(FLAG.C, avps)));
  // WAIT_EAP_RESULT_CLOSE  EAP_SUCCESS, EAP_FAILURE | Tx PAN[C]; DISC  | CLOSED
  if (state.name === 'WAIT_EAP_RESULT_CLOSE') {
    const refused = par.values['Result-Code'] === RESULT_CODE.AUTHORIZATION_REJECTED;
    return after(out, close(state, refused ? 'authorization-rejected' : 'authentication-rejected'));
  }
  // WAIT_EAP_RESULT  EAP_FAILURE                 | Tx PAN[C](); DISC   | CLOSED
  if (!success) return after(out, close(state, 'eap-failed'));
  // WAIT_EAP_RESULT  EAP_SUCCESS                 | Tx PAN[C]; ST(LIFE) | OPEN
  setKeys(session, undefined);
  const lifetime = lifetimeOf(par);
  out.push(authorized(session, par, lifetime));
  return { state: { name: 'OPEN', session, life: lifeFrom(context, lifetime, now) }, out };
}

const UNLIMITED = 0xffff_ffff;

/** Milliseconds; undefined: no limit. */
function lifetimeOf({ values }: Received): number | undefined {
  const seconds = values['Session-Lifetime'];
  return seconds === undefined || seconds === UNLIMITED ? undefined : Math.max(seconds * 1000, MIN_LIFETIME);
}

function lifeFrom({ config }: PacContext, lifetime: number | undefined, now: number): Life {
  if (lifetime === undefined) return { until: undefined, reauthenticateAt: undefined };
  const { reauthenticateAt: part } = config;
  return { until: now + lifetime, reauthenticateAt: part > 0 ? now + lifetime * part : undefined };
}

function authorized(
  { run, algorithms, channel, wish }: Session,
  { values, message }: Received,
  lifetime: number | undefined,
): PacAuthorized {
  const value = values['MIP6-Sealed-Assignment'];
  // What else the message says about an assignment comes from the access network.
  const read = value ? undefined : readAssignment(values);
  const isUnfit = typeof read === 'string';
  return {
    type: 'authorized',
    sessionId: channel.sessionId,
    reauthentication: !run.first,
    lifetime,
    assignment: isUnfit ? undefined : read && { ...read, capability: read.capability & ~CAPABILITY.SEALED },
    sealed: value && { value, wish },
    mobilityProblem: isUnfit ? read : undefined,
    services: readServices(values),
    reconfigure: (message.flags & FLAG.I) !== 0,
    algorithms,
  };
}
