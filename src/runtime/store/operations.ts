import type { Kysely } from 'kysely';
import { formatAddress, parseAddress } from '../../protocol/bytes/address.js';
import { fromHex } from '../../protocol/bytes/octets.js';
import { homeAddress, MAX_ATTEMPTS } from '../../protocol/mip6/home-address.js';
import { checkName } from '../../protocol/mip6/names.js';
import type { Schema } from './schema.js';

export type StoreErrorCode = 'ERR_STORE_EXISTS' | 'ERR_STORE_NOT_FOUND' | 'ERR_STORE_VALUE' | 'ERR_STORE_IN_USE';

/** What an operator asked for cannot be; the message says why, for them. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, text: string) {
    super(text);
    this.code = code;
  }
}

type Db = Kysely<Schema>;

export type Ike = 'ikev1' | 'ikev2';

export interface HomeAgent {
  readonly id: number;
  readonly name: string;
  readonly address: string;
  readonly host: string;
  /** `2001:db8:1::/64` */
  readonly prefix: string;
  readonly capacity: number;
  readonly weight: number;
  readonly leases: number;
  readonly state: 'up' | 'draining' | 'down';
  readonly target: string | undefined;
  /** By preference. */
  readonly ike: readonly Ike[];
}

/** What of a home agent can be changed; an empty target is none. */
export type HomeAgentChange = Partial<Pick<HomeAgent, 'capacity' | 'weight' | 'target' | 'ike' | 'state'>>;

export interface Subscriber {
  readonly nai: string;
  readonly enabled: boolean;
  readonly mip6: boolean;
  readonly localHomeAgent: boolean;
  readonly pskRoot: 'msk' | 'emsk' | undefined;
  /** Name of the home agent that it always gets. */
  readonly homeAgent: string | undefined;
  readonly homeAddress: string | undefined;
  /** Seconds. */
  readonly sessionLifetime: number | undefined;
}

export interface Lease {
  readonly homeAddress: string;
  readonly nai: string;
  readonly homeAgent: HomeAgent;
  readonly sessionId: string;
  /** Milliseconds since 1970, UTC. */
  readonly acquiredAt: number;
  readonly expiresAt: number;
}

/** A session as an operator sees it. Times: milliseconds since 1970, UTC. */
export interface Session {
  readonly sessionId: string;
  readonly nai: string;
  /** Origin-Host and Origin-Realm of the PAA. */
  readonly origin: string;
  readonly originRealm: string | undefined;
  readonly kind: 'home' | 'local' | undefined;
  readonly homeAgent: string | undefined;
  readonly homeAddress: string | undefined;
  readonly startedAt: number;
  readonly expiresAt: number;
}

/** A home address and who had it. Times: milliseconds since 1970, UTC. */
export interface HeldLease {
  readonly homeAddress: string;
  readonly nai: string;
  /** Its name. */
  readonly homeAgent: string;
  readonly acquiredAt: number;
  /** Undefined: it is still held. */
  readonly endedAt: number | undefined;
}

/** What the visited network proposes of its own. */
export interface LocalProposal {
  readonly homeAgent: string;
  readonly homeAddress: string;
}

export interface BootstrapRequest {
  readonly nai: string;
  readonly sessionId: string;
  readonly origin: string;
  readonly originRealm: string | undefined;
  readonly originState: number | undefined;
  /** Undefined: the node asks for no Mobile IPv6. */
  readonly wish: 'home' | 'local' | 'any' | undefined;
  readonly local: LocalProposal | undefined;
  /** Milliseconds since 1970, UTC: when session and lease end unless prolonged. */
  readonly sessionExpires: number;
  readonly leaseExpires: number;
  readonly now: number;
}

export type NoMobility = 'not-wanted' | 'not-granted' | 'no-home-agent' | 'prefix-full';

export type BootstrapResult =
  | { readonly result: 'home'; readonly lease: Lease; readonly renewed: boolean; readonly released: Lease | undefined }
  | { readonly result: 'local'; readonly local: LocalProposal; readonly released: Lease | undefined }
  | { readonly result: 'none'; readonly reason: NoMobility; readonly released: Lease | undefined };

