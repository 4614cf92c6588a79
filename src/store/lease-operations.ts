import { formatAddress, parseAddress } from '../protocol/bytes/address.js';
import type { Lease } from '../protocol/home/records.js';
import type { UpkeepOperations } from '../protocol/home/upkeep.js';
import { release } from './duties.js';
import { page, text, whole } from './inputs.js';
import { administrative, type Dated, internal } from './operation.js';
import { storedExpire } from './postgres-sessions.js';
import { type HeldLease, MAX_PAGE, type Page, StoreError } from './records.js';
import { contains, type Db, freeRows, inParts, type LeaseRow, leases, pageOf, placeOf, toLease } from './rows.js';

/** Operations on leases and their history. */
export const leaseOperations = {
  /** Lists leases by home address. `of`: a home address or part of an NAI; `from`: end of the previous page. */
  listLeases: administrative({
    kind: 'read',
    input: (z) => z.strictObject({ of: text(z).optional(), homeAgent: text(z).optional(), ...page(z) }),
    async run(db, filter): Promise<Page<Lease>> {
      const { of, homeAgent, from, limit = MAX_PAGE } = filter;
      let query = leases(db).orderBy('leases.hoa');
      if (of !== undefined) {
        const address = parseAddress(of);
        query =
          address === undefined
            ? query.where(contains('subscribers.nai', of.toLowerCase()))
            : query.where('leases.hoa', '=', formatAddress(address));
      }
      if (homeAgent !== undefined) query = query.where('home_agents.name', '=', homeAgent);
      if (from !== undefined) query = query.where('leases.hoa', '>', from);
      const rows = await query.limit(limit + 1).execute();
      return pageOf(rows.map(toLease), limit, ({ homeAddress }) => homeAddress);
    },
  }),

  /** Returns one lease by its home address or subscriber. */
  showLease: administrative({
    kind: 'read',
    input: (z) => z.strictObject({ of: text(z) }),
    async run(db, { of }): Promise<Lease> {
      return toLease(await requireLease(db, of));
    },
  }),

  /** Releases a home address. If its session is open, `force` is required. */
  releaseLease: administrative({
    kind: 'write',
    input: (z) => z.strictObject({ of: text(z), force: z.boolean() }),
    async run(db, { of, force }, context): Promise<Lease> {
      const lease = await requireLease(db, of);
      const alive = await db
        .selectFrom('sessions')
        .select('id')
        .where('id', '=', lease.session_id)
        .where('expires_at', '>', context.now())
        .executeTakeFirst();
      if (alive && !force) {
        throw new StoreError(
          'ERR_STORE_IN_USE',
          `the session of ${lease.nai} is open: "session disconnect" terminates it, --force takes its home address away`,
        );
      }
      return release(db, lease, context.now(), context);
    },
  }),

  /** The lease of a subscriber; undefined if it has none. */
  leaseOf: administrative({
    kind: 'read',
    input: (z) => z.strictObject({ nai: text(z) }),
    async run(db, { nai }): Promise<Lease | undefined> {
      const row = await leases(db).where('subscribers.nai', '=', nai.toLowerCase()).executeTakeFirst();
      return row && toLease(row);
    },
  }),

  /**
   * Lists the history of a home address or of a subscriber, newest first. `at`: only leases held at this time. `from`:
   * end of the previous page.
   */
  leaseHistory: administrative({
    kind: 'read',
    input: (z) => z.strictObject({ of: text(z).optional(), at: whole(z).optional(), ...page(z) }),
    async run(db, filter): Promise<Page<HeldLease>> {
      const { of, at, from, limit = MAX_PAGE } = filter;
      let query = db.selectFrom('lease_history').selectAll().orderBy('id', 'desc');
      if (from !== undefined) query = query.where('id', '<', placeOf(from));
      if (of !== undefined) {
        const address = parseAddress(of);
        const hoa = address === undefined ? of : formatAddress(address);
        query = query.where((expression) =>
          expression.or([expression('hoa', '=', hoa), expression('nai', '=', of.toLowerCase())]),
        );
      }
      if (at !== undefined) {
        query = query
          .where('acquired_at', '<=', at)
          .where((expression) => expression.or([expression('ended_at', 'is', null), expression('ended_at', '>', at)]));
      }
      const { items, next } = pageOf(await query.limit(limit + 1).execute(), limit, ({ id }) => String(id));
      const held = items.map((row) => ({
        homeAddress: row.hoa,
        nai: row.nai,
        homeAgent: row.home_agent,
        acquiredAt: Number(row.acquired_at),
        endedAt: row.ended_at === null ? undefined : Number(row.ended_at),
      }));
      return { items: held, next };
    },
  }),

  /**
   * Deletes entries of the history that ended, and of the audit trail that were written, more than `age` milliseconds
   * ago; at most `limit` of each. Returns the larger number.
   */
  forgetHistory: internal<Dated<UpkeepOperations['forgetHistory']>>({
    kind: 'shared',
    measuredAs: 'upkeep',
    async run(db, { age, limit, now }, context) {
      const before = (now ?? context.now()) - age;
      // Oldest first. Two servers do not wait for each other.
      const ended = db.selectFrom('lease_history').select('id').where('ended_at', '<', before).orderBy('ended_at');
      const changes = db.selectFrom('audit').select('id').where('at', '<', before).orderBy('id');
      const over = (await freeRows(db, ended.limit(limit)).execute()).map(({ id }) => id);
      const old = (await freeRows(db, changes.limit(limit)).execute()).map(({ id }) => id);
      for (const ids of inParts(over)) await db.deleteFrom('lease_history').where('id', 'in', ids).execute();
      for (const ids of inParts(old)) await db.deleteFrom('audit').where('id', 'in', ids).execute();
      return Math.max(over.length, old.length);
    },
  }),

  /** Ends sessions and leases that have expired by the clock of the store; at most `limit` of each. */
  expire: internal<Dated<UpkeepOperations['expire']>>({
    kind: 'write',
    measuredAs: 'upkeep',
    stored: storedExpire,
    async run(db, { limit, now: given }, context) {
      const now = given ?? context.now();
      const over = await leases(db).where('leases.expires_at', '<=', now).limit(limit).execute();
      const released: Lease[] = [];
      for (const lease of over) released.push(await release(db, lease, Number(lease.expires_at), context));
      const ids = await db.selectFrom('sessions').select('id').where('expires_at', '<=', now).limit(limit).execute();
      if (ids.length > 0) {
        await db
          .deleteFrom('sessions')
          .where(
            'id',
            'in',
            ids.map(({ id }) => id),
          )
          .execute();
      }
      return released;
    },
  }),
} as const;

/** Returns a lease by its home address or subscriber. Throws StoreError if there is none. */
async function requireLease(db: Db, of: string): Promise<LeaseRow> {
  const address = parseAddress(of);
  const row =
    address === undefined
      ? await leases(db).where('subscribers.nai', '=', of.toLowerCase()).executeTakeFirst()
      : await leases(db).where('leases.hoa', '=', formatAddress(address)).executeTakeFirst();
  if (!row) throw new StoreError('ERR_STORE_NOT_FOUND', `no lease ${of}`);
  return row;
}
