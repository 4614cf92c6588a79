import { earliest } from '../bytes/deadline-queue.js';
import type { Drbg } from '../bytes/drbg.js';

/** Fraction by which a wait is randomly shortened or extended, so that nodes do not all return at the same time. */
const RETRY_JITTER = 0.1;

/** How long the node waits for PTA when it stops, in milliseconds. */
export const PTA_AT_END = 2_000;

/**
 * Causes of a session's end that leave the session open at the AAA server and at the home agent. The node therefore
 * keeps its home agent and home address.
 */
const UNNOTICED: readonly string[] = ['no-answer', 'no-progress', 'moved'];

/** Causes of a failed attempt that are attributed to packet loss if the PAA was heard during the attempt. */
const LOST: readonly string[] = ['no-answer', 'no-progress'];

/** All times in milliseconds. */
export interface AttachmentConfig {
  /** Whether the node starts a new session when one ends. If false, it finishes. */
  readonly stay: boolean;
  /** Wait before the first retry. It doubles with each failure up to the maximum. */
  readonly first: number;
  readonly longest: number;
}

export type AttachmentInput =
  | { readonly type: 'start' }
  /** Applies from the next wait on. The next attempt uses the first PAA. */
  | { readonly type: 'configure'; readonly config: AttachmentConfig }
  /** Answers `discover` with the PAAs in the order in which to try them, or with the failure of the discovery. */
  | { readonly type: 'found'; readonly token: number; readonly paas: readonly string[] }
  | { readonly type: 'notFound'; readonly token: number; readonly reason: string }
  /** Answers to `open`. */
  | { readonly type: 'opened'; readonly attempt: number }
  | { readonly type: 'unreachable'; readonly attempt: number; readonly reason: string }
  /** Reports from an attempt. `heard`: the session accepted at least one message of its PAA. */
  | { readonly type: 'authorized'; readonly attempt: number }
  | { readonly type: 'closed'; readonly attempt: number; readonly cause: string; readonly heard: boolean }
  | { readonly type: 'silent' | 'answered'; readonly attempt: number }
  | { readonly type: 'addressesChanged' }
  /** Answers `locate` with the PAAs of the current network. */
  | { readonly type: 'located'; readonly attempt: number; readonly paas: readonly string[] }
  | { readonly type: 'stop' }
  | { readonly type: 'tick' };

export type AttachmentOutput =
  | { readonly type: 'discover'; readonly token: number }
  /**
   * Open a socket for a session with this PAA. `beside`: the current session continues and keeps the configured port.
   * `limited`: give the PAA up after a time limit.
   */
  | {
      readonly type: 'open';
      readonly attempt: number;
      readonly paa: string;
      readonly beside: boolean;
      readonly limited: boolean;
    }
  /** Start the session of this attempt. */
  | { readonly type: 'begin'; readonly attempt: number }
  /** Terminate the session with PTR. */
  | { readonly type: 'terminate'; readonly attempt: number }
  /** Free all resources of the attempt and send nothing. */
  | { readonly type: 'close'; readonly attempt: number }
  /** Another session replaces this one: send PTR and free all resources when PTA arrives. */
  | { readonly type: 'retire'; readonly attempt: number; readonly by: number }
  /**
   * Continue from another local address if the route to the PAA now has one, and report the PAAs of the current
   * network.
   */
  | { readonly type: 'locate'; readonly attempt: number }
  /** The node no longer has a session. `kept`: home agent and home address remain until the end of their lifetime. */
  | { readonly type: 'detached'; readonly attempt: number; readonly cause: string; readonly kept: boolean }
  | { readonly type: 'event'; readonly event: AttachmentEvent }
  /** The session has ended and the node does not start again. `authorized`: the session had been authorized. */
  | { readonly type: 'finished'; readonly authorized: boolean }
  | { readonly type: 'stopped' };

