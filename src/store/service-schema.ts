import type { Generated, Kysely } from 'kysely';
import { PostgresAdapter } from 'kysely';
import type { Service } from '../protocol/mip6/services.js';

export type Migrate = (db: Kysely<unknown>) => Promise<void>;

/** Tables of the services besides Mobile IPv6. See Schema for the types of columns. */
export interface ServiceTables {
  /** Home agents for Mobile IPv4, and rendezvous servers for HIP. */
  service_servers: {
    id: Generated<number>;
    name: string;
    service: Service;
    address: string;
    /** Home addresses of Mobile IPv4. Null for HIP. */
    pool: string | null;
    /** Host Identity Tag of a rendezvous server. Null for Mobile IPv4. */
    hit: string | null;
    capacity: number;
    /** Number of leases, updated with each change. */
    leases: number;
    state: 'up' | 'draining' | 'down';
    target: string | null;
    created_at: number;
  };
  /** At most one for each subscriber and service. A lease ends when the session that has it is no longer stored. */
  service_leases: {
    nai: string;
    service: Service;
    server_id: number;
    /** The home address of Mobile IPv4, unique. */
    address: string | null;
    session_id: string;
    acquired_at: number;
    expires_at: number;
  };
}

/** Mobile IPv4 and HIP. */
export const services: Migrate = async (db) => {
  for (const table of ['subscribers', 'import_rows']) {
    await db.schema
      .alterTable(table)
      .addColumn('services', 'text', (column) => column.notNull().defaultTo('none'))
      .execute();
  }
  const isPostgres = db.getExecutor().adapter instanceof PostgresAdapter;
  await db.schema
    .createTable('service_servers')
    .addColumn('id', 'integer', (column) =>
      isPostgres ? column.primaryKey().generatedByDefaultAsIdentity() : column.primaryKey().autoIncrement(),
    )
    .addColumn('name', 'text', (column) => column.notNull().unique())
    .addColumn('service', 'text', (column) => column.notNull())
    .addColumn('address', 'text', (column) => column.notNull())
    .addColumn('pool', 'text')
    .addColumn('hit', 'text')
    .addColumn('capacity', 'integer', (column) => column.notNull())
    .addColumn('leases', 'integer', (column) => column.notNull().defaultTo(0))
    .addColumn('state', 'text', (column) => column.notNull().defaultTo('up'))
    .addColumn('target', 'text')
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .execute();
  await db.schema
    .createTable('service_leases')
    .addColumn('nai', 'text', (column) => column.notNull())
    .addColumn('service', 'text', (column) => column.notNull())
    .addColumn('server_id', 'integer', (column) => column.notNull().references('service_servers.id'))
    .addColumn('address', 'text', (column) => column.unique())
    .addColumn('session_id', 'text', (column) => column.notNull())
    .addColumn('acquired_at', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('service_leases_by_subscriber', ['nai', 'service'])
    .execute();
  await db.schema.createIndex('service_leases_by_server').on('service_leases').column('server_id').execute();
};
