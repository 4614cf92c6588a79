import { describe, expect, it } from 'vitest';
import type { EngineConfig, HomeOutput, Token } from '../../../src/protocol/home/alphabet.js';
import {
  EngineQueue,
  type EngineUser,
  GROWTH,
  MAX_WAIT,
  OVERLOADED_WAIT,
  PERIOD,
  RECOVERY,
  SHORT_WAIT,
} from '../../../src/protocol/home/engine-queue.js';

/** A client at an address of a network of its own, unless told otherwise. */
function client(address: number, network = `2001:db8:${address.toString(16)}::`, rank = 0): EngineUser {
  return { seat: { rank, path: ['paa', 'paa', network, `${network}${address}`] }, engine: undefined };
}

function turns(outputs: readonly HomeOutput[]): readonly (readonly [Token, number | 'denied'])[] {
  return outputs.map((output) => {
    if (output.type !== 'turn') throw new Error(output.type);
    return [output.token, output.granted ? output.engine : 'denied'];
  });
}

describe('EngineQueue', () => {
  it('gives each conversation one engine, and new ones the engine with the least work', () => {
    const queue = new EngineQueue({ count: 2, parallel: 1 });
    const [a, b, c] = [client(1), client(2), client(3)];
    expect(turns(queue.add(1, a, 0))).toEqual([[1, 0]]);
    expect(turns(queue.add(2, b, 0))).toEqual([[2, 1]]);
    expect(queue.done(1, 1)).toEqual([]);
    expect(turns(queue.add(3, c, 1))).toEqual([[3, 0]]);
    // Engine 1 is free, but the handshake is at engine 0.
    expect(queue.done(2, 2)).toEqual([]);
    expect(queue.add(4, a, 2)).toEqual([]);
    expect(turns(queue.done(3, 3))).toEqual([[4, 0]]);
    expect(turns(queue.add(5, b, 3))).toEqual([[5, 1]]);
  });

  it('begins handshakes only at engines that process little, and continues them at busier ones', () => {
    const queue = new EngineQueue({ count: 1, parallel: 4 });
    const begun = [client(1), client(2), client(3)];
    for (const [i, each] of begun.entries()) {
      queue.add(i, each, 0);
      queue.done(i, 0);
    }
    const granted = begun.flatMap((each, i) => queue.add(10 + i, each, 1));
    expect(turns(granted)).toHaveLength(3);
    expect(queue.add(20, client(4), 1)).toEqual([]);
    expect(queue.done(10, 2)).toEqual([]);
    expect(turns(queue.done(11, 2))).toEqual([[20, 0]]);
  });

  it('continues handshakes before it begins others, also for clients of a lower rank', () => {
    const queue = new EngineQueue({ count: 1, parallel: 1 });
    const begun = client(1);
    queue.add(1, begun, 0);
    queue.done(1, 1);
    queue.add(2, client(2), 1);
    queue.add(3, client(3, undefined, 2), 2);
    queue.add(4, begun, 3);
    expect(turns(queue.done(2, 4))).toEqual([[4, 0]]);
    expect(turns(queue.done(4, 5))).toEqual([[3, 0]]);
  });

  it('begins with the oldest, and with the newest while the queue grows', () => {
    const queue = new EngineQueue({ count: 1, parallel: 1 });
    for (const token of [1, 2, 3, 4]) queue.add(token, client(token), 0);
    expect(turns(queue.done(1, PERIOD - 1))).toEqual([[2, 0]]);
    for (const token of [5, 6, 7]) queue.add(token, client(token), PERIOD - 1);
    expect(turns(queue.done(2, PERIOD))).toEqual([[3, 0]]);
    expect(turns(queue.done(3, PERIOD))).toEqual([[7, 0]]);
    expect(turns(queue.done(7, 2 * PERIOD))).toEqual([[6, 0]]);
    expect(turns(queue.done(6, 2 * PERIOD))).toEqual([[4, 0]]);
  });

  it('is overloaded when the queue has grown for GROWTH periods, and not if it is only long', () => {
    for (const growing of [true, false]) {
      const queue = new EngineQueue({ count: 1, parallel: 1 });
      for (let token = 0; token < 10; token += 1) queue.add(token, client(token), 0);
      let running = 0;
      for (let i = 1; i <= GROWTH; i += 1) {
        expect(queue.refuses(client(9).seat, i * PERIOD)).toBe(false);
        for (const more of [20, 40]) queue.add(more + i, client(more + i), i * PERIOD - 1);
        queue.add(10 + i, client(10 + i), i * PERIOD);
        if (!growing) [[running = 0] = []] = turns(queue.done(running, i * PERIOD));
      }
      expect(queue.refuses(client(9).seat, GROWTH * PERIOD)).toBe(growing);
    }
  });

  it('refuses new clients after it has shed a flight, until RECOVERY has passed without another', () => {
    const queue = new EngineQueue({ count: 1, parallel: 1 });
    queue.add(1, client(1), 0);
    queue.add(2, client(2), 0);
    queue.add(3, client(3), MAX_WAIT - SHORT_WAIT);
    expect(queue.refuses(client(4).seat, MAX_WAIT - 1)).toBe(false);
    // The newest of those that wait is served; the oldest is shed.
    expect(turns(queue.done(1, MAX_WAIT))).toEqual([
      [2, 'denied'],
      [3, 0],
    ]);
    const at = MAX_WAIT;
    expect(queue.refuses(client(5).seat, at)).toBe(false);
    queue.add(5, client(5), at);
    expect(queue.refuses(client(6).seat, at + SHORT_WAIT - 1)).toBe(false);
    expect(queue.refuses(client(6).seat, at + SHORT_WAIT)).toBe(true);
    // Clients with a session are not refused because of strangers.
    expect(queue.refuses(client(6, undefined, 2).seat, at + SHORT_WAIT)).toBe(false);
    expect(queue.refuses(client(6).seat, at + SHORT_WAIT + RECOVERY - 1)).toBe(true);
    // Nobody asks for a while, and the overload is over.
    expect(queue.refuses(client(6).seat, at + SHORT_WAIT + 2 * RECOVERY)).toBe(false);
  });

  it('sheds first flights after OVERLOADED_WAIT while overloaded, later flights only after MAX_WAIT', () => {
    const queue = new EngineQueue({ count: 1, parallel: 2 });
    const begun = client(1);
    queue.add(1, begun, 0);
    queue.done(1, 0);
    queue.add(2, client(2), 0);
    queue.add(3, client(3), 0);
    queue.add(4, client(4), 0);
    queue.add(5, begun, MAX_WAIT - 1);
    queue.add(6, client(6), MAX_WAIT - 1);
    expect(turns(queue.add(7, client(7), MAX_WAIT))).toEqual([[4, 'denied']]);
    expect(turns(queue.add(8, client(8), MAX_WAIT + OVERLOADED_WAIT))).toEqual([
      [6, 'denied'],
      [7, 'denied'],
    ]);
    expect(turns(queue.done(2, MAX_WAIT + OVERLOADED_WAIT))).toEqual([[5, 0]]);
  });

  it('lets a client of a network that uses little begin during an overload by another network', () => {
    const queue = new EngineQueue({ count: 1, parallel: 1 });
    const bad = '2001:db8:bad::';
    for (let i = 0; i < 2_000; i += 1) {
      queue.add(i, client(i, bad), i);
      if (i % 10 === 9) for (let done = i - 9; done <= i; done += 1) queue.done(done, i);
    }
    const at = 2_000;
    // The queue is full of the flooding network, and flights have been shed.
    for (let i = 2_000; i < 3_100; i += 1) queue.add(i, client(i, bad), at);
    expect(queue.refuses(client(9_999, bad).seat, at + SHORT_WAIT)).toBe(true);
    expect(queue.refuses(client(1).seat, at + SHORT_WAIT)).toBe(false);
  });
});

