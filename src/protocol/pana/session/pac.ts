import { earliest } from '../../bytes/deadline-queue.js';
import { Drbg } from '../../bytes/drbg.js';
import { FLAG, MESSAGE_TYPE } from '../wire/codec.js';
import { Liveness } from './liveness.js';
import {
  answer,
  arrive,
  moved,
  ping,
  pnr,
  probe,
  ptr,
  reauthenticate,
  terminate,
  tickOpen,
  tickRequest,
} from './pac-access.js';
import { eapDiscarded, eapKeys, eapResponse, par, tickEap } from './pac-authentication.js';
import { eapResult, parComplete } from './pac-complete.js';
import type { PacConfig, PacInput, PacOutput } from './pac-interface.js';
import { Offers } from './pac-offers.js';
import { abandonStart, parStart, start, tickInitial, tickPci } from './pac-start.js';
import {
  type Begun,
  close,
  initial,
  isAuthenticating,
  NOTHING_OFFERED,
  type PacContext,
  type PacState,
  type PacStep,
} from './pac-state.js';
import { dropped, isInPhase, open, type Received, receive, replays } from './session.js';
import { after, stay } from './step.js';

/**
 * The state machine of the PaC, RFC 5609 7. One instance is one session; after CLOSED create a new one. The EAP peer is
 * separate: packets for it are outputs (`eapPacket`) and its answers are inputs. The rows of the table are in
 * pac-start.ts (until the first PAR without S), pac-authentication.ts (EAP), pac-complete.ts (result) and pac-access.ts
 * (open session and termination).
 */
export class PacSession {
  readonly #context: PacContext;
  #state: PacState = initial(undefined, NOTHING_OFFERED);

