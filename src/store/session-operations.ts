import { sql } from 'kysely';
import type { HomeOperations } from '../protocol/home/alphabet.js';
import type { Session } from '../protocol/home/records.js';
import { release, writeDuty } from './duties.js';
import { MAX_LIST, page, text } from './inputs.js';
import { administrative, type Dated, internal, recorded } from './operation.js';
import { storedEndSession } from './postgres-sessions.js';
import { MAX_PAGE, type Page } from './records.js';
import { type Db, freeRows, inParts, leases, pageOf } from './rows.js';
import { serialOf, toSession } from './session-rows.js';
import { Statement } from './statement.js';

export const sessionOperations = {
  /** The requests of an operator to terminate or re-authenticate sessions. `of`: a Session-Id or a subscriber. */
  disconnectSessions: recorded<{ readonly of: string }>(),
  reauthenticateSessions: recorded<{ readonly of: string }>(),

  /** The PAA of a session, by its Origin-Host; undefined if there is no such session. */
  originOfSession: internal<HomeOperations['originOfSession']>({
    kind: 'read',
    measuredAs: 'authentication',
    async run(db, { sessionId }) {
      return (await originOf.first(db, { sessionId }))?.origin;
    },
  }),

  /**
   * Ends a session. Its lease is released unless a newer session took it over. With `origin`, ends it only if that is
   * its PAA; otherwise nothing changes.
   */
  endSession: internal<Dated<HomeOperations['endSession']>>({
    kind: 'write',
    measuredAs: 'session',
    stored: storedEndSession,
    async run(db, given, context) {
      const { sessionId, origin, now } = given;
      if (origin !== undefined) {
        const row = await originOf.first(db, { sessionId });
        if (row?.origin.toLowerCase() !== origin.toLowerCase()) {
          return { known: false, foreign: row !== undefined, released: undefined };
        }
      }
      const unconfirmed = given.unconfirmed ? await sessionOf(db, sessionId) : undefined;
      if (unconfirmed) await writeDuty(db, { event: 'disconnect', session: unconfirmed }, context);
      const gone = await deleteSession.change(db, { sessionId });
      const lease = await leaseOf.first(db, { sessionId });
      const released = lease && (await release(db, lease, now ?? context.now(), context));
      return { known: gone > 0, released };
    },
  }),

  /**
   * Records what a NAS reports about its session: how it knows it, and the octets so far, which never become less. A
   * session of another NAS, or an unknown one, is not changed.
   */
  reportSession: internal<HomeOperations['reportSession']>({
    kind: 'shared',
    measuredAs: 'session',
    async run(db, { sessionId, origin, nas, octets }, context) {
      const changed = await db
        .updateTable('sessions')
        .set({
          ...(nas === undefined ? {} : { nas }),
          ...(octets
            ? {
                octets_in: greater('octets_in', octets.received),
                octets_out: greater('octets_out', octets.sent),
                reported_at: context.now(),
              }
            : {}),
        })
        .where('id', '=', sessionId)
        .where('origin', '=', origin)
        .executeTakeFirst();
      return { known: changed.numUpdatedRows > 0n };
    },
  }),

  /**
   * Lists sessions by Session-Id. Filters: `of` (a Session-Id or subscriber), `homeAgent` (address or name), `paa`,
   * `certificates`, `certificateIssuer`, `disabled` (subscribers that are disabled). `from`: end of the previous page.
   */
  listSessions: administrative({
    kind: 'read',
    input: (z) =>
      z.strictObject({
        of: text(z).optional(),
        homeAgent: text(z).optional(),
        paa: text(z).optional(),
        certificates: z.array(text(z)).max(MAX_LIST).readonly().optional(),
        certificateIssuer: text(z).optional(),
        disabled: z.boolean().optional(),
        withoutLease: z.boolean().optional(),
        ...page(z),
      }),
    async run(db, filter): Promise<Page<Session>> {
      const {
        of,
        homeAgent,
        paa,
        certificates,
        certificateIssuer,
        disabled,
        withoutLease,
        from,
        limit = MAX_PAGE,
      } = filter;
      if (of !== undefined && paa !== undefined && Object.keys(filter).length === 2) {
        const rows = await sessionsAt.rows(db, { of, nai: of.toLowerCase(), paa });
        return pageOf(rows.map(toSession), limit, ({ sessionId }) => sessionId);
      }
      let query = db
        .selectFrom('sessions')
        .innerJoin('subscribers', 'subscribers.id', 'sessions.subscriber_id')
        .selectAll('sessions')
        .select('subscribers.nai')
        .orderBy('sessions.id');
      if (of !== undefined) {
        // Both conditions are on columns of one table, so that the database can use an index for each.
        const named = db.selectFrom('subscribers').select('id').where('nai', '=', of.toLowerCase());
        query = query.where((expression) =>
          expression.or([expression('sessions.id', '=', of), expression('sessions.subscriber_id', '=', named)]),
        );
      }
      if (homeAgent !== undefined) {
        const named = db.selectFrom('home_agents').select('address').where('name', '=', homeAgent);
        query = query.where((expression) =>
          expression.or([expression('sessions.ha', '=', homeAgent), expression('sessions.ha', '=', named)]),
        );
      }
      if (paa !== undefined) query = query.where('sessions.origin', '=', paa);
      if (certificates !== undefined) query = query.where('sessions.serial', 'in', certificates.flatMap(withOld));
      if (certificateIssuer !== undefined) query = query.where('sessions.serial', 'like', `${certificateIssuer}:%`);
      if (disabled === true) query = query.where('subscribers.enabled', '=', 0);
      if (withoutLease === true) {
        query = query
          .where('sessions.kind', '=', 'home')
          .where(({ not, exists, selectFrom }) =>
            not(
              exists(
                selectFrom('leases').select('hoa').whereRef('leases.subscriber_id', '=', 'sessions.subscriber_id'),
              ),
            ),
          );
      }
      if (from !== undefined) query = query.where('sessions.id', '>', from);
      const sessions = (await query.limit(limit + 1).execute()).map(toSession);
      return pageOf(sessions, limit, ({ sessionId }) => sessionId);
    },
  }),

  /**
   * Ends the sessions of a PAA that has restarted and lost them (RFC 6733 8.16). Their leases are kept for `leasesFor`
   * milliseconds, because the nodes return and get the same addresses. Returns the number of sessions.
   */
  endSessionsOf: internal<HomeOperations['endSessionsOf']>({
    kind: 'shared',
    measuredAs: 'session',
    async run(db, { origin, before, leasesFor }, context) {
      const leasesUntil = context.now() + leasesFor;
      const old = db
        .selectFrom('sessions')
        .select('id')
        .where('origin', '=', origin)
        .where('origin_state', '<', before);
      // A session that others have locked has just begun again or ends.
      const gone = (await freeRows(db, old).execute()).map(({ id }) => id);
      for (const ids of inParts(gone)) {
        await db
          .updateTable('leases')
          .set({ expires_at: leasesUntil })
          .where('session_id', 'in', ids)
          .where('expires_at', '>', leasesUntil)
          .execute();
        await db.deleteFrom('sessions').where('id', 'in', ids).execute();
      }
      return gone.length;
    },
  }),
} as const;

