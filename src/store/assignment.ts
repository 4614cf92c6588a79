import { type Selectable, sql } from 'kysely';
import { formatAddress } from '../protocol/bytes/address.js';
import { fromHex } from '../protocol/bytes/octets.js';
import type { HomeOperations } from '../protocol/home/alphabet.js';
import type { BootstrapRequest, BootstrapResult, Lease, NoMobility } from '../protocol/home/records.js';
import { homeAddress, MAX_ATTEMPTS } from '../protocol/mip6/home-address.js';
import { countLease, release, withDuty } from './duties.js';
import { internal } from './operation.js';
import { storedBootstrap } from './postgres-bootstrap.js';
import {
  type Context,
  type Db,
  hasOtherSession,
  isOfOther,
  isOnLink,
  type LeaseRow,
  leases,
  parsePrefix,
  toLease,
  withoutId,
} from './rows.js';
import type { Schema } from './schema.js';
import { Statement } from './statement.js';
import { CLOCKS_APART } from './store-clock.js';

export type DatedRequest = BootstrapRequest & {
  readonly now: number;
  readonly sessionExpires: number;
  readonly leaseExpires: number;
};

/** Home agent and home address for a session. */
export const assignmentOperations = {
  /** Stores a session, and assigns a home agent and a home address by its request and policy. Idempotent. */
  bootstrap: internal<HomeOperations['bootstrap']>({
    kind: 'write',
    measuredAs: 'bootstrap',
    stored: storedBootstrap,
    async run(db, given, context) {
      // The time of the transaction and not of the request, because others may have written in between.
      const now = given.now ?? context.now();
      // Lifetimes count from the request, so that waiting for the transaction does not extend the lease.
      const asked = given.now ?? context.asked();
      const sessionExpires = asked + given.sessionLifetime;
      const request = { ...given, now, sessionExpires, leaseExpires: asked + given.leaseLifetime };
      const nai = request.nai.toLowerCase();
      const subscriber = await subscriberOf.first(db, { nai });
      if (!subscriber) return { result: 'refused', reason: 'no-subscriber', released: undefined };
      if (subscriber.enabled === 0) return { result: 'refused', reason: 'disabled', released: undefined };
      if (await isOfOther(db, request.sessionId, subscriber.id)) {
        return { result: 'refused', reason: 'other-subscriber', released: undefined };
      }
      const own = { subscriber: subscriber.id, sessionId: request.sessionId, now };
      if (subscriber.sessions === 'one' && (await hasOtherSession(db, own))) {
        return { result: 'refused', reason: 'second-session', released: undefined };
      }
      const current = await leaseOf.first(db, { subscriber: subscriber.id });
      const result = await assign(db, subscriber, current, request, context);
      await storeSession.change(db, {
        ...placeOf(result),
        id: request.sessionId,
        subscriber_id: subscriber.id,
        started_at: request.now,
        origin: request.origin,
        origin_realm: request.originRealm ?? null,
        origin_state: request.originState ?? null,
        serial: request.certificate ?? null,
        expires_at: request.sessionExpires,
      });
      const older = await sessionAtNas.first(db, { ...own, origin: request.origin });
      return { ...result, alone: older === undefined };
    },
  }),
} as const;

const sessionAtNas = new Statement((db, { subscriber, sessionId, origin }: OtherAtNas) =>
  db
    .selectFrom('sessions')
    .select('id')
    .where('subscriber_id', '=', subscriber)
    .where('id', '<>', sessionId)
    .where('origin', '=', origin)
    .limit(sql.lit(1)),
);

/** The other sessions of a subscriber at a NAS. */
interface OtherAtNas {
  readonly subscriber: number;
  readonly sessionId: string;
  readonly origin: string;
}

export const subscriberOf = new Statement((db, { nai }: { readonly nai: string }) =>
  db.selectFrom('subscribers').selectAll().where('nai', '=', nai),
);

export const leaseOf = new Statement((db, { subscriber }: { readonly subscriber: number }) =>
  leases(db).where('leases.subscriber_id', '=', subscriber),
);

/** An existing session keeps its subscriber and its start time. */
/** What NASs report stays as it is. */
type Reported = 'nas' | 'octets_in' | 'octets_out' | 'reported_at';

