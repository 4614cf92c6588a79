import { toHex } from '../protocol/bytes/octets.js';
import { DUTY_TERM, subjectOfLease, subjectOfSession } from '../protocol/home/duties.js';
import type { Lease, Session } from '../protocol/home/records.js';

import { type Context, type Db, type LeaseRow, toLease } from './rows.js';

/**
 * The content of a duty's row. `up`: the hook for a lease and its key has not been run. The store never contains the
 * key.
 */
export type DutyContent =
  | { readonly event: 'up' | 'down'; readonly lease: Lease }
  | { readonly event: 'disconnect'; readonly session: Session };

/** Size of a mark in octets. */
const MARK = 8;

/** Stores a duty in the transaction that makes it necessary. Returns its mark; undefined if no server does duties. */
export async function writeDuty(db: Db, content: DutyContent, context: Context): Promise<string | undefined> {
  const { holder } = context;
  if (!holder || (content.event !== 'disconnect' && !holder.hooks)) return undefined;
  const { server, run } = holder;
  const mark = toHex(context.random(MARK));
  const duty = {
    mark,
    content: JSON.stringify(content),
    server,
    run,
    held_until: context.now() + (server === '' ? 0 : DUTY_TERM),
  };
  const subject = content.event === 'disconnect' ? subjectOfSession(content.session) : subjectOfLease(content.lease);
  await db
    .insertInto('duties')
    .values({ subject, ...duty })
    .onConflict((conflict) => conflict.column('subject').doUpdateSet(duty))
    .execute();
  return mark;
}

/** Stores the duty to run the home agent's hook for a lease. Returns the lease with the mark of the duty. */
export async function withDuty(db: Db, event: 'up' | 'down', lease: Lease, context: Context): Promise<Lease> {
  const duty = await writeDuty(db, { event, lease }, context);
  return duty === undefined ? lease : { ...lease, duty };
}

/** Frees a lease and stores the duty to run the home agent's hook `down`. Returns the lease. */
export async function release(db: Db, row: LeaseRow, now: number, context: Context): Promise<Lease> {
  const lease = toLease(row);
  const gone = await db
    .deleteFrom('leases')
    .where('hoa', '=', row.hoa)
    .where('session_id', '=', row.session_id)
    .executeTakeFirst();
  if (gone.numDeletedRows === 0n) return lease;
  await db
    .updateTable('lease_history')
    // The clocks of two servers may differ slightly.
    .set({ ended_at: Math.max(now, row.acquired_at) })
    .where('hoa', '=', row.hoa)
    .where('ended_at', 'is', null)
    .execute();
  await db
    .updateTable('home_agents')
    .set((expression) => ({ leases: expression('leases', '-', 1) }))
    .where('id', '=', row.home_agent_id)
    .execute();
  return withDuty(db, 'down', lease, context);
}
