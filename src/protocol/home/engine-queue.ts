import { FairQueue, RankedUsage } from '../fairness/fair-queue.js';
import type { Seat } from '../fairness/fair-table.js';
import type { EngineConfig, HomeOutput, Token } from './alphabet.js';

/**
 * Maximum number of waiting flights that begin a handshake, and of later flights for one engine. It is smaller than the
 * number of requests of one peer that are served at the same time, so that the peer's other requests still pass.
 */
const MAX_WAITING_FLIGHTS = 1024;

/** Maximum waiting time of a flight in milliseconds. After this time the NAS has given up. */
export const MAX_WAIT = 5_000;

/**
 * Handshakes begin only at engines that process fewer flights. More would only wait there, before later flights of
 * others.
 */
const BEGINS_BELOW = 2;

/** A waiting time in milliseconds that clients do not notice. */
export const SHORT_WAIT = 15;

/** Maximum waiting time of the first flight of a conversation while the engines are overloaded, in milliseconds. */
export const OVERLOADED_WAIT = 20;

/** The number of waiting first flights is compared at the ends of periods of this length, in milliseconds. */
export const PERIOD = 500;

/** Number of periods in a row in which the queue has grown, after which the engines count as overloaded. */
export const GROWTH = 6;

/** The engines count as overloaded for this time after a flight was shed or a client refused, in milliseconds. */
export const RECOVERY = 1_000;

/** Maximum number of flights that one step sheds, so that a step stays short. */
const MAX_SHED = 32;

/** The conversation of a flight. `engine` is set when its first flight gets a turn. */
export interface EngineUser {
  readonly seat: Seat;
  engine: number | undefined;
}

interface Flight {
  readonly user: EngineUser;
  /** When the engine began to process the flight; undefined while the flight waits. */
  began: number | undefined;
}

interface Engine {
  /** Flights of handshakes that have begun here. */
  readonly later: FairQueue<Token>;
  running: number;
  /** Number of handshakes that have begun here. */
  begun: number;
}

/**
 * Schedules the flights that wait for the TLS engines. A handshake that has begun goes on before another one begins, so
 * that the number of handshakes in progress stays small under overload, and those that begin end soon.
 *
 * A burst of clients waits in order of arrival. If the queue grows, the newest goes first, since serving the oldest would
 * make all wait. If it goes on growing, or flights have waited for too long, the engines are overloaded: flights that
 * have waited for OVERLOADED_WAIT are shed, and new clients are refused before their first flight while others wait.
 * Clients that would be served before all waiting ones are not refused.
 */
export class EngineQueue {
  readonly #config: EngineConfig;
  readonly #flights = new Map<Token, Flight>();
  #usage = new RankedUsage();
  #first = this.#newQueue();
  #engines: readonly Engine[] = [];
  /** End of the overload. */
  #overloadedUntil = Number.NEGATIVE_INFINITY;
  /** Start of the period, and the number of first flights that waited then. */
  #period = { since: Number.NEGATIVE_INFINITY, waiting: 0 };
  /** Number of periods in a row in which the queue has grown. */
  #growth = 0;

  constructor(config: EngineConfig) {
    this.#config = config;
    this.#engines = this.#newEngines();
  }

  get waiting(): number {
    return this.#engines.reduce((sum, { later }) => sum + later.waiting, this.#first.waiting);
  }

