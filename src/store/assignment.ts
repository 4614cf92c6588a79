import { formatAddress } from '../protocol/bytes/address.js';
import { fromHex } from '../protocol/bytes/octets.js';
import type { BootstrapRequest, BootstrapResult, Lease, NoMobility } from '../protocol/home/records.js';
import { homeAddress, MAX_ATTEMPTS } from '../protocol/mip6/home-address.js';
import { release, withDuty } from './duties.js';
import { internal } from './operation.js';

import {
  type Context,
  type Db,
  isOfOther,
  isOnLink,
  type LeaseRow,
  leases,
  parsePrefix,
  toLease,
  withoutId,
} from './rows.js';

import { CLOCKS_APART } from './store-clock.js';

type Request = BootstrapRequest & {
  readonly now: number;
  readonly sessionExpires: number;
  readonly leaseExpires: number;
};

/** Home agent and home address for a session. */
export const assignmentOperations = {
  /** Stores a session, and assigns a home agent and a home address by its request and policy. Idempotent. */
  bootstrap: internal({
    kind: 'write',
    async run(db: Db, given: BootstrapRequest, context: Context): Promise<BootstrapResult> {
      // The time of the transaction, not of the request: others may have written in between.
      const now = given.now ?? context.now();
      // The time spent waiting does not extend the lease.
      const asked = given.now ?? context.asked();
      const sessionExpires = asked + given.sessionLifetime;
      const request = { ...given, now, sessionExpires, leaseExpires: asked + given.leaseLifetime };
      const nai = request.nai.toLowerCase();
      const subscriber = await db.selectFrom('subscribers').selectAll().where('nai', '=', nai).executeTakeFirst();
      if (!subscriber) return { result: 'refused', reason: 'no-subscriber', released: undefined };
      if (subscriber.enabled === 0) return { result: 'refused', reason: 'disabled', released: undefined };
      if (await isOfOther(db, request.sessionId, subscriber.id)) {
        return { result: 'refused', reason: 'other-subscriber', released: undefined };
      }
      if (subscriber.sessions === 'one' && (await otherSession(db, subscriber.id, request))) {
        return { result: 'refused', reason: 'second-session', released: undefined };
      }
      const current = await leases(db).where('leases.subscriber_id', '=', subscriber.id).executeTakeFirst();
      const result = await assign(db, subscriber, current, request, context);
      const where =
        result.result === 'home'
          ? { ha: result.lease.homeAgent.address, hoa: result.lease.homeAddress }
          : result.result === 'local'
            ? { ha: result.local.homeAgent, hoa: result.local.homeAddress }
            : { ha: null, hoa: null };
      const session = {
        kind: result.result === 'home' || result.result === 'local' ? result.result : null,
        ...where,
        origin: request.origin,
        origin_realm: request.originRealm ?? null,
        origin_state: request.originState ?? null,
        serial: request.certificate ?? null,
        expires_at: request.sessionExpires,
      };
      await db
        .insertInto('sessions')
        .values({
          id: request.sessionId,
          subscriber_id: subscriber.id,
          started_at: request.now,
          ...session,
        })
        .onConflict((conflict) => conflict.column('id').doUpdateSet(session))
        .execute();
      return result;
    },
  }),
} as const;

type SubscriberRow = {
  readonly id: number;
  readonly nai: string;
  readonly mip6: number;
  readonly local_ha: number;
  readonly home_agent_id: number | null;
  readonly hoa: string | null;
};

async function assign(
  db: Db,
  subscriber: SubscriberRow,
  current: LeaseRow | undefined,
  request: Request,
  context: Context,
): Promise<BootstrapResult> {
  const { wish, local } = request;
  // A session that no longer requests a home agent releases its lease. Leases of other sessions are not changed.
  const giveBack = async () => {
    if (current?.session_id !== request.sessionId) return undefined;
    return release(db, current, request.now, context);
  };
  const freed = () => current && release(db, current, request.now, context);
  if (wish === undefined) return { result: 'none', reason: 'not-wanted', released: await giveBack() };
  if (!subscriber.mip6) return { result: 'none', reason: 'not-granted', released: await giveBack() };
  const mayBeLocal = local !== undefined && subscriber.local_ha === 1 && wish !== 'home';
  if (mayBeLocal && wish === 'local') {
    return { result: 'local', local, released: await freed() };
  }
  if (current && keeps(current, subscriber, request.now)) return prolong(db, current, request, context);
  const released = await freed();
  const given = await newLease(db, subscriber, request);
  if (typeof given !== 'string') {
    const lease = await withDuty(db, 'up', given, context);
    return { result: 'home', lease, renewed: false, released, takenFrom: undefined };
  }
  if (mayBeLocal) return { result: 'local', local, released };
  return { result: 'none', reason: given, released };
}

/** Whether a lease is unexpired, on a home agent that still serves, and consistent with the pinned home agent. */
function keeps(lease: LeaseRow, subscriber: SubscriberRow, now: number): boolean {
  if (lease.expires_at <= now || lease.state === 'down' || lease.failed_by !== null) return false;
  if (subscriber.home_agent_id !== null && subscriber.home_agent_id !== lease.home_agent_id) return false;
  return subscriber.hoa === null || subscriber.hoa === lease.hoa;
}

