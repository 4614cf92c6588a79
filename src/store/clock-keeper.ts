import type { CancelTimer, Host } from '../runtime/system/host.js';
import { within } from '../runtime/system/within.js';
import type { Backend, DatabaseJob } from './backend.js';
import { type ClockSteps, readSteps, shiftTimes } from './clock-step.js';
import type { Context, Db, DutyHolder } from './rows.js';
import { type Reading, StoreClock } from './store-clock.js';

/** Interval between two readings of the wall clock, in milliseconds. */
const INTERVAL = 2_000;

/** Number of readings at the start: the process may be suspended between reading the two clocks. */
const FIRST_LOOKS = 3;

/** How long `stop` waits for a pending reading, in milliseconds. */
const PATIENCE = 5_000;

/** Callbacks for clock steps. */
interface Shift {
  readonly by: number;
  readonly reading: Reading;
  readonly steps: ClockSteps;
}

interface Clocks {
  readonly host: Host;
  /** The database's wall clock, which is read instead of the host's. */
  readonly database: Backend['wallClock'] | undefined;
}

/**
 * Keeps the clock of a store. When the wall clock steps, the server that detects it first shifts all times in the store
 * in one transaction; the other servers follow from their next transaction on. A step while no server runs, or while
 * one starts, cannot be distinguished from elapsed time.
 */
export class ClockKeeper {
  readonly #backend: Backend;
  readonly #clocks: Clocks;
  readonly #onStep: (milliseconds: number) => void;
  readonly #clock: StoreClock;
  #moved: number;
  /** When this server began to watch the clock, shifted by all later steps. */
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

  /** `onStep` is called for a step that this server applied to the times of the store. Rejects with DatabaseError. */
  static async start(
    backend: Backend,
    host: Host,
    onStep: (milliseconds: number) => void,
    database = backend.wallClock?.bind(backend),
  ): Promise<ClockKeeper> {
    const clocks = { host, database };
    // Read steps before clocks, so the first transaction detects another server's step.
    const steps = (await backend.read(readSteps)) as ClockSteps;
    const keeper = new ClockKeeper(backend, clocks, onStep, steps, await read(clocks));
    for (let i = 1; i < FIRST_LOOKS; i += 1) await keeper.look();
    return keeper;
  }

  /** The sum of all steps that this server knows, in milliseconds. */
  get moved(): number {
    return this.#moved;
  }

  /** The context of an operation. `asked`: time of the request, by the monotonic clock. */
  context(asked: number, holder?: DutyHolder): Context {
    const { host, database } = this.#clocks;
    const now = () => {
      // Reading the host's clock costs nothing, and the result is the same for all callers on this host.
      if (!database) this.#clock.look(readHost(this.#clocks));
      return this.#clock.now(host.monotonic());
    };
    return { now, asked: () => this.#clock.at(asked), random: (octets) => host.random(octets), holder };
  }

  /** Adopts the steps that other servers applied. Called first in each writing transaction. */
  readonly follow: DatabaseJob = async (db) => {
    const steps = await readSteps(db);
    if (steps.moved !== this.#moved) this.#goBy(steps, await read(this.#clocks, db));
  };

  /** Reads the wall clock and applies a step to all times of the store. Rejects with the database's error. */
  async look(): Promise<void> {
    if (this.#clock.look(await read(this.#clocks)) === 0) return;
    const [outcome] = await this.#backend.commit([(db) => this.#shift(db)], this.follow, true);
    if (outcome?.status !== 'fulfilled') throw outcome?.reason;
    const shift = outcome.value as Shift | undefined;
    if (!shift) return;
    this.#goBy(shift.steps, shift.reading);
    this.#onStep(shift.by);
  }

  /** Reads the wall clock periodically until `stop`, also after errors. */
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
    // Limit the wait, because the database may not respond.
    if (this.#looking) await within(this.#looking, PATIENCE, this.#clocks.host);
  }

  /**
   * Runs in the writing transaction, so no other server shifts times now. Reads the clock again, because another server
   * may have applied the step since the first reading.
   */
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
