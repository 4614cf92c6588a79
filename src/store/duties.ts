import { toHex } from '../protocol/bytes/octets.js';
import { DUTY_TERM, subjectOfLease, subjectOfSession } from '../protocol/home/duties.js';
import type { Lease, Session } from '../protocol/home/records.js';

import { type Context, type Db, type DutyHolder, type LeaseRow, toLease } from './rows.js';
import type { Schema } from './schema.js';
import { toSession } from './session-rows.js';
import { Statement } from './statement.js';

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
  const row = dutyRow(content, context);
  if (row) await insertDuty.change(db, row);
  return row?.mark;
}

/** The row of a new duty with a new mark; undefined if no server does duties. */
export function dutyRow(content: DutyContent, context: Context): Schema['duties'] | undefined {
  const { holder } = context;
  if (!holder || (content.event !== 'disconnect' && !holder.hooks)) return undefined;
  const { server, run } = holder;
  return {
    subject: content.event === 'disconnect' ? subjectOfSession(content.session) : subjectOfLease(content.lease),
    mark: newMark(context),
    content: JSON.stringify(content),
    server,
    run,
    held_until: context.now() + termOf(holder),
  };
}

/** A new mark of a duty. */
export function newMark(context: Context): string {
  return toHex(context.random(MARK));
}

/** How long its first holder keeps a duty, in milliseconds. */
export function termOf({ server }: DutyHolder): number {
  return server === '' ? 0 : DUTY_TERM;
}

/** Replaces an earlier duty of the same subject. */
const insertDuty = new Statement((db, { subject, mark, content, server, run, held_until }: Schema['duties']) => {
  const duty = { mark, content, server, run, held_until };
  return db
    .insertInto('duties')
    .values({ subject, ...duty })
    .onConflict((conflict) => conflict.column('subject').doUpdateSet(duty));
});

/** Stores the duty to run the home agent's hook for a lease. Returns the lease with the mark of the duty. */
export async function withDuty(db: Db, event: 'up' | 'down', lease: Lease, context: Context): Promise<Lease> {
  const duty = await writeDuty(db, { event, lease }, context);
  return duty === undefined ? lease : { ...lease, duty };
}

/**
 * Frees a lease, ends the sessions of the home agent that have its home address, except the one of the request, and
 * stores the duty to run the home agent's hook `down`. Returns the lease.
 */
export async function release(
  db: Db,
  row: LeaseRow,
  now: number,
  context: Context,
  except: string | undefined = undefined,
): Promise<Lease> {
  const lease = toLease(row);
  const { hoa, session_id: sessionId, home_agent_id: homeAgent, acquired_at: acquiredAt } = row;
  if ((await deleteLease.change(db, { hoa, sessionId })) === 0) return lease;
  // The clocks of two servers may differ slightly.
  await endHistory.change(db, { hoa, endedAt: Math.max(now, acquiredAt) });
  await countLease.change(db, { homeAgent, by: -1 });
  const ended = await endAtHomeAgent(db, row, { now, except }, context);
  const released = await withDuty(db, 'down', lease, context);
  return ended.length === 0 ? released : { ...released, ended };
}

/** Ends the sessions of the home agent that have this home address, and stores the duties to end them there. */
async function endAtHomeAgent(
  db: Db,
  { subscriber_id: subscriber, hoa, nai }: LeaseRow,
  { now, except = '' }: { readonly now: number; readonly except: string | undefined },
  context: Context,
): Promise<Session[]> {
  const rows = await sessionsAtHomeAgent.rows(db, { subscriber, hoa, except, now });
  const ended: Session[] = [];
  for (const each of rows) {
    const session = toSession({ ...each, nai });
    const duty = await writeDuty(db, { event: 'disconnect', session }, context);
    ended.push(duty === undefined ? session : { ...session, duty });
    await deleteSession.change(db, { sessionId: session.sessionId });
  }
  return ended;
}

interface AtHomeAgent {
  readonly subscriber: number;
  readonly hoa: string;
  readonly except: string;
  readonly now: number;
}

const sessionsAtHomeAgent = new Statement((db, { subscriber, hoa, except, now }: AtHomeAgent) =>
  db
    .selectFrom('sessions')
    .selectAll()
    .where('subscriber_id', '=', subscriber)
    .where('kind', '=', 'ikev2')
    .where('hoa', '=', hoa)
    .where('id', '<>', except)
    .where('expires_at', '>', now),
);

const deleteSession = new Statement((db, { sessionId }: { readonly sessionId: string }) =>
  db.deleteFrom('sessions').where('id', '=', sessionId),
);

const deleteLease = new Statement((db, { hoa, sessionId }: { readonly hoa: string; readonly sessionId: string }) =>
  db.deleteFrom('leases').where('hoa', '=', hoa).where('session_id', '=', sessionId),
);

const endHistory = new Statement((db, { hoa, endedAt }: { readonly hoa: string; readonly endedAt: number }) =>
  db.updateTable('lease_history').set({ ended_at: endedAt }).where('hoa', '=', hoa).where('ended_at', 'is', null),
);

/** Adds to the number of leases of a home agent. */
export const countLease = new Statement((db, { homeAgent, by }: { readonly homeAgent: number; readonly by: number }) =>
  db
    .updateTable('home_agents')
    .set((expression) => ({ leases: expression('leases', '+', by) }))
    .where('id', '=', homeAgent),
);
