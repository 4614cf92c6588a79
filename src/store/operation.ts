import type { z } from 'zod';
import type { Context, Db } from './rows.js';

/** The schema builder, passed to `input` so that operations can be loaded without the schema library. */
export type Zod = typeof z;

/**
 * `read`: read-only, runs without the writer lock. `lengthy`: may take minutes with many subscribers, and does not
 * touch leases, so that bootstraps can run at the same time.
 */
export type OperationKind = 'read' | 'write' | 'lengthy';

/** An operation of the store. Its key in `operations` is its name. */
export interface Operation<G, R> {
  readonly kind: OperationKind;
  /** Whether operators may request it from a running server. */
  readonly administrative: boolean;
  /** Whether it is an administrative change, which is recorded in the audit trail. */
  readonly audited: boolean;
  /** The schema of arguments that come from outside. */
  readonly input: ((z: Zod) => z.ZodType<G>) | undefined;
  /** Runs in a transaction of the caller, on SQLite or PostgreSQL. */
  run(db: Db, given: G, context: Context): Promise<R>;
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
  readonly input: (z: Zod) => S;
  readonly run: (db: Db, given: z.output<S>, context: Context) => Promise<R>;
}): Operation<z.output<S>, R> {
  const { kind, audited = kind !== 'read', input, run } = record;
  return { kind, administrative: true, audited, input: input as (z: Zod) => z.ZodType<z.output<S>>, run };
}

/** An internal operation, whose arguments the compiler checks. */
export function internal<G extends object, R>(record: {
  readonly kind: OperationKind;
  readonly run: (db: Db, given: G, context: Context) => Promise<R>;
}): InternalOperation<G, R> {
  return { ...record, administrative: false, audited: false, input: undefined };
}
