import { earliest } from '../bytes/deadline-queue.js';
import type { Drbg } from '../bytes/drbg.js';
import type { AttachmentConfig, AttachmentEvent, AttachmentInput, AttachmentOutput, MoveSign } from './alphabet.js';
import {
  type Attempt,
  type Doubt,
  isBeingMade,
  LOST,
  NO_DOUBT,
  NOTHING,
  type PendingQuestion,
  UNNOTICED,
  waitAfter,
} from './attachment-state.js';

/**
 * How long the node waits, after a sign of movement, for the PAA to prove that it still has the session, in
 * milliseconds. After that, the node also starts a session with a PAA of the link; the proof still ends it. If the
 * proof is only late, this costs that PAA one stateless answer: a session takes more round trips than the proof.
 */
export const PROBE_WAIT = 50;

/** How long the node waits for PTA when it stops, in milliseconds. */
export const PTA_AT_END = 2_000;

/**
 * Attachment of a mobile node: it decides which PAA to try, when to retry, and when to start a second session in
 * parallel. The node normally has one session with one PAA. It starts a second one while that PAA is silent or belongs
 * to another network.
 */
export class Attachment {
  readonly #drbg: Pick<Drbg, 'unit'>;
  #config: AttachmentConfig;
  #asked: PendingQuestion = NOTHING;
  #current: Attempt | undefined;
  /** An attempt in parallel to the current session, which it replaces when it is authorized. */
  #standby: Attempt | undefined;
  /** The PAA of the current session does not answer. */
  #silent = false;
  /** The PAAs of the current network do not include the PAA of the session. */
  #elsewhere = false;
  #doubt: Doubt = NO_DOUBT;
  /** `again`: the network changed after the location was requested. */
  #locating: 'no' | 'once' | 'again' = 'no';
  /** After a move, each of several PAAs is tried for a short time, without waits. The number of PAAs still to try. */
  #quickTries: 'off' | 'all' | number = 'off';
  #nextPaa = 0;
  #lastId = 0;
  /** Number of consecutive failed attempts. */
  #failures = 0;
  #retryAt: number | undefined;
  /** When to stop waiting for the end of the current session; undefined if the node is not stopping or has stopped. */
  #stopAt: number | undefined;
  #stopping = false;

  constructor(config: AttachmentConfig, drbg: Pick<Drbg, 'unit'>) {
    this.#config = config;
    this.#drbg = drbg;
  }

  /** The attempt that has, or is establishing, the node's session. */
  get current(): number | undefined {
    return this.#current?.id;
  }

  get standby(): number | undefined {
    return this.#standby?.id;
  }

  get isSilent(): boolean {
    return this.#silent;
  }