  constructor(config: PacConfig, seed: Uint8Array) {
    const drbg = new Drbg(seed);
    this.#context = {
      config,
      drbg,
      firstSequence: drbg.u32(),
      offers: new Offers(config.mobility),
      liveness: new Liveness(config.pingInterval, 0),
    };
  }

  get state(): PacState['name'] {
    return this.#state.name;
  }

  get sessionId(): number | undefined {
    return 'session' in this.#state ? this.#state.session.channel.sessionId : undefined;
  }

  /** Whether a key protects the session, so that the PAA can verify a change of address (RFC 5191 5.6). */
  get protected(): boolean {
    return 'session' in this.#state && this.#state.session.channel.protection !== undefined;
  }

  /** Whether a PAA has sent an acceptable offer or a valid message of the session. */
  get heard(): boolean {
    return this.#context.liveness.isHeard;
  }

  /** When to call `handle` with a tick at the latest; undefined: no timer is running. */
  get deadline(): number | undefined {
    const state = this.#state;
    const times: (number | undefined)[] = 'session' in state ? [state.session.channel.deadline] : [];
    if ('pci' in state) times.push(state.pci?.at);
    if ('until' in state) times.push(state.until);
    if (state.name === 'INITIAL' && state.offered.name !== 'none') times.push(state.offered.until);
    if (state.name === 'WAIT_EAP_MSG') times.push(state.replyBy);
    if ('life' in state) times.push(state.life.until);
    if (state.name === 'OPEN') times.push(state.life.reauthenticateAt, this.#context.liveness.pingAt);
    return earliest(times);
  }

  handle(input: PacInput, now: number): PacOutput[] {
    const { state, out } = this.#step(input, now);
    this.#state = state;
    return [...out];
  }

  /** Ends the session without a message and wipes the keys. It must not be used afterwards. */
  destroy(): void {
    this.#state = close(this.#state, 'terminated').state;
  }

  #step(input: PacInput, now: number): PacStep {
    const context = this.#context;
    const state = this.#state;
    switch (input.type) {
      case 'start':
        return start(context, state, now);
      case 'datagram':
        return this.#datagram(input.octets, now);
      case 'tick':
        return this.#tick(state, now);
      case 'eapKeys':
        return eapKeys(state, input.msk, input.unconfirmed !== true);
      case 'eapResponse':
        return eapResponse(context, state, input.packet, now);
      case 'eapSucceeded':
        return eapResult(context, state, true, now);
      case 'eapFailed':
        return eapResult(context, state, false, now);
      case 'eapDiscarded':
        return eapDiscarded(state);
      case 'ping':
        return context.liveness.mayPing(now) ? ping(context, state, now) : stay(state, [dropped('pings')]);
      case 'moved':
        return moved(context, state, now);
      case 'arrive':
        return arrive(context, state, now);
      case 'probe':
        return probe(context, state, now);
      case 'reauthenticate':
        return reauthenticate(state, now);
      case 'terminate':
        return terminate(state, now);
    }
  }

  #tick(before: PacState, now: number): PacStep {
    const context = this.#context;
    const state = abandonStart(before, now) ?? before;
    // any        session timer expiry              | DISC                | CLOSED
    if ('until' in state && now >= state.until) return close(state, 'no-progress');
    if ('life' in state && state.life.until !== undefined && now >= state.life.until)
      return close(state, 'lifetime-expired');
    let step = state.name === 'INITIAL' ? tickInitial(context, state, now) : stay(state);
    step = after(step.out, tickPci(context, step.state, now));
    step = after(step.out, tickRequest(step.state, now));
    step = after(step.out, tickEap(step.state, now));
    return after(step.out, tickOpen(context, step.state, now));
  }

  #datagram(octets: Uint8Array, now: number): PacStep {
    const context = this.#context;
    const state = this.#state;
    if (state.name === 'CLOSED') return stay(state, [dropped('unknown-session')]);
    const received = receive(octets, context.config.vendorId);
    if ('type' in received) return stay(state, [received]);
    const { type, flags, sessionId } = received.message;
    if (type === MESSAGE_TYPE.PCI || type === MESSAGE_TYPE.RELAY) return stay(state, [dropped('unexpected')]);
    const isRequest = (flags & FLAG.R) !== 0;
    if (isRequest && type === MESSAGE_TYPE.AUTH && flags & FLAG.S) return parStart(context, state, received, now);
    if (!('session' in state)) return stay(state, [dropped('unexpected')]);
    const { channel } = state.session;
    if (sessionId !== channel.sessionId) return stay(state, [dropped('unknown-session')]);
    if (!isInPhase(received.message, channel)) return stay(state, [dropped('pre-authentication')]);
    return isRequest ? this.#request(state, received, now) : answer(context, state, received, now);
  }

  #request(state: Begun, received: Received, now: number): PacStep {
    const context = this.#context;
    const { message, octets } = received;
    const { channel } = state.session;
    const place = channel.place(message);
    if (place === 'out-of-sequence') return stay(state, [dropped('out-of-sequence')]);
    const verified = channel.verify(octets);
    const isUnverified = channel.protection !== undefined && !verified;
    if (place === 'duplicate') {
      return stay(state, isUnverified ? [dropped('auth')] : replays(channel.replay(octets, verified, now)));
    }
    const isComplete = message.type === MESSAGE_TYPE.AUTH && (message.flags & FLAG.C) !== 0;
    if (isComplete) return parComplete(context, state, received, now);
    if (isUnverified) return stay(state, [dropped('auth')]);
    const opened = open(received, verified, context.config.vendorId);
    if ('type' in opened) return stay(state, [opened]);
    if (message.type === MESSAGE_TYPE.AUTH) return par(context, state, opened, now);
    // RFC 5191 5.5: termination and notification are invalid in the first authentication phase.
    if (!channel.protection && isAuthenticating(state)) return stay(state, [dropped('unexpected')]);
    return message.type === MESSAGE_TYPE.TERMINATION
      ? ptr(context, state, opened, now)
      : pnr(context, state, opened, now);
  }
}
