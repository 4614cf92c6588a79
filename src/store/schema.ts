import { type ColumnDefinitionBuilder, CompiledQuery, type Generated, type Kysely, PostgresAdapter, sql } from 'kysely';
import type { ServicePolicy } from '../protocol/home/records.js';
import { BOOTSTRAP_FUNCTIONS } from './postgres-functions.js';
import { HOME_AGENT_SESSION_FUNCTIONS } from './postgres-home-agent-functions.js';
import { SESSION_FUNCTIONS, SESSION_WITH_NAS } from './postgres-session-functions.js';
import { type Migrate, type ServiceTables, services } from './service-schema.js';

/**
 * Flags are 0 and 1, times are milliseconds since 1970 UTC, addresses are canonical text. SQLite and PostgreSQL both
 * support these types.
 */
export interface Schema extends ServiceTables {
  subscribers: {
    id: Generated<number>;
    /** Lower case. */
    nai: string;
    enabled: number;
    mip6: number;
    local_ha: number;
    /** Whether a home agent may deliver the home address by IKEv2. */
    ikev2_hoa: number;
    /** `msk`, `emsk`, or null for the server's default. */
    psk_root: string | null;
    home_agent_id: number | null;
    hoa: string | null;
    session_lifetime: number | null;
    /** The name in the certificate, if it is not the NAI. Lower case. */
    certificate_name: string | null;
    /** The only accepted certificate: 64 hexadecimal digits, lower case. */
    certificate_sha256: string | null;
    /** `one`: a second session is refused while one exists. `replace`: it takes over the lease. */
    sessions: 'one' | 'replace';
    /** `required`: no Mobile IPv6 for a node that does not request its assignment sealed. */
    privacy: 'optional' | 'required';
    services: ServicePolicy;
    /** Number of sessions that took over the lease of a session that had not ended. */
    takeovers: number;
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
    /** Number of leases. It is updated with each change, so that an assignment need not count the rows. */
    leases: number;
    state: 'up' | 'draining' | 'down';
    target: string | null;
    ike: string;
    /**
     * Host of the server whose probe failed, and when it last failed. Null: the home agent answers, or is not probed.
     */
    failed_by: string | null;
    failed_at: number | null;
    created_at: number;
  };
  leases: {
    hoa: string;
    subscriber_id: number;
    home_agent_id: number;
    /** The newest session of the subscriber. Only the end of this session releases the lease. */
    session_id: string;
    acquired_at: number;
    expires_at: number;
  };
  sessions: {
    id: string;
    subscriber_id: number;
    /**
     * Origin-Host, Origin-Realm and Origin-State-Id of the PAA. The last one increases when the PAA loses its sessions.
     */
    origin: string;
    origin_realm: string | null;
    origin_state: number | null;
    /** `home`, `local`, `ikev2` at a home agent, or null without Mobile IPv6. */
    kind: string | null;
    ha: string | null;
    hoa: string | null;
    /**
     * The certificate: its issuer's identifier, a colon, and its serial number (lower-case hexadecimal without leading
     * zeros). Rows of older versions have only the serial number, or null.
     */
    serial: string | null;
    started_at: number;
    expires_at: number;
    /** The attributes by which a RADIUS client knows the session, in hexadecimal. Null: not one of RADIUS. */
    nas: string | null;
    /** Octets from and to the node, and when its NAS last reported them. Null: it never did. */
    octets_in: number | null;
    octets_out: number | null;
    reported_at: number | null;
  };
  /** The history of home addresses. It uses names, which outlive the rows that they name. */
  lease_history: {
    id: Generated<number>;
    hoa: string;
    nai: string;
    home_agent: string;
    acquired_at: number;
    /** Null: still assigned. */
    ended_at: number | null;
  };
  /** Administrative changes. */
  audit: {
    id: Generated<number>;
    at: number;
    who: string;
    /** The name of the operation. */
    what: string;
    /** The arguments of the operation in JSON. They never contain secrets. */
    detail: string;
  };
  /** TLS session ticket keys, shared by the servers of the store: 96 hexadecimal digits. */
  ticket_keys: { id: Generated<number>; valid_from: number; value: string };
  /** Subscribers of an unfinished import. Either all of them are added, or none. */
  import_rows: {
    import_id: string;
    /** Line in the file. */
    line: number;
    nai: string;
    enabled: number;
    mip6: number;
    local_ha: number;
    ikev2_hoa: number;
    psk_root: string | null;
    /** The name of the home agent. */
    home_agent: string | null;
    hoa: string | null;
    session_lifetime: number | null;
    certificate_name: string | null;
    certificate_sha256: string | null;
    sessions: 'one' | 'replace';
    privacy: 'optional' | 'required';
    services: ServicePolicy;
    created_at: number;
  };
  /** Duties: work that follows from commits and is not done. */
  duties: {
    /** Lease or session; a newer duty replaces an older one. See protocol/home/duties.ts. */
    subject: string;
    /** Unique. */
    mark: string;
    /** DutyContent in JSON, which never contains a key. */
    content: string;
    /** Host name and start time of the server that holds the duty; empty and 0 if none does. */
    server: string;
    run: number;
    /** Until this time no other server takes the duty. */
    held_until: number;
  };
  meta: { key: string; value: string };
}

