import { parseAddress } from '../protocol/bytes/address.js';
import type { ServiceLease, ServiceServer } from '../protocol/home/records.js';
import type { Service } from '../protocol/mip6/services.js';
import type { Db } from './rows.js';

const SERVER = [
  'name',
  'service_servers.service',
  'service_servers.address',
  'pool',
  'hit',
  'capacity',
  'leases',
  'state',
  'target',
] as const;

export function serviceServers(db: Db) {
  return db.selectFrom('service_servers').select(['id', ...SERVER]);
}

export type ServiceServerRow = Awaited<ReturnType<ReturnType<typeof serviceServers>['executeTakeFirstOrThrow']>>;

export function toServiceServer(row: Omit<ServiceServerRow, 'id'>): ServiceServer {
  const { name, service, address, capacity, leases, state } = row;
  return {
    name,
    service,
    address,
    pool: row.pool ?? undefined,
    hit: row.hit ?? undefined,
    capacity,
    leases,
    state,
    target: row.target ?? undefined,
  };
}

/** Leases of services with their servers. */
export function serviceLeases(db: Db) {
  return db
    .selectFrom('service_leases')
    .innerJoin('service_servers', 'service_servers.id', 'service_leases.server_id')
    .select([
      'service_leases.nai',
      'service_leases.address as home',
      'server_id',
      'session_id',
      'acquired_at',
      'service_leases.expires_at',
      ...SERVER,
    ]);
}

export type ServiceLeaseRow = Awaited<ReturnType<ReturnType<typeof serviceLeases>['executeTakeFirstOrThrow']>>;

export function toServiceLease(row: ServiceLeaseRow): ServiceLease {
  return {
    nai: row.nai,
    server: toServiceServer(row),
    address: row.home ?? undefined,
    sessionId: row.session_id,
    acquiredAt: Number(row.acquired_at),
    expiresAt: Number(row.expires_at),
  };
}

/** Deletes a lease and counts it. */
export async function releaseService(db: Db, row: ServiceLeaseRow): Promise<ServiceLease> {
  const deleted = await db
    .deleteFrom('service_leases')
    .where('nai', '=', row.nai)
    .where('service', '=', row.service)
    .executeTakeFirst();
  if (deleted.numDeletedRows > 0n) await countServiceLease(db, row.server_id, -1);
  return toServiceLease(row);
}

export async function countServiceLease(db: Db, server: number, by: 1 | -1): Promise<void> {
  await db
    .updateTable('service_servers')
    .set((expression) => ({ leases: expression('leases', '+', by) }))
    .where('id', '=', server)
    .execute();
}

/** Home addresses of Mobile IPv4: the first address as a number, and how many there are. */
export interface Pool {
  readonly first: number;
  readonly size: number;
  readonly length: number;
}

/** Prefix lengths of pools: at least two addresses for nodes, and no more than a server can list. */
const MIN_LENGTH = 16;
const MAX_LENGTH = 30;

/** Parses `192.0.2.0/24`. Undefined if it is no pool. The first and the last address are not for nodes (RFC 1812 5.3.5). */
export function parsePool(text: string): Pool | undefined {
  const [, address = '', digits = ''] = /^([0-9.]+)\/(\d{1,2})$/.exec(text) ?? [];
  const octets = parseAddress(address);
  const length = Number(digits);
  if (octets?.length !== 4 || length < MIN_LENGTH || length > MAX_LENGTH) return undefined;
  const network = numberOf(octets);
  const all = 2 ** (32 - length);
  return network % all === 0 ? { first: network + 1, size: all - 2, length } : undefined;
}

export function numberOf(octets: Uint8Array): number {
  return new DataView(octets.buffer, octets.byteOffset).getUint32(0);
}

export function addressOf(number: number): string {
  return [number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255].join('.');
}

/** Servers of a service with room, the least loaded first. */
export function serversWithRoom(db: Db, service: Service) {
  return serviceServers(db)
    .where('service', '=', service)
    .where('state', '=', 'up')
    .whereRef('leases', '<', 'capacity')
    .orderBy((expression) =>
      expression(
        expression.cast<number>('leases', 'double precision'),
        '/',
        expression.cast<number>('capacity', 'double precision'),
      ),
    )
    .orderBy('id');
}
