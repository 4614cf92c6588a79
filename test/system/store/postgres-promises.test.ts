import { once } from 'node:events';
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { StoreEvents } from '../../../src/store/port.js';
import { checkStore, urlProblem } from '../../../src/store/postgres-url.js';
import type { Store } from '../../../src/store/store.js';
import { run } from '../../daemons/program.js';
import { eventually, within } from '../../eventually.js';
import { Postgres, withoutPostgres } from '../../postgres.js';
import { StoreUser, subscriberOf } from '../../store/fixtures.js';
import { openStore } from '../../store/open-store.js';

describe('The URL of a PostgreSQL database', () => {
  it.each(['disable', 'no-verify', 'prefer', 'require', 'verify-ca', 'verify-full'])('accepts sslmode=%s', (mode) => {
    expect(urlProblem(`postgres://db/pana?sslmode=${mode}`, {})).toBeUndefined();
    expect(urlProblem('postgres://db/pana', { PGSSLMODE: mode })).toBeUndefined();
  });

  it.each(['verify_full', 'allow', 'VERIFY-FULL', ''])('rejects sslmode=%s', (mode) => {
    expect(urlProblem(`postgres://db/pana?application_name=x&sslmode=${mode}#x`, {})).toContain(JSON.stringify(mode));
    if (mode !== '') expect(urlProblem('postgres://db/pana', { PGSSLMODE: mode })).toContain('PGSSLMODE');
    // The URL takes precedence.
    expect(urlProblem('postgres://db/pana?sslmode=verify-full', { PGSSLMODE: mode })).toBeUndefined();
  });

  it('is checked with the configuration, unlike the path of a file', () => {
    expect(() => checkStore('postgres://pana:secret@db/pana?sslmode=full', {})).toThrow(
      /^store: postgres:\/\/db\/pana: sslmode "full" is unknown/,
    );
    expect(() => checkStore('/var/db/pana-aaa/store.db?sslmode=full', {})).not.toThrow();
  });

  it.each([
    ['postgres://pana@db:port/pana', 'Invalid URL'],
    ['postgres://pana@127.0.0.1:1/pana?sslmode=verify-full&sslrootcert=/nowhere/ca.pem', '/nowhere/ca.pem'],
  ])('that is invalid is refused permanently: %s', async (url, said) => {
    await expect(openStore(url)).rejects.toMatchObject({
      code: 'ERR_STORE_REFUSED',
      message: expect.stringContaining(said),
    });
    await expect(openStore('postgres://pana@127.0.0.1:1/pana')).rejects.toMatchObject({ code: 'ERR_STORE_OPEN' });
  });

  it('with an unknown sslmode exits with status 2 before any connection', async () => {
    const { status, stderr } = await run('aaa', [
      'stats',
      '--store',
      'postgres://pana@127.0.0.1:1/pana?sslmode=verify_full',
    ]);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^pana-aaa: cannot open the database .*sslmode "verify_full" is unknown: use verify-full/);
  });
});

