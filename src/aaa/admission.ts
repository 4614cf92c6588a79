import type { Seat } from '../protocol/fairness/fair-table.js';
import { addressPath } from '../protocol/fairness/party.js';
import type { Logger } from '../runtime/log/log.js';
import type { Metrics } from '../runtime/service/metrics.js';
import type { Host } from '../runtime/system/host.js';
import { EngineTurns } from './engine-turns.js';
import { FamiliarAddresses } from './familiar-addresses.js';
import type { StoreCalls } from './measured-store.js';

/**
 * Classes of clients, the lowest first. STRANGER: nothing is proven. FAMILIAR: a certificate was proven at the client's address
 * lately. PROVEN: the client has a session, or has proven a certificate itself.
 */
export const RANK = { STRANGER: 0, FAMILIAR: 1, PROVEN: 2 } as const;

/** Sessions that are kept; the oldest are dropped first. For others the store is asked where it matters. */
const MAX_SESSIONS = 100_000;

/** Questions to the store at once, whether a session is known; without an answer it is not. */
const MAX_QUESTIONS = 64;

/** How often the log says that clients are turned away, in milliseconds. */
const REPORT_INTERVAL = 60_000;

/** The sender of a request, as far as it is known. */
export interface Asking {
  /** DiameterIdentity of the peer that brought the request, and of the NAS that it comes from. */
  readonly peer: string;
  readonly origin: string;
  /** The client's address as its NAS tells it, which may lie: it counts within this NAS only. Undefined: not told. */
  readonly callingStation: string | undefined;
  readonly sessionId: string;
}

interface Succeeded {
  readonly sessionId: string;
  readonly origin: string;
  readonly seat: Seat;
}

/** Why a client was turned away. */
type Limited = 'conversations' | 'engine';

/**
 * Decides which clients an overloaded server serves. Clients that have a session or have proven a certificate go first, clients
 * that have proven nothing go last. Within a class, peers, networks and addresses get equal shares. One party's use never counts
 * against another party.
 */
export class Admission {
  readonly #store: StoreCalls;
  readonly #metrics: Metrics;
  readonly #log: Logger;
  readonly engine: EngineTurns;
  readonly #familiar = new FamiliarAddresses();
  /** Origin-Host by Session-Id. */
  readonly #sessions = new Map<string, string>();
  #questions = 0;
  #reportedAt = Number.NEGATIVE_INFINITY;
  #turnedAway = 0;

  constructor(store: StoreCalls, metrics: Metrics, log: Logger, host: Host) {
    this.engine = new EngineTurns(host);
    this.#store = store;
    this.#metrics = metrics;
    this.#log = log;
  }

  /** Where a client sits that begins now. With `scarce` it matters: the store is asked, too. */
  async seatOf(asking: Asking, scarce: boolean, now: number): Promise<Seat> {
    const path = pathOf(asking);
    if (await this.#hasSession(asking, scarce)) return { rank: RANK.PROVEN, path };
    return { rank: this.#familiar.has(path, now) ? RANK.FAMILIAR : RANK.STRANGER, path };
  }

  /** A session has begun or goes on. `certificate`: its fingerprint; `now` is monotonic. */
  succeeded(certificate: string, { sessionId, origin, seat }: Succeeded, now: number): void {
    this.#familiar.remember(certificate, seat.path, now);
    this.#remember(sessionId, origin);
  }

  ended(sessionId: string): void {
    this.#sessions.delete(sessionId);
  }

  turnedAway(of: Limited, seat: Seat, now: number): void {
    this.#metrics.count('limited', { of });
    this.#turnedAway += 1;
    if (now - this.#reportedAt < REPORT_INTERVAL) return;
    const [peer, , , address] = seat.path;
    this.#log.warn({ of, clients: this.#turnedAway, peer, address }, 'clients turned away');
    this.#reportedAt = now;
    this.#turnedAway = 0;
  }

  async #hasSession({ sessionId, origin }: Asking, scarce: boolean): Promise<boolean> {
    const known = this.#sessions.get(sessionId);
    if (known !== undefined) return known === origin.toLowerCase();
    if (!scarce || this.#questions >= MAX_QUESTIONS) return false;
    this.#questions += 1;
    try {
      const found = await this.#store.run('originOfSession', { sessionId });
      if (found === undefined) return false;
      this.#remember(sessionId, found);
      return found.toLowerCase() === origin.toLowerCase();
    } catch {
      // The store's own failures are told elsewhere.
      return false;
    } finally {
      this.#questions -= 1;
    }
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
