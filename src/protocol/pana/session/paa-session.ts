import { earliest } from '../../bytes/deadline-queue.js';
import type { Drbg } from '../../bytes/drbg.js';
import { equalOctets } from '../../bytes/octets.js';
import { CAPABILITY } from '../../mip6/assignment.js';
import { type Algorithms, algorithmsOf, ENCRYPTION_ALGORITHMS } from '../wire/algorithms.js';
import { FLAG, MESSAGE_TYPE } from '../wire/codec.js';
import { Channel } from './channel.js';
import { Run } from './key-agreement.js';
import { Liveness } from './liveness.js';
import { answer, ping, pnr, prove, ptr, replace, terminate, welcome } from './paa-access.js';
import { beginRun, eapPostponed, eapRequest, par, restartRun, takenUp } from './paa-authentication.js';
import type { PaaClosed, PaaSessionConfig, PaaSessionInput, PaaSessionOutput } from './paa-interface.js';
import { eapFailure, eapSuccess } from './paa-result.js';
import {
  close,
  isAuthenticating,
  isIdle,
  type PaaContext,
  type PaaState,
  type PaaStep,
  progressLimit,
  runUntil,
} from './paa-state.js';
import { type Dropped, dropped, isInPhase, open, type Received, replays, sends } from './session.js';
import type { Start } from './start.js';
import { after, stay } from './step.js';

/**
 * The state machine of a PAA session, RFC 5609 8, from a valid PAN[S] on. The rows of its table are in
 * paa-authentication.ts (EAP), paa-result.ts (result) and paa-access.ts (open session and termination); `begin` has
 * those of INITIAL.
 */
export class PaaSession {
  readonly #context: PaaContext;
  #state: PaaState;

  private constructor(context: PaaContext, state: PaaState) {
    this.#context = context;
    this.#state = state;
  }

  /**
   * The session that a PAN[S] begins.
   *
   *   INITIAL    PAN[S]     | not OPTIMIZED_INIT | EAPrestart; ST(FAILED)| WAIT_EAP_MSG
   *   INITIAL    PAN[S]     | OPTIMIZED_INIT, EAP-Payload    | EAP(m)    | WAIT_EAP_MSG
   *   INITIAL    PAN[S]     | OPTIMIZED_INIT, no EAP-Payload |           | WAIT_PAN_OR_PAR
   */
  static begin(
    config: PaaSessionConfig,
    drbg: Drbg,
    start: Start,
    pan: Received,
    now: number,
  ): { session: PaaSession; out: PaaSessionOutput[] } | Dropped {
    const { values } = pan;
    const [prf] = values['PRF-Algorithm'];
    const [integrity] = values['Integrity-Algorithm'];
    const none = prf === undefined && integrity === undefined;
    const offered = config.prf.includes(prf ?? 0) && config.integrity.includes(integrity ?? 0);
    if (start.preAuthentication !== ((pan.message.flags & FLAG.E) !== 0)) return dropped('pre-authentication');
    // RFC 5873 3: without a key nothing would prove who arrives.
    const isKeyed = config.sa === 'required' || start.preAuthentication;
    if (none ? isKeyed : !offered) return dropped('no-algorithm');
    // RFC 6786 2: encryption needs the keys of an SA, and an algorithm of this PAR[S].
    const [cipher] = values['Encryption-Algorithm'];
    const encryption = start.encryption.includes(cipher ?? 0) ? ENCRYPTION_ALGORITHMS.get(cipher ?? 0) : undefined;
    if (cipher === undefined ? config.encryption === 'required' : none || !encryption) return dropped('no-encryption');
    const agreed = algorithmsOf(prf, integrity);
    const context = contextOf(config, drbg, start, pan, agreed && { ...agreed, encryption }, now);
    const asked = start.eapRequest;
    const packet = asked && values['EAP-Payload'];
    const until = progressLimit(context, now);
    const state: PaaState =
      asked && !packet ? { name: 'WAIT_PAN_OR_PAR', until } : { name: 'WAIT_EAP_MSG', until, retryAt: undefined };
    const { wish, role } = context;
    const out: PaaSessionOutput[] = [
      { type: 'eapStart', reauthentication: false, preAuthentication: role === 'candidate', wish, asked },
    ];
    if (packet) out.push({ type: 'eapPacket', packet });
    return { session: new PaaSession(context, state), out };
  }

  get sessionId(): number {
    return this.#context.channel.sessionId;
  }

  get state(): PaaState['name'] {
    return this.#state.name;
  }

  get protected(): boolean {
    return this.#context.channel.protection !== undefined;
  }

