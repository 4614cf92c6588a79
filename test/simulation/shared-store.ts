import type { Host } from '../../src/runtime/system/host.js';
import { SqliteBackend } from '../../src/store/database.js';
import { DatabaseError } from '../../src/store/database-error.js';
import { StoreEngine } from '../../src/store/engine.js';
import type { StoreClass } from '../../src/store/operation.js';
import type { ArgumentsOf, OperationName, ResultOf } from '../../src/store/operations.js';
import { operations } from '../../src/store/operations.js';
import type { Administered, StoreEvents, StorePort } from '../../src/store/port.js';
import type { DutyHolder } from '../../src/store/rows.js';
import type { OpenOptions } from '../../src/store/store.js';
import type { Life } from './clock.js';
import type { StoredDuties } from './duties.js';
import type { Scene } from './scene.js';

/** `deaf`: the connection is sometimes lost, before a commit or between a commit and its answer. */
export type StoreCondition = 'well' | 'slow' | 'full' | 'down' | 'deaf';

/** Longest time between a call and its commit, and between commit and answer, in milliseconds. */
const DELAYS: Readonly<Record<StoreCondition, number>> = { well: 2, slow: 4_000, full: 20, down: 200, deaf: 200 };

/** The share of answers that are lost after the commit while the store is deaf. */
const UNHEARD = 0.3;

/** An operation that was committed but not answered yet. */
export interface Committed {
  readonly operation: OperationName;
  readonly given: unknown;
  readonly result: unknown;
  /** Whether the caller is a server, which performs the duties that follow. */
  readonly isDutiful?: boolean;
}

/** The database of a world and the ports of its AAA servers. */
export class SharedStore {
  readonly engine: StoreEngine;
  readonly #scene: Scene;
  readonly #onCommit: (commit: Committed) => void;
  condition: StoreCondition = 'well';
  /** Faults that a test injects into what is committed and into what the caller gets as an answer. */
  wrongCommit: (commit: Committed) => unknown = ({ result }) => result;
  wrongAnswer: (commit: Committed) => unknown = ({ result }) => result;
  /** The number of calls so far. */
  calls = 0;
  /** Called before each operation of a server. */
  onAsk: (operation: string, given: unknown) => void = () => undefined;

  readonly #backend: SqliteBackend;

  private constructor(
    scene: Scene,
    backend: SqliteBackend,
    engine: StoreEngine,
    onCommit: (commit: Committed) => void,
  ) {
    this.#scene = scene;
    this.#backend = backend;
    this.engine = engine;
    this.#onCommit = onCommit;
  }

  static async open(scene: Scene, host: Host, onCommit: (commit: Committed) => void): Promise<SharedStore> {
    const backend = await SqliteBackend.open(':memory:', 'server', (octets) => host.random(octets));
    const engine = await StoreEngine.open(backend, host);
    // Loads modules now, because that takes turns of the event loop that are not counted as activity.
    await engine.administer('listHomeAgents', {}, 'world');
    return new SharedStore(scene, backend, engine, onCommit);
  }

  /** The subjects of the open duties for hooks of home agents, and the sessions. */
  async duties(): Promise<StoredDuties> {
    const rows = (await this.#backend.read((db) => db.selectFrom('duties').select('subject').execute())) as readonly {
      readonly subject: string;
    }[];
    const { items: sessions } = await this.engine.run('listSessions', {});
    return { subjects: new Set(rows.map(({ subject }) => subject)), sessions };
  }

  /** Closes the database and frees its memory. */
  close(): Promise<void> {
    return this.#backend.close();
  }