  add(token: Token, user: EngineUser, now: number): HomeOutput[] {
    const queue = (user.engine === undefined ? undefined : this.#engines[user.engine]?.later) ?? this.#first;
    this.#flights.set(token, { user, began: undefined });
    const pushedOut = queue.add(token, user.seat, now);
    return this.#step(pushedOut === undefined ? [] : [pushedOut], now);
  }

  /** Records that the engine has processed a flight. */
  done(token: Token, now: number): HomeOutput[] {
    const flight = this.#flights.get(token);
    if (flight?.began === undefined) return [];
    this.#flights.delete(token);
    const { seat, engine = 0 } = flight.user;
    const used = this.#engines[engine];
    if (used) used.running -= 1;
    this.#usage.of(seat.rank).add(seat.path, now - flight.began, now);
    return this.#step([], now);
  }

  /** Whether a new client is refused at once, because the engines are overloaded and others wait with as much right. */
  refuses(seat: Seat, now: number): boolean {
    const { oldest } = this.#first;
    if (!this.#isOverloaded(now) || oldest === undefined || now - oldest < SHORT_WAIT) return false;
    if (this.#first.isFirst(seat, now)) return false;
    this.#overloadedUntil = now + RECOVERY;
    return true;
  }

  /** Starts again with an empty queue. Denies all waiting flights their turn. */
  clear(): HomeOutput[] {
    const shed = [...this.#flights].filter(([, { began }]) => began === undefined).map(([token]) => token);
    this.#flights.clear();
    this.#usage = new RankedUsage();
    this.#first = this.#newQueue();
    this.#engines = this.#newEngines();
    return shed.map(denied);
  }

  #step(shed: Token[], now: number): HomeOutput[] {
    for (const { later } of this.#engines) shed.push(...later.expire(MAX_WAIT, MAX_SHED, now));
    const patience = this.#isOverloaded(now) ? OVERLOADED_WAIT : MAX_WAIT;
    shed.push(...this.#first.expire(patience, MAX_SHED, now));
    if (shed.length > 0) this.#overloadedUntil = now + RECOVERY;
    for (const token of shed) this.#flights.delete(token);
    const begun: HomeOutput[] = [];
    for (const [number, engine] of this.#engines.entries()) {
      while (engine.running < this.#config.parallel) {
        const token = engine.later.next(now);
        if (token === undefined) break;
        begun.push(this.#begin(token, number, now));
      }
    }
    for (;;) {
      const number = this.#first.waiting === 0 ? undefined : this.#freest();
      const newestFirst = this.#growth > 0 || this.#isOverloaded(now);
      const token = number === undefined ? undefined : this.#first.next(now, newestFirst);
      if (token === undefined || number === undefined) break;
      begun.push(this.#begin(token, number, now));
    }
    this.#watch(now);
    return [...shed.map(denied), ...begun];
  }

  /** Compares the queue at the end of a period. */
  #watch(now: number): void {
    const { since, waiting } = this.#period;
    if (now - since < PERIOD) return;
    // Arrivals and ends by chance alone change a queue by about the root of its length.
    const isGrowing = this.#first.waiting > waiting + Math.sqrt(waiting) / 2 && now - since < 2 * PERIOD;
    this.#growth = isGrowing && now - (this.#first.oldest ?? now) >= SHORT_WAIT ? this.#growth + 1 : 0;
    this.#period = { since: now, waiting: this.#first.waiting };
    if (this.#growth >= GROWTH) this.#overloadedUntil = now + RECOVERY;
  }

  #begin(token: Token, number: number, now: number): HomeOutput {
    const engine = this.#engines[number];
    const flight = this.#flights.get(token);
    if (engine && flight) {
      engine.running += 1;
      if (flight.user.engine === undefined) engine.begun += 1;
      flight.user.engine = number;
      flight.began = now;
    }
    return { type: 'turn', token, granted: true, engine: number };
  }

  /** The engine with the fewest flights, of these the one with the fewest handshakes so far; undefined: all are busy. */
  #freest(): number | undefined {
    let best: number | undefined;
    for (const [number, { running, begun }] of this.#engines.entries()) {
      if (running >= Math.min(BEGINS_BELOW, this.#config.parallel)) continue;
      const other = best === undefined ? undefined : this.#engines[best];
      if (!other || running < other.running || (running === other.running && begun < other.begun)) best = number;
    }
    return best;
  }

  #isOverloaded(now: number): boolean {
    return now < this.#overloadedUntil;
  }

  #newQueue(): FairQueue<Token> {
    return new FairQueue(MAX_WAITING_FLIGHTS, this.#usage);
  }

  #newEngines(): Engine[] {
    return Array.from({ length: this.#config.count }, () => ({ later: this.#newQueue(), running: 0, begun: 0 }));
  }
}

function denied(token: Token): HomeOutput {
  return { type: 'turn', token, granted: false };
}
