import { sql } from 'kysely';
import type { Db } from './rows.js';
import type { Schema } from './schema.js';
import { Statement } from './statement.js';
import { CLOCKS_APART } from './store-clock.js';

/** The clock steps that the servers of a store have applied. */
export interface ClockSteps {
  /** The sum of all steps in milliseconds. A server that has a different sum has missed a step. */
  readonly moved: number;
  /**
   * Events recorded before this time (by the store's present clock) were never shifted; milliseconds since 1970, UTC.
   */
  readonly since: number;
}

const KEY = 'clock_step';

type Column = { [T in keyof Schema]: readonly [T, keyof Schema[T] & string] }[keyof Schema];

/** Columns that a clock step shifts: deadlines and start times. */
const RUNNING: readonly Column[] = [
  ['leases', 'expires_at'],
  ['sessions', 'expires_at'],
  ['home_agents', 'failed_at'],
  ['ticket_keys', 'valid_from'],
  ['duties', 'held_until'],
];

/** Columns with times of past events. The audit trail keeps its times; the step is an entry in it. */
const PAST: readonly Column[] = [
  ['leases', 'acquired_at'],
  ['sessions', 'started_at'],
  ['lease_history', 'acquired_at'],
  ['lease_history', 'ended_at'],
];

/** Every writing transaction runs it. */
const stored = new Statement((db) => db.selectFrom('meta').select('value').where('key', '=', KEY));

/** The steps applied so far. */
export async function readSteps(db: Db): Promise<ClockSteps> {
  const row = await stored.first(db, {});
  return row ? (JSON.parse(row.value) as ClockSteps) : { moved: 0, since: 0 };
}

/**
 * Shifts all times of the store by `by` milliseconds after its wall clock stepped at `now`, so that remaining lifetimes
 * stay the same. Of past times it shifts those recorded since a server began to watch the clock (`since`). Earlier ones
 * are shifted only if they would be in the future. Keeps the order of events. The cost is linear in the number of rows.
 */
export async function shiftTimes(db: Db, by: number, now: number, since: number): Promise<ClockSteps> {
  const steps = await readSteps(db);
  // Times that an earlier step of another server did not shift are not shifted now either. If the clock was set back
  // since, `steps.since` is in the future and does not apply.
  const watched = steps.since <= now ? Math.max(since, steps.since) : since;
  for (const column of RUNNING) await move(db, column, by, Number.MIN_SAFE_INTEGER);
  // A small step cannot disorder events, because a lease never starts or ends before the times already recorded.
  const large = Math.abs(by) >= CLOCKS_APART;
  if (large) {
    const from = (await anyBetween(db, watched + by, watched)) ? Number.MIN_SAFE_INTEGER : watched;
    for (const column of PAST) await move(db, column, by, from);
  }
  await db
    .insertInto('audit')
    .values({ at: now + by, who: 'clock', what: 'clockStep', detail: JSON.stringify({ milliseconds: by }) })
    .execute();
  const after: ClockSteps = { moved: steps.moved + by, since: large ? watched + by : watched };
  const value = JSON.stringify(after);
  await db
    .insertInto('meta')
    .values({ key: KEY, value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
    .execute();
  return after;
}

/** Shifts the times of a column that are not before `from`. */
async function move(db: Db, [table, column]: Column, by: number, from: number): Promise<void> {
  const name = sql.ref(column);
  await sql`UPDATE ${sql.table(table)} SET ${name} = ${name} + ${by} WHERE ${name} >= ${from}`.execute(db);
}

/** Whether any event was recorded between two times. */
async function anyBetween(db: Db, after: number, before: number): Promise<boolean> {
  for (const [table, column] of PAST) {
    const name = sql.ref(column);
    const { rows } = await sql`SELECT 1 FROM ${sql.table(table)}
      WHERE ${name} > ${after} AND ${name} < ${before} LIMIT 1`.execute(db);
    if (rows.length > 0) return true;
  }
  return false;
}