/** The greater one of a column and a value, on either database. */
function greater(column: 'octets_in' | 'octets_out', value: number) {
  const present = sql.ref<number | null>(column);
  return sql<number>`CASE WHEN ${present} > ${value} THEN ${present} ELSE ${value} END`;
}

/**
 * The first page of the sessions of a subscriber, or with a Session-Id, at one PAA: what the server asks after each
 * bootstrap. The limit is no parameter, because SQLite prepares a statement again for each value of a limit.
 */
const sessionsAt = new Statement(
  (db, { of, nai, paa }: { readonly of: string; readonly nai: string; readonly paa: string }) =>
    db
      .selectFrom('sessions')
      .innerJoin('subscribers', 'subscribers.id', 'sessions.subscriber_id')
      .selectAll('sessions')
      .select('subscribers.nai')
      .where((expression) =>
        expression.or([
          expression('sessions.id', '=', of),
          expression('sessions.subscriber_id', '=', db.selectFrom('subscribers').select('id').where('nai', '=', nai)),
        ]),
      )
      .where('sessions.origin', '=', paa)
      .orderBy('sessions.id')
      .limit(sql.lit(MAX_PAGE + 1)),
);

interface OfSession {
  readonly sessionId: string;
}

const originOf = new Statement((db, { sessionId }: OfSession) =>
  db.selectFrom('sessions').select('origin').where('id', '=', sessionId),
);

const leaseOf = new Statement((db, { sessionId }: OfSession) => leases(db).where('leases.session_id', '=', sessionId));

const deleteSession = new Statement((db, { sessionId }: OfSession) =>
  db.deleteFrom('sessions').where('id', '=', sessionId),
);

/** One session; undefined if it does not exist. */
export async function sessionOf(db: Db, sessionId: string): Promise<Session | undefined> {
  const row = await db
    .selectFrom('sessions')
    .innerJoin('subscribers', 'subscribers.id', 'sessions.subscriber_id')
    .selectAll('sessions')
    .select('subscribers.nai')
    .where('sessions.id', '=', sessionId)
    .executeTakeFirst();
  return row && toSession(row);
}

/** Those of these sessions that exist, by Session-Id. */
export async function sessionsOf(db: Db, ids: readonly string[]): Promise<Map<string, Session>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .selectFrom('sessions')
    .innerJoin('subscribers', 'subscribers.id', 'sessions.subscriber_id')
    .selectAll('sessions')
    .select('subscribers.nai')
    .where('sessions.id', 'in', ids)
    .execute();
  return new Map(rows.map((row) => [row.id, toSession(row)]));
}

/**
 * A certificate in the present form, and in the form used before rows contained the issuer, because sessions of the old
 * form may be revoked too.
 */
function withOld(certificate: string): string[] {
  return [certificate, serialOf(certificate)];
}
