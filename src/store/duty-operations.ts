import {
  type Duty,
  type DutyOperation,
  type EndedDuty,
  type HeldDuty,
  subjectOfLease,
} from '../protocol/home/duties.js';
import { type DutyContent, writeDuty } from './duties.js';
import { internal } from './operation.js';
import { type Context, type Db, type DutyHolder, leases, toLease } from './rows.js';
import { sessionOf } from './session-operations.js';

/** Rows in one statement: SQLite allows 32,766 parameters. */
const ROWS = 500;

/** Operations on duties, the work that follows from commits. */
export const dutyOperations = {
  /**
   * Removes the duties that the server has ended, renews those that it holds, and assigns it duties of no living
   * server: those of its earlier runs, and those of servers that have not renewed them for their term.
   */
  duties: internal<DutyOperation>({
    kind: 'write',
    measuredAs: 'upkeep',
    async run(db, given, context) {
      const { holder } = context;
      if (!holder) return { lost: [], taken: [] };
      const { held, ended, term, leaving = false } = given;
      const before = new Set<string>();
      for (const duty of ended) {
        await repair(db, duty, before, context);
        before.add(duty.mark);
      }
      for (let i = 0; i < ended.length; i += ROWS) await remove(db, ended.slice(i, i + ROWS));
      if (leaving) {
        await ownedBy(db.updateTable('duties'), holder)
          .set({ ...NOBODY, held_until: context.now() })
          .execute();
        return { lost: [], taken: [] };
      }
      const lost = await prolong(db, held, term, context);
      return { lost, taken: await take(db, given, context) };
    },
  }),
} as const;

const NOBODY = { server: '', run: 0 } as const;

function ownedBy<Q extends { where(column: 'server' | 'run', is: '=', value: string | number): Q }>(
  query: Q,
  { server, run }: DutyHolder,
): Q {
  return query.where('server', '=', server).where('run', '=', run);
}

async function remove(db: Db, ended: readonly EndedDuty[]): Promise<void> {
  const over = ended.filter((duty) => duty.over);
  if (over.length === 0) return;
  await db
    .deleteFrom('duties')
    .where(
      'subject',
      'in',
      over.map(({ subject }) => subject),
    )
    .where(
      'mark',
      'in',
      over.map(({ mark }) => mark),
    )
    .execute();
}

/**
 * Corrects the home agent after the end of a duty, if its hook may have run after a hook with newer data. The order is
 * unknown if another server has changed the lease meanwhile. The same applies if `down` may have undone a later setup
 * for the same home address or subscriber. In these cases a hook runs again with the current state. If this server
 * holds the later duty, nothing needs to be corrected, because its hooks run in order. `before`: marks of duties that
 * ended before this one; a later duty among them ran too early, because the store's answers arrived in another order
 * than its commits.
 */
async function repair(
  db: Db,
  { subject, mark, notified }: EndedDuty,
  before: ReadonlySet<string>,
  context: Context,
): Promise<void> {
  if (!notified) return;
  const [, agent = '', hoa = '', nai = ''] = subject.split(' ');
  const byAddress = await leaseOn(db, agent, 'leases.hoa', hoa);
  const current = byAddress?.nai === nai ? byAddress : undefined;
  // Another `down` would change nothing, and two servers would run it in turn forever.
  const isDone = notified.event === 'down' && !current;
  if (!isDone && !(await isOwn(db, subject, mark, before, context))) {
    await writeDuty(
      db,
      current ? { event: 'up', lease: current } : { ...notified, event: 'down' },
      withNobody(context),
    );
  }
  if (notified.event === 'up') return;
  for (const lease of [byAddress, await leaseOn(db, agent, 'subscribers.nai', nai)]) {
    if (!lease) continue;
    const other = subjectOfLease(lease);
    if (other === subject || (await isOwn(db, other, undefined, before, context))) continue;
    await writeDuty(db, { event: 'up', lease }, withNobody(context));
  }
}