type Build = (column: ColumnDefinitionBuilder) => ColumnDefinitionBuilder;

/** Whether a database is PostgreSQL. */
export function isPostgres(db: Kysely<unknown> | Kysely<Schema>): boolean {
  return db.getExecutor().adapter instanceof PostgresAdapter;
}

/** A generated number: AUTOINCREMENT in SQLite, an identity column in PostgreSQL. */
function identity(db: Kysely<unknown>): Build {
  return (column) =>
    isPostgres(db) ? column.primaryKey().generatedByDefaultAsIdentity() : column.primaryKey().autoIncrement();
}

const first: Migrate = async (db) => {
  await db.schema
    .createTable('home_agents')
    .addColumn('id', 'integer', identity(db))
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
    .addColumn('id', 'integer', identity(db))
    .addColumn('nai', 'text', (column) => column.notNull().unique())
    .addColumn('enabled', 'integer', (column) => column.notNull().defaultTo(1))
    .addColumn('mip6', 'integer', (column) => column.notNull().defaultTo(1))
    .addColumn('local_ha', 'integer', (column) => column.notNull().defaultTo(1))
    .addColumn('psk_root', 'text')
    .addColumn('home_agent_id', 'integer', (column) => column.references('home_agents.id'))
    .addColumn('hoa', 'text')
    // Seconds up to 2^32, which SQLite's integer can hold.
    .addColumn('session_lifetime', isPostgres(db) ? 'bigint' : 'integer')
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
    .addColumn('id', 'integer', identity(db))
    .addColumn('hoa', 'text', (column) => column.notNull())
    .addColumn('nai', 'text', (column) => column.notNull())
    .addColumn('home_agent', 'text', (column) => column.notNull())
    .addColumn('acquired_at', 'bigint', (column) => column.notNull())
    .addColumn('ended_at', 'bigint')
    .execute();
  await db.schema.createIndex('history_by_address').on('lease_history').columns(['hoa', 'acquired_at']).execute();
  await db.schema.createIndex('history_by_subscriber').on('lease_history').columns(['nai', 'acquired_at']).execute();
  await db.schema.createIndex('history_by_end').on('lease_history').column('ended_at').execute();
  // The history begins with the current leases.
  await sql`INSERT INTO lease_history (hoa, nai, home_agent, acquired_at, ended_at)
    SELECT leases.hoa, subscribers.nai, home_agents.name, leases.acquired_at, NULL FROM leases
    JOIN subscribers ON subscribers.id = leases.subscriber_id
    JOIN home_agents ON home_agents.id = leases.home_agent_id`.execute(db);
};

