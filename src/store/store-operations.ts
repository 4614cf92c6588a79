import { toHex } from '../protocol/bytes/octets.js';
import type { UpkeepOperations } from '../protocol/home/upkeep.js';
import { TICKET_KEY } from '../runtime/tls/session-tickets.js';
import { page, text } from './inputs.js';
import { administrative, internal } from './operation.js';
import { type AuditEntry, MAX_PAGE, type Page, type StoreStatistics } from './records.js';
import { contains, pageOf, placeOf } from './rows.js';
import { freshSecret } from './secret.js';
import { CLOCKS_APART } from './store-clock.js';

/** Operations on the store as a whole. */
export const storeOperations = {
  statistics: administrative({
    kind: 'read',
    measuredAs: 'upkeep',
    input: (z) => z.strictObject({}),
    async run(db): Promise<StoreStatistics> {
      const count = async (table: 'subscribers' | 'leases' | 'sessions' | 'duties') => {
        const row = await db
          .selectFrom(table)
          .select((expression) => expression.fn.countAll().as('count'))
          .executeTakeFirstOrThrow();
        return Number(row.count);
      };
      const disabled = await db
        .selectFrom('subscribers')
        .select((expression) => expression.fn.countAll().as('count'))
        .where('enabled', '=', 0)
        .executeTakeFirstOrThrow();
      const takeovers = await db
        .selectFrom('subscribers')
        .select((expression) => expression.fn.sum('takeovers').as('sum'))
        .executeTakeFirstOrThrow();
      return {
        subscribers: await count('subscribers'),
        disabled: Number(disabled.count),
        sessions: await count('sessions'),
        leases: await count('leases'),
        takeovers: Number(takeovers.sum ?? 0),
        duties: await count('duties'),
      };
    },
  }),

  /**
   * Lists administrative changes, newest first. `of`: part of the operation, its arguments or the operator; `from`: end
   * of the previous page.
   */
  listAudit: administrative({
    kind: 'read',
    input: (z) => z.strictObject({ of: text(z).optional(), ...page(z) }),
    async run(db, filter): Promise<Page<AuditEntry>> {
      const { of, from, limit = MAX_PAGE } = filter;
      let query = db.selectFrom('audit').selectAll().orderBy('id', 'desc');
      if (from !== undefined) query = query.where('id', '<', placeOf(from));
      if (of !== undefined) {
        query = query.where((expression) =>
          expression.or([contains('detail', of), contains('who', of), contains('what', of)]),
        );
      }
      const { items, next } = pageOf(await query.limit(limit + 1).execute(), limit, ({ id }) => String(id));
      return { items: items.map(({ at, who, what, detail }) => ({ at, who, what, detail })), next };
    },
  }),

  /**
   * Returns the TLS session ticket key that all servers of the store share. Creates a new one when the last is `every`
   * milliseconds old.
   */
  ticketKey: internal<UpkeepOperations['ticketKey']>({
    kind: 'write',
    measuredAs: 'upkeep',
    async run(db, { every }, context) {
      const now = context.now();
      const last = await db.selectFrom('ticket_keys').selectAll().orderBy('id', 'desc').executeTakeFirst();
      if (last && last.valid_from < now + CLOCKS_APART && now < last.valid_from + every) {
        return { value: last.value, validFor: last.valid_from + every - now };
      }
      const value = toHex(context.random(TICKET_KEY));
      await db.deleteFrom('ticket_keys').execute();
      await db.insertInto('ticket_keys').values({ valid_from: now, value }).execute();
      return { value, validFor: every };
    },
  }),

  /** Changes the secret, so that new leases get other home addresses. Existing leases are unchanged. */
  rotateSecret: administrative({
    kind: 'write',
    input: (z) => z.strictObject({}),
    async run(db, _, context): Promise<void> {
      await db
        .updateTable('meta')
        .set({ value: freshSecret(context.random) })
        .where('key', '=', 'secret')
        .execute();
    },
  }),
} as const;