/** Each runs inside a transaction of its caller's, on either database. */
export const operations = {
  async findSubscriber(db: Db, { names }: { readonly names: readonly string[] }): Promise<Subscriber | undefined> {
    for (const name of names) {
      const found = await subscribers(db).where('subscribers.nai', '=', name.toLowerCase()).executeTakeFirst();
      if (found) return toSubscriber(found);
    }
    return undefined;
  },

  async addSubscriber(
    db: Db,
    { subscriber, now }: { readonly subscriber: Subscriber; readonly now: number },
  ): Promise<void> {
    const problem = checkName(subscriber.nai);
    if (problem)
      throw new StoreError('ERR_STORE_VALUE', `${JSON.stringify(subscriber.nai)} cannot be a subscriber: ${problem}`);
    if (subscriber.homeAddress !== undefined && parseAddress(subscriber.homeAddress)?.length !== 16) {
      throw new StoreError('ERR_STORE_VALUE', `${subscriber.homeAddress} is not an IPv6 address`);
    }
    const nai = subscriber.nai.toLowerCase();
    const pin = subscriber.homeAgent === undefined ? null : (await requireHomeAgent(db, subscriber.homeAgent)).id;
    const inserted = await db
      .insertInto('subscribers')
      .values({
        nai,
        enabled: Number(subscriber.enabled),
        mip6: Number(subscriber.mip6),
        local_ha: Number(subscriber.localHomeAgent),
        psk_root: subscriber.pskRoot ?? null,
        home_agent_id: pin,
        hoa: subscriber.homeAddress ?? null,
        session_lifetime: subscriber.sessionLifetime ?? null,
        created_at: now,
      })
      .onConflict((conflict) => conflict.column('nai').doNothing())
      .executeTakeFirst();
    if (inserted.numInsertedOrUpdatedRows === 0n)
      throw new StoreError('ERR_STORE_EXISTS', `subscriber ${nai} is already there`);
  },

  /** Lets a subscriber in, or not any more. */
  async enableSubscriber(db: Db, { nai, enabled }: { readonly nai: string; readonly enabled: boolean }): Promise<void> {
    const changed = await db
      .updateTable('subscribers')
      .set({ enabled: Number(enabled) })
      .where('nai', '=', nai.toLowerCase())
      .executeTakeFirst();
    if (changed.numUpdatedRows === 0n) throw new StoreError('ERR_STORE_NOT_FOUND', `no subscriber ${nai}`);
  },

  async listSubscribers(db: Db, _arguments: object): Promise<Subscriber[]> {
    return (await subscribers(db).orderBy('subscribers.nai').execute()).map(toSubscriber);
  },

  /** Removes a subscriber with its sessions and its lease, which is returned. */
  async removeSubscriber(
    db: Db,
    { nai, now = Date.now() }: { readonly nai: string; readonly now?: number },
  ): Promise<Lease | undefined> {
    const row = await db.selectFrom('subscribers').select('id').where('nai', '=', nai.toLowerCase()).executeTakeFirst();
    if (!row) throw new StoreError('ERR_STORE_NOT_FOUND', `no subscriber ${nai}`);
    const lease = await leases(db).where('leases.subscriber_id', '=', row.id).executeTakeFirst();
    if (lease) await release(db, lease, now);
    await db.deleteFrom('sessions').where('subscriber_id', '=', row.id).execute();
    await db.deleteFrom('subscribers').where('id', '=', row.id).execute();
    return lease && toLease(lease);
  },

  async addHomeAgent(
    db: Db,
    { agent, now }: { readonly agent: Omit<HomeAgent, 'id' | 'leases' | 'state'>; readonly now: number },
  ): Promise<void> {
    for (const name of [agent.name, agent.host]) {
      const problem = checkName(name);
      if (problem)
        throw new StoreError('ERR_STORE_VALUE', `${JSON.stringify(name)} cannot name a home agent: ${problem}`);
    }
    const address = parseAddress(agent.address);
    if (address?.length !== 16) throw new StoreError('ERR_STORE_VALUE', `${agent.address} is not an IPv6 address`);
    const prefix = parsePrefix(agent.prefix);
    if (!prefix)
      throw new StoreError('ERR_STORE_VALUE', `${agent.prefix} is not a /64 prefix, such as 2001:db8:1::/64`);
    checkCapacity(agent.capacity);
    const inserted = await db
      .insertInto('home_agents')
      .values({
        name: agent.name,
        address: formatAddress(address),
        host: agent.host,
        prefix: `${formatAddress(prefix)}/64`,
        capacity: agent.capacity,
        weight: agent.weight,
        leases: 0,
        state: 'up',
        target: agent.target ?? null,
        ike: agent.ike.join(','),
        created_at: now,
      })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (inserted.numInsertedOrUpdatedRows === 0n) {
      throw new StoreError('ERR_STORE_EXISTS', `a home agent ${agent.name} or ${agent.address} is already there`);
    }
  },

  /** Changes what is named, and nothing else. Sessions on it go on: moving them is its caller's business. */
  async changeHomeAgent(
    db: Db,
    { name, change }: { readonly name: string; readonly change: HomeAgentChange },
  ): Promise<HomeAgent> {
    const { id } = await requireHomeAgent(db, name);
    const { capacity, weight, target, ike, state } = change;
    if (capacity !== undefined) checkCapacity(capacity);
    const values = {
      ...(capacity === undefined ? {} : { capacity }),
      ...(weight === undefined ? {} : { weight }),
      ...(target === undefined ? {} : { target: target === '' ? null : target }),
      ...(ike === undefined ? {} : { ike: ike.join(',') }),
      ...(state === undefined ? {} : { state }),
    };
    if (Object.keys(values).length > 0) {
      await db.updateTable('home_agents').set(values).where('id', '=', id).execute();
    }
    return toHomeAgent(await db.selectFrom('home_agents').selectAll().where('id', '=', id).executeTakeFirstOrThrow());
  },

  /** Removes a home agent; with leases only by force. Its leases, which are over. */
  async removeHomeAgent(
    db: Db,
    { name, force, now = Date.now() }: { readonly name: string; readonly force: boolean; readonly now?: number },
  ): Promise<Lease[]> {
    const { id } = await requireHomeAgent(db, name);
    const pinned = await db.selectFrom('subscribers').select('nai').where('home_agent_id', '=', id).executeTakeFirst();
    if (pinned) throw new StoreError('ERR_STORE_IN_USE', `the subscriber ${pinned.nai} always gets ${name}`);
    const over = await leases(db).where('leases.home_agent_id', '=', id).execute();
    if (over.length > 0 && !force) {
      const many = over.length === 1 ? '1 lease' : `${over.length} leases`;
      throw new StoreError('ERR_STORE_IN_USE', `${name} has ${many}: "home-agent down" moves them, --force ends them`);
    }
    for (const lease of over) await release(db, lease, now);
    await db.deleteFrom('home_agents').where('id', '=', id).execute();
    return over.map(toLease);
  },

  async listHomeAgents(db: Db, _arguments: object): Promise<HomeAgent[]> {
    return (await db.selectFrom('home_agents').selectAll().orderBy('name').execute()).map(toHomeAgent);
  },

  async listLeases(db: Db, _arguments: object): Promise<Lease[]> {
    return (await leases(db).orderBy('leases.hoa').execute()).map(toLease);
  },

  /** Assigns home agent and home address to a session, as design and policy say. Asking twice changes nothing more. */
  async bootstrap(db: Db, request: BootstrapRequest, { secret }: Context): Promise<BootstrapResult> {
    const nai = request.nai.toLowerCase();
    const subscriber = await db.selectFrom('subscribers').selectAll().where('nai', '=', nai).executeTakeFirstOrThrow();
    const current = await leases(db).where('leases.subscriber_id', '=', subscriber.id).executeTakeFirst();
    const result = await assign(db, subscriber, current, request, secret);
    const where =
      result.result === 'home'
        ? { ha: result.lease.homeAgent.address, hoa: result.lease.homeAddress }
        : result.result === 'local'
          ? { ha: result.local.homeAgent, hoa: result.local.homeAddress }
          : { ha: null, hoa: null };
    const session = {
      kind: result.result === 'none' ? null : result.result,
      ...where,
      origin: request.origin,
      origin_realm: request.originRealm ?? null,
      origin_state: request.originState ?? null,
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

  /** The end of a session; its lease comes back only if no newer session has taken it over. */
  async endSession(
    db: Db,
    { sessionId, now = Date.now() }: { readonly sessionId: string; readonly now?: number },
  ): Promise<{ known: boolean; released: Lease | undefined }> {
    const gone = await db.deleteFrom('sessions').where('id', '=', sessionId).executeTakeFirst();
    const lease = await leases(db).where('leases.session_id', '=', sessionId).executeTakeFirst();
    if (lease) await release(db, lease, now);
    return { known: gone.numDeletedRows > 0n, released: lease && toLease(lease) };
  },

  /** Sessions, the oldest first; those of one Session-Id or subscriber, or on the home agent at one address, if named. */
  async listSessions(
    db: Db,
    { of, homeAgent }: { readonly of?: string | undefined; readonly homeAgent?: string | undefined },
  ): Promise<Session[]> {
    let query = db
      .selectFrom('sessions')
      .innerJoin('subscribers', 'subscribers.id', 'sessions.subscriber_id')
      .selectAll('sessions')
      .select('subscribers.nai')
      .orderBy('sessions.started_at')
      .orderBy('sessions.id');
    if (of !== undefined) {
      query = query.where((expression) =>
        expression.or([expression('sessions.id', '=', of), expression('subscribers.nai', '=', of.toLowerCase())]),
      );
    }
    if (homeAgent !== undefined) query = query.where('sessions.ha', '=', homeAgent);
    return (await query.execute()).map((row) => ({
      sessionId: row.id,
      nai: row.nai,
      origin: row.origin,
      originRealm: row.origin_realm ?? undefined,
      kind: row.kind === 'home' || row.kind === 'local' ? row.kind : undefined,
      homeAgent: row.ha ?? undefined,
      homeAddress: row.hoa ?? undefined,
      startedAt: row.started_at,
      expiresAt: row.expires_at,
    }));
  },

  /**
   * A PAA that has restarted has forgotten its sessions (RFC 6733 8.16). Their leases stay for a while: the nodes come back
   * and get the same again. How many there were.
   */
  async endSessionsOf(
    db: Db,
    { origin, before, leasesUntil }: { readonly origin: string; readonly before: number; readonly leasesUntil: number },
  ): Promise<number> {
    const gone = await db
      .selectFrom('sessions')
      .select('id')
      .where('origin', '=', origin)
      .where('origin_state', '<', before)
      .execute();
    for (const { id } of gone) {
      await db
        .updateTable('leases')
        .set({ expires_at: leasesUntil })
        .where('session_id', '=', id)
        .where('expires_at', '>', leasesUntil)
        .execute();
      await db.deleteFrom('sessions').where('id', '=', id).execute();
    }
    return gone.length;
  },

  /**
   * Who had a home address, or which ones a subscriber had, the newest first; at one time only those that were held then.
   * At most `limit` of them.
   */
  async leaseHistory(
    db: Db,
    { of, at, limit }: { readonly of?: string | undefined; readonly at?: number | undefined; readonly limit: number },
  ): Promise<HeldLease[]> {
    let query = db.selectFrom('lease_history').selectAll().orderBy('acquired_at', 'desc').orderBy('id', 'desc');
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
    return (await query.limit(limit).execute()).map((row) => ({
      homeAddress: row.hoa,
      nai: row.nai,
      homeAgent: row.home_agent,
      acquiredAt: Number(row.acquired_at),
      endedAt: row.ended_at === null ? undefined : Number(row.ended_at),
    }));
  },

  /** Forgets what ended before this time; at most `limit` of it. */
  async forgetHistory(db: Db, { before, limit }: { readonly before: number; readonly limit: number }): Promise<number> {
    const old = await db.selectFrom('lease_history').select('id').where('ended_at', '<', before).limit(limit).execute();
    for (const { id } of old) await db.deleteFrom('lease_history').where('id', '=', id).execute();
    return old.length;
  },

  /** Sessions and leases whose time is over by the wall clock; at most `limit` of each. */
  async expire(db: Db, { now, limit }: { readonly now: number; readonly limit: number }): Promise<Lease[]> {
    const over = await leases(db).where('leases.expires_at', '<=', now).limit(limit).execute();
    for (const lease of over) await release(db, lease, Number(lease.expires_at));
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
    return over.map(toLease);
  },
} as const;

export interface Context {
  /** Makes home addresses unpredictable; 32 octets, made with the store. */
  readonly secret: Uint8Array;
}

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
  request: BootstrapRequest,
  secret: Uint8Array,
): Promise<BootstrapResult> {
  const { wish, local } = request;
  // A session that had a home agent and asks for none any more gives it back; another session's is not touched.
  const giveBack = async () => {
    if (current?.session_id !== request.sessionId) return undefined;
    await release(db, current, request.now);
    return toLease(current);
  };
  if (wish === undefined) return { result: 'none', reason: 'not-wanted', released: await giveBack() };
  if (!subscriber.mip6) return { result: 'none', reason: 'not-granted', released: await giveBack() };
  const mayBeLocal = local !== undefined && subscriber.local_ha === 1 && wish !== 'home';
  if (mayBeLocal && wish === 'local') {
    if (current) await release(db, current, request.now);
    return { result: 'local', local, released: current && toLease(current) };
  }
  if (current && keeps(current, subscriber, request.now)) return prolong(db, current, request);
  if (current) await release(db, current, request.now);
  const released = current && toLease(current);
  const given = await newLease(db, subscriber, request, secret);
  if (typeof given !== 'string') return { result: 'home', lease: given, renewed: false, released };
  if (mayBeLocal) return { result: 'local', local, released };
  return { result: 'none', reason: given, released };
}

/** An unexpired lease on a home agent that still serves, and that no pin contradicts. */
function keeps(lease: LeaseRow, subscriber: SubscriberRow, now: number): boolean {
  if (lease.expires_at <= now || lease.state === 'down') return false;
  if (subscriber.home_agent_id !== null && subscriber.home_agent_id !== lease.home_agent_id) return false;
  return subscriber.hoa === null || subscriber.hoa === lease.hoa;
}

async function prolong(db: Db, lease: LeaseRow, request: BootstrapRequest): Promise<BootstrapResult> {
  const change = { session_id: request.sessionId, expires_at: request.leaseExpires };
  await db.updateTable('leases').set(change).where('hoa', '=', lease.hoa).execute();
  return { result: 'home', lease: toLease({ ...lease, ...change }), renewed: true, released: undefined };
}

/** The home agent with the smallest load that has room; its counter is raised by a condition, never by a count. */
async function newLease(
  db: Db,
  subscriber: SubscriberRow,
  request: BootstrapRequest,
  secret: Uint8Array,
): Promise<Lease | NoMobility> {
  let agents = db
    .selectFrom('home_agents')
    .selectAll()
    .where('state', '=', 'up')
    .whereRef('leases', '<', 'capacity')
    .orderBy((expression) =>
      expression(expression.cast<number>('leases', 'real'), '/', expression('capacity', '*', expression.ref('weight'))),
    )
    .orderBy('id');
  if (subscriber.home_agent_id !== null) agents = agents.where('id', '=', subscriber.home_agent_id);
  let reason: NoMobility = 'no-home-agent';
  for (const agent of await agents.execute()) {
    const taken = await db
      .updateTable('home_agents')
      .set((expression) => ({ leases: expression('leases', '+', 1) }))
      .where('id', '=', agent.id)
      .where('state', '=', 'up')
      .whereRef('leases', '<', 'capacity')
      .executeTakeFirst();
    if (taken.numUpdatedRows === 0n) continue;
    const hoa = await insertLease(db, subscriber, agent, request, secret);
    if (hoa !== undefined) {
      return toLease({
        hoa,
        nai: subscriber.nai,
        subscriber_id: subscriber.id,
        home_agent_id: agent.id,
        session_id: request.sessionId,
        acquired_at: request.now,
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
  request: BootstrapRequest,
  secret: Uint8Array,
): Promise<string | undefined> {
  const prefix = parsePrefix(agent.prefix);
  if (!prefix) return undefined;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const octets = homeAddress(secret, subscriber.nai, prefix, attempt);
    const hoa = subscriber.hoa ?? (octets && formatAddress(octets));
    if (hoa === undefined || hoa === agent.address) continue;
    const inserted = await db
      .insertInto('leases')
      .values({
        hoa,
        subscriber_id: subscriber.id,
        home_agent_id: Number(agent.id),
        session_id: request.sessionId,
        acquired_at: request.now,
        expires_at: request.leaseExpires,
      })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (inserted.numInsertedOrUpdatedRows === 1n) {
      const held = { nai: request.nai.toLowerCase(), home_agent: agent.name, acquired_at: request.now, ended_at: null };
      await db
        .insertInto('lease_history')
        .values({ hoa, ...held })
        .execute();
      return hoa;
    }
    if (subscriber.hoa !== null) return undefined;
  }
  return undefined;
}

async function release(db: Db, lease: LeaseRow, now: number): Promise<void> {
  const gone = await db
    .deleteFrom('leases')
    .where('hoa', '=', lease.hoa)
    .where('session_id', '=', lease.session_id)
    .executeTakeFirst();
  if (gone.numDeletedRows === 0n) return;
  await db
    .updateTable('lease_history')
    .set({ ended_at: now })
    .where('hoa', '=', lease.hoa)
    .where('ended_at', 'is', null)
    .execute();
  await db
    .updateTable('home_agents')
    .set((expression) => ({ leases: expression('leases', '-', 1) }))
    .where('id', '=', lease.home_agent_id)
    .execute();
}

function subscribers(db: Db) {
  return db
    .selectFrom('subscribers')
    .leftJoin('home_agents', 'home_agents.id', 'subscribers.home_agent_id')
    .select([
      'subscribers.nai',
      'enabled',
      'mip6',
      'local_ha',
      'psk_root',
      'hoa',
      'session_lifetime',
      'home_agents.name as pin',
    ]);
}

function toSubscriber(row: Awaited<ReturnType<ReturnType<typeof subscribers>['executeTakeFirstOrThrow']>>): Subscriber {
  return {
    nai: row.nai,
    enabled: row.enabled === 1,
    mip6: row.mip6 === 1,
    localHomeAgent: row.local_ha === 1,
    pskRoot: row.psk_root === 'msk' || row.psk_root === 'emsk' ? row.psk_root : undefined,
    homeAgent: row.pin ?? undefined,
    homeAddress: row.hoa ?? undefined,
    sessionLifetime: row.session_lifetime ?? undefined,
  };
}

function leases(db: Db) {
  return db
    .selectFrom('leases')
    .innerJoin('home_agents', 'home_agents.id', 'leases.home_agent_id')
    .innerJoin('subscribers', 'subscribers.id', 'leases.subscriber_id')
    .select([
      'leases.hoa',
      'leases.subscriber_id',
      'leases.home_agent_id',
      'leases.session_id',
      'leases.acquired_at',
      'leases.expires_at',
      'subscribers.nai',
      'name',
      'address',
      'host',
      'prefix',
      'capacity',
      'weight',
      'home_agents.leases',
      'state',
      'target',
      'ike',
    ]);
}

type LeaseRow = Awaited<ReturnType<ReturnType<typeof leases>['executeTakeFirstOrThrow']>>;

function toLease(row: LeaseRow): Lease {
  return {
    homeAddress: row.hoa,
    nai: row.nai,
    homeAgent: toHomeAgent({ ...row, id: row.home_agent_id }),
    sessionId: row.session_id,
    acquiredAt: Number(row.acquired_at),
    expiresAt: Number(row.expires_at),
  };
}

type HomeAgentRow = Pick<
  LeaseRow,
  'name' | 'address' | 'host' | 'prefix' | 'capacity' | 'weight' | 'leases' | 'state' | 'target' | 'ike'
> & { readonly id: number };

function toHomeAgent(row: HomeAgentRow): HomeAgent {
  const { id, name, address, host, prefix, capacity, weight, leases, state } = row;
  const ike = row.ike.split(',').filter((version): version is Ike => version === 'ikev1' || version === 'ikev2');
  return { id, name, address, host, prefix, capacity, weight, leases, state, target: row.target ?? undefined, ike };
}

function withoutId({ id, created_at, ...rest }: HomeAgentRow & { readonly created_at: number }) {
  return rest;
}

function checkCapacity(capacity: number): void {
  if (Number.isInteger(capacity) && capacity >= 1) return;
  throw new StoreError('ERR_STORE_VALUE', `a capacity is a whole number from 1, not ${capacity}`);
}

async function requireHomeAgent(db: Db, name: string): Promise<{ id: number }> {
  const agent = await db.selectFrom('home_agents').select('id').where('name', '=', name).executeTakeFirst();
  if (!agent) throw new StoreError('ERR_STORE_NOT_FOUND', `no home agent ${name}`);
  return agent;
}

/** The 16 octets of `prefix/64`, with nothing behind the prefix. */
function parsePrefix(text: string): Uint8Array | undefined {
  const [address = '', length] = text.split('/');
  const octets = length === '64' ? parseAddress(address) : undefined;
  if (octets?.length !== 16) return undefined;
  return octets.subarray(8).every((octet) => octet === 0) ? octets : undefined;
}

/** The store's secret from its hexadecimal text. */
export function contextOf(secretHex: string): Context {
  return { secret: fromHex(secretHex) };
}
