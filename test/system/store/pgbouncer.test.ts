import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Store } from '../../../src/store/store.js';
import { Pgbouncer, withoutPgbouncer } from '../../pgbouncer.js';
import { Postgres, withoutPostgres } from '../../postgres.js';
import { StoreUser, subscriberOf } from '../../store/fixtures.js';
import { openStore } from '../../store/open-store.js';

const SUBSCRIBERS = 60;

describe.skipIf(withoutPostgres !== undefined || withoutPgbouncer !== undefined)(
  'A PostgreSQL store behind PgBouncer in transaction mode',
  () => {
    let postgres: Postgres;
    let bouncer: Pgbouncer | undefined;
    let stores: Store[] = [];

    beforeAll(async () => {
      postgres = await Postgres.start();
    });

    afterEach(async () => {
      for (const store of stores) await store.close();
      stores = [];
      await bouncer?.stop();
      bouncer = undefined;
    });

    afterAll(() => postgres?.stop());

    async function open(url: string): Promise<Store> {
      const store = await openStore(url);
      stores.push(store);
      return store;
    }

    it('serves two servers that write at the same time', async () => {
      bouncer = await Pgbouncer.start(postgres.port, 4);
      const url = bouncer.through(await postgres.database());
      const servers = [await open(url), await open(url)] as const;
      const [first] = servers;
      await new StoreUser(() => first).addAgent(1, { capacity: SUBSCRIBERS });
      const rows = Array.from({ length: SUBSCRIBERS }, (_, i) => ({
        line: i + 2,
        subscriber: subscriberOf(`mn${i}@home.example`),
      }));
      await first.run('stageImport', { importId: 'a', rows }, 'root');
      expect(await first.run('finishImport', { importId: 'a', update: false }, 'root')).toBe(SUBSCRIBERS);
      const given = await Promise.all(
        rows.map(({ subscriber }, i) => new StoreUser(() => servers[i % 2] ?? first).given(subscriber.nai, `s${i}`)),
      );
      expect(new Set(given.map(({ lease }) => lease.homeAddress)).size).toBe(SUBSCRIBERS);
      expect(await first.run('listHomeAgents', {})).toMatchObject([{ leases: SUBSCRIBERS }]);
      // The store's settings apply to its transactions only and do not leak into shared connections.
      const settings = await postgres.query<{ setting: string }>(
        url,
        "SELECT current_setting('idle_in_transaction_session_timeout') AS setting",
      );
      expect(settings).toEqual([{ setting: '0' }]);
    });

    it('is refused if the pool has only one connection', async () => {
      bouncer = await Pgbouncer.start(postgres.port, 1);
      await expect(openStore(bouncer.through(await postgres.database()))).rejects.toMatchObject({
        code: 'ERR_STORE_REFUSED',
        message: expect.stringContaining('a connection pooler in front of it needs at least two connections'),
      });
    });
  },
);