  /** The store as one run of a server uses it. */
  portOf(life: Life, { events = {}, holder }: OpenOptions): StorePort {
    return new Port(this, this.#scene, life, events, holder);
  }

  /** Runs an operation. The world gets the result before the caller does. */
  async run<N extends OperationName>(
    operation: N,
    given: ArgumentsOf<N>,
    who?: string,
    holder?: DutyHolder,
  ): Promise<ResultOf<N>> {
    const done = { operation, given, result: await this.engine.run(operation, given, who, undefined, holder) };
    const committed = { ...done, result: this.wrongCommit(done), isDutiful: holder !== undefined };
    this.#onCommit(committed);
    return this.wrongAnswer(committed) as ResultOf<N>;
  }

  async administer(operation: string, given: unknown, who: string, holder?: DutyHolder): Promise<Administered> {
    const administered = await this.engine.administer(operation, given, who, undefined, holder);
    const { result } = administered;
    this.#onCommit({ operation: operation as OperationName, given, result, isDutiful: holder !== undefined });
    return administered;
  }

  delay(): number {
    return this.#scene.dice.fraction() * DELAYS[this.condition];
  }

  /** The error of an operation whose answer is lost after the commit; undefined: the answer arrives. */
  loss(): DatabaseError | undefined {
    if (this.condition !== 'deaf' || !this.#scene.dice.chance(UNHEARD)) return undefined;
    return new DatabaseError('ERR_STORE_DOWN', 'the connection to the database was lost');
  }

  /** The error of an operation that fails now; undefined: it succeeds. */
  failure(operation: string): DatabaseError | undefined {
    if (this.condition === 'down') return new DatabaseError('ERR_STORE_DOWN', 'the database does not answer');
    const { kind } = operations[operation as OperationName];
    return this.condition === 'full' && kind !== 'read'
      ? new DatabaseError('ERR_STORE_FULL', 'the disk is full')
      : undefined;
  }
}

/** One server's port of the store. Calls take time, and an ended server receives no answer. */
class Port implements StorePort {
  readonly #store: SharedStore;
  readonly #scene: Scene;
  readonly #life: Life;
  readonly #events: StoreEvents;
  readonly #holder: DutyHolder | undefined;
  #works = true;

  constructor(store: SharedStore, scene: Scene, life: Life, events: StoreEvents, holder: DutyHolder | undefined) {
    this.#store = store;
    this.#scene = scene;
    this.#life = life;
    this.#events = events;
    this.#holder = holder;
  }

  run<N extends OperationName>(operation: N, given: ArgumentsOf<N>, who?: string): Promise<ResultOf<N>> {
    return this.#ask(operation, given, () => this.#store.run(operation, given, who, this.#holder));
  }

  administer(operation: string, given: unknown, who: string): Promise<Administered> {
    return this.#ask(operation, given, () => this.#store.administer(operation, given, who, this.#holder));
  }

  classOf(operation: OperationName): StoreClass {
    return this.#store.engine.classOf(operation);
  }

  answers(): Promise<boolean> {
    return Promise.resolve(true);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #ask<T>(operation: string, given: unknown, perform: () => Promise<T>): Promise<T> {
    const { clock, trace } = this.#scene;
    if (!this.#scene.leaves(this.#life)) return new Promise(() => undefined);
    this.#store.calls += 1;
    this.#store.onAsk(operation, given);
    trace.note(this.#life.name, 'store', 'store', operation.length, operation);
    return new Promise<T>((resolve, reject) => {
      const answer = (settle: () => void) =>
        clock.after(this.#store.delay(), () => {
          if (!this.#life.alive) trace.note('store', this.#life.name, 'unheard', operation.length, operation);
          this.#life.perform(settle);
        });
      clock.after(this.#store.delay(), () => {
        const failure = this.#store.failure(operation);
        if (failure) trace.note('store', this.#life.name, failure.code, operation.length, operation);
        const going = failure ? Promise.reject(failure) : perform();
        going.then(
          (value) => {
            const lost = this.#store.loss();
            if (lost) trace.note('store', this.#life.name, 'unheard', operation.length, `${operation} is committed`);
            answer(lost ? () => this.#failed(lost, reject) : () => this.#worked(() => resolve(value)));
          },
          (error: Error) => answer(() => this.#failed(error, reject)),
        );
      });
    });
  }

  #worked(settle: () => void): void {
    if (!this.#works) this.#events.state?.(true, '');
    this.#works = true;
    settle();
  }

  #failed(error: Error, reject: (error: Error) => void): void {
    if (error instanceof DatabaseError && this.#works) {
      this.#works = false;
      this.#events.state?.(false, error.message);
    }
    reject(error);
  }
}