export type AttachmentEvent =
  | { readonly type: 'no-paa' }
  | { readonly type: 'no-way'; readonly paa: string | undefined; readonly reason: string }
  | { readonly type: 'waiting'; readonly milliseconds: number }
  | { readonly type: 'silent' | 'answers-again'; readonly paa: string }
  | {
      readonly type: 'ended';
      readonly attempt: number;
      readonly paa: string;
      readonly cause: string;
      readonly authorized: boolean;
    };

interface Attempt {
  readonly id: number;
  readonly paa: string;
  readonly authorized: boolean;
}

/** The request that has no answer yet: a discovery of PAAs, or a socket. */
type PendingQuestion =
  | { readonly name: 'nothing' }
  | { readonly name: 'discovery'; readonly token: number }
  | { readonly name: 'socket'; readonly attempt: Attempt };

const NOTHING: PendingQuestion = { name: 'nothing' };

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
    return earliest([this.#retryAt, this.#stopAt]);
  }

  handle(input: AttachmentInput, now: number): AttachmentOutput[] {
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
        return this.#answered(input.attempt);
      case 'addressesChanged':
        return this.#addressesChanged();
      case 'located':
        return this.#located(input.attempt, input.paas);
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
    if (this.#retryAt === undefined || now < this.#retryAt) return [];
    this.#retryAt = undefined;
    // The current PAA may have been heard meanwhile.
    return this.#wantsAnother() ? this.#begin() : [];
  }

  /** Whether there is no session, or one that the node cannot use in its current network. */
  #wantsAnother(): boolean {
    return this.#current === undefined || this.#silent || this.#elsewhere;
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
    const paa = paas[this.#nextPaa % paas.length];
    if (paa === undefined) return [event({ type: 'no-paa' }), ...this.#again(false, now)];
    const beside = this.#current !== undefined;
    this.#asked = { name: 'socket', attempt: { id: token, paa, authorized: false } };
    return [{ type: 'open', attempt: token, paa, beside, limited: beside || paas.length > 1 }];
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
    const { stay, first, longest } = this.#config;
    if (!stay) return [{ type: 'finished', authorized: wasOpen }];
    if (!wasOpen) this.#nextPaa += 1;
    const base = Math.min(first * 2 ** Math.min(this.#failures, 30), longest);
    this.#failures += 1;
    const milliseconds = base * (1 + RETRY_JITTER * (2 * this.#drbg.unit() - 1));
    this.#retryAt = now + milliseconds;
    return [event({ type: 'waiting', milliseconds })];
  }

  // ------------------------------------------------------------------------------------------------------- results

  #authorized(id: number): AttachmentOutput[] {
    if (id === this.#current?.id) {
      // If the node cannot use the session in its current network, re-authentication does not cancel the next attempt.
      if (!this.#wantsAnother()) this.#succeeded();
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
    return old ? [{ type: 'retire', attempt: old.id, by: id }] : [];
  }

  #succeeded(): void {
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

  #answered(id: number): AttachmentOutput[] {
    if (id !== this.#current?.id) return [];
    this.#silent = false;
    const out: AttachmentOutput[] = [event({ type: 'answers-again', paa: this.#current.paa })];
    if (this.#elsewhere || !this.#standby) return out;
    out.push({ type: 'close', attempt: this.#standby.id });
    this.#standby = undefined;
    return out;
  }

  #addressesChanged(): AttachmentOutput[] {
    if (this.#stopping) return [];
    if (this.#current) return [{ type: 'locate', attempt: this.#current.id }];
    return this.#retryAt === undefined ? [] : this.#begin();
  }

  #located(id: number, paas: readonly string[]): AttachmentOutput[] {
    if (id !== this.#current?.id || paas.length === 0) return [];
    this.#elsewhere = !paas.includes(this.#current.paa) && this.#config.stay;
    if (!this.#elsewhere) return [];
    this.#nextPaa = 0;
    return this.#begin();
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
