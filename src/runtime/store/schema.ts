import { type Generated, type Kysely, type Migration, type MigrationProvider, sql } from 'kysely';

/** Flags are 0 and 1, times milliseconds since 1970 in UTC, addresses canonical text: what SQLite and PostgreSQL share. */
export interface Schema {
  subscribers: {
    id: Generated<number>;
    /** In lower case. */
    nai: string;
    enabled: number;
    mip6: number;
    local_ha: number;
    /** `msk`, `emsk`, or null: as the server is configured. */
    psk_root: string | null;
    home_agent_id: number | null;
    hoa: string | null;
    session_lifetime: number | null;
    created_at: number;
  };
  home_agents: {
    id: Generated<number>;
    name: string;
    address: string;
    host: string;
    prefix: string;
    capacity: number;
    weight: number;
    /** Leases that exist, kept with them: assignment never counts. */
    leases: number;
    state: 'up' | 'draining' | 'down';
    target: string | null;
    ike: string;
    created_at: number;
  };
  leases: {
    hoa: string;
    subscriber_id: number;
    home_agent_id: number;
    /** The newest session of the subscriber: only its end releases the lease. */
    session_id: string;
    acquired_at: number;
    expires_at: number;
  };
  sessions: {
    id: string;
    subscriber_id: number;
    /** Origin-Host of the PAA, its Origin-Realm, and its Origin-State-Id, which grows when it forgets its sessions. */
    origin: string;
    origin_realm: string | null;
    origin_state: number | null;
    /** `home`, `local`, or null without Mobile IPv6. */
    kind: string | null;
    ha: string | null;
    hoa: string | null;
    started_at: number;
    expires_at: number;
  };
  /** Who had which home address when, by names that outlive their rows. */
  lease_history: {
    id: Generated<number>;
    hoa: string;
    nai: string;
    home_agent: string;
    acquired_at: number;
    /** Null: it still has it. */
    ended_at: number | null;
  };
  meta: { key: string; value: string };
}

type Migrate = (db: Kysely<unknown>) => Promise<void>;

const first: Migrate = async (db) => {
  await db.schema
    .createTable('home_agents')
    .addColumn('id', 'integer', (column) => column.primaryKey().autoIncrement())
    .addColumn('name', 'text', (column) => column.notNull().unique())
    .addColumn('address', 'text', (column) => column.notNull().unique())
    .addColumn('host', 'text', (column) => column.notNull())
    .addColumn('prefix', 'text', (column) => column.notNull())
    .addColumn('capacity', 'integer', (column) => column.notNull())
    .addColumn('weight', 'integer', (column) => column.notNull().defaultTo(1))
    .addColumn('leases', 'integer', (column) => column.notNull().defaultTo(0))
    .addColumn('state', 'text', (column) => column.notNull().defaultTo('up'))
    .addColumn('target', 'text')
    .addColumn('ike', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addCheckConstraint('within_capacity', sql`leases >= 0`)
    .execute();
  await db.schema
    .createTable('subscribers')
    .addColumn('id', 'integer', (column) => column.primaryKey().autoIncrement())
    .addColumn('nai', 'text', (column) => column.notNull().unique())
    .addColumn('enabled', 'integer', (column) => column.notNull().defaultTo(1))
    .addColumn('mip6', 'integer', (column) => column.notNull().defaultTo(1))
    .addColumn('local_ha', 'integer', (column) => column.notNull().defaultTo(1))
    .addColumn('psk_root', 'text')
    .addColumn('home_agent_id', 'integer', (column) => column.references('home_agents.id'))
    .addColumn('hoa', 'text')
    .addColumn('session_lifetime', 'integer')
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .execute();
  await db.schema
    .createTable('leases')
    .addColumn('hoa', 'text', (column) => column.primaryKey())
    .addColumn('subscriber_id', 'integer', (column) => column.notNull().unique().references('subscribers.id'))
    .addColumn('home_agent_id', 'integer', (column) => column.notNull().references('home_agents.id'))
    .addColumn('session_id', 'text', (column) => column.notNull())
    .addColumn('acquired_at', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .execute();
  await db.schema.createIndex('leases_by_expiry').on('leases').column('expires_at').execute();
  await db.schema
    .createTable('sessions')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('subscriber_id', 'integer', (column) => column.notNull().references('subscribers.id'))
    .addColumn('origin', 'text', (column) => column.notNull())
    .addColumn('kind', 'text')
    .addColumn('ha', 'text')
    .addColumn('hoa', 'text')
    .addColumn('started_at', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .execute();
  await db.schema.createIndex('sessions_by_subscriber').on('sessions').column('subscriber_id').execute();
  await db.schema.createIndex('sessions_by_expiry').on('sessions').column('expires_at').execute();
  await db.schema
    .createTable('meta')
    .addColumn('key', 'text', (column) => column.primaryKey())
    .addColumn('value', 'text', (column) => column.notNull())
    .execute();
};

const origin: Migrate = async (db) => {
  await db.schema.alterTable('sessions').addColumn('origin_realm', 'text').execute();
  await db.schema.alterTable('sessions').addColumn('origin_state', 'bigint').execute();
  await db.schema.createIndex('sessions_by_origin').on('sessions').columns(['origin', 'origin_state']).execute();
};

const history: Migrate = async (db) => {
  await db.schema
    .createTable('lease_history')
    .addColumn('id', 'integer', (column) => column.primaryKey().autoIncrement())
    .addColumn('hoa', 'text', (column) => column.notNull())
    .addColumn('nai', 'text', (column) => column.notNull())
    .addColumn('home_agent', 'text', (column) => column.notNull())
    .addColumn('acquired_at', 'bigint', (column) => column.notNull())
    .addColumn('ended_at', 'bigint')
    .execute();
  await db.schema.createIndex('history_by_address').on('lease_history').columns(['hoa', 'acquired_at']).execute();
  await db.schema.createIndex('history_by_subscriber').on('lease_history').columns(['nai', 'acquired_at']).execute();
  await db.schema.createIndex('history_by_end').on('lease_history').column('ended_at').execute();
  // What is held when the history begins.
  await sql`INSERT INTO lease_history (hoa, nai, home_agent, acquired_at, ended_at)
    SELECT leases.hoa, subscribers.nai, home_agents.name, leases.acquired_at, NULL FROM leases
    JOIN subscribers ON subscribers.id = leases.subscriber_id
    JOIN home_agents ON home_agents.id = leases.home_agent_id`.execute(db);
};

/** In their order; a released one is never changed. */
const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001-first': { up: first },
  '0002-origin': { up: origin },
  '0003-history': { up: history },
};

export const migrations: MigrationProvider = { getMigrations: () => Promise.resolve({ ...MIGRATIONS }) };

/** Names of the migrations that this version knows. */
export const KNOWN_MIGRATIONS: readonly string[] = Object.keys(MIGRATIONS);
