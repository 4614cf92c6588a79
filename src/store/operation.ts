import type { z } from 'zod';
import type { Context, Db } from './rows.js';

/** What builds schemas. It is handed to a record's `input`, so that a record can be loaded without the schema library. */
export type Zod = typeof z;

/**
 * `read`: changes nothing, and needs no turn among the writers. `lengthy`: may take minutes with many subscribers, and does
 * not touch leases, so that bootstraps go on beside it.
 */
export type OperationKind = 'read' | 'write' | 'lengthy';

/** An operation of the store. Its key in `operations` is its name. */
export interface Operation<G, R> {
  readonly kind: OperationKind;
  /** Whether operators may ask a running server for it. */
  readonly administrative: boolean;
  /** Whether it changes what an operator answers for: then who asked for it is written to the audit trail. */
  readonly audited: boolean;
  /** The schema of its arguments where they come from outside of this program. */
  readonly input: ((z: Zod) => z.ZodType<G>) | undefined;
  /** Runs in a transaction of the caller's, on either database. */
  run(db: Db, given: G, context: Context): Promise<R>;
}

/** An operation that operators may ask for. */
export function administrative<S extends z.ZodType, R>(record: {
  readonly kind: OperationKind;
  /** Unless it prepares a change only: a read is never audited. */
  readonly audited?: false;
  readonly input: (z: Zod) => S;
  readonly run: (db: Db, given: z.output<S>, context: Context) => Promise<R>;
}): Operation<z.output<S>, R> {
  const { kind, audited = kind !== 'read', input, run } = record;
  return { kind, administrative: true, audited, input: input as (z: Zod) => z.ZodType<z.output<S>>, run };
}

/** An operation that only this program's own code asks for: the compiler checks its arguments. */
export function internal<G extends object, R>(record: {
  readonly kind: OperationKind;
  readonly run: (db: Db, given: G, context: Context) => Promise<R>;
}): Operation<G, R> {
  return { ...record, administrative: false, audited: false, input: undefined };
}