  get deadline(): number | undefined {
    const asked = this.#doubt.name === 'asked' ? this.#doubt.until : undefined;
    return earliest([this.#retryAt, this.#stopAt, asked]);
  }

  /** Whether another session is being made, or may be because the PAA has not proved yet that it has the current one. */
  get isSettling(): boolean {
    const isMade = isBeingMade(this.#asked, [this.#current, this.#standby]);
    return !this.#stopping && (isMade || this.#locating !== 'no' || this.#doubt.name === 'asked');
  }

  handle(input: AttachmentInput, now: number): AttachmentOutput[] {
    // After an authorization, the hook of that session does what a move needs. A node that stops needs nothing.
    const mayBeSettled = this.isSettling && input.type !== 'authorized';
    const out = this.#step(input, now);
    return mayBeSettled && !this.isSettling && !this.#stopping ? [...out, { type: 'settled' }] : out;
  }

  #step(input: AttachmentInput, now: number): AttachmentOutput[] {
    switch (input.type) {
      case 'start':
        return this.#begin();
      case 'configure':
        this.#config = input.config;
        this.#nextPaa = 0;
        return [];
      case 'found':
        return this.#found(input.token, input.paas, now);
      case 'notFound':
        return this.#notFound(input.token, input.reason, now);
      case 'opened':
        return this.#opened(input.attempt);
      case 'unreachable':
        return this.#unreachable(input.attempt, input.reason, now);
      case 'authorized':
        return this.#authorized(input.attempt);
      case 'closed':
        return this.#closed(input.attempt, input.cause, input.heard, now);
      case 'silent':
        return this.#unanswered(input.attempt);
      case 'answered':
        return this.#answered(input.attempt, input.besideHeard);
      case 'moved':
        this.#ask(input.attempt, now);
        return [];
      case 'networkChanged':
        return this.#networkChanged(input.sign);
      case 'located':
        return this.#located(input, now);
      case 'stop':
        return this.#stop(now);
      case 'tick':
        return this.#tick(now);
    }
  }

  #tick(now: number): AttachmentOutput[] {
    if (this.#stopAt !== undefined && now >= this.#stopAt) {
      this.#stopAt = undefined;
      return this.#current ? this.#closed(this.#current.id, 'no-answer', false, now) : [];
    }
    if (this.#doubt.name === 'asked' && now >= this.#doubt.until) {
      this.#doubt = { name: 'confirmed' };
      return this.#config.stay ? this.#tryAll() : [];
    }
    if (this.#retryAt === undefined || now < this.#retryAt) return [];
    this.#retryAt = undefined;
    // The current PAA may have been heard meanwhile.
    return this.#wantsAnother() ? this.#begin() : [];
  }

  /** Whether there is no session, or one that the node cannot use in its current network. */
  #wantsAnother(): boolean {
    return this.#current === undefined || this.#silent || this.#elsewhere || this.#doubt.name === 'confirmed';
  }

  // ------------------------------------------------------------------------------------------------------ attempts

  #begin(): AttachmentOutput[] {
    if (this.#asked.name !== 'nothing' || this.#standby || this.#stopping) return [];
    this.#lastId += 1;
    this.#asked = { name: 'discovery', token: this.#lastId };
    return [{ type: 'discover', token: this.#lastId }];
  }

  #found(token: number, paas: readonly string[], now: number): AttachmentOutput[] {
    if (this.#asked.name !== 'discovery' || this.#asked.token !== token) return [];
    this.#asked = NOTHING;
    if (this.#stopping) return [];
    const paa = this.#inOrder(paas)[this.#nextPaa % paas.length];
    if (paa === undefined) return [event({ type: 'no-paa' }), ...this.#again(false, now)];
    const beside = this.#current !== undefined;
    if (this.#quickTries === 'all') this.#quickTries = paas.length;
    const isLast = this.#quickTries === 'off' || this.#quickTries <= 1;
    const limit = !isLast ? 'short' : beside || paas.length > 1 ? 'usual' : 'none';
    this.#asked = { name: 'socket', attempt: { id: token, paa, authorized: false } };
    return [{ type: 'open', attempt: token, paa, beside, limit }];
  }

  /** A PAA that did not answer after a move comes last: routers of the link before may still be known. */
  #inOrder(paas: readonly string[]): readonly string[] {
    const doubted = this.#doubt.name === 'confirmed' ? this.#current?.paa : undefined;
    return [...paas.filter((paa) => paa !== doubted), ...paas.filter((paa) => paa === doubted)];
  }

  #notFound(token: number, reason: string, now: number): AttachmentOutput[] {
    if (this.#asked.name !== 'discovery' || this.#asked.token !== token) return [];
    this.#asked = NOTHING;
    if (this.#stopping) return [];
    return [event({ type: 'no-way', paa: undefined, reason }), ...this.#again(false, now)];
  }

  #opened(id: number): AttachmentOutput[] {
    if (this.#asked.name !== 'socket' || this.#asked.attempt.id !== id) {
      return id === this.#current?.id || id === this.#standby?.id ? [] : [{ type: 'close', attempt: id }];
    }
    const { attempt } = this.#asked;
    this.#asked = NOTHING;
    if (this.#stopping) return [{ type: 'close', attempt: id }, ...this.#stopped()];
    // The current PAA may have been heard meanwhile.
    if (!this.#wantsAnother()) return [{ type: 'close', attempt: id }];
    if (this.#current) this.#standby = attempt;
    else this.#current = attempt;
    return [{ type: 'begin', attempt: id }];
  }

  #unreachable(id: number, reason: string, now: number): AttachmentOutput[] {
    if (this.#asked.name !== 'socket' || this.#asked.attempt.id !== id) return [];
    const { paa } = this.#asked.attempt;
    this.#asked = NOTHING;
    return this.#stopping ? this.#stopped() : [event({ type: 'no-way', paa, reason }), ...this.#again(false, now)];
  }

  /** Starts again after a wait that grows with each failure, or finishes if the node must not start again. */
  #again(wasOpen: boolean, now: number): AttachmentOutput[] {
    if (!this.#config.stay) return [{ type: 'finished', authorized: wasOpen }];
    if (!wasOpen) this.#nextPaa += 1;
    const milliseconds = waitAfter(this.#failures, this.#config, this.#drbg.unit());
    this.#failures += 1;
    this.#retryAt = now + milliseconds;
    return [event({ type: 'waiting', milliseconds })];
  }

  // ------------------------------------------------------------------------------------------------------- results

  #authorized(id: number): AttachmentOutput[] {
    if (id === this.#current?.id) {
      // If the node cannot use the session in its current network, re-authentication does not cancel the next attempt.
      if (!this.#wantsAnother()) this.#succeeded();
      if (this.#doubt.name !== 'arisen') this.#doubt = NO_DOUBT;
      this.#current = { ...this.#current, authorized: true };
      return [];
    }
    if (id !== this.#standby?.id) return [];
    this.#succeeded();
    const old = this.#current;
    this.#current = { ...this.#standby, authorized: true };
    this.#standby = undefined;
    this.#silent = false;
    this.#elsewhere = false;
    this.#doubt = NO_DOUBT;
    return old ? [{ type: 'retire', attempt: old.id, by: id }] : [];
  }

  #succeeded(): void {
    this.#quickTries = 'off';
    this.#failures = 0;
    this.#retryAt = undefined;
  }

  #closed(id: number, cause: string, heard: boolean, now: number): AttachmentOutput[] {
    const isStandby = id === this.#standby?.id;
    const attempt = isStandby ? this.#standby : this.#current;
    if (attempt?.id !== id) return [];
    const { paa, authorized } = attempt;
    const out: AttachmentOutput[] = [event({ type: 'ended', attempt: id, paa, cause, authorized })];
    if (!isStandby) {
      this.#current = this.#standby;
      this.#silent = false;
      this.#doubt = NO_DOUBT;
      // The standby attempt uses a PAA of the current network.
      if (this.#standby) this.#elsewhere = false;
      const kept = UNNOTICED.includes(cause) && this.#config.stay && !this.#stopping;
      out.push({ type: 'detached', attempt: id, cause, kept });
    }
    this.#standby = undefined;
    out.push({ type: 'close', attempt: id });
    if (this.#stopping) return [...out, ...this.#stopped()];
    if (!this.#wantsAnother()) return out;
    // If the PAA was heard, it exists and packets were lost. Only refusals and silence extend the next wait.
    if (heard && LOST.includes(cause)) this.#failures = 0;
    const isQuick = isStandby && cause === 'no-answer';
    if (isQuick && typeof this.#quickTries === 'number' && this.#quickTries > 1) {
      this.#quickTries -= 1;
      this.#nextPaa += 1;
      return [...out, ...this.#begin()];
    }
    this.#quickTries = 'off';
    return [...out, ...this.#again(authorized, now)];
  }

  // ---------------------------------------------------------------------------------------------- silence, movement

  /** Starts a second session in parallel, because the silent PAA may have restarted. Tries each PAA in turn. */
  #unanswered(id: number): AttachmentOutput[] {
    if (id !== this.#current?.id) return [];
    const out: AttachmentOutput[] = this.#silent ? [] : [event({ type: 'silent', paa: this.#current.paa })];
    this.#silent = true;
    return this.#config.stay ? [...out, ...this.#begin()] : out;
  }

  #answered(id: number, besideHeard: boolean): AttachmentOutput[] {
    if (id !== this.#current?.id) return [];
    // After a move another PAA has answered first: it is on this link, and the late one may be on the link before.
    const isOvertaken = this.#doubt.name === 'confirmed' && besideHeard && this.#standby?.paa !== this.#current.paa;
    const out: AttachmentOutput[] = this.#silent ? [event({ type: 'answers-again', paa: this.#current.paa })] : [];
    this.#silent = false;
    // After another sign of movement, an answer to an earlier request proves nothing.
    const isProof = this.#doubt.name !== 'arisen';
    if (isProof) this.#doubt = NO_DOUBT;
    if (!this.#elsewhere && !isOvertaken) return [...out, ...this.#dismissStandby()];
    return isProof && this.isSettling ? [...out, { type: 'settled' }] : out;
  }

  #dismissStandby(): AttachmentOutput[] {
    const { id } = this.#standby ?? {};
    this.#standby = undefined;
    return id === undefined ? [] : [{ type: 'close', attempt: id }];
  }

  #networkChanged(sign: MoveSign): AttachmentOutput[] {
    if (this.#stopping) return [];
    const out: AttachmentOutput[] = sign === 'link' ? this.#dismissStandby() : [];
    if (sign !== 'none') {
      // The PAAs of another link have not failed.
      this.#failures = 0;
      if (!this.#standby) this.#nextPaa = 0;
      if (this.#current) this.#doubt = { name: 'arisen' };
    }
    if (!this.#current) return this.#retryAt === undefined ? out : [...out, ...this.#begin()];
    const isAsked = this.#locating !== 'no';
    this.#locating = isAsked ? 'again' : 'once';
    return isAsked ? out : [...out, { type: 'locate', attempt: this.#current.id }];
  }

  #located(
    { attempt, paas, from, outdated }: Extract<AttachmentInput, { type: 'located' }>,
    now: number,
  ): AttachmentOutput[] {
    const isOutdated = this.#locating === 'again';
    this.#locating = 'no';
    if (!this.#current || this.#stopping) return [];
    if (isOutdated) {
      this.#locating = 'once';
      return [{ type: 'locate', attempt: this.#current.id }];
    }
    if (attempt !== this.#current.id) return [];
    if (paas.length > 0) this.#elsewhere = !paas.includes(this.#current.paa) && this.#config.stay;
    const out = this.#askAgain(this.#current, from, now);
    // The attempt began before the node had an address of this link.
    if (outdated !== undefined && outdated === this.#standby?.id) {
      out.push(...this.#dismissStandby());
      // While the PAA is asked again, the next attempt waits for its answer.
      return this.#wantsAnother() ? [...out, ...this.#tryAll()] : out;
    }
    return this.#elsewhere ? [...out, ...this.#tryAll()] : out;
  }

  /** Makes the PAA prove that it has the session, if there is doubt. */
  #askAgain({ id, authorized }: Attempt, from: 'same' | 'moved' | 'nowhere', now: number): AttachmentOutput[] {
    if (from === 'nowhere' || (from === 'same' && this.#doubt.name !== 'arisen')) return [];
    if (!authorized) {
      this.#doubt = NO_DOUBT;
      return from === 'same' ? [{ type: 'probe', attempt: id }] : this.#startOver(id);
    }
    // After a move the request has been sent, and may have been answered meanwhile.
    if (from === 'moved') return [];
    this.#ask(id, now);
    return [{ type: 'probe', attempt: id }];
  }

  #ask(id: number, now: number): void {
    if (id === this.#current?.id && this.#current.authorized) this.#doubt = { name: 'asked', until: now + PROBE_WAIT };
  }

  #tryAll(): AttachmentOutput[] {
    if (!this.#standby) {
      this.#nextPaa = 0;
      this.#quickTries = 'all';
    }
    return this.#begin();
  }

  /** An attempt without a key cannot move. */
  #startOver(attempt: number): AttachmentOutput[] {
    this.#current = this.#standby;
    this.#standby = undefined;
    this.#elsewhere = false;
    return [{ type: 'close', attempt }, ...(this.#current ? [] : this.#begin())];
  }

  // ----------------------------------------------------------------------------------------------------------- end

  #stop(now: number): AttachmentOutput[] {
    if (this.#stopping) return [];
    this.#stopping = true;
    this.#retryAt = undefined;
    const out: AttachmentOutput[] = this.#standby ? [{ type: 'close', attempt: this.#standby.id }] : [];
    this.#standby = undefined;
    if (!this.#current) return [...out, ...this.#stopped()];
    this.#stopAt = now + PTA_AT_END;
    return [...out, { type: 'terminate', attempt: this.#current.id }];
  }

  /** Reports the end, unless a session remains or a socket that is still being opened must be closed first. */
  #stopped(): AttachmentOutput[] {
    if (this.#current || this.#asked.name === 'socket') return [];
    this.#stopAt = undefined;
    return [{ type: 'stopped' }];
  }
}

function event(happened: AttachmentEvent): AttachmentOutput {
  return { type: 'event', event: happened };
}
