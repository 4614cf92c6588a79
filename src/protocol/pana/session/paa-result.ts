import type { Secret } from '../../bytes/secret.js';
import { bitsOf } from '../../mip6/services.js';
import { FLAG, type PanaAvp } from '../wire/codec.js';
import { makeAvp, RESULT_CODE } from '../wire/dictionary.js';
import type { Protection } from '../wire/keys.js';
import { mobilityAvps, sealedAvps, serviceAvps } from '../wire/mobility.js';
import { deriveProtection, exportedKey } from './key-agreement.js';
import type { Grant, PaaSessionInput, PaaSessionOutput } from './paa-interface.js';
import {
  ask,
  close,
  isAuthenticating,
  type PaaContext,
  type PaaState,
  type PaaStep,
  progressLimit,
  reconfigure,
} from './paa-state.js';
import { authentication } from './requests.js';
import { after, stay } from './step.js';

/** PAR[C] and PAN[C], RFC 5191 4.1, 5.3; RFC 5609 8.5 WAIT_EAP_MSG, WAIT_SUCC_PAN. */

// WAIT_EAP_MSG  EAP_SUCCESS | Authorize()      | Result 0; Tx PAR[C]; RTX+ | WAIT_SUCC_PAN
// WAIT_EAP_MSG  EAP_SUCCESS | not Authorize()  | Result 2; Tx PAR[C]; RTX+ | WAIT_FAIL_PAN
/** Handles EAP_SUCCESS of RFC 5609 8. Does not take ownership of the MSK. */
export function eapSuccess(
  context: PaaContext,
  state: PaaState,
  { packet, msk, authorized, grant }: Extract<PaaSessionInput, { type: 'eapSuccess' }>,
  now: number,
): PaaStep {
  if (state.name !== 'WAIT_EAP_MSG') return stay(state);
  const protect = msk && newKey(context, msk);
  // Authorize() is false if an SA is required and EAP produced no key (RFC 5609 6.2).
  const isKeyed = context.algorithms === undefined || protect !== undefined;
  const success = authorized && isKeyed;
  const out: PaaSessionOutput[] = [];
  const avps: PanaAvp[] = [
    makeAvp('Result-Code', success ? RESULT_CODE.SUCCESS : RESULT_CODE.AUTHORIZATION_REJECTED),
    makeAvp('EAP-Payload', packet),
  ];
  if (protect) {
    avps.push(makeAvp('Key-Id', context.keyId));
    if (context.config.exportKeys) out.push(exportedKey(context.channel.sessionId, context.keyId, protect, 'PAA'));
  }
  const hidden = success ? grantAvps(context, grant) : [];
  if (authorized) context.granted = true;
  if (authorized && !success) out.push({ type: 'unkeyed', missing: msk === undefined ? 'msk' : 'nonce' });
  const next: PaaState = success
    ? { name: 'WAIT_SUCC_PAN', grant, again: false }
    : { name: 'WAIT_FAIL_PAN', until: progressLimit(context, now) };
  return after(
    out,
    ask(context, next, { ...authentication(FLAG.C | reconfigure(context), avps), hidden, protect }, now),
  );
}

/**
 * Derives the key of this authentication with a new Key-Id. Undefined: the session has no SA, or the PaC sent no nonce.
 */
function newKey(context: PaaContext, msk: Secret): Protection | undefined {
  const { algorithms, run } = context;
  if (!algorithms || !run.peerNonce) return undefined;
  context.keyId = (context.keyId + 1) >>> 0;
  const nonces = { pacNonce: run.peerNonce, paaNonce: run.ownNonce };
  return deriveProtection(context, algorithms, nonces, msk, context.keyId, 'PAA');
}

function grantAvps({ config, wish }: PaaContext, { lifetime, assignment, sealed, services = {} }: Grant): PanaAvp[] {
  const avps = lifetime === undefined ? [] : [makeAvp('Session-Lifetime', Math.floor(lifetime / 1000))];
  if (wish === undefined) return avps;
  const { vendorId } = config;
  const bits = bitsOf(services);
  if (sealed) avps.push(...sealedAvps(sealed, vendorId));
  else if (assignment)
    avps.push(...mobilityAvps({ ...assignment, capability: assignment.capability | bits }, vendorId));
  else if (bits !== 0) avps.push(makeAvp('Mobility-Capability', bits, vendorId));
  avps.push(...serviceAvps(services, vendorId));
  return avps;
}

// WAIT_EAP_MSG  EAP_FAILURE                    | Result 1; Tx PAR[C]; RTX+ | WAIT_FAIL_PAN
export function eapFailure(context: PaaContext, state: PaaState, packet: Uint8Array | undefined, now: number): PaaStep {
  if (state.name !== 'WAIT_EAP_MSG') return isAuthenticating(state) ? close(context, 'eap-timeout') : stay(state);
  const avps = [makeAvp('Result-Code', RESULT_CODE.AUTHENTICATION_REJECTED)];
  if (packet) avps.push(makeAvp('EAP-Payload', packet));
  const next: PaaState = { name: 'WAIT_FAIL_PAN', until: progressLimit(context, now) };
  return ask(context, next, authentication(FLAG.C, avps), now);
}

// WAIT_SUCC_PAN  PAN[C]                        | RTX-; ST(LIFE)      | OPEN
export function open(context: PaaContext, grant: Grant, now: number): PaaStep {
  const { channel, config, run } = context;
  channel.dropPrevious();
  const { lifetime, authorizationLifetime } = grant;
  const ofLifetime =
    lifetime !== undefined && config.reauthenticateAt > 0 ? lifetime * config.reauthenticateAt : undefined;
  const times = [authorizationLifetime, ofLifetime].filter((time) => time !== undefined);
  const until = lifetime === undefined ? undefined : now + lifetime + config.lifetimeGrace;
  context.admission = { until };
  // A PaC that is not here yet decides itself how long it stays pre-authenticated.
  const isHere = context.role !== 'candidate';
  const reauthenticateAt = isHere && times.length > 0 ? now + Math.min(...times) : undefined;
  return stay({ name: 'OPEN', until, reauthenticateAt }, [
    { type: 'authorized', reauthentication: !run.first, grant, encryption: context.algorithms?.encryption?.name },
    ...(context.role === 'arriving' && run.first ? [{ type: 'arriving' } as const] : []),
  ]);
}