// ------------------------------------------------------------------------------------------------ load in virtual time

/** Milliseconds that an engine needs for the two flights of a handshake. */
const WORK = [1, 2] as const;
/** Milliseconds from an answer to the next flight of the client, and the number of messages before its first flight. */
const ROUND = 5;
const ROUNDS_BEFORE = 2;

/** A generator with a fixed sequence (a linear congruential one). */
function sequence(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Outcome {
  readonly arrived: number;
  /** When it ended, and whether it was refused before its first flight, during the handshake, or not at all. */
  readonly ended: number;
  readonly result: 'done' | 'early' | 'late';
}

/** Clients that arrive at given times, each in a network of its own, and engines with constant service times. */
class Load {
  readonly outcomes: Outcome[] = [];
  readonly #queue: EngineQueue;
  readonly #events: { readonly at: number; readonly order: number; readonly run: () => void }[] = [];
  readonly #flying = new Map<Token, { readonly user: EngineUser; readonly arrived: number; readonly flight: number }>();
  /** When each engine has finished what it was given. */
  readonly #free: number[];
  #now = 0;
  #last = 0;

  constructor(config: EngineConfig) {
    this.#queue = new EngineQueue(config);
    this.#free = Array.from({ length: config.count }, () => 0);
  }

  /** Arrivals with exponential distances, so many a second on average. */
  arrive(perSecond: number, from: number, until: number, random: () => number): void {
    for (let at = from; at < until; at += (-Math.log(1 - random()) * 1000) / perSecond) this.arriveAt(at);
  }

  arriveAt(at: number): void {
    this.#last += 1;
    const user = client(this.#last);
    this.#at(at, () => {
      if (this.#queue.refuses(user.seat, this.#now)) this.#end(at, 'early');
      else this.#at(this.#now + ROUNDS_BEFORE * ROUND, () => this.#fly(user, at, 0));
    });
  }

  run(): this {
    while (this.#events.length > 0) {
      this.#events.sort((a, b) => b.at - a.at || b.order - a.order);
      for (let next = this.#events.pop(); next; next = this.#events.pop()) {
        this.#now = next.at;
        const before = this.#events.length;
        next.run();
        if (this.#events.length > before) this.#merge(before);
      }
    }
    return this;
  }

  times(from: number, until: number): { readonly done: number[]; readonly refused: number; readonly early: number } {
    const some = this.outcomes.filter(({ arrived }) => arrived >= from && arrived < until);
    const done = some.filter(({ result }) => result === 'done').map(({ arrived, ended }) => ended - arrived);
    const early = some.filter(({ result }) => result === 'early').length;
    return { done, early, refused: some.length - done.length };
  }

  /** Puts the events after `from`, which are new, into their places. */
  #merge(from: number): void {
    for (const event of this.#events.splice(from)) {
      let at = this.#events.length;
      for (let other = this.#events[at - 1]; other && other.at <= event.at; other = this.#events[at - 1]) at -= 1;
      this.#events.splice(at, 0, event);
    }
  }

  #at(at: number, run: () => void): void {
    this.#events.push({ at, order: this.#events.length, run });
  }

  #fly(user: EngineUser, arrived: number, flight: number): void {
    this.#last += 1;
    this.#flying.set(this.#last, { user, arrived, flight });
    this.#perform(this.#queue.add(this.#last, user, this.#now));
  }

  #perform(outputs: readonly HomeOutput[]): void {
    for (const [token, turn] of turns(outputs)) {
      const flying = this.#flying.get(token);
      if (!flying) throw new Error('a turn for nobody');
      if (turn === 'denied') {
        this.#flying.delete(token);
        this.#end(flying.arrived, 'late');
        continue;
      }
      const ends = Math.max(this.#now, this.#free[turn] ?? 0) + (WORK[flying.flight] ?? 0);
      this.#free[turn] = ends;
      this.#at(ends, () => this.#land(token));
    }
  }

  #land(token: Token): void {
    const flying = this.#flying.get(token);
    this.#flying.delete(token);
    if (!flying) throw new Error('a flight ended twice');
    const { user, arrived, flight } = flying;
    this.#perform(this.#queue.done(token, this.#now));
    if (flight + 1 < WORK.length) this.#at(this.#now + ROUND, () => this.#fly(user, arrived, flight + 1));
    else this.#end(arrived, 'done');
  }

  #end(arrived: number, result: Outcome['result']): void {
    this.outcomes.push({ arrived, ended: this.#now, result });
  }
}

