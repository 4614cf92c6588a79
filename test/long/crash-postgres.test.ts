import { expect, it } from 'vitest';
import { KILLS, killServer } from '../daemons/crash.js';
import { Postgres, withoutPostgres } from '../postgres.js';

it.skipIf(withoutPostgres !== undefined)(
  `An AAA server killed ${KILLS} times on PostgreSQL loses no granted lease and leaves no lease or transaction behind`,
  { timeout: 900_000 },
  async () => {
    const postgres = await Postgres.start();
    try {
      const url = await postgres.database();
      await killServer(url, 12);
      // A killed server leaves no transaction open in the database.
      const open = await postgres.query(
        url,
        "SELECT 1 FROM pg_stat_activity WHERE application_name = 'pana-aaa' AND state LIKE 'idle in transaction%'",
      );
      expect(open).toEqual([]);
    } finally {
      await postgres.stop();
    }
  },
);
