import { formatAddress, parseAddress } from '../protocol/bytes/address.js';
import type { ServiceLease, ServiceServer } from '../protocol/home/records.js';
import { hostAddressProblem } from '../protocol/mip6/address-checks.js';
import { checkName } from '../protocol/mip6/names.js';
import { hitProblem, SERVICES } from '../protocol/mip6/services.js';
import { text } from './inputs.js';
import { administrative } from './operation.js';
import { StoreError } from './records.js';
import type { Db } from './rows.js';
import {
  numberOf,
  type Pool,
  parsePool,
  releaseService,
  serviceLeases,
  serviceServers,
  toServiceLease,
  toServiceServer,
} from './service-rows.js';

/** The largest PostgreSQL integer. */
const MAX_CAPACITY = 2 ** 31 - 1;

/** Home agents for Mobile IPv4, and rendezvous servers for HIP. */
export const serviceServerOperations = {
  addServiceServer: administrative({
    kind: 'write',
    input: (z) =>
      z.strictObject({
        server: z.strictObject({
          name: text(z),
          service: z.enum(SERVICES),
          address: text(z),
          pool: text(z).optional(),
          hit: text(z).optional(),
          capacity: z.number(),
          target: text(z).optional(),
        }),
      }),
    async run(db, { server }, context): Promise<void> {
      const { name, service, capacity } = server;
      const problem = checkName(name);
      if (problem) refuse(`${JSON.stringify(name)} cannot name a server: ${problem}`);
      checkCapacity(capacity);
      const address = parseAddress(server.address);
      if (!address) return refuse(`${server.address} is not an address`);
      const unfit = hostAddressProblem(address);
      if (unfit) refuse(`${server.address} cannot be the address of a server: ${unfit}`);
      const pool = service === 'mip4' ? await poolOf(db, address, server) : refuseUnused(server.pool, 'pool', 'mip4');
      const hit = service === 'hip' ? hitOf(server.hit) : refuseUnused(server.hit, 'hit', 'hip');
      const inserted = await db
        .insertInto('service_servers')
        .values({
          name,
          service,
          address: formatAddress(address),
          pool: pool ?? null,
          hit: hit ?? null,
          capacity,
          leases: 0,
          state: 'up',
          target: server.target ?? null,
          created_at: context.now(),
        })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst();
      if (inserted.numInsertedOrUpdatedRows === 0n)
        throw new StoreError('ERR_STORE_EXISTS', `a server ${name} already exists`);
    },
  }),

  /** Changes the given settings. Leases stay; those on a server that is down move at the next authentication. */
  changeServiceServer: administrative({
    kind: 'write',
    input: (z) =>
      z.strictObject({
        name: text(z),
        change: z.strictObject({
          capacity: z.number().optional(),
          target: text(z).optional(),
          state: z.enum(['up', 'draining', 'down']).optional(),
        }),
      }),
    async run(db, { name, change }): Promise<ServiceServer> {
      const { id } = await requireServer(db, name);
      const { capacity, target, state } = change;
      if (capacity !== undefined) checkCapacity(capacity);
      const values = {
        ...(capacity === undefined ? {} : { capacity }),
        ...(target === undefined ? {} : { target: target === '' ? null : target }),
        ...(state === undefined ? {} : { state }),
      };
      if (Object.keys(values).length > 0)
        await db.updateTable('service_servers').set(values).where('id', '=', id).execute();
      return toServiceServer(await serviceServers(db).where('id', '=', id).executeTakeFirstOrThrow());
    },
  }),

  /** Removes a server and returns its leases, which have ended. One with leases is removed only with `force`. */
  removeServiceServer: administrative({
    kind: 'write',
    input: (z) => z.strictObject({ name: text(z), force: z.boolean() }),
    async run(db, { name, force }): Promise<ServiceLease[]> {
      const { id } = await requireServer(db, name);
      const over = await serviceLeases(db).where('server_id', '=', id).execute();
      if (over.length > 0 && !force) {
        const many = over.length === 1 ? '1 lease' : `${over.length} leases`;
        throw new StoreError('ERR_STORE_IN_USE', `${name} has ${many}: --force ends them`);
      }
      const released: ServiceLease[] = [];
      for (const lease of over) released.push(await releaseService(db, lease));
      await db.deleteFrom('service_servers').where('id', '=', id).execute();
      return released;
    },
  }),

  listServiceServers: administrative({
    kind: 'read',
    input: (z) => z.strictObject({}),
    async run(db): Promise<ServiceServer[]> {
      return (await serviceServers(db).orderBy('name').execute()).map(toServiceServer);
    },
  }),

  /** The leases of services, of one subscriber or of all, by NAI. At most 10,000. */
  listServiceLeases: administrative({
    kind: 'read',
    input: (z) => z.strictObject({ of: text(z).optional() }),
    async run(db, { of }): Promise<ServiceLease[]> {
      const all = serviceLeases(db).orderBy('service_leases.nai').orderBy('service_leases.service').limit(10_000);
      const rows = await (of === undefined ? all : all.where('service_leases.nai', '=', of.toLowerCase())).execute();
      return rows.map(toServiceLease);
    },
  }),
} as const;

function refuse(message: string): never {
  throw new StoreError('ERR_STORE_VALUE', message);
}

function refuseUnused(value: string | undefined, name: string, service: string): undefined {
  return value === undefined ? undefined : refuse(`${name} is only for the service ${service}`);
}

async function poolOf(
  db: Db,
  address: Uint8Array,
  { address: shown, pool }: { readonly address: string; readonly pool?: string | undefined },
): Promise<string> {
  if (address.length !== 4) refuse(`${shown} is not an IPv4 address, which a home agent for Mobile IPv4 has`);
  if (pool === undefined) refuse('a home agent for Mobile IPv4 needs a pool of home addresses, such as 192.0.2.0/24');
  const parsed = parsePool(pool);
  if (!parsed)
    return refuse(`${pool} is not a pool: a prefix of 16 to 30 bits with zeros behind it, such as 192.0.2.0/24`);
  const others = await serviceServers(db).where('pool', 'is not', null).execute();
  const other = others.find((one) => overlap(parsed, parsePool(one.pool ?? '')));
  if (other) refuse(`${pool} overlaps ${other.pool} of ${other.name}: a home address belongs to one node`);
  const outside = numberOf(address) < parsed.first || numberOf(address) >= parsed.first + parsed.size;
  // RFC 5944 1.2: the home agent is on the home network.
  if (outside) refuse(`${shown} is not in ${pool}: a home agent is on the home network of its nodes`);
  return pool;
}

function overlap(one: Pool, other: Pool | undefined): boolean {
  return other !== undefined && one.first < other.first + other.size && other.first < one.first + one.size;
}

function hitOf(hit: string | undefined): string {
  if (hit === undefined) return refuse('a rendezvous server for HIP needs its HIT');
  const octets = parseAddress(hit);
  const problem = octets ? hitProblem(octets) : 'it is not written like an IPv6 address';
  if (!octets || problem) return refuse(`${hit} is not a HIT: ${problem}`);
  return formatAddress(octets);
}

async function requireServer(db: Db, name: string): Promise<{ id: number }> {
  const server = await db.selectFrom('service_servers').select('id').where('name', '=', name).executeTakeFirst();
  if (!server) throw new StoreError('ERR_STORE_NOT_FOUND', `no server ${name}`);
  return server;
}

function checkCapacity(capacity: number): void {
  if (Number.isInteger(capacity) && capacity >= 1 && capacity <= MAX_CAPACITY) return;
  refuse(`a capacity is a whole number from 1 to ${MAX_CAPACITY}, not ${capacity}`);
}
