import { type PacEndpoint, placeOf } from '../session/start.js';

/** A place that has been heard from has to prove itself within this time without a sign of life, in milliseconds. */
export const PROOF_TIMEOUT = 7_000;

/** The same where the proof is a run of EAP. */
export const PROOF_BY_RUN_TIMEOUT = 30_000;

/** A session tries a new place at most once in this time: of places heard from meanwhile the last one counts. */
export const MOVE_INTERVAL = 1_000;

/** The same where the proof is a run of EAP, which costs the AAA server a handshake. */
export const MOVE_BY_RUN_INTERVAL = 30_000;

/** Another session holds the address: whether it still does is looked at again after this time … */
export const HELD_AGAIN = 10_000;

/** A place that did not prove itself is tried again after this time: the link may have been bad … */
export const TRY_AGAIN = 5_000;

/** … and neither any more after this: the ping timeout with the parameters of RFC 5191 9.1 is three minutes. */
export const PATIENCE = 300_000;

interface Heard {
  readonly place: PacEndpoint;
  readonly since: number;
}

interface Trial extends Heard {
  readonly timeout: number;
  until: number;
  /** A run of EAP has begun towards the place: its end will prove it. */
  run: boolean;
}

/**
 * Where a PaC is: at a place that it has proven, and perhaps at another one, which a protected message came from (RFC
 * 5191 5.6). Not RFC: such a message alone moves nothing. Its sender has the key, but may have written any address as
 * its source; only what was unpredictable, was sent to that address and came back proves it. Until then our requests go
 * there, and come back to the proven place if nothing is heard.
 */
export class Whereabouts {
  #peer: PacEndpoint;
  /** Where it was before. */
  #left: string | undefined;
  #heard: Heard | undefined;
  /** When the last request came, from wherever. */
  #requestedAt = Number.NEGATIVE_INFINITY;
  #trial: Trial | undefined;
  #notBefore = Number.NEGATIVE_INFINITY;

  constructor(peer: PacEndpoint) {
    this.#peer = peer;
  }

  /** The place that is proven. */
  get peer(): PacEndpoint {
    return this.#peer;
  }

  /** Where requests go. */
  get target(): PacEndpoint {
    return this.#trial?.place ?? this.#peer;
  }

  get isTrying(): boolean {
    return this.#trial !== undefined;
  }

  /** A run of EAP is the trial's proof. */
  get isTryingByRun(): boolean {
    return this.#trial?.run === true;
  }

  get deadline(): number | undefined {
    const next = this.#heard && this.#notBefore;
    const until = this.#trial?.until;
    return next !== undefined && until !== undefined ? Math.min(next, until) : (next ?? until);
  }

  /**
   * A protected message that was not heard before came from this place: a request of the PaC, or its answer to one that was
   * sent first at `askedAt`. An answer from where the PaC has just left was overtaken on its way, and so perhaps was one to
   * what was asked before the PaC's last request: it is no news of another place.
   */
  hear(place: PacEndpoint, askedAt: number | undefined, now: number): void {
    const at = placeOf(place);
    const isNews = askedAt === undefined || (at !== this.#left && askedAt >= this.#requestedAt);
    if (askedAt === undefined) this.#requestedAt = now;
    const trial = this.#trial;
    if (trial && at === placeOf(trial.place)) {
      trial.until = now + trial.timeout;
      if (isNews) this.#heard = undefined;
    } else if (at === placeOf(this.#peer)) {
      if (askedAt !== undefined) return;
      this.#trial = undefined;
      this.#heard = undefined;
    } else if (isNews) {
      const same = this.#heard && placeOf(this.#heard.place) === at;
      this.#heard = { place, since: same && this.#heard ? this.#heard.since : now };
    }
  }

  /** A place that is to be tried now. */
  wanted(now: number): PacEndpoint | undefined {
    return this.#heard && now >= this.#notBefore ? this.#heard.place : undefined;
  }

  /** Requests go to the wanted place from now on. */
  try(by: 'echo' | 'run', now: number): void {
    if (!this.#heard) return;
    const [timeout, interval] =
      by === 'echo' ? [PROOF_TIMEOUT, MOVE_INTERVAL] : [PROOF_BY_RUN_TIMEOUT, MOVE_BY_RUN_INTERVAL];
    this.#trial = { ...this.#heard, timeout, until: now + timeout, run: false };
    this.#notBefore = now + interval;
    this.#heard = undefined;
  }

  /** Another session holds the wanted address. */
  wait(now: number): void {
    this.#notBefore = now + HELD_AGAIN;
    this.#heard = patient(this.#heard, now);
  }

  /** A run of EAP begins, of which every message goes to the place that is being tried. */
  beginRun(now: number): void {
    if (!this.#trial) return;
    this.#trial.run = true;
    this.#trial.until = now + this.#trial.timeout;
  }

  /** Whether the place that was tried has not proven itself in time; requests go to the proven one again. */
  giveUp(now: number): boolean {
    const trial = this.#trial;
    if (!trial || now < trial.until) return false;
    this.#trial = undefined;
    this.#heard ??= patient(trial, now);
    this.#notBefore = Math.max(this.#notBefore, now + TRY_AGAIN);
    return true;
  }

  /** The place that was tried has proven itself; where the PaC was until now. */
  arrive(): PacEndpoint | undefined {
    const from = this.#peer;
    if (!this.#trial) return undefined;
    this.#left = placeOf(from);
    this.#peer = this.#trial.place;
    this.#trial = undefined;
    return from;
  }
}

function patient(heard: Heard | undefined, now: number): Heard | undefined {
  return heard && now - heard.since < PATIENCE ? { place: heard.place, since: heard.since } : undefined;
}
