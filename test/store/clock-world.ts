import { type Host, systemHost } from '../../src/runtime/system/host.js';
import { type Backend, isPostgresUrl } from '../../src/store/backend.js';
import { ClockKeeper } from '../../src/store/clock-keeper.js';
import { SqliteBackend } from '../../src/store/database.js';
import type { Operation } from '../../src/store/operation.js';
import { type OperationName, operations } from '../../src/store/operations.js';
import { PostgresBackend } from '../../src/store/postgres.js';
import type { Store } from '../../src/store/store.js';
import { NOW } from './fixtures.js';

/** A wall clock that can be stepped, and a monotonic clock. */
export class World {
  wall = NOW;
  monotonic = 1_000;

  pass(milliseconds: number): void {
    this.wall += milliseconds;
    this.monotonic += milliseconds;
  }

  step(milliseconds: number): void {
    this.wall += milliseconds;
  }
}

/** The operations of a server's store thread, on the clocks of a `World`. */
export class ClockedServer {
  readonly #world: World;
  readonly #backend: Backend;
  readonly keeper: ClockKeeper;
  /** The steps that this server has applied to the times in the store. */
  readonly steps: number[];

  private constructor(world: World, backend: Backend, keeper: ClockKeeper, steps: number[]) {
    this.#world = world;
    this.#backend = backend;
    this.keeper = keeper;
    this.steps = steps;
  }

  static async start(where: string, world: World): Promise<ClockedServer> {
    const backend: Backend = isPostgresUrl(where) ? await PostgresBackend.open(where) : await SqliteBackend.open(where);
    const steps: number[] = [];
    const host: Host = { ...systemHost, monotonic: () => world.monotonic, wall: () => world.wall };
    // The database clock has a finer resolution than the store.
    const database = backend.wallClock && (async () => world.wall + 0.4);
    const keeper = await ClockKeeper.start(backend, host, (step) => steps.push(step), database);
    return new ClockedServer(world, backend, keeper, steps);
  }

  /** Like Store.run. */
  readonly run: Store['run'] = async (operation, given) => {
    const { run } = operations[operation as OperationName] as unknown as Operation<unknown, unknown>;
    const context = this.keeper.context(this.#world.monotonic);
    const [outcome] = await this.#backend.commit([(db) => run(db, given, context)], this.keeper.follow);
    if (outcome?.status !== 'fulfilled') throw outcome?.reason;
    return outcome.value as never;
  };

  async stop(): Promise<void> {
    await this.keeper.stop();
    await this.#backend.close();
  }
}
