import { expect, it } from 'vitest';
import { killServer } from '../daemons/crash.js';
import { Postgres, withoutPostgres } from '../postgres.js';

it.skipIf(withoutPostgres !== undefined)(
  'a server killed 200 times on PostgreSQL keeps every promise, gives nothing twice and leaks nothing',
  { timeout: 900_000 },
  async () => {
    const postgres = await Postgres.start();
    try {
      const url = await postgres.database();
      await killServer(url, 12);
      // A killed server leaves nothing open in the database.
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
