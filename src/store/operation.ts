import type { z } from 'zod';
import type { Context, Db } from './rows.js';

/** The schema builder, passed to `input` so that operations can be loaded without the schema library. */
export type Zod = typeof z;

/**
 * `read`: read-only, runs without the writer lock. `shared`: a write that locks the rows that it reads and changes, so
 * that it may share the lock with bootstraps and others of its kind. `lengthy`: may take minutes with many subscribers,
 * and does not touch leases, so that bootstraps can run at the same time.
 */
export type OperationKind = 'read' | 'write' | 'shared' | 'lengthy';

/** Classes of operations in the measurements of the server, named after the activity that waits for them. */
export const STORE_CLASSES = ['authentication', 'bootstrap', 'session', 'upkeep', 'administration'] as const;
export type StoreClass = (typeof STORE_CLASSES)[number];

/**
 * An operation as a function of the database, for one that servers far from their database run often: one round trip,
 * and concurrent with itself. The function does the same as `run`.
 */
export interface Stored<G, R> {
  /** The name of the function. It takes and returns one JSON value. */
  readonly function: string;
  readonly request: (given: G, context: Context) => object;
  /** `answer`: not null, which says that the server has missed a step of the clock, and nothing was changed. */
  readonly result: (answer: unknown, given: G) => R;
}

/** An operation of the store. Its key in `operations` is its name. */
export interface Operation<G, R> {
  readonly kind: OperationKind;
  /** Whether operators may request it from a running server. */
  readonly administrative: boolean;
  /** Whether it is an administrative change, which is recorded in the audit trail. */
  readonly audited: boolean;
  /** Its class when the server itself runs it. */
  readonly measuredAs: StoreClass;
  /** The schema of arguments that come from outside. */
  readonly input: ((z: Zod) => z.ZodType<G>) | undefined;
  /** Runs in a transaction of the caller, on SQLite or PostgreSQL. */
  run(db: Db, given: G, context: Context): Promise<R>;
  /** The same for databases with functions. */
  readonly stored?: Stored<G, R>;
}

/** An operation that only the server itself runs. */
export interface InternalOperation<G, R> extends Operation<G, R> {
  readonly administrative: false;
}

/** An operation that operators may request. */
export function administrative<S extends z.ZodType, R>(record: {
  readonly kind: OperationKind;
  /** `false` for a write that only prepares a change. Reads are never audited. */
  readonly audited?: false;
  /** For one that the server itself runs too. */
  readonly measuredAs?: StoreClass;
  readonly input: (z: Zod) => S;
  readonly run: (db: Db, given: z.output<S>, context: Context) => Promise<R>;
}): Operation<z.output<S>, R> {
  const { kind, audited = kind !== 'read', measuredAs = 'administration', input, run } = record;
  return { kind, administrative: true, audited, measuredAs, input: input as (z: Zod) => z.ZodType<z.output<S>>, run };
}

/** Arguments and result of an operation, as a machine of the protocol states them. */
export type Question = readonly [given: object, result: unknown];

/** A question whose arguments may state the time. Default: the store's own clock. */
export type Dated<Q extends Question> = readonly [given: Q[0] & { readonly now?: number }, result: Q[1]];

/** An internal operation. Its arguments and its result are those that the machine which asks for it states. */
export function internal<Q extends Question>(record: {
  readonly kind: OperationKind;
  readonly measuredAs: StoreClass;
  readonly run: (db: Db, given: Q[0], context: Context) => Promise<Q[1]>;
  readonly stored?: Stored<Q[0], Q[1]>;
}): InternalOperation<Q[0], Q[1]> {
  return { ...record, administrative: false, audited: false, input: undefined };
}

/** An act of an operator that changes no row: running it with the operator's name records it in the audit trail. */
export function recorded<G extends object>(): InternalOperation<G, void> {
  const run = () => Promise.resolve();
  return { kind: 'write', administrative: false, audited: true, measuredAs: 'administration', input: undefined, run };
}