const operator: Migrate = async (db) => {
  const add = (table: string, name: string, type: 'text' | 'integer' | 'bigint', build?: Build) =>
    db.schema.alterTable(table).addColumn(name, type, build).execute();
  await add('subscribers', 'certificate_name', 'text');
  await add('subscribers', 'certificate_sha256', 'text');
  await add('subscribers', 'sessions', 'text', (column) => column.notNull().defaultTo('replace'));
  await add('subscribers', 'takeovers', 'integer', (column) => column.notNull().defaultTo(0));
  await add('home_agents', 'failed_by', 'text');
  await add('home_agents', 'failed_at', 'bigint');
  await add('sessions', 'serial', 'text');
  const unique = (name: string, table: string, column: string) =>
    db.schema.createIndex(name).on(table).column(column).unique().execute();
  await unique('subscribers_by_certificate_name', 'subscribers', 'certificate_name');
  await unique('subscribers_by_certificate', 'subscribers', 'certificate_sha256');
  const index = (name: string, table: string, columns: string[]) =>
    db.schema.createIndex(name).on(table).columns(columns).execute();
  await index('subscribers_by_home_agent', 'subscribers', ['home_agent_id']);
  await index('leases_by_session', 'leases', ['session_id']);
  await index('leases_by_home_agent', 'leases', ['home_agent_id', 'hoa']);
  await index('sessions_by_home_agent', 'sessions', ['ha', 'id']);
  await index('sessions_by_serial', 'sessions', ['serial']);
  await db.schema
    .createTable('audit')
    .addColumn('id', 'integer', identity(db))
    .addColumn('at', 'bigint', (column) => column.notNull())
    .addColumn('who', 'text', (column) => column.notNull())
    .addColumn('what', 'text', (column) => column.notNull())
    .addColumn('detail', 'text', (column) => column.notNull())
    .execute();
  await db.schema
    .createTable('ticket_keys')
    .addColumn('id', 'integer', identity(db))
    .addColumn('valid_from', 'bigint', (column) => column.notNull().unique())
    .addColumn('value', 'text', (column) => column.notNull())
    .execute();
  await db.schema
    .createTable('import_rows')
    .addColumn('import_id', 'text', (column) => column.notNull())
    .addColumn('line', 'integer', (column) => column.notNull())
    .addColumn('nai', 'text', (column) => column.notNull())
    .addColumn('enabled', 'integer', (column) => column.notNull())
    .addColumn('mip6', 'integer', (column) => column.notNull())
    .addColumn('local_ha', 'integer', (column) => column.notNull())
    .addColumn('psk_root', 'text')
    .addColumn('home_agent', 'text')
    .addColumn('hoa', 'text')
    .addColumn('session_lifetime', 'bigint')
    .addColumn('certificate_name', 'text')
    .addColumn('certificate_sha256', 'text')
    .addColumn('sessions', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('import_rows_by_nai', ['import_id', 'nai'])
    .execute();
};

/** An address is pinned to one subscriber. The index is not unique, because earlier versions accepted duplicates. */
const pins: Migrate = async (db) => {
  await db.schema.createIndex('subscribers_by_home_address').on('subscribers').column('hoa').execute();
};

/** PostgreSQL's integer has 31 bits. A million leases a day would exhaust it in six years. */
const wide: Migrate = async (db) => {
  if (!isPostgres(db)) return;
  for (const table of ['lease_history', 'audit']) {
    await db.schema
      .alterTable(table)
      .alterColumn('id', (column) => column.setDataType('bigint'))
      .execute();
  }
};

/** Duties survive the server that created them. */
const duties: Migrate = async (db) => {
  await db.schema
    .createTable('duties')
    .addColumn('subject', 'text', (column) => column.primaryKey())
    .addColumn('mark', 'text', (column) => column.notNull())
    .addColumn('content', 'text', (column) => column.notNull())
    .addColumn('server', 'text', (column) => column.notNull())
    .addColumn('run', 'bigint', (column) => column.notNull())
    .addColumn('held_until', 'bigint', (column) => column.notNull())
    .execute();
  await db.schema.createIndex('duties_by_time').on('duties').column('held_until').execute();
};

/** PostgreSQL runs what servers do most often as functions. */
const functions: Migrate = async (db) => {
  if (!isPostgres(db)) return;
  for (const text of [...BOOTSTRAP_FUNCTIONS, ...SESSION_FUNCTIONS]) {
    await db.executeQuery(CompiledQuery.raw(text));
  }
};

/** What RADIUS clients report about their sessions. */
const accounting: Migrate = async (db) => {
  const add = (name: string, type: 'text' | 'bigint') =>
    db.schema.alterTable('sessions').addColumn(name, type).execute();
  await add('nas', 'text');
  await add('octets_in', 'bigint');
  await add('octets_out', 'bigint');
  await add('reported_at', 'bigint');
  if (isPostgres(db)) await db.executeQuery(CompiledQuery.raw(SESSION_WITH_NAS));
};

/** Home agents deliver home addresses by IKEv2. */
const homeAgentSessions: Migrate = async (db) => {
  for (const table of ['subscribers', 'import_rows']) {
    await db.schema
      .alterTable(table)
      .addColumn('ikev2_hoa', 'integer', (column) => column.notNull().defaultTo(0))
      .execute();
  }
  if (!isPostgres(db)) return;
  for (const text of HOME_AGENT_SESSION_FUNCTIONS) await db.executeQuery(CompiledQuery.raw(text));
};

/** Subscribers whose home agent no access network may learn. */
const privacy: Migrate = async (db) => {
  for (const table of ['subscribers', 'import_rows']) {
    await db.schema
      .alterTable(table)
      .addColumn('privacy', 'text', (column) => column.notNull().defaultTo('optional'))
      .execute();
  }
};

/** The migrations in order. A released migration is never changed. Each runs in one transaction. */
export const MIGRATIONS: Readonly<Record<string, Migrate>> = {
  '0001-first': first,
  '0002-origin': origin,
  '0003-history': history,
  '0004-operator': operator,
  '0005-pins': pins,
  '0006-wide': wide,
  '0007-duties': duties,
  '0008-functions': functions,
  '0009-accounting': accounting,
  '0010-home-agent-sessions': homeAgentSessions,
  '0011-privacy': privacy,
  '0012-services': services,
};

/** Names of the migrations that this version contains. */
export const KNOWN_MIGRATIONS: readonly string[] = Object.keys(MIGRATIONS);