/** Whether the stored duty of this subject has this mark, or is held by this server and has not ended. */
async function isOwn(
  db: Db,
  subject: string,
  mark: string | undefined,
  ended: ReadonlySet<string>,
  { holder }: Context,
): Promise<boolean> {
  const row = await db
    .selectFrom('duties')
    .select(['mark', 'server', 'run'])
    .where('subject', '=', subject)
    .executeTakeFirst();
  if (row === undefined) return false;
  if (row.mark === mark) return true;
  return !ended.has(row.mark) && row.server === holder?.server && Number(row.run) === holder.run;
}

/** The context for a duty without a holder. The next server that looks for duties takes it. */
function withNobody({ holder, ...rest }: Context): Context {
  return { ...rest, holder: holder && { ...holder, ...NOBODY } };
}

/** The lease on the home agent with this address that has this home address or subscriber. */
async function leaseOn(db: Db, agent: string, column: 'leases.hoa' | 'subscribers.nai', value: string) {
  const row = await leases(db).where('address', '=', agent).where(column, '=', value).executeTakeFirst();
  return row && toLease(row);
}

/** Returns the subjects of duties that the server no longer holds. */
async function prolong(db: Db, held: readonly HeldDuty[], term: number, context: Context): Promise<string[]> {
  const { holder } = context;
  if (!holder || held.length === 0) return [];
  const now = context.now();
  const rows = await ownedBy(db.selectFrom('duties').select(['subject', 'held_until']), holder).execute();
  const own = new Map(rows.map(({ subject, held_until }) => [subject, Number(held_until)]));
  const short = held.filter(({ subject }) => (own.get(subject) ?? Number.POSITIVE_INFINITY) < now + term / 2);
  for (let i = 0; i < short.length; i += ROWS) {
    await db
      .updateTable('duties')
      .set({ held_until: now + term })
      .where(
        'subject',
        'in',
        short.slice(i, i + ROWS).map(({ subject }) => subject),
      )
      .execute();
  }
  return held.flatMap(({ subject }) => (own.has(subject) ? [] : [subject]));
}

async function take(db: Db, { limit, retry }: DutyOperation[0], context: Context): Promise<Duty[]> {
  const { holder } = context;
  if (!holder) return [];
  const { server, run, hooks } = holder;
  const now = context.now();
  let query = db
    .selectFrom('duties')
    .select(['subject', 'content'])
    .where(({ or, and, eb }) =>
      or([eb('held_until', '<=', now), and([eb('server', '=', server), eb('run', '<>', run)])]),
    )
    .orderBy('held_until')
    .orderBy('subject')
    .limit(limit);
  if (!hooks) query = query.where('subject', 'like', 'session %');
  const taken: Duty[] = [];
  for (const { subject, content } of await query.execute()) {
    const duty = await dutyOf(db, subject, JSON.parse(content) as DutyContent, context);
    if (duty) taken.push(duty);
    if (!duty) await db.deleteFrom('duties').where('subject', '=', subject).execute();
    else if (duty.event === 'up') {
      // Retry the re-authentication until the new key creates a new duty.
      await db
        .updateTable('duties')
        .set({ ...NOBODY, held_until: now + retry })
        .where('subject', '=', subject)
        .execute();
    }
  }
  return taken;
}

/** The work of a stored duty that is still necessary; undefined if none is. */
async function dutyOf(db: Db, subject: string, content: DutyContent, context: Context): Promise<Duty | undefined> {
  if (content.event === 'disconnect') {
    const { duty: _, ...session } = content.session;
    // The session may have been authorized again meanwhile.
    if (session.expiresAt <= context.now() || (await sessionOf(db, session.sessionId))) return undefined;
    const mark = await writeDuty(db, { event: 'disconnect', session }, context);
    return { event: 'disconnect', session: { ...session, duty: mark } };
  }
  // A server that runs no hooks may have assigned the home address to the subscriber again. The home agent must not
  // remove it then.
  const [, agent = '', hoa = '', nai = ''] = subject.split(' ');
  const current = await leaseOn(db, agent, 'leases.hoa', hoa);
  if (current?.nai !== nai) {
    if (content.event === 'up') return undefined;
    const { lease } = content;
    return { event: 'down', lease: { ...lease, duty: await writeDuty(db, { event: 'down', lease }, context) } };
  }
  const session = await sessionOf(db, current.sessionId);
  return session && { event: 'up', session };
}
