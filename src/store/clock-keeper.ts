import type { CancelTimer, Host } from '../runtime/system/host.js';
import { within } from '../runtime/system/within.js';
import type { Backend, Job } from './backend.js';
import { type ClockSteps, readSteps, shiftTimes } from './clock-step.js';
import type { Context, Db } from './rows.js';
import { type Reading, StoreClock } from './store-clock.js';

/** How often the wall clock is looked at, in milliseconds. */
const INTERVAL = 2_000;

/** Looks at the start: one may be held up between the two clocks. */
const FIRST_LOOKS = 3;

/** How long a look is waited for at the end, in milliseconds. */
const PATIENCE = 5_000;

/** What a step has led to. */
interface Shift {
  readonly by: number;
  readonly reading: Reading;
  readonly steps: ClockSteps;
}

interface Clocks {
  readonly host: Host;
  /** The database's wall clock, which is looked at in place of the host's. */
  readonly database: Backend['wallClock'] | undefined;
}

/**
 * Keeps the time of a store, and its times when the wall clock makes a step: whichever server sees it first moves them, in one
 * transaction, and the others go by the new time from their next transaction on. A step while no server runs, or while one
 * starts, cannot be told from time that has passed.
 */
export class ClockKeeper {
  readonly #backend: Backend;
  readonly #clocks: Clocks;
  readonly #onStep: (milliseconds: number) => void;
  readonly #clock: StoreClock;
  #moved: number;
  /** Since when the clock is watched, by its present time. */
  #since: number;
  #cancel: CancelTimer | undefined;
  #looking: Promise<void> | undefined;

  private constructor(
    backend: Backend,
    clocks: Clocks,
    onStep: (milliseconds: number) => void,
    steps: ClockSteps,
    reading: Reading,
  ) {
    this.#backend = backend;
    this.#clocks = clocks;
    this.#onStep = onStep;
    this.#clock = new StoreClock(reading);
    this.#moved = steps.moved;
    this.#since = Math.round(reading.wall);
  }

  /** `onStep` hears of a step that this server has made the times make. Rejects with DatabaseError. */
  static async start(
    backend: Backend,
    host: Host,
    onStep: (milliseconds: number) => void,
    database = backend.wallClock?.bind(backend),
  ): Promise<ClockKeeper> {
    const clocks = { host, database };
    // In this order: a step of another server's in between is found by the first transaction.
    const steps = (await backend.read(readSteps)) as ClockSteps;
    const keeper = new ClockKeeper(backend, clocks, onStep, steps, await read(clocks));
    for (let i = 1; i < FIRST_LOOKS; i += 1) await keeper.look();
    return keeper;
  }

  /** What an operation knows; `asked`: when it was asked for, by the monotonic clock. */
  context(asked: number): Context {
    const { host, database } = this.#clocks;
    const now = () => {
      // Looking at one's own costs nothing, and whoever asks for the time anywhere on this host is told the same.
      if (!database) this.#clock.look(readHost(this.#clocks));
      return this.#clock.now(host.monotonic());
    };
    return { now, asked: () => this.#clock.at(asked), random: (octets) => host.random(octets) };
  }

  /** In each transaction that writes, before anything else: takes over what other servers have done. */
  readonly follow: Job = async (db) => {
    const steps = await readSteps(db);
    if (steps.moved !== this.#moved) this.#goBy(steps, await read(this.#clocks, db));
  };

  /** Looks at the wall clock; when that has made a step, so do all times of the store. Rejects with the database's error. */
  async look(): Promise<void> {
    if (this.#clock.look(await read(this.#clocks)) === 0) return;
    const [outcome] = await this.#backend.commit([(db) => this.#shift(db)], this.follow, true);
    if (outcome?.status !== 'fulfilled') throw outcome?.reason;
    const shift = outcome.value as Shift | undefined;
    if (!shift) return;
    this.#goBy(shift.steps, shift.reading);
    this.#onStep(shift.by);
  }

  /** Looks again and again, until `stop`, also after a look that failed. */
  watch(onFailure: (error: unknown) => void): void {
    this.#cancel = this.#clocks.host.after(INTERVAL, () => {
      this.#looking = this.look()
        .catch(onFailure)
        .then(() => {
          this.#looking = undefined;
          if (this.#cancel) this.watch(onFailure);
        });
    });
  }

  async stop(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    // A database that hangs is not waited for.
    if (this.#looking) await within(this.#looking, PATIENCE, this.#clocks.host);
  }

  /** Nobody else moves anything now, and what was seen before may have been answered by another server. */
  async #shift(db: Db): Promise<Shift | undefined> {
    const reading = await read(this.#clocks, db);
    const by = this.#clock.look(reading);
    if (by === 0) return undefined;
    const now = Math.round(reading.wall) - by;
    return { by, reading, steps: await shiftTimes(db, by, now, this.#since) };
  }

  #goBy({ moved, since }: ClockSteps, reading: Reading): void {
    this.#since = since;
    this.#moved = moved;
    this.#clock.set(reading);
  }
}

async function read(clocks: Clocks, db?: Db): Promise<Reading> {
  const { database, host } = clocks;
  if (!database) return readHost(clocks);
  const before = host.monotonic();
  return { wall: await database(db), before, after: host.monotonic() };
}

function readHost({ host }: Clocks): Reading {
  const before = host.monotonic();
  return { wall: host.wall(), before, after: host.monotonic() };
}
