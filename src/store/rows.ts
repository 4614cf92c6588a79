import { type Kysely, sql } from 'kysely';
import { parseAddress } from '../protocol/bytes/address.js';
import type { HomeAgent, Ike, Lease, Subscriber } from '../protocol/home/records.js';
import { type Page, StoreError } from './records.js';
import { isPostgres, type Schema } from './schema.js';
import { Statement } from './statement.js';

export type Db = Kysely<Schema>;

/** What an operation uses in addition to the database. */
export interface Context {
  /** Milliseconds since 1970, UTC, by the store's clock: now, and when the operation was requested. */
  now(): number;
  asked(): number;
  /** Returns this many octets from a cryptographically secure generator. */
  random(octets: number): Uint8Array;
  /** The server that does the duties of this operation; undefined: no server does, so none are stored. */
  readonly holder: DutyHolder | undefined;
}

/** A server that holds the duties that its commits create. */
export interface DutyHolder {
  /** Its Diameter host name; empty: the next server that looks for duties takes them. */
  readonly server: string;
  /** Number of its run, which differs after each start. */
  readonly run: number;
  /** Whether the server runs hooks of home agents. Otherwise no duties to run them are stored. */
  readonly hooks: boolean;
}

/** Rows in one statement: SQLite allows 32,766 parameters. */
export const ROWS = 500;

/** Divides items into parts that fit into one statement. */
export function inParts<T>(items: readonly T[]): T[][] {
  const parts: T[][] = [];
  for (let i = 0; i < items.length; i += ROWS) parts.push(items.slice(i, i + ROWS));
  return parts;
}

/** Locks the rows that a query in a shared transaction finds, and leaves out those that others have locked. */
export function freeRows<Q extends { forNoKeyUpdate(): Q; skipLocked(): Q }>(db: Db, query: Q): Q {
  return isPostgres(db) ? query.forNoKeyUpdate().skipLocked() : query;
}

/** Whether a column contains a text, ignoring case. A plain LIKE is case-sensitive in PostgreSQL. */
export function contains(column: string, text: string) {
  const pattern = `%${text.replaceAll(/[!%_]/g, '!$&')}%`;
  return sql<boolean>`lower(${sql.ref(column)}) LIKE lower(${pattern}) ESCAPE '!'`;
}

/** Makes a page of rows that were queried with one more than `limit`. */
export function pageOf<T>(found: readonly T[], limit: number, key: (item: T) => string): Page<T> {
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return { items, next: found.length > limit && last !== undefined ? key(last) : undefined };
}

/** Parses the start of a page of numbered rows. Throws StoreError. */
export function placeOf(from: string): number {
  const place = Number(from);
  if (Number.isInteger(place)) return place;
  throw new StoreError('ERR_STORE_VALUE', `${JSON.stringify(from)} is not the start of a page, which is a number`);
}

/** Columns of a subscriber's policy, which rows of an import also have. */
export const POLICY = [
  'enabled',
  'mip6',
  'local_ha',
  'ikev2_hoa',
  'psk_root',
  'hoa',
  'session_lifetime',
  'certificate_name',
  'certificate_sha256',
  'sessions',
  'privacy',
  'services',
] as const;

export function subscribers(db: Db) {
  return db
    .selectFrom('subscribers')
    .leftJoin('home_agents', 'home_agents.id', 'subscribers.home_agent_id')
    .select(['subscribers.id', 'subscribers.nai', ...POLICY, 'takeovers', 'home_agents.name as pin']);
}

type SubscriberRow = Awaited<ReturnType<ReturnType<typeof subscribers>['executeTakeFirstOrThrow']>>;

export function toSubscriber(row: Omit<SubscriberRow, 'id'>): Subscriber {
  return {
    nai: row.nai,
    enabled: row.enabled === 1,
    mip6: row.mip6 === 1,
    localHomeAgent: row.local_ha === 1,
    ikev2HomeAddress: row.ikev2_hoa === 1,
    pskRoot: row.psk_root === 'msk' || row.psk_root === 'emsk' ? row.psk_root : undefined,
    homeAgent: row.pin ?? undefined,
    homeAddress: row.hoa ?? undefined,
    sessionLifetime: row.session_lifetime ?? undefined,
    certificateName: row.certificate_name ?? undefined,
    certificateSha256: row.certificate_sha256 ?? undefined,
    sessions: row.sessions,
    privacy: row.privacy,
    services: row.services,
    takeovers: row.takeovers,
  };
}

