import type { Seat } from '../fairness/fair-table.js';
import { addressPath } from '../fairness/party-path.js';
import type { AccessRequest } from './alphabet.js';
import type { HomeEvent, Limited } from './events.js';
import { FamiliarAddresses } from './familiar-addresses.js';

/**
 * Classes of clients, the lowest first. STRANGER: has proven nothing. FAMILIAR: a certificate was recently proven from
 * the client's address. PROVEN: the client has a session, or has proven a certificate itself.
 */
export const RANK = { STRANGER: 0, FAMILIAR: 1, PROVEN: 2 } as const;

/**
 * Maximum number of sessions that are remembered; the oldest are dropped first. For other sessions an overloaded server
 * queries the store.
 */
const MAX_SESSIONS = 100_000;

/** Maximum number of concurrent store queries about sessions. Beyond it, further sessions count as unknown. */
export const MAX_QUESTIONS = 64;

/** Minimum interval between events that report rejected clients, in milliseconds. */
export const REPORT_INTERVAL = 60_000;

/** The sender of a request. `callingStation` is not trusted: it distinguishes only the clients of one NAS. */
export type Asking = Pick<AccessRequest, 'peer' | 'origin' | 'callingStation' | 'sessionId'>;

interface Succeeded {
  readonly sessionId: string;
  readonly origin: string;
  readonly seat: Seat;
}

/**
 * Decides which clients an overloaded server serves. Clients that have a session or have proven a certificate go first;
 * clients that have proven nothing go last. Within a class, peers, networks and addresses get equal shares, and the use
 * of one party does not count against another.
 */
export class Admission {
  readonly #familiar = new FamiliarAddresses();
  /** Origin-Host by Session-Id. */
  readonly #sessions = new Map<string, string>();
  #questions = 0;
  #reportedAt = Number.NEGATIVE_INFINITY;
  #turnedAway = 0;

  /**
   * The seat of a new client. Undefined: the caller must query the store which NAS has the session, and then call
   * `answered`. This happens only if `scarce`, because otherwise the seat does not matter.
   */
  seatOf(asking: Asking, scarce: boolean, now: number): Seat | undefined {
    const known = this.#sessions.get(asking.sessionId);
    if (known !== undefined) return this.#seat(asking, known, now);
    if (!scarce || this.#questions >= MAX_QUESTIONS) return this.#seat(asking, undefined, now);
    this.#questions += 1;
    return undefined;
  }

  /** Handles the store's answer: the NAS of the session; undefined: there is none, or the store did not answer. */
  answered(asking: Asking, origin: string | undefined, now: number): Seat {
    this.#questions -= 1;
    if (origin !== undefined) this.#remember(asking.sessionId, origin);
    return this.#seat(asking, origin, now);
  }

  /** Records that a session has started or was renewed. `certificate`: its fingerprint. `now` is monotonic. */
  succeeded(certificate: string, { sessionId, origin, seat }: Succeeded, now: number): void {
    this.#familiar.remember(certificate, seat.path, now);
    this.#remember(sessionId, origin);
  }

  ended(sessionId: string): void {
    this.#sessions.delete(sessionId);
  }

  turnedAway(of: Limited, seat: Seat, now: number): HomeEvent[] {
    this.#turnedAway += 1;
    if (now - this.#reportedAt < REPORT_INTERVAL) return [{ name: 'limited', of }];
    const [peer, , , address] = seat.path;
    const clients = this.#turnedAway;
    this.#reportedAt = now;
    this.#turnedAway = 0;
    return [
      { name: 'limited', of },
      { name: 'turnedAway', of, clients, peer, address },
    ];
  }

  #seat(asking: Asking, origin: string | undefined, now: number): Seat {
    const path = pathOf(asking);
    if (origin?.toLowerCase() === asking.origin.toLowerCase()) return { rank: RANK.PROVEN, path };
    return { rank: this.#familiar.has(path, now) ? RANK.FAMILIAR : RANK.STRANGER, path };
  }

  #remember(sessionId: string, origin: string): void {
    this.#sessions.delete(sessionId);
    if (this.#sessions.size >= MAX_SESSIONS) {
      const [oldest] = this.#sessions.keys();
      if (oldest !== undefined) this.#sessions.delete(oldest);
    }
    this.#sessions.set(sessionId, origin.toLowerCase());
  }
}

function pathOf({ peer, origin, callingStation }: Asking): readonly string[] {
  return [peer.toLowerCase(), origin.toLowerCase(), ...addressPath(callingStation ?? '')];
}
