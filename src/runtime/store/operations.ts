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

/** What the visited network proposes of its own. */
export interface LocalProposal {
  readonly homeAgent: string;
  readonly homeAddress: string;
}

export interface BootstrapRequest {
  readonly nai: string;
  readonly sessionId: string;
  readonly origin: string;
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

  async listSubscribers(db: Db, _arguments: object): Promise<Subscriber[]> {
    return (await subscribers(db).orderBy('subscribers.nai').execute()).map(toSubscriber);
  },

  /** Removes a subscriber with its sessions and its lease, which is returned. */
  async removeSubscriber(db: Db, { nai }: { readonly nai: string }): Promise<Lease | undefined> {
    const row = await db.selectFrom('subscribers').select('id').where('nai', '=', nai.toLowerCase()).executeTakeFirst();
    if (!row) throw new StoreError('ERR_STORE_NOT_FOUND', `no subscriber ${nai}`);
    const lease = await leases(db).where('leases.subscriber_id', '=', row.id).executeTakeFirst();
    if (lease) await release(db, lease);
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
    if (!Number.isInteger(agent.capacity) || agent.capacity < 1) {
      throw new StoreError('ERR_STORE_VALUE', `a capacity is a whole number from 1, not ${agent.capacity}`);
    }
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
      expires_at: request.sessionExpires,
    };
    await db
      .insertInto('sessions')
      .values({
        id: request.sessionId,
        subscriber_id: subscriber.id,
        origin: request.origin,
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
    { sessionId }: { readonly sessionId: string },
  ): Promise<{ known: boolean; released: Lease | undefined }> {
    const gone = await db.deleteFrom('sessions').where('id', '=', sessionId).executeTakeFirst();
    const lease = await leases(db).where('leases.session_id', '=', sessionId).executeTakeFirst();
    if (lease) await release(db, lease);
    return { known: gone.numDeletedRows > 0n, released: lease && toLease(lease) };
  },

  /** Sessions and leases whose time is over by the wall clock; at most `limit` of each. */
  async expire(db: Db, { now, limit }: { readonly now: number; readonly limit: number }): Promise<Lease[]> {
    const over = await leases(db).where('leases.expires_at', '<=', now).limit(limit).execute();
    for (const lease of over) await release(db, lease);
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
    await release(db, current);
    return toLease(current);
  };
  if (wish === undefined) return { result: 'none', reason: 'not-wanted', released: await giveBack() };
  if (!subscriber.mip6) return { result: 'none', reason: 'not-granted', released: await giveBack() };
  const mayBeLocal = local !== undefined && subscriber.local_ha === 1 && wish !== 'home';
  if (mayBeLocal && wish === 'local') {
    if (current) await release(db, current);
    return { result: 'local', local, released: current && toLease(current) };
  }
  if (current && keeps(current, subscriber, request.now)) return prolong(db, current, request);
  if (current) await release(db, current);
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
  agent: Schema['home_agents'] | { address: string; prefix: string; id: number },
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
    if (inserted.numInsertedOrUpdatedRows === 1n) return hoa;
    if (subscriber.hoa !== null) return undefined;
  }
  return undefined;
}

async function release(db: Db, lease: LeaseRow): Promise<void> {
  const gone = await db
    .deleteFrom('leases')
    .where('hoa', '=', lease.hoa)
    .where('session_id', '=', lease.session_id)
    .executeTakeFirst();
  if (gone.numDeletedRows === 0n) return;
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
