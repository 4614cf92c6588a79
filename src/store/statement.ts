import type { Compilable, CompiledQuery, Kysely } from 'kysely';
import type { Schema } from './schema.js';

type Db = Kysely<Schema>;

/** The selected rows, and the number of inserted, updated or deleted ones. */
interface Executed<R> {
  readonly rows: R[];
  readonly changed: number;
}

/** Runs a compiled query at once, without the layers of the query builder. Throws DatabaseError. */
export type Direct = (query: CompiledQuery<unknown>, parameters: readonly unknown[]) => Executed<unknown>;

/** By the database's adapter, which its transactions share. */
const direct = new WeakMap<object, Direct>();

/**
 * Lets statements run without the query builder, whose layers cost more than most queries. For a database with one
 * connection only, because a statement then always runs in the transaction that is open.
 */
export function runDirectly(db: Db, run: Direct): void {
  direct.set(db.getExecutor().adapter, run);
}

/** A placeholder for a value while a statement is built. */
class Parameter {
  readonly name: string | symbol;

  constructor(name: string | symbol) {
    this.name = name;
  }

  [Symbol.toPrimitive](): never {
    throw new TypeError(`the value ${String(this.name)} of a statement is not known when the statement is built`);
  }
}

/** Placeholders for all values: each property is a parameter with its name. */
const PARAMETERS = new Proxy({}, { get: (_, name) => new Parameter(name) });

/**
 * A query that is built and compiled once for each database and then run with different values, because building and
 * compiling it costs several times as much as running it. Used for the queries of each authentication; other operations
 * build their queries when they run. `build` must only pass the values on, because they are placeholders.
 */
export class Statement<V extends object, R> {
  readonly #build: (db: Db, values: V) => Compilable<R>;
  /** By the database's adapter, which its transactions share. */
  readonly #compiled = new WeakMap<object, CompiledQuery<R>>();

  constructor(build: (db: Db, values: V) => Compilable<R>) {
    this.#build = build;
  }

  /** Returns the selected rows. */
  async rows(db: Db, values: V): Promise<R[]> {
    return (await this.#execute(db, values)).rows;
  }

  /** Returns the first selected row. */
  async first(db: Db, values: V): Promise<R | undefined> {
    return (await this.#execute(db, values)).rows[0];
  }

  /** Returns the number of inserted, updated or deleted rows. */
  async change(db: Db, values: V): Promise<number> {
    return (await this.#execute(db, values)).changed;
  }

  #execute(db: Db, values: V): Executed<R> | Promise<Executed<R>> {
    const { adapter } = db.getExecutor();
    const compiled = this.#compiledFor(db, adapter);
    const parameters = compiled.parameters.map((one) => (one instanceof Parameter ? values[one.name as keyof V] : one));
    const run = direct.get(adapter);
    return run ? (run(compiled, parameters) as Executed<R>) : execute(db, { ...compiled, parameters });
  }

  #compiledFor(db: Db, adapter: object): CompiledQuery<R> {
    const known = this.#compiled.get(adapter);
    if (known) return known;
    const compiled = this.#build(db, PARAMETERS as V).compile();
    this.#compiled.set(adapter, compiled);
    return compiled;
  }
}

async function execute<R>(db: Db, query: CompiledQuery<R>): Promise<Executed<R>> {
  const { rows, numAffectedRows = 0n } = await db.executeQuery(query);
  return { rows, changed: Number(numAffectedRows) };
}