describe.skipIf(withoutPostgres !== undefined)('A PostgreSQL server', () => {
  let folder: string;
  let postgres: Postgres;
  let open: Store[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pana-store-'));
    postgres = await Postgres.start();
  });

  afterEach(async () => {
    for (const store of open) await store.close();
    open = [];
    vi.unstubAllEnvs();
  });

  afterAll(async () => {
    await postgres?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function begin(url: string, events: StoreEvents = {}): Promise<Store> {
    const store = await openStore(url, { events });
    open.push(store);
    return store;
  }

  /** A database in which built-in functions behave differently, as in systems that only speak its protocol. */
  async function databaseWith(functions: string): Promise<string> {
    const url = await postgres.database();
    await postgres.query(url, `CREATE SCHEMA other; SET search_path = other, pg_catalog; ${functions}`);
    await postgres.query(
      url,
      `ALTER ROLE pana IN DATABASE ${new URL(url).pathname.slice(1)} SET search_path = other, pg_catalog, public`,
    );
    return url;
  }

  it.each([
    [
      'whose advisory locks have no effect',
      `CREATE FUNCTION pg_advisory_xact_lock(int, int) RETURNS void LANGUAGE sql AS '';
       CREATE FUNCTION pg_try_advisory_xact_lock(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT true'`,
      'its advisory locks have no effect',
    ],
    [
      'whose advisory locks outlive their transaction',
      `CREATE FUNCTION pg_advisory_xact_lock(int, int) RETURNS void LANGUAGE sql AS 'SELECT pg_catalog.pg_advisory_lock($1, $2)'`,
      'its advisory locks do not end with their transaction',
    ],
    [
      'that is too old',
      `CREATE FUNCTION current_setting(text, boolean) RETURNS text LANGUAGE sql
       AS 'SELECT CASE $1 WHEN ''server_version_num'' THEN ''90624'' ELSE ''9.6.24'' END'`,
      'PostgreSQL 9.6.24 is too old',
    ],
    [
      'with another isolation level than requested',
      `CREATE FUNCTION current_setting(text) RETURNS text LANGUAGE sql AS 'SELECT ''serializable''::text'`,
      'its transaction isolation is serializable instead of READ COMMITTED',
    ],
  ])('%s is refused at startup with status 2', async (_what, functions, said) => {
    const url = await databaseWith(functions);
    await expect(begin(url)).rejects.toMatchObject({
      code: 'ERR_STORE_REFUSED',
      message: expect.stringContaining(said),
    });
    const { status, stderr } = await run('aaa', ['stats', '--store', url, '--control.socket', join(folder, 'none')]);
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining(said) });
    // No table was created.
    expect(await postgres.query(url, "SELECT 1 FROM pg_tables WHERE tablename = 'subscribers'")).toEqual([]);
  });

  it('may have any transaction defaults, since the store sets its own', async () => {
    const url = await postgres.database();
    const name = new URL(url).pathname.slice(1);
    for (const setting of [
      "default_transaction_isolation = 'serializable'",
      'default_transaction_read_only = on',
      'synchronous_commit = off',
    ]) {
      await postgres.query('postgres', `ALTER DATABASE ${name} SET ${setting}`);
    }
    const [one, other] = [await begin(url), await begin(url)];
    const user = new StoreUser(() => one);
    await user.addAgent(1, { capacity: 100 });
    // A transaction that waited must see what was committed meanwhile.
    await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        (i % 2 === 0 ? one : other).run('addSubscriber', { subscriber: subscriberOf(`mn${i}@home.example`) }),
      ),
    );
    const given = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        new StoreUser(() => (i % 2 === 0 ? one : other)).given(`mn${i}@home.example`, `s${i}`),
      ),
    );
    expect(new Set(given.map(({ lease }) => lease.homeAddress)).size).toBe(40);
    expect(await one.run('listHomeAgents', {})).toMatchObject([{ leases: 40 }]);
  });

  it('with fsync = off causes a warning', async () => {
    const url = await postgres.database();
    await postgres.query('postgres', 'ALTER SYSTEM SET fsync = off');
    await postgres.query('postgres', 'SELECT pg_reload_conf()');
    try {
      await eventually(async () =>
        expect(await postgres.query('postgres', "SELECT current_setting('fsync') AS fsync")).toEqual([
          { fsync: 'off' },
        ]),
      );
      const warnings: string[] = [];
      await begin(url, { warning: (text) => void warnings.push(text) });
      await eventually(async () =>
        expect(await warnings).toEqual([expect.stringMatching(/fsync = off: a power failure may corrupt/)]),
      );
    } finally {
      await postgres.query('postgres', 'ALTER SYSTEM RESET fsync');
      await postgres.query('postgres', 'SELECT pg_reload_conf()');
    }
  });

  it('with a full disk reports ERR_STORE_FULL, still reads, and works again when there is space', async () => {
    const url = await postgres.database();
    const news: string[] = [];
    const store = await begin(url, { state: (works, reason) => void news.push(works ? 'works' : reason) });
    await store.run('addSubscriber', { subscriber: subscriberOf('mn@home.example') });
    await postgres.query(
      url,
      `CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql
         AS $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$;
       CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON subscribers EXECUTE FUNCTION full_disk();
       CREATE TRIGGER full_disk BEFORE UPDATE ON meta EXECUTE FUNCTION full_disk()`,
    );
    const add = () => store.run('addSubscriber', { subscriber: subscriberOf('other@home.example') });
    await expect(add()).rejects.toMatchObject({ name: 'DatabaseError', code: 'ERR_STORE_FULL' });
    expect((await store.run('listSubscribers', {})).items).toHaveLength(1);
    // If a write happened to change nothing, it would prove nothing about the disk.
    await expect(store.run('expire', { limit: 1 })).rejects.toMatchObject({ code: 'ERR_STORE_FULL' });
    expect(news).toEqual([expect.stringMatching(/^the disk of the database postgres:.* is full$/)]);
    await postgres.query(url, 'DROP FUNCTION full_disk CASCADE');
    await add();
    expect(news).toHaveLength(2);
    expect(news[1]).toBe('works');
  });

  it('without a table is unavailable, while a wrong query is an internal error', async () => {
    const url = await postgres.database();
    const news: string[] = [];
    const faults: string[] = [];
    const store = await begin(url, {
      state: (works) => void news.push(works ? 'works' : 'lost'),
      fault: (where, fault) => void faults.push(`${where}: ${fault.message}`),
    });
    await postgres.query(url, 'ALTER TABLE subscribers RENAME COLUMN takeovers TO something');
    await expect(store.run('listSubscribers', {})).rejects.toMatchObject({
      name: 'StoreFault',
      message: expect.stringContaining('(42703)'),
    });
    expect({ news, faults }).toEqual({ news: [], faults: [expect.stringMatching(/^listSubscribers: .*takeovers/)] });
    await postgres.query(url, 'DROP TABLE audit');
    await expect(store.run('listAudit', {})).rejects.toMatchObject({ code: 'ERR_STORE_DOWN' });
    expect(news).toEqual(['lost']);
  });

  it('that requires a missing password makes the program exit at once with status 2', async () => {
    const strict = await Postgres.start();
    try {
      await strict.query('postgres', "ALTER ROLE pana PASSWORD 'secret'");
      // An idle connection may stay open longer than this test.
      await strict.query('postgres', "ALTER SYSTEM SET authentication_timeout = '600s'");
      const hba = join(strict.folder, 'data', 'pg_hba.conf');
      await writeFile(hba, 'host all all all scram-sha-256\n', { mode: 0o600 });
      if (process.getuid?.() === 0) await chown(hba, 65534, 65534);
      await strict.kill();
      await strict.begin();
      const open = join(folder, 'open.pgpass');
      await writeFile(open, '*:*:*:*:secret\n');
      await chmod(open, 0o644);
      for (const [file, said] of [
        [join(folder, 'no.pgpass'), 'there is no file'],
        [open, 'chmod 600'],
      ] as const) {
        const store = ['--store', strict.url('postgres'), '--control.socket', join(folder, 'none')];
        const ended = await run('aaa', ['stats', ...store], { environment: { PGPASSFILE: file } });
        expect(ended).toEqual({ status: 2, stdout: '', stderr: expect.stringContaining(said) });
        expect(ended.stderr.trim().split('\n')).toHaveLength(1);
      }
    } finally {
      await strict.stop();
    }
  });

  it('that is a replica is refused with an error that permits a retry', async () => {
    const replica = await Postgres.start();
    try {
      await replica.kill();
      const signal = join(replica.folder, 'data', 'standby.signal');
      await writeFile(signal, '', { mode: 0o600 });
      if (process.getuid?.() === 0) await chown(signal, 65534, 65534);
      await replica.begin();
      await expect(begin(replica.url('postgres'))).rejects.toMatchObject({
        code: 'ERR_STORE_OPEN',
        message: expect.stringContaining('it is a read-only replica'),
      });
    } finally {
      await replica.stop();
    }
  });

  it('that hangs delays neither an aborted opening nor a close', async () => {
    const silent = createServer();
    silent.listen(0, '127.0.0.1');
    await within(once(silent, 'listening'), 'silent listens');
    const ending = new AbortController();
    const opening = openStore(`postgres://pana@127.0.0.1:${(silent.address() as AddressInfo).port}/pana`, {
      signal: ending.signal,
    });
    const [socket] = await within(once(silent, 'connection'), 'silent gets a connection');
    ending.abort();
    await expect(opening).rejects.toThrow('was aborted');
    // Its thread has ended and its connection is closed.
    if (!socket.destroyed) await within(once(socket.resume(), 'close'), 'the store closes the connection');
    silent.close();
    await expect(openStore('postgres://pana@127.0.0.1/pana', { signal: ending.signal })).rejects.toThrow('was aborted');

    const store = await begin(await postgres.database());
    await store.run('statistics', {});
    await postgres.freeze();
    try {
      const calls = [
        store.run('finishImport', { importId: 'x', update: false }),
        store.run('addSubscriber', { subscriber: subscriberOf('mn@home.example') }),
      ].map((call) => expect(call).rejects.toThrow('the store is closed'));
      await store.close(10);
      await Promise.all(calls);
    } finally {
      postgres.thaw();
    }
  });
});
