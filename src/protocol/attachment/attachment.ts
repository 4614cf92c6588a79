import { earliest } from '../bytes/deadline-queue.js';
import type { Drbg } from '../bytes/drbg.js';

/** Share of a wait by which it is shorter or longer, so that not all nodes come back at once. */
const RETRY_JITTER = 0.1;

/** How long the PAA may take to answer PTR when the node stops, in milliseconds. */
export const PTA_AT_END = 2_000;

/** Ends of a session of which the AAA server and the home agent know nothing: what they gave the node stays. */
const UNNOTICED: readonly string[] = ['no-answer', 'no-progress', 'moved'];

/** Ends of an attempt that a lossy link explains if the PAA was heard in it. */
const LOST: readonly string[] = ['no-answer', 'no-progress'];

/** All times in milliseconds. */
export interface AttachmentConfig {
  /** Start again when a session ends; false: the node's work is done then. */
  readonly stay: boolean;
  /** Wait before the first new start, which doubles up to the longest. */
  readonly first: number;
  readonly longest: number;
}

export type AttachmentInput =
  | { readonly type: 'start' }
  /** For waits from now on; PAAs are tried from the first one again. */
  | { readonly type: 'configure'; readonly config: AttachmentConfig }
  /** Answers to `discover`: the PAAs in the order in which to try them, or that looking for them failed. */
  | { readonly type: 'found'; readonly token: number; readonly paas: readonly string[] }
  | { readonly type: 'notFound'; readonly token: number; readonly reason: string }
  /** Answers to `open`. */
  | { readonly type: 'opened'; readonly attempt: number }
  | { readonly type: 'unreachable'; readonly attempt: number; readonly reason: string }
  /** What an attempt says. `heard`: its PAA has sent something that the session took. */
  | { readonly type: 'authorized'; readonly attempt: number }
  | { readonly type: 'closed'; readonly attempt: number; readonly cause: string; readonly heard: boolean }
  | { readonly type: 'silent' | 'answered'; readonly attempt: number }
  | { readonly type: 'addressesChanged' }
  /** Answer to `locate`: the PAAs of the network where the node is now. */
  | { readonly type: 'located'; readonly attempt: number; readonly paas: readonly string[] }
  | { readonly type: 'stop' }
  | { readonly type: 'tick' };

export type AttachmentOutput =
  | { readonly type: 'discover'; readonly token: number }
  /**
   * Open a socket for a session with this PAA. `beside`: the current session goes on, and has the configured port. `limited`: the PAA is
   * given up after a while.
   */
  | {
      readonly type: 'open';
      readonly attempt: number;
      readonly paa: string;
      readonly beside: boolean;
      readonly limited: boolean;
    }
  /** The attempt counts: its session begins. */
  | { readonly type: 'begin'; readonly attempt: number }
  /** End the session with PTR. */
  | { readonly type: 'terminate'; readonly attempt: number }
  /** Free everything of it without a word. */
  | { readonly type: 'close'; readonly attempt: number }
  /** Another session has taken its place: say PTR, and free everything when that is answered. */
  | { readonly type: 'retire'; readonly attempt: number; readonly by: number }
  /** Go on from another address if the route to the PAA has one, and say which PAAs there are. */
  | { readonly type: 'locate'; readonly attempt: number }
  /** The node has no session any more; `kept`: home agent and address stay until the lifetime is over. */
  | { readonly type: 'detached'; readonly attempt: number; readonly cause: string; readonly kept: boolean }
  | { readonly type: 'event'; readonly event: AttachmentEvent }
  /** The node is not to stay and its session is over; `authorized`: it was in. */
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

/** What has been asked for and not been answered. */
type Asked =
  | { readonly name: 'nothing' }
  | { readonly name: 'discovery'; readonly token: number }
  | { readonly name: 'socket'; readonly attempt: Attempt };

const NOTHING: Asked = { name: 'nothing' };

/**
 * How a mobile node attaches: which PAA it tries, when it tries again, and when a second session is begun beside the first.
 * It has one session with one PAA at a time, and a second one while that PAA is silent or in another network.
 */
export class Attachment {
  readonly #drbg: Pick<Drbg, 'unit'>;
  #config: AttachmentConfig;
  #asked: Asked = NOTHING;
  #current: Attempt | undefined;
  /** Tried beside the current one, which it replaces when it is authorised. */
  #standby: Attempt | undefined;
  /** The PAA of the current session does not answer. */
  #silent = false;
  /** The node is in a network that has other PAAs than the current session's. */
  #elsewhere = false;
  #nextPaa = 0;
  #lastId = 0;
  /** Attempts in a row that came to nothing. */
  #failures = 0;
  #retryAt: number | undefined;
  /** When the current session is given up; undefined: the node is not stopping, or has stopped. */
  #stopAt: number | undefined;
  #stopping = false;

  constructor(config: AttachmentConfig, drbg: Pick<Drbg, 'unit'>) {
    this.#config = config;
    this.#drbg = drbg;
  }

  /** The attempt whose session the node has, or is getting. */
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

  /** There is no session, or one that is of no use where the node is now. */
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

  /** Another start after a wait that grows with each failure; or the end, if the node is not to stay. */
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
      this.#succeeded();
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
      // The other attempt is at a PAA of the network where the node is.
      if (this.#standby) this.#elsewhere = false;
      const kept = UNNOTICED.includes(cause) && this.#config.stay && !this.#stopping;
      out.push({ type: 'detached', attempt: id, cause, kept });
    }
    this.#standby = undefined;
    out.push({ type: 'close', attempt: id });
    if (this.#stopping) return [...out, ...this.#stopped()];
    if (!this.#wantsAnother()) return out;
    // A PAA that was heard is there, and the link loses packets: only refusals and silence make the next wait longer.
    if (heard && LOST.includes(cause)) this.#failures = 0;
    return [...out, ...this.#again(authorized, now)];
  }

  // ---------------------------------------------------------------------------------------------- silence, movement

  /** The PAA may have restarted and know nothing of us: another session is begun beside this one, at every PAA in turn. */
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

  /** A socket that is being opened is waited for, and closed. */
  #stopped(): AttachmentOutput[] {
    if (this.#current || this.#asked.name === 'socket') return [];
    this.#stopAt = undefined;
    return [{ type: 'stopped' }];
  }
}

function event(happened: AttachmentEvent): AttachmentOutput {
  return { type: 'event', event: happened };
}