  /** The algorithm that encrypts AVPs (RFC 6786); undefined: none. */
  get encryption(): string | undefined {
    return this.#context.algorithms?.encryption?.name;
  }

  /** Whether the PaC has not been let into this network yet (RFC 5873). */
  get preAuthenticates(): boolean {
    return this.#context.role !== 'serving';
  }

  /** Whether the PaC supports Echo. */
  get echoes(): boolean {
    return this.#context.echoes;
  }

  /** Whether a PCI from its address belongs to this start. The PaC repeats PCI until it receives a PAR without S. */
  get starting(): boolean {
    return this.#context.starting !== undefined;
  }

  /**
   * When the message was sent that the PaC still has to answer, or to which its EAP response is due; undefined: none.
   */
  get owesSince(): number | undefined {
    const state = this.#state;
    const { channel, config } = this.#context;
    if (channel.busy || state.name !== 'WAIT_PAN_OR_PAR') return channel.askedAt;
    return state.until - config.failedSessionTimeout;
  }

  get iPar(): Uint8Array {
    return this.#context.iPar;
  }

  /** Whether the first authentication is complete and the PaC is authorized. */
  get admitted(): boolean {
    return this.#context.admission !== undefined && this.#state.name !== 'CLOSED';
  }

  /** Whether a re-authentication may start. */
  get idle(): boolean {
    return isIdle(this.#state);
  }

  /** Milliseconds until the end of the lifetime that was announced to the PaC. */
  remaining(now: number): number | undefined {
    const { admission, config } = this.#context;
    if (admission?.until === undefined || this.#state.name === 'SESS_TERM') return undefined;
    return admission.until - config.lifetimeGrace - now;
  }

  get deadline(): number | undefined {
    const state = this.#state;
    const { channel, liveness } = this.#context;
    const times = [channel.deadline, runUntil(this.#context, state)];
    if ('until' in state) times.push(state.until);
    if (state.name === 'WAIT_EAP_MSG') times.push(state.retryAt);
    if (state.name === 'OPEN') times.push(state.reauthenticateAt, liveness.pingAt);
    return earliest(times);
  }

  handle(input: PaaSessionInput, now: number): PaaSessionOutput[] {
    return this.#go(this.#step(input, now));
  }

  /** Ends the session in any state without a message. */
  abandon(): PaaSessionOutput[] {
    return this.#end('fault');
  }

  /** Ends the session without a message because another one replaces it. */
  end(cause: 'replaced' | 'pushed-out'): PaaSessionOutput[] {
    return this.#end(cause);
  }

  /** The PaC has a new location: the outstanding request is sent there immediately. */
  resend(): Uint8Array[] {
    return this.#context.channel.resend();
  }

  #end(cause: PaaClosed): PaaSessionOutput[] {
    return this.#state.name === 'CLOSED' ? [] : this.#go(close(this.#context, cause));
  }

  #go({ state, out }: PaaStep): PaaSessionOutput[] {
    this.#state = state;
    return [...out];
  }

  #step(input: PaaSessionInput, now: number): PaaStep {
    const context = this.#context;
    const state = this.#state;
    switch (input.type) {
      case 'message':
        return this.#message(input.received, now);
      case 'tick':
        return this.#tick(now);
      case 'eapRequest':
        return eapRequest(context, state, input.packet, now);
      case 'eapSuccess':
        try {
          return eapSuccess(context, state, input, now);
        } finally {
          input.msk?.wipe();
        }
      case 'eapFailure':
        return eapFailure(context, state, input.packet, now);
      // WAIT_EAP_MSG, WAIT_PAN_OR_PAR  EAP_TIMEOUT | DISC               | CLOSED
      case 'eapTimeout':
        return isAuthenticating(state) ? close(context, 'eap-timeout') : stay(state);
      case 'eapPostponed':
        return eapPostponed(context, state, now);
      case 'replace':
        return replace(context, state, now);
      case 'prove':
        return prove(context, state, now);
      case 'welcome':
        return welcome(context, state, now);
      case 'ping':
        return context.liveness.mayPing(now) ? ping(context, state, now) : stay(state, [dropped('pings')]);
      case 'reauthenticate':
        return isIdle(state) ? beginRun(context, now) : stay(state);
      case 'terminate':
        return terminate(context, state, input.cause, now);
      case 'abandon':
        return state.name === 'CLOSED' ? stay(state) : close(context, 'fault');
    }
  }

  #tick(now: number): PaaStep {
    const context = this.#context;
    const state = this.#state;
    // any        session timer expiry              | DISC                | CLOSED
    const end = runUntil(context, state);
    if (end !== undefined && now >= end) return close(context, 'lifetime-expired');
    if ('until' in state && state.until !== undefined && now >= state.until) return this.#expired(now);
    if (state.name === 'WAIT_EAP_MSG' && state.retryAt !== undefined && now >= state.retryAt)
      return restartRun(context, now);
    // any        RTX timeout| below the limit    | send again          | same
    // any        RTX timeout| limit reached      | DISC                | CLOSED
    const again = context.channel.tick(now);
    if (again === 'failed') return close(context, state.name === 'SESS_TERM' ? state.cause : 'no-answer');
    const out: PaaSessionOutput[] = sends(again);
    if (state.name !== 'OPEN') return stay(state, out);
    // OPEN       REAUTH_TIMEOUT                    | EAPrestart          | WAIT_EAP_MSG
    if (state.reauthenticateAt !== undefined && now >= state.reauthenticateAt)
      return after(out, beginRun(context, now));
    return after(out, context.liveness.isPingDue(now) ? ping(context, state, now) : stay(state));
  }

