import { createHmac } from 'node:crypto';
import { parseAddress } from '../protocol/bytes/address.js';
import { encodeUtf8 } from '../protocol/bytes/octets.js';
import type { HomeOperations } from '../protocol/home/alphabet.js';
import type { ServiceLease, ServiceResult } from '../protocol/home/records.js';
import type { Service } from '../protocol/mip6/services.js';
import { storeSecret } from './assignment.js';
import { internal } from './operation.js';
import type { Db } from './rows.js';
import {
  addressOf,
  countServiceLease,
  numberOf,
  type Pool,
  parsePool,
  releaseService,
  type ServiceServerRow,
  serversWithRoom,
  serviceLeases,
  toServiceLease,
} from './service-rows.js';

/** Attempts to find a free home address that do not read the leases of the server. */
const ATTEMPTS = 16;

/** Largest number of leases that one call ends. */
const MANY = 500;

interface Wanted {
  readonly nai: string;
  readonly sessionId: string;
  readonly now: number;
  readonly expires: number;
}

/** Mobile IPv4 and HIP for a session, and their end. */
export const serviceOperations = {
  /**
   * Assigns services to a session: the same server and home address as before, unless the server is down. Services that
   * the session had and that are not asked for are released. Idempotent.
   */
  assignServices: internal<HomeOperations['assignServices']>({
    kind: 'write',
    measuredAs: 'bootstrap',
    async run(db, { sessionId, services, leaseLifetime, ...given }, context): Promise<ServiceResult> {
      const nai = given.nai.toLowerCase();
      const wanted = { nai, sessionId, now: context.now(), expires: context.asked() + leaseLifetime };
      const policy = await db.selectFrom('subscribers').select('services').where('nai', '=', nai).executeTakeFirst();
      const permitted = (policy?.services ?? 'none').split(',');
      const current = await serviceLeases(db).where('service_leases.nai', '=', nai).execute();
      const assigned: { lease: ServiceLease; renewed: boolean }[] = [];
      const refused: ServiceResult['refused'][number][] = [];
      const released: ServiceLease[] = [];
      for (const row of current) {
        const isWanted = services.includes(row.service) && permitted.includes(row.service);
        if (isWanted && row.state !== 'down') {
          const change = { session_id: sessionId, expires_at: wanted.expires };
          await db
            .updateTable('service_leases')
            .set(change)
            .where('nai', '=', nai)
            .where('service', '=', row.service)
            .execute();
          assigned.push({ lease: toServiceLease({ ...row, ...change }), renewed: true });
        } else if (isWanted || row.session_id === sessionId) released.push(await releaseService(db, row));
      }
      for (const service of services) {
        if (assigned.some(({ lease }) => lease.server.service === service)) continue;
        const lease = permitted.includes(service) ? await newLease(db, service, wanted) : 'not-granted';
        if (typeof lease === 'string') refused.push({ service, reason: lease });
        else assigned.push({ lease, renewed: false });
      }
      return { assigned, refused, released };
    },
  }),

  /** Ends the leases whose session is no longer stored, or which have expired. Returns them. */
  endServices: internal<readonly [given: Record<string, never>, result: ServiceLease[]]>({
    kind: 'write',
    measuredAs: 'upkeep',
    async run(db, _given, context) {
      const rows = await serviceLeases(db)
        .leftJoin('sessions', 'sessions.id', 'session_id')
        .where((expression) =>
          expression.or([
            expression('sessions.id', 'is', null),
            expression('service_leases.expires_at', '<=', context.now()),
          ]),
        )
        .limit(MANY)
        .execute();
      const ended: ServiceLease[] = [];
      for (const row of rows) ended.push(await releaseService(db, row));
      return ended;
    },
  }),
} as const;

/** Takes a lease on the least loaded server with room. */
async function newLease(db: Db, service: Service, wanted: Wanted): Promise<ServiceLease | 'no-server' | 'pool-full'> {
  const servers = await serversWithRoom(db, service).execute();
  for (const server of servers) {
    const pool = server.pool === null ? undefined : parsePool(server.pool);
    const address = pool ? await takeAddress(db, server, pool, wanted) : null;
    if (address === undefined) continue;
    const row = {
      nai: wanted.nai,
      service,
      server_id: server.id,
      session_id: wanted.sessionId,
      acquired_at: wanted.now,
      expires_at: wanted.expires,
    };
    await db
      .insertInto('service_leases')
      .values({ ...row, address })
      .execute();
    await countServiceLease(db, server.id, 1);
    return toServiceLease({ ...server, ...row, home: address, leases: server.leases + 1 });
  }
  return servers.length === 0 ? 'no-server' : 'pool-full';
}

/**
 * A free home address of a pool; undefined: there is none. It is the same for a node each time, unless another node has
 * it meanwhile, and cannot be predicted without the secret of the store.
 */
async function takeAddress(db: Db, server: ServiceServerRow, pool: Pool, { nai }: Wanted): Promise<string | undefined> {
  const secret = await storeSecret(db);
  const own = numberOf(parseAddress(server.address) ?? new Uint8Array(4));
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const mac = createHmac('sha256', secret)
      .update(encodeUtf8(`mip4 ${server.name} ${nai} ${attempt}`))
      .digest();
    const number = pool.first + (mac.readUInt32BE(0) % pool.size);
    if (number === own) continue;
    const address = addressOf(number);
    const taken = await db.selectFrom('service_leases').select('nai').where('address', '=', address).executeTakeFirst();
    if (!taken) return address;
  }
  const rows = await db.selectFrom('service_leases').select('address').where('server_id', '=', server.id).execute();
  const taken = new Set(rows.map(({ address }) => address));
  for (let number = pool.first; number < pool.first + pool.size; number += 1) {
    const address = addressOf(number);
    if (number !== own && !taken.has(address)) return address;
  }
  return undefined;
}
