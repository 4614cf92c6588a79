import { type PacEndpoint, placeOf } from '../session/start.js';

/** Time limit for the proof of a new location, in milliseconds. */
export const PROOF_TIMEOUT = 7_000;

/** Time limit for the proof if it is an EAP authentication, in milliseconds. */
const PROOF_BY_RUN_TIMEOUT = 30_000;

/** Minimum interval between two tries of a session, in milliseconds. The try uses the latest new location. */
export const MOVE_INTERVAL = 1_000;

/** Minimum interval if the proof is an EAP authentication, for which the AAA server needs a TLS handshake. */
const MOVE_BY_RUN_INTERVAL = 30_000;

/** Delay before another try at an address that another session has, in milliseconds. */
const HELD_AGAIN = 10_000;

/** Delay before another try after a failed proof, in milliseconds, because the link may have lost packets. */
export const TRY_AGAIN = 5_000;

/**
 * Time limit of all tries of a new location, in milliseconds. It exceeds the ping timeout, which is three minutes with
 * the parameters of RFC 5191 9.1.
 */
export const PATIENCE = 300_000;

interface Heard {
  readonly place: PacEndpoint;
  readonly since: number;
}

interface Trial extends Heard {
  readonly timeout: number;
  until: number;
  /** Whether an EAP authentication towards the location has started. Its end will prove the location. */
  run: boolean;
}

/**
 * Location (address and port) of a PaC: a proven one, and possibly a new one from which a protected message came (RFC
 * 5191 5.6). Not RFC: such a message alone does not move the session. Its sender has the key, but the source address
 * may be forged. The proof is an unpredictable value that is sent to the new location and comes back. Until then
 * requests go to the new location. If nothing arrives from there, they go to the proven one again.
 */
export class PacLocation {
  #peer: PacEndpoint;
  /** The previous location. */
  #left: string | undefined;
  #heard: Heard | undefined;
  /** When the last request arrived, from any location. */
  #requestedAt = Number.NEGATIVE_INFINITY;
  #trial: Trial | undefined;
  #notBefore = Number.NEGATIVE_INFINITY;

  constructor(peer: PacEndpoint) {
    this.#peer = peer;
  }

  /** The proven location. */
  get peer(): PacEndpoint {
    return this.#peer;
  }

  /** Destination of requests. */
  get target(): PacEndpoint {
    return this.#trial?.place ?? this.#peer;
  }

  get isTrying(): boolean {
    return this.#trial !== undefined;
  }

  /** Whether an EAP authentication is the proof. */
  get isTryingByRun(): boolean {
    return this.#trial?.run === true;
  }

  get deadline(): number | undefined {
    const next = this.#heard && this.#notBefore;
    const until = this.#trial?.until;
    return next !== undefined && until !== undefined ? Math.min(next, until) : (next ?? until);
  }

  /**
   * Evaluates the source of a new protected message: a request of the PaC, or its answer to a request that was first
   * sent at `askedAt`. An answer from the previous location was delayed in the network. The same may be true for an
   * answer to a request that was sent before the PaC's last request. Such answers do not indicate a new location.
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

  /** The location to try now; undefined: none. */
  wanted(now: number): PacEndpoint | undefined {
    return this.#heard && now >= this.#notBefore ? this.#heard.place : undefined;
  }

  /** Starts to send requests to the new location. */
  try(by: 'echo' | 'run', now: number): void {
    if (!this.#heard) return;
    const [timeout, interval] =
      by === 'echo' ? [PROOF_TIMEOUT, MOVE_INTERVAL] : [PROOF_BY_RUN_TIMEOUT, MOVE_BY_RUN_INTERVAL];
    this.#trial = { ...this.#heard, timeout, until: now + timeout, run: false };
    this.#notBefore = now + interval;
    this.#heard = undefined;
  }

  /** Postpones the next try, because another session has the new address. */
  wait(now: number): void {
    this.#notBefore = now + HELD_AGAIN;
    this.#heard = patient(this.#heard, now);
  }

  /** Uses the EAP authentication that starts now, whose messages all go to the new location, as the proof. */
  beginRun(now: number): void {
    if (!this.#trial) return;
    this.#trial.run = true;
    this.#trial.until = now + this.#trial.timeout;
  }

  /** Ends the try if its time limit has passed, and returns whether it has. Requests then go to the proven location. */
  giveUp(now: number): boolean {
    const trial = this.#trial;
    if (!trial || now < trial.until) return false;
    this.#trial = undefined;
    this.#heard ??= patient(trial, now);
    this.#notBefore = Math.max(this.#notBefore, now + TRY_AGAIN);
    return true;
  }

  /** Makes the new location the proven one. Returns the previous one. */
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
