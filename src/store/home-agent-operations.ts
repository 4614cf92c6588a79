import { formatAddress, parseAddress } from '../protocol/bytes/address.js';
import type { ProbeOperations } from '../protocol/home/probes.js';
import type { HomeAgent, Lease } from '../protocol/home/records.js';
import { checkName } from '../protocol/mip6/names.js';
import { release } from './duties.js';
import { ike, text } from './inputs.js';
import { administrative, internal } from './operation.js';
import { placeProblem } from './placed-agents.js';
import { StoreError } from './records.js';
import { leases, parsePrefix, requireHomeAgent, toHomeAgent } from './rows.js';
import { isPostgres } from './schema.js';

/** The largest PostgreSQL integer. */
const MAX_CAPACITY = 2 ** 31 - 1;

export const homeAgentOperations = {
  addHomeAgent: administrative({
    kind: 'write',
    input: (z) =>
      z.strictObject({
        agent: z.strictObject({
          name: text(z),
          address: text(z),
          host: text(z),
          prefix: text(z),
          capacity: z.number(),
          weight: z.number(),
          target: text(z).optional(),
          ike: ike(z),
        }),
      }),
    async run(db, { agent }, context): Promise<void> {
      for (const name of [agent.name, agent.host]) {
        const problem = checkName(name);
        if (problem)
          throw new StoreError('ERR_STORE_VALUE', `${JSON.stringify(name)} cannot name a home agent: ${problem}`);
      }
      const address = parseAddress(agent.address);
      if (address?.length !== 16) throw new StoreError('ERR_STORE_VALUE', `${agent.address} is not an IPv6 address`);
      const prefix = parsePrefix(agent.prefix);
      if (!prefix)
        throw new StoreError(
          'ERR_STORE_VALUE',
          `${agent.prefix} is not a /64 prefix with zeros behind it, such as 2001:db8:1::/64`,
        );
      const misplaced = placeProblem(agent);
      if (misplaced !== undefined) {
        throw new StoreError(
          'ERR_STORE_VALUE',
          `${misplaced}: a home agent has a global address of its home link (RFC 6275 4.1)`,
        );
      }
      checkCapacity(agent.capacity);
      checkWeight(agent.weight);
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
          created_at: context.now(),
        })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst();
      if (inserted.numInsertedOrUpdatedRows === 0n) {
        throw new StoreError('ERR_STORE_EXISTS', `a home agent ${agent.name} or ${agent.address} already exists`);
      }
    },
  }),

  /**
   * Changes the given settings. Sessions on the home agent continue; the caller moves them. A home agent that an
   * operator sets to up is assigned regardless of earlier probes; a server whose probe fails reports it again.
   */
  changeHomeAgent: administrative({
    kind: 'write',
    input: (z) =>
      z.strictObject({
        name: text(z),
        change: z.strictObject({
          capacity: z.number().optional(),
          weight: z.number().optional(),
          target: text(z).optional(),
          ike: ike(z).optional(),
          state: z.enum(['up', 'draining', 'down']).optional(),
        }),
      }),
    async run(db, { name, change }): Promise<HomeAgent> {
      const { id } = await requireHomeAgent(db, name);
      const { capacity, weight, target, ike, state } = change;
      if (capacity !== undefined) checkCapacity(capacity);
      if (weight !== undefined) checkWeight(weight);
      const values = {
        ...(capacity === undefined ? {} : { capacity }),
        ...(weight === undefined ? {} : { weight }),
        ...(target === undefined ? {} : { target: target === '' ? null : target }),
        ...(ike === undefined ? {} : { ike: ike.join(',') }),
        ...(state === undefined ? {} : { state }),
        ...(state === 'up' ? { failed_by: null, failed_at: null } : {}),
      };
      if (Object.keys(values).length > 0) {
        await db.updateTable('home_agents').set(values).where('id', '=', id).execute();
      }
      return toHomeAgent(await db.selectFrom('home_agents').selectAll().where('id', '=', id).executeTakeFirstOrThrow());
    },
  }),

  /**
   * Removes a home agent and returns its leases, which have ended. A home agent with leases is removed only with
   * `force`.
   */
  removeHomeAgent: administrative({
    kind: 'write',
    input: (z) => z.strictObject({ name: text(z), force: z.boolean() }),
    async run(db, { name, force }, context): Promise<Lease[]> {
      const { id } = await requireHomeAgent(db, name);
      const pinned = await db
        .selectFrom('subscribers')
        .select('nai')
        .where('home_agent_id', '=', id)
        .executeTakeFirst();
      if (pinned)
        throw new StoreError(
          'ERR_STORE_IN_USE',
          `the subscriber ${pinned.nai} is pinned to ${name}: "subscriber set" changes that`,
        );
      const over = await leases(db).where('leases.home_agent_id', '=', id).execute();
      if (over.length > 0 && !force) {
        const many = over.length === 1 ? '1 lease' : `${over.length} leases`;
        throw new StoreError(
          'ERR_STORE_IN_USE',
          `${name} has ${many}: "home-agent down" moves them, --force ends them`,
        );
      }
      const released: Lease[] = [];
      for (const lease of over) released.push(await release(db, lease, context.now(), context));
      await db.deleteFrom('home_agents').where('id', '=', id).execute();
      return released;
    },
  }),

  /**
   * Records the result of a probe. Ignored for a home agent that an operator took down. Only the server whose probe
   * failed can mark the home agent as alive again, unless that server has been silent for `trust` milliseconds. Returns
   * the home agent if this changed whether it is assigned.
   */
  probedHomeAgent: internal<ProbeOperations['probedHomeAgent']>({
    kind: 'shared',
    measuredAs: 'upkeep',
    async run(db, { name, alive, by, trust }, context) {
      const named = db.selectFrom('home_agents').selectAll().where('name', '=', name);
      const row = await (isPostgres(db) ? named.forNoKeyUpdate() : named).executeTakeFirst();
      if (!row || row.state === 'down') return undefined;
      const now = context.now();
      if (!alive) {
        if (row.failed_by !== null && row.failed_by !== by && (row.failed_at ?? 0) > now - trust) return undefined;
        await db.updateTable('home_agents').set({ failed_by: by, failed_at: now }).where('id', '=', row.id).execute();
        return row.failed_by === null ? toHomeAgent({ ...row, failed_by: by }) : undefined;
      }
      if (row.failed_by === null) return undefined;
      if (row.failed_by !== by && (row.failed_at ?? 0) > now - trust) return undefined;
      await db.updateTable('home_agents').set({ failed_by: null, failed_at: null }).where('id', '=', row.id).execute();
      return toHomeAgent({ ...row, failed_by: null });
    },
  }),

  listHomeAgents: administrative({
    kind: 'read',
    measuredAs: 'upkeep',
    input: (z) => z.strictObject({}),
    async run(db): Promise<HomeAgent[]> {
      return (await db.selectFrom('home_agents').selectAll().orderBy('name').execute()).map(toHomeAgent);
    },
  }),
} as const;

function checkCapacity(capacity: number): void {
  if (Number.isInteger(capacity) && capacity >= 1 && capacity <= MAX_CAPACITY) return;
  throw new StoreError(
    'ERR_STORE_VALUE',
    `a capacity is a whole number from 1${capacity > MAX_CAPACITY ? ` to ${MAX_CAPACITY}` : ''}, not ${capacity}`,
  );
}

function checkWeight(weight: number): void {
  if (Number.isInteger(weight) && weight >= 1 && weight <= 1000) return;
  throw new StoreError('ERR_STORE_VALUE', `a weight is a whole number from 1 to 1000, not ${weight}`);
}
