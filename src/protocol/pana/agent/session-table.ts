import type { PaaSession } from '../session/paa-session.js';
import { type PacEndpoint, placeOf } from '../session/start.js';
import { HalfOpen, type HalfOpenLimits, type HalfOpenMember, type Room } from './half-open.js';
import { PacLocation } from './pac-location.js';

/** A session of the PAA and the location of its PaC. */
export class Entry implements HalfOpenMember {
  readonly session: PaaSession;
  readonly origin: PacEndpoint;
  readonly where: PacLocation;
  /** Whether the PaC says that it has come to this network (RFC 5873), and its location is not proven yet. */
  isArriving = false;

  constructor(session: PaaSession, origin: PacEndpoint) {
    this.session = session;
    this.origin = origin;
    this.where = new PacLocation(origin);
  }

  get owesSince(): number | undefined {
    return this.session.owesSince;
  }
}

/** All sessions, by identifier, by the PaC's address and port, and by its address; half-open ones also by network. */
export class SessionTable {
  readonly #sessions = new Map<number, Entry>();
  readonly #places = new Map<string, Set<Entry>>();
  readonly #addresses = new Map<string, Set<Entry>>();
  readonly #halfOpen = new HalfOpen<Entry>();

  get size(): number {
    return this.#sessions.size;
  }

  get halfOpen(): number {
    return this.#halfOpen.size;
  }

  get(sessionId: number): Entry | undefined {
    return this.#sessions.get(sessionId);
  }

  all(): IterableIterator<Entry> {
    return this.#sessions.values();
  }

  at(place: PacEndpoint): Iterable<Entry> {
    return this.#places.get(placeOf(place)) ?? [];
  }

  /** Sessions of other PaCs at this address that have access here. */
  holders(address: string, except: Entry): Entry[] {
    return [...(this.#addresses.get(address) ?? [])].filter((entry) => entry !== except && hasAccess(entry.session));
  }

  room(address: string, limits: HalfOpenLimits, now: number): Room<Entry> {
    return this.#halfOpen.room(address, limits, now);
  }

  add(entry: Entry): void {
    this.#sessions.set(entry.session.sessionId, entry);
    this.#halfOpen.add(entry);
    this.#place(entry);
  }

  /** Updates the tables after a step of a session. */
  stepped(entry: Entry): void {
    if (!entry.session.starting) this.#halfOpen.answered(entry);
  }

  /** Records that the first authentication of a session is complete. */
  admit(entry: Entry): void {
    this.#halfOpen.delete(entry);
  }

  /** Changes the location of a session after the PaC has proven a new one. Returns the previous one. */
  move(entry: Entry): PacEndpoint | undefined {
    this.#unplace(entry);
    const from = entry.where.arrive();
    this.#place(entry);
    return from;
  }

  remove(entry: Entry): void {
    this.#sessions.delete(entry.session.sessionId);
    this.#halfOpen.delete(entry);
    this.#unplace(entry);
  }

  #place(entry: Entry): void {
    const { peer } = entry.where;
    insert(this.#places, placeOf(peer), entry);
    insert(this.#addresses, peer.address, entry);
  }

  #unplace(entry: Entry): void {
    const { peer } = entry.where;
    remove(this.#places, placeOf(peer), entry);
    remove(this.#addresses, peer.address, entry);
  }
}

/** Whether a session is authenticated, and its PaC is in this network (RFC 5873). */
export function hasAccess(session: Pick<PaaSession, 'admitted' | 'preAuthenticates'>): boolean {
  return session.admitted && !session.preAuthenticates;
}

function insert(table: Map<string, Set<Entry>>, key: string, entry: Entry): void {
  table.set(key, (table.get(key) ?? new Set()).add(entry));
}

function remove(table: Map<string, Set<Entry>>, key: string, entry: Entry): void {
  const set = table.get(key);
  set?.delete(entry);
  if (set?.size === 0) table.delete(key);
}