  /** Handles the expiry of the session timer. */
  #expired(now: number): PaaStep {
    const context = this.#context;
    if (this.#state.name === 'WAIT_FAIL_PAN') return close(context, 'rejected');
    if (!isAuthenticating(this.#state)) return close(context, 'lifetime-expired');
    if (context.run.first) return close(context, 'no-progress');
    // Not RFC: a re-authentication without a result is not a decision about the node. The announced lifetime remains
    // valid.
    return restartRun(context, now);
  }

  #message(received: Received, now: number): PaaStep {
    const context = this.#context;
    const state = this.#state;
    if (state.name === 'CLOSED') return stay(state, [dropped('unknown-session')]);
    const { flags } = received.message;
    if (!isInPhase(received.message, context.channel)) return stay(state, [dropped('pre-authentication')]);
    if (flags & FLAG.R) return this.#request(received, now);
    if (flags & FLAG.S) {
      // A repeated PAN[S] means that the first PAR may be lost; its timer retransmits it. Any other PAN[S] is too late.
      return stay(state, equalOctets(received.octets, context.iPan) ? [] : [dropped('bad-start')]);
    }
    return answer(context, state, received, now);
  }

  #request(received: Received, now: number): PaaStep {
    const context = this.#context;
    const state = this.#state;
    const { channel } = context;
    const { message, octets } = received;
    const place = channel.place(message);
    if (place === 'out-of-sequence') return stay(state, takenUp(context, received) ?? [dropped('out-of-sequence')]);
    const verified = channel.verify(octets);
    if (channel.protection && !verified) return stay(state, [dropped('auth')]);
    if (place === 'duplicate') return stay(state, replays(channel.replay(octets, verified, now)));
    const opened = open(received, verified, context.config.vendorId);
    if ('type' in opened) return stay(state, [opened]);
    switch (message.type) {
      case MESSAGE_TYPE.AUTH:
        return par(context, state, opened, verified, now);
      case MESSAGE_TYPE.TERMINATION:
        return ptr(context, state, opened, verified, now);
      default:
        return pnr(context, state, opened, verified, now);
    }
  }
}

function contextOf(
  config: PaaSessionConfig,
  drbg: Drbg,
  start: Start,
  pan: Received,
  algorithms: Algorithms | undefined,
  now: number,
): PaaContext {
  const channel = new Channel(drbg, config.request, start.sessionId, (start.sequence + 1) >>> 0);
  channel.preAuthenticates = start.preAuthentication;
  // A requested capability that was not offered is ignored. Exception: legacy peers receive no offer, so their request
  // is accepted.
  const mayAsk = start.offersMobility || (config.peers === 'legacy' && config.mobility !== undefined);
  const requested = mayAsk ? pan.values['Mobility-Capability'] : undefined;
  return {
    config,
    drbg,
    channel,
    iPar: start.iPar,
    iPan: pan.octets,
    algorithms,
    echoes: ((requested ?? 0) & CAPABILITY.ECHO) !== 0,
    wish: requested === CAPABILITY.ECHO ? undefined : requested && requested & ~CAPABILITY.ECHO,
    run: new Run(true, algorithms, drbg),
    keyId: drbg.u32(),
    granted: false,
    admission: undefined,
    starting: { response: undefined },
    postponed: 0,
    role: start.preAuthentication ? 'candidate' : 'serving',
    proof: undefined,
    liveness: new Liveness(config.pingInterval, now),
  };
}
