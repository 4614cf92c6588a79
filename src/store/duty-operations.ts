import {
  type Duty,
  type DutyOperation,
  type EndedDuty,
  type HeldDuty,
  subjectOfLease,
} from '../protocol/home/duties.js';
import type { Lease, Session } from '../protocol/home/records.js';
import { type DutyContent, dutyRow } from './duties.js';
import { internal } from './operation.js';
import { type Context, type Db, type DutyHolder, freeRows, inParts, leases, toLease } from './rows.js';
import type { Schema } from './schema.js';
import { sessionsOf } from './session-operations.js';

/**
 * Operations on duties, the work that follows from commits. On PostgreSQL leases change at the same time. A correction
 * therefore replaces a duty only if that is still the one that was read, before the leases that the correction follows
 * from. A newer duty is right, because its lease changed after the hook had run.
 */
export const dutyOperations = {
  /**
   * Removes the duties that the server has ended, renews those that it holds, and assigns it duties of no living
   * server: those of its earlier runs, and those of servers that have not renewed them for their term.
   */
  duties: internal<DutyOperation>({
    kind: 'shared',
    measuredAs: 'upkeep',
    async run(db, given, context) {
      const { holder } = context;
      if (!holder) return { lost: [], taken: [] };
      const { held, ended, term, leaving = false } = given;
      const order = new Map(ended.map(({ mark }, i) => [mark, i]));
      for (const some of inParts(ended)) await repair(db, some, order, context);
      // From here on nothing waits for a lock, so that nobody waits long for those of this transaction.
      for (const some of inParts(ended)) await remove(db, some);
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

/** Removes duties that are done, unless newer ones have replaced them or are doing so. */
async function remove(db: Db, ended: readonly EndedDuty[]): Promise<void> {
  const over = ended.filter((duty) => duty.over);
  if (over.length === 0) return;
  const done = db
    .selectFrom('duties')
    .select('subject')
    .where('subject', 'in', subjectsOf(over))
    .where(
      'mark',
      'in',
      over.map(({ mark }) => mark),
    );
  await db.deleteFrom('duties').where('subject', 'in', freeRows(db, done)).execute();
}

type StoredDuty = Pick<Schema['duties'], 'mark' | 'server' | 'run'>;

/**
 * Corrects the home agent after the end of a duty, if its hook may have run after a hook with newer data. The order is
 * unknown if another server has changed the lease meanwhile. The same applies if `down` may have undone a later setup
 * for the same home address or subscriber. In these cases a hook runs again with the current state. If this server
 * holds the later duty, nothing needs to be corrected, because its hooks run in order. `order`: the place of each mark
 * among all duties that have ended; if the later duty ended before, it ran too early, because the store's answers
 * arrived in another order than its commits.
 */
async function repair(
  db: Db,
  ended: readonly EndedDuty[],
  order: ReadonlyMap<string, number>,
  context: Context,
): Promise<void> {
  const stored = await dutiesOf(db, subjectsOf(ended));
  /** Whether the stored duty of this subject is this one, or is held by this server and did not end before this one. */
  const isOwn = (subject: string, { mark }: EndedDuty, isItself: boolean) => {
    const duty = stored.get(subject);
    if (duty === undefined) return false;
    if (isItself && duty.mark === mark) return true;
    const endedBefore = (order.get(duty.mark) ?? Number.POSITIVE_INFINITY) < (order.get(mark) ?? 0);
    const { server, run } = context.holder ?? NOBODY;
    return !endedBefore && duty.server === server && Number(duty.run) === run;
  };
  const doubtful = ended.filter(
    (duty) => duty.notified?.event === 'down' || (duty.notified && !isOwn(duty.subject, duty, true)),
  );
  if (doubtful.length === 0) return;
  const places = doubtful.map(({ subject }) => placeOf(subject));
  // The duties of other subscribers and addresses are known only from their leases, and are read before these.
  const others = [...(await leasesAt(db, places)).values()].map(subjectOfLease);
  for (const [subject, duty] of await dutiesOf(
    db,
    others.filter((other) => !stored.has(other)),
  )) {
    stored.set(subject, duty);
  }
  const current = await leasesAt(db, places);
  const corrections: Schema['duties'][] = [];
  const correct = (content: DutyContent) => {
    const row = dutyRow(content, withNobody(context));
    if (row) corrections.push(row);
  };
  for (const duty of doubtful) {
    const { subject, notified } = duty;
    if (!notified) continue;
    const { agent, hoa, nai } = placeOf(subject);
    const byAddress = current.get(`${agent} ${hoa}`);
    const lease = byAddress?.nai === nai ? byAddress : undefined;
    // Another `down` would change nothing, and two servers would run it in turn forever.
    const isDone = notified.event === 'down' && !lease;
    if (!isDone && !isOwn(subject, duty, true)) {
      correct(lease ? { event: 'up', lease } : { ...notified, event: 'down' });
    }
    if (notified.event === 'up') continue;
    for (const later of [byAddress, current.get(`${agent} ${nai}`)]) {
      const other = later && subjectOfLease(later);
      if (!later || other === undefined || other === subject || isOwn(other, duty, false)) continue;
      correct({ event: 'up', lease: later });
    }
  }
  // All transactions lock duties in this order, so that none waits for another that waits for it.
  corrections.sort((one, other) => (one.subject < other.subject ? -1 : 1));
  for (const row of corrections) await writeCorrection(db, row, stored.get(row.subject)?.mark);
}

function subjectsOf(duties: readonly HeldDuty[]): string[] {
  return duties.map(({ subject }) => subject);
}

/** The home agent, the home address and the subscriber in the subject of a lease's duty. */
function placeOf(subject: string) {
  const [, agent = '', hoa = '', nai = ''] = subject.split(' ');
  return { agent, hoa, nai };
}

async function dutiesOf(db: Db, subjects: readonly string[]): Promise<Map<string, StoredDuty>> {
  if (subjects.length === 0) return new Map();
  const rows = await db
    .selectFrom('duties')
    .select(['subject', 'mark', 'server', 'run'])
    .where('subject', 'in', subjects)
    .execute();
  return new Map(rows.map(({ subject, ...duty }) => [subject, duty]));
}

/** The leases on home addresses and of subscribers, by the home agent's address and either of them. */
async function leasesAt(db: Db, places: readonly ReturnType<typeof placeOf>[]): Promise<Map<string, Lease>> {
  const found = new Map<string, Lease>();
  for (const [column, key] of [['leases.hoa', 'hoa'] as const, ['subscribers.nai', 'nai'] as const]) {
    const values = [...new Set(places.map((place) => place[key]))];
    if (values.length === 0) continue;
    for (const row of await leases(db).where(column, 'in', values).execute()) {
      found.set(`${row.address} ${row[key]}`, toLease(row));
    }
  }
  return found;
}

/** Stores a duty if the subject's duty still has the mark that was read, or if there is still none. */
async function writeCorrection(db: Db, row: Schema['duties'], read: string | undefined): Promise<void> {
  const { subject: _, ...changed } = row;
  await db
    .insertInto('duties')
    .values(row)
    .onConflict((conflict) => {
      const same = conflict.column('subject');
      return read === undefined ? same.doNothing() : same.doUpdateSet(changed).where('duties.mark', '=', read);
    })
    .execute();
}

/** The context for a duty without a holder. The next server that looks for duties takes it. */
function withNobody({ holder, ...rest }: Context): Context {
  return { ...rest, holder: holder && { ...holder, ...NOBODY } };
}

/** Returns the subjects of duties that the server no longer holds. */
async function prolong(db: Db, held: readonly HeldDuty[], term: number, context: Context): Promise<string[]> {
  const { holder } = context;
  if (!holder || held.length === 0) return [];
  const now = context.now();
  const rows = await ownedBy(db.selectFrom('duties').select(['subject', 'held_until']), holder).execute();
  const own = new Map(rows.map(({ subject, held_until }) => [subject, Number(held_until)]));
  const short = held.filter(({ subject }) => (own.get(subject) ?? Number.POSITIVE_INFINITY) < now + term / 2);
  for (const some of inParts(short)) {
    const own = ownedBy(db.selectFrom('duties').select('subject'), holder).where('subject', 'in', subjectsOf(some));
    await db
      .updateTable('duties')
      .set({ held_until: now + term })
      .where('subject', 'in', freeRows(db, own))
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
  const rows = await freeRows(db, query).execute();
  const contents = rows.map(({ subject, content }) => ({ subject, ...(JSON.parse(content) as DutyContent) }));
  const leases = await leasesAt(
    db,
    contents.flatMap(({ event, subject }) => (event === 'disconnect' ? [] : [placeOf(subject)])),
  );
  const ids = contents.map((content) =>
    content.event === 'disconnect' ? content.session.sessionId : currentOf(content.subject, leases)?.sessionId,
  );
  const sessions = await sessionsOf(
    db,
    ids.flatMap((id) => id ?? []),
  );
  const over: string[] = [];
  const repeated: string[] = [];
  const written: Schema['duties'][] = [];
  const taken: Duty[] = [];
  for (const { subject, ...content } of contents) {
    const next = nextOf(subject, content, leases, sessions, now);
    if (!next) {
      over.push(subject);
    } else if ('again' in next) {
      repeated.push(subject);
      taken.push({ event: 'up', session: next.again });
    } else {
      const row = dutyRow(next, context);
      if (row) written.push(row);
      const duty = row?.mark;
      if (next.event === 'down') taken.push({ event: 'down', lease: { ...next.lease, duty } });
      else taken.push({ event: 'disconnect', session: { ...next.session, duty } });
    }
  }
  if (over.length > 0) await db.deleteFrom('duties').where('subject', 'in', over).execute();
  if (repeated.length > 0) {
    // Retry the re-authentication until the new key creates a new duty.
    await db
      .updateTable('duties')
      .set({ ...NOBODY, held_until: now + retry })
      .where('subject', 'in', repeated)
      .execute();
  }
  if (written.length > 0) {
    await db
      .insertInto('duties')
      .values(written)
      .onConflict((conflict) =>
        conflict.column('subject').doUpdateSet(({ ref }) => ({
          mark: ref('excluded.mark'),
          content: ref('excluded.content'),
          server: ref('excluded.server'),
          run: ref('excluded.run'),
          held_until: ref('excluded.held_until'),
        })),
      )
      .execute();
  }
  return taken;
}

type Found = ReadonlyMap<string, Lease>;

/** The subscriber's present lease on the home agent and address of a duty. */
function currentOf(subject: string, leases: Found): Lease | undefined {
  const { agent, hoa, nai } = placeOf(subject);
  const lease = leases.get(`${agent} ${hoa}`);
  return lease?.nai === nai ? lease : undefined;
}

/** `again`: a session that needs a new key. */
type Work =
  | { readonly event: 'down'; readonly lease: Lease }
  | { readonly event: 'disconnect'; readonly session: Session }
  | { readonly again: Session };

/** The work of a stored duty that is still necessary; undefined if none is. */
function nextOf(
  subject: string,
  content: DutyContent,
  leases: Found,
  sessions: ReadonlyMap<string, Session>,
  now: number,
): Work | undefined {
  if (content.event === 'disconnect') {
    const { duty: _, ...session } = content.session;
    // The session may have been authorized again meanwhile.
    return session.expiresAt <= now || sessions.has(session.sessionId) ? undefined : { event: 'disconnect', session };
  }
  // A server that runs no hooks may have assigned the home address to the subscriber again. The home agent must not
  // remove it then.
  const current = currentOf(subject, leases);
  if (!current) return content.event === 'up' ? undefined : { event: 'down', lease: content.lease };
  const again = sessions.get(current.sessionId);
  return again && { again };
}