export const storeSession = new Statement((db, row: Omit<Selectable<Schema['sessions']>, Reported>) => {
  const { id, subscriber_id, started_at } = row;
  const { kind, ha, hoa, origin, origin_realm, origin_state, serial, expires_at } = row;
  const changed = { kind, ha, hoa, origin, origin_realm, origin_state, serial, expires_at };
  return db
    .insertInto('sessions')
    .values({ id, subscriber_id, started_at, ...changed })
    .onConflict((conflict) => conflict.column('id').doUpdateSet(changed));
});

/** The home agent and home address of a session. */
function placeOf(result: BootstrapResult) {
  switch (result.result) {
    case 'home':
      return { kind: 'home', ha: result.lease.homeAgent.address, hoa: result.lease.homeAddress };
    case 'local':
      return { kind: 'local', ha: result.local.homeAgent, hoa: result.local.homeAddress };
    default:
      return { kind: null, ha: null, hoa: null };
  }
}

export type AssignedSubscriber = {
  readonly id: number;
  readonly nai: string;
  readonly mip6: number;
  readonly local_ha: number;
  readonly home_agent_id: number | null;
  readonly hoa: string | null;
};

async function assign(
  db: Db,
  subscriber: AssignedSubscriber,
  current: LeaseRow | undefined,
  request: DatedRequest,
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

/**
 * Whether a lease is unexpired, on a home agent that is still in service, and consistent with the pinned home agent.
 */
export function keeps(lease: LeaseRow, subscriber: AssignedSubscriber, now: number): boolean {
  if (lease.expires_at <= now || lease.state === 'down' || lease.failed_by !== null) return false;
  if (subscriber.home_agent_id !== null && subscriber.home_agent_id !== lease.home_agent_id) return false;
  return subscriber.hoa === null || subscriber.hoa === lease.hoa;
}

async function prolong(db: Db, row: LeaseRow, request: DatedRequest, context: Context): Promise<BootstrapResult> {
  const { hoa } = row;
  const change = { session_id: request.sessionId, expires_at: request.leaseExpires };
  const takenFrom = await takeOver(db, row, request);
  await prolongLease.change(db, { hoa, ...change });
  const lease = await withDuty(db, 'up', toLease({ ...row, ...change }), context);
  return { result: 'home', lease, renewed: true, released: undefined, takenFrom };
}

const prolongLease = new Statement(
  (db, { hoa, session_id, expires_at }: Pick<Schema['leases'], 'hoa' | 'session_id' | 'expires_at'>) =>
    db.updateTable('leases').set({ session_id, expires_at }).where('hoa', '=', hoa),
);

/** The open session that loses its lease to a newer one. */
async function takeOver(db: Db, lease: LeaseRow, { sessionId, now }: DatedRequest): Promise<string | undefined> {
  if (lease.session_id === sessionId) return undefined;
  const alive = await openSession.first(db, { sessionId: lease.session_id, now });
  if (!alive) return undefined;
  await countTakeover.change(db, { subscriber: lease.subscriber_id });
  return alive.id;
}

const openSession = new Statement((db, { sessionId, now }: { readonly sessionId: string; readonly now: number }) =>
  db
    .selectFrom('sessions')
    .select('id')
    .where('id', '=', sessionId)
    .where('expires_at', '>', now)
    // A home agent does not compete with the access network for the lease.
    .where((expression) => expression.or([expression('kind', 'is', null), expression('kind', '<>', 'ikev2')])),
);

const countTakeover = new Statement((db, { subscriber }: { readonly subscriber: number }) =>
  db
    .updateTable('subscribers')
    .set((expression) => ({ takeovers: expression('takeovers', '+', 1) }))
    .where('id', '=', subscriber),
);

/** The secret that makes home addresses unpredictable: 32 octets. */
export async function storeSecret(db: Db): Promise<Uint8Array> {
  const row = await secret.first(db, {});
  if (!row) throw new TypeError('the store has no secret');
  return fromHex(row.value);
}

const secret = new Statement((db) => db.selectFrom('meta').select('value').where('key', '=', 'secret'));

/** Selects the least loaded home agent with room, and increments its counter by a conditional update. */
export async function newLease(
  db: Db,
  subscriber: AssignedSubscriber,
  request: Pick<DatedRequest, 'nai' | 'sessionId' | 'now' | 'leaseExpires'>,
): Promise<Lease | NoMobility> {
  const pinned = subscriber.home_agent_id;
  const agents = pinned === null ? await withRoom.rows(db, {}) : await pinnedWithRoom.rows(db, { pinned });
  const secret = await storeSecret(db);
  let reason: NoMobility = 'no-home-agent';
  for (const agent of agents) {
    if (subscriber.hoa !== null && !isOnLink(subscriber.hoa, agent)) continue;
    if ((await takeRoom.change(db, { homeAgent: agent.id })) === 0) continue;
    const lease = await makeLease(db, subscriber, agent, request, secret);
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
    await countLease.change(db, { homeAgent: agent.id, by: -1 });
    reason = 'prefix-full';
  }
  return reason;
}

/** Home agents with room, the least loaded first. */
function homeAgents(db: Db) {
  return db
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
}

const withRoom = new Statement((db) => homeAgents(db));

const pinnedWithRoom = new Statement((db, { pinned }: { readonly pinned: number }) =>
  homeAgents(db).where('id', '=', pinned),
);

const takeRoom = new Statement((db, { homeAgent }: { readonly homeAgent: number }) =>
  db
    .updateTable('home_agents')
    .set((expression) => ({ leases: expression('leases', '+', 1) }))
    .where('id', '=', homeAgent)
    .where('state', '=', 'up')
    .whereRef('leases', '<', 'capacity'),
);

async function makeLease(
  db: Db,
  subscriber: AssignedSubscriber,
  agent: { readonly id: number; readonly name: string; readonly address: string; readonly prefix: string },
  request: Pick<DatedRequest, 'nai' | 'sessionId' | 'now' | 'leaseExpires'>,
  secret: Uint8Array,
): Promise<{ readonly hoa: string; readonly acquired_at: number } | undefined> {
  const prefix = parsePrefix(agent.prefix);
  if (!prefix) return undefined;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const octets = homeAddress(secret, subscriber.nai, prefix, attempt);
    const hoa = subscriber.hoa ?? (octets && formatAddress(octets));
    if (hoa === undefined || hoa === agent.address) continue;
    const acquired_at = await afterTheLast(db, hoa, request.now);
    const inserted = await insertLease.change(db, {
      hoa,
      subscriber_id: subscriber.id,
      home_agent_id: Number(agent.id),
      session_id: request.sessionId,
      acquired_at,
      expires_at: request.leaseExpires,
    });
    if (inserted === 1) {
      await insertHistory.change(db, { hoa, acquired_at, nai: request.nai.toLowerCase(), home_agent: agent.name });
      return { hoa, acquired_at };
    }
    if (subscriber.hoa !== null) return undefined;
  }
  return undefined;
}

