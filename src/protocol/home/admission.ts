import type { Seat } from '../fairness/fair-table.js';
import { addressPath } from '../fairness/party.js';
import type { AccessRequest } from './alphabet.js';
import type { HomeEvent, Limited } from './events.js';
import { FamiliarAddresses } from './familiar-addresses.js';

/**
 * Classes of clients, the lowest first. STRANGER: nothing is proven. FAMILIAR: a certificate was proven at the client's address
 * lately. PROVEN: the client has a session, or has proven a certificate itself.
 */
export const RANK = { STRANGER: 0, FAMILIAR: 1, PROVEN: 2 } as const;

/** Sessions that are kept; the oldest are dropped first. For others the store is asked where it matters. */
const MAX_SESSIONS = 100_000;

/** Questions to the store at once, whether a session is known; without an answer it is not. */
export const MAX_QUESTIONS = 64;

/** How often an event says that clients are turned away, in milliseconds. */
export const REPORT_INTERVAL = 60_000;

/** The sender of a request; `callingStation` may lie, and counts within its NAS only. */
export type Asking = Pick<AccessRequest, 'peer' | 'origin' | 'callingStation' | 'sessionId'>;

interface Succeeded {
  readonly sessionId: string;
  readonly origin: string;
  readonly seat: Seat;
}

/**
 * Decides which clients an overloaded server serves. Clients that have a session or have proven a certificate go first, clients
 * that have proven nothing go last. Within a class, peers, networks and addresses get equal shares. One party's use never counts
 * against another party.
 */
export class Admission {
  readonly #familiar = new FamiliarAddresses();
  /** Origin-Host by Session-Id. */
  readonly #sessions = new Map<string, string>();
  #questions = 0;
  #reportedAt = Number.NEGATIVE_INFINITY;
  #turnedAway = 0;

  /**
   * Where a client sits that begins now. Undefined: the store has to be asked for the NAS of the session, and `answered` says.
   * It is asked only where it matters, which is with `scarce`.
   */
  seatOf(asking: Asking, scarce: boolean, now: number): Seat | undefined {
    const known = this.#sessions.get(asking.sessionId);
    if (known !== undefined) return this.#seat(asking, known, now);
    if (!scarce || this.#questions >= MAX_QUESTIONS) return this.#seat(asking, undefined, now);
    this.#questions += 1;
    return undefined;
  }

  /** The store's answer: the NAS of the session; undefined if there is none, or no answer. */
  answered(asking: Asking, origin: string | undefined, now: number): Seat {
    this.#questions -= 1;
    if (origin !== undefined) this.#remember(asking.sessionId, origin);
    return this.#seat(asking, origin, now);
  }

  /** A session has begun or goes on. `certificate`: its fingerprint; `now` is monotonic. */
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