export function leases(db: Db) {
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
      'failed_by',
    ]);
}

export type LeaseRow = Awaited<ReturnType<ReturnType<typeof leases>['executeTakeFirstOrThrow']>>;

export function toLease(row: LeaseRow): Lease {
  return {
    homeAddress: row.hoa,
    nai: row.nai,
    homeAgent: toHomeAgent({ ...row, id: row.home_agent_id }),
    sessionId: row.session_id,
    acquiredAt: Number(row.acquired_at),
    expiresAt: Number(row.expires_at),
  };
}

export type HomeAgentRow = Pick<
  LeaseRow,
  'name' | 'address' | 'host' | 'prefix' | 'capacity' | 'weight' | 'leases' | 'state' | 'target' | 'ike' | 'failed_by'
> & { readonly id: number };

export function toHomeAgent(row: HomeAgentRow): HomeAgent {
  const { id, name, address, host, prefix, capacity, weight, leases, state, failed_by, target } = row;
  const ike = row.ike.split(',').filter((version): version is Ike => version === 'ikev1' || version === 'ikev2');
  return {
    id,
    name,
    address,
    host,
    prefix,
    capacity,
    weight,
    leases,
    state,
    ike,
    failedBy: failed_by ?? undefined,
    target: target ?? undefined,
  };
}

export function withoutId({ id, ...rest }: HomeAgentRow) {
  return rest;
}

export async function requireHomeAgent(db: Db, name: string): Promise<{ id: number }> {
  const agent = await db.selectFrom('home_agents').select('id').where('name', '=', name).executeTakeFirst();
  if (!agent) throw new StoreError('ERR_STORE_NOT_FOUND', `no home agent ${name}`);
  return agent;
}

/** Whether an address (canonical text) is on this home link and is not the home agent's own. */
export function isOnLink(hoa: string, agent: { readonly address: string; readonly prefix: string }): boolean {
  const prefix = parsePrefix(agent.prefix)?.subarray(0, 8);
  const address = parseAddress(hoa);
  return hoa !== agent.address && address !== undefined && prefix?.every((octet, i) => octet === address[i]) === true;
}

/** The 16 octets of `prefix/64`. Undefined if bits after the prefix are set. */
export function parsePrefix(text: string): Uint8Array | undefined {
  const [address = '', length] = text.split('/');
  const octets = length === '64' ? parseAddress(address) : undefined;
  if (octets?.length !== 16) return undefined;
  return octets.subarray(8).every((octet) => octet === 0) ? octets : undefined;
}

/**
 * Whether a session belongs to another subscriber. A session keeps its subscriber until it ends. If a re-authentication
 * with another subscriber's certificate were accepted, lease, history and displayed sessions would be wrong.
 */
export async function isOfOther(db: Db, sessionId: string, subscriber: number): Promise<boolean> {
  const row = await subscriberOfSession.first(db, { sessionId });
  return row !== undefined && row.subscriber_id !== subscriber;
}

const subscriberOfSession = new Statement((db, { sessionId }: { readonly sessionId: string }) =>
  db.selectFrom('sessions').select('subscriber_id').where('id', '=', sessionId),
);

/** Whether a subscriber has a session besides this one, at another NAS than a home agent. */
export async function hasOtherSession(db: Db, given: SessionOfSubscriber): Promise<boolean> {
  return (await otherSession.first(db, given)) !== undefined;
}

interface SessionOfSubscriber {
  readonly subscriber: number;
  readonly sessionId: string;
  /** Milliseconds since 1970, UTC. */
  readonly now: number;
}

const otherSession = new Statement((db, { subscriber, sessionId, now }: SessionOfSubscriber) =>
  db
    .selectFrom('sessions')
    .select('id')
    .where('subscriber_id', '=', subscriber)
    .where('id', '<>', sessionId)
    .where('expires_at', '>', now)
    .where((expression) => expression.or([expression('kind', 'is', null), expression('kind', '<>', 'ikev2')]))
    .limit(sql.lit(1)),
);