/** Inserts nothing if the home address is taken. */
const insertLease = new Statement((db, lease: Schema['leases']) => {
  const { hoa, subscriber_id, home_agent_id, session_id, acquired_at, expires_at } = lease;
  return db
    .insertInto('leases')
    .values({ hoa, subscriber_id, home_agent_id, session_id, acquired_at, expires_at })
    .onConflict((conflict) => conflict.doNothing());
});

type Held = Pick<Schema['lease_history'], 'hoa' | 'acquired_at' | 'nai' | 'home_agent'>;

const insertHistory = new Statement((db, { hoa, acquired_at, nai, home_agent }: Held) =>
  db.insertInto('lease_history').values({ hoa, acquired_at, nai, home_agent, ended_at: null }),
);

/** Start time of a lease: not before the previous holder's lease ended, whichever server's clock recorded that. */
async function afterTheLast(db: Db, hoa: string, now: number): Promise<number> {
  const last = await lastEnd.first(db, { hoa, now, until: now + CLOCKS_APART });
  return last?.ended_at ?? now;
}

const lastEnd = new Statement(
  (db, { hoa, now, until }: { readonly hoa: string; readonly now: number; readonly until: number }) =>
    db
      .selectFrom('lease_history')
      .select('ended_at')
      .where('hoa', '=', hoa)
      .where('ended_at', '>', now)
      .where('ended_at', '<', until)
      .orderBy('ended_at', 'desc')
      .limit(sql.lit(1)),
);