async function prolong(db: Db, row: LeaseRow, request: Request, context: Context): Promise<BootstrapResult> {
  const change = { session_id: request.sessionId, expires_at: request.leaseExpires };
  const takenFrom = await takeOver(db, row, request);
  await db.updateTable('leases').set(change).where('hoa', '=', row.hoa).execute();
  const lease = await withDuty(db, 'up', toLease({ ...row, ...change }), context);
  return { result: 'home', lease, renewed: true, released: undefined, takenFrom };
}

/** Another session of this subscriber. */
async function otherSession(db: Db, subscriber: number, { sessionId, now }: Request): Promise<boolean> {
  const other = await db
    .selectFrom('sessions')
    .select('id')
    .where('subscriber_id', '=', subscriber)
    .where('id', '<>', sessionId)
    .where('expires_at', '>', now)
    .executeTakeFirst();
  return other !== undefined;
}

/** The open session that loses its lease to a newer one. */
async function takeOver(db: Db, lease: LeaseRow, { sessionId, now }: Request): Promise<string | undefined> {
  if (lease.session_id === sessionId) return undefined;
  const alive = await db
    .selectFrom('sessions')
    .select('id')
    .where('id', '=', lease.session_id)
    .where('expires_at', '>', now)
    .executeTakeFirst();
  if (!alive) return undefined;
  await db
    .updateTable('subscribers')
    .set((expression) => ({ takeovers: expression('takeovers', '+', 1) }))
    .where('id', '=', lease.subscriber_id)
    .execute();
  return alive.id;
}

/** The secret that makes home addresses unpredictable: 32 octets. */
async function storeSecret(db: Db): Promise<Uint8Array> {
  const { value } = await db.selectFrom('meta').select('value').where('key', '=', 'secret').executeTakeFirstOrThrow();
  return fromHex(value);
}

/** Selects the least loaded home agent with room, and increments its counter by a conditional update. */
async function newLease(db: Db, subscriber: SubscriberRow, request: Request): Promise<Lease | NoMobility> {
  let agents = db
    .selectFrom('home_agents')
    .selectAll()
    .where('state', '=', 'up')
    .where('failed_by', 'is', null)
    .whereRef('leases', '<', 'capacity')
    .orderBy((expression) =>
      expression(
        expression.cast<number>('leases', 'double precision'),
        '/',
        // The product may exceed a PostgreSQL integer.
        expression.parens(expression.cast<number>('capacity', 'double precision'), '*', expression.ref('weight')),
      ),
    )
    .orderBy('id');
  if (subscriber.home_agent_id !== null) agents = agents.where('id', '=', subscriber.home_agent_id);
  const secret = await storeSecret(db);
  let reason: NoMobility = 'no-home-agent';
  for (const agent of await agents.execute()) {
    if (subscriber.hoa !== null && !isOnLink(subscriber.hoa, agent)) continue;
    const taken = await db
      .updateTable('home_agents')
      .set((expression) => ({ leases: expression('leases', '+', 1) }))
      .where('id', '=', agent.id)
      .where('state', '=', 'up')
      .whereRef('leases', '<', 'capacity')
      .executeTakeFirst();
    if (taken.numUpdatedRows === 0n) continue;
    const lease = await insertLease(db, subscriber, agent, request, secret);
    if (lease) {
      return toLease({
        ...lease,
        nai: subscriber.nai,
        subscriber_id: subscriber.id,
        home_agent_id: agent.id,
        session_id: request.sessionId,
        expires_at: request.leaseExpires,
        ...withoutId({ ...agent, leases: agent.leases + 1 }),
      });
    }
    await db
      .updateTable('home_agents')
      .set((expression) => ({ leases: expression('leases', '-', 1) }))
      .where('id', '=', agent.id)
      .execute();
    reason = 'prefix-full';
  }
  return reason;
}

async function insertLease(
  db: Db,
  subscriber: SubscriberRow,
  agent: { readonly id: number; readonly name: string; readonly address: string; readonly prefix: string },
  request: Request,
  secret: Uint8Array,
): Promise<{ readonly hoa: string; readonly acquired_at: number } | undefined> {
  const prefix = parsePrefix(agent.prefix);
  if (!prefix) return undefined;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const octets = homeAddress(secret, subscriber.nai, prefix, attempt);
    const hoa = subscriber.hoa ?? (octets && formatAddress(octets));
    if (hoa === undefined || hoa === agent.address) continue;
    const acquired_at = await afterTheLast(db, hoa, request.now);
    const inserted = await db
      .insertInto('leases')
      .values({
        hoa,
        subscriber_id: subscriber.id,
        home_agent_id: Number(agent.id),
        session_id: request.sessionId,
        acquired_at,
        expires_at: request.leaseExpires,
      })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (inserted.numInsertedOrUpdatedRows === 1n) {
      const held = { nai: request.nai.toLowerCase(), home_agent: agent.name, ended_at: null };
      await db
        .insertInto('lease_history')
        .values({ hoa, acquired_at, ...held })
        .execute();
      return { hoa, acquired_at };
    }
    if (subscriber.hoa !== null) return undefined;
  }
  return undefined;
}

/** Start time of a lease: not before the previous holder's lease ended, whichever server's clock recorded that. */
async function afterTheLast(db: Db, hoa: string, now: number): Promise<number> {
  const last = await db
    .selectFrom('lease_history')
    .select('ended_at')
    .where('hoa', '=', hoa)
    .where('ended_at', '>', now)
    .where('ended_at', '<', now + CLOCKS_APART)
    .orderBy('ended_at', 'desc')
    .executeTakeFirst();
  return last?.ended_at ?? now;
}