function p95(times: readonly number[]): number {
  return [...times].sort((a, b) => a - b)[Math.floor(times.length * 0.95)] ?? Number.NaN;
}

describe.each([
  { count: 1, parallel: 2 },
  { count: 2, parallel: 4 },
])('EngineQueue with $count engines', (config) => {
  const capacity = (1000 * config.count) / (WORK[0] + WORK[1]);

  it('ends what it admits within twice the unloaded p95 at twice its capacity, and recovers within a second', () => {
    const random = sequence(7);
    const load = new Load(config);
    load.arrive(capacity / 2, 0, 10_000, random);
    load.arrive(capacity * 2, 10_000, 25_000, random);
    load.arrive(capacity / 2, 25_000, 30_000, random);
    load.run();
    const unloaded = load.times(0, 9_000);
    expect(unloaded.refused).toBe(0);
    const overloaded = load.times(10_000, 25_000);
    expect(p95(overloaded.done)).toBeLessThanOrEqual(2 * p95(unloaded.done));
    // The engines stay busy, and most of the others learn it before they send anything.
    expect(overloaded.done.length).toBeGreaterThan(0.9 * capacity * 15);
    const settled = load.times(14_000, 25_000);
    expect(settled.early).toBeGreaterThan(0.6 * settled.refused);
    const after = load.times(26_000, 30_000);
    expect(after.refused).toBe(0);
    expect(p95(after.done)).toBeLessThanOrEqual(1.2 * p95(unloaded.done));
  });

  it('does not count as overloaded if a long queue grows by few', () => {
    const queue = new EngineQueue({ ...config, parallel: 1 });
    for (let i = 0; i < 100; i += 1) queue.add(i, client(i), 0);
    // Shorter than MAX_WAIT, after which clients are shed.
    for (let period = 1; period <= GROWTH + 2; period += 1) {
      for (let i = 0; i < 3; i += 1) queue.add(100 + 3 * period + i, client(100 + 3 * period + i), period * PERIOD);
      expect(queue.refuses(client(9_999).seat, period * PERIOD)).toBe(false);
    }
  });

  it('refuses none of 1,000 clients that come at once and can be served within MAX_WAIT', () => {
    const load = new Load(config);
    for (let i = 0; i < 1_000; i += 1) load.arriveAt(0);
    load.run();
    const { done, refused } = load.times(0, 1);
    expect(refused).toBe(0);
    const [median = 0] = [...done].sort((a, b) => a - b).slice(500);
    expect(median / Math.max(...done)).toBeLessThan(0.6);
  });
});
