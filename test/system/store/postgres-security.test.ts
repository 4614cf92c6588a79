import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { issueCertificate, makeCa, validFor } from '../../../src/pki/certificate-authority.js';
import { DatabaseError } from '../../../src/store/database-error.js';
import { run } from '../../daemons/program.js';
import { Postgres, withoutPostgres } from '../../postgres.js';
import { openStore } from '../../store/open-store.js';

const PASSWORD = 'correct:horse\\battery/st@ple';
const WRONG = 'Tr0ub4dor&3';

/** The password as the password file contains it. */
const ESCAPED = 'correct\\:horse\\\\battery/st@ple';

describe.skipIf(withoutPostgres !== undefined)('PostgreSQL with TLS and a password', () => {
  let folder: string;
  let postgres: Postgres;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pana-store-'));
    const ca = await makeCa('Database CA', 'p256', validFor(1));
    await writeFile(join(folder, 'ca.pem'), ca.certificatePem);
    await writeFile(join(folder, 'other.pem'), (await makeCa('Other CA', 'p256', validFor(1))).certificatePem);
    postgres = await Postgres.start();
    await postgres.query('postgres', `CREATE ROLE aaa LOGIN PASSWORD '${PASSWORD}'`);
    await postgres.query('postgres', 'CREATE DATABASE aaa OWNER aaa');
    await postgres.secure(await issueCertificate(ca, { kind: 'server', hosts: ['localhost'] }, validFor(1)));
  });

  afterAll(async () => {
    await postgres?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  afterEach(() => {
    vi.unstubAllEnvs();
  });

  const verified = (ca = 'ca.pem') => `sslmode=verify-full&sslrootcert=${join(folder, ca)}`;

  function url(query = verified(), { host = 'localhost', password = '' } = {}): string {
    return `postgres://aaa${password === '' ? '' : `:${encodeURIComponent(password)}`}@${host}:${postgres.port}/aaa?${query}`;
  }

  async function passwordFile(text: string, { name = 'pgpass', mode = 0o600 } = {}): Promise<string> {
    const path = join(folder, name);
    await rm(path, { force: true });
    await writeFile(path, text, { mode });
    return path;
  }

  /** The user's password after lines that do not match. */
  const lines = (password: string) =>
    `# of the test\nlocalhost:1:aaa:aaa:${WRONG}\n\n*:${postgres.port}:*:postgres:${WRONG}\nlocalhost:*:aaa:aaa:${password}\n`;

  async function open(where: string): Promise<void> {
    const store = await openStore(where);
    expect(await store.run('listHomeAgents', {})).toEqual([]);
    await store.close();
  }

  /** The error of an opening that must fail; asserts that it contains no password. */
  async function refusal(where: string): Promise<string> {
    const error: unknown = await open(where).then(
      () => undefined,
      (reason) => reason,
    );
    expect(error).toBeInstanceOf(DatabaseError);
    const { message } = error as DatabaseError;
    for (const secret of [PASSWORD, ESCAPED, WRONG, encodeURIComponent(PASSWORD)])
      expect(message).not.toContain(secret);
    return message;
  }

  it('accepts the password of the file named by PGPASSFILE', async () => {
    vi.stubEnv('PGPASSFILE', await passwordFile(lines(ESCAPED)));
    await open(url());
  });

  it('accepts the password of ~/.pgpass, for commands too, without further output', async () => {
    await passwordFile(lines(ESCAPED), { name: '.pgpass' });
    const { status, stdout, stderr } = await run(
      'aaa',
      ['home-agent', 'list', '--store', url(), '--control.socket', join(folder, 'aaa.sock')],
      { environment: { HOME: folder } },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^No home agents/);
  });

  it.each(['verify-ca', 'require', 'prefer', 'verify-full'])(
    'has its certificate verified with sslmode=%s, without a driver warning',
    async (mode) => {
      const place = (ca: string) => [
        '--store',
        url(verified(ca).replace('verify-full', mode), { password: PASSWORD }),
        '--control.socket',
        join(folder, 'aaa.sock'),
      ];
      const { status, stderr } = await run('aaa', ['home-agent', 'list', ...place('ca.pem')]);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      const refused = await run('aaa', ['home-agent', 'list', ...place('other.pem')]);
      expect(refused.stderr).toMatch(
        /^pana-aaa: cannot open the database .*: unable to verify the first certificate\n$/,
      );
    },
  );

  it('prefers the password of the URL or PGPASSWORD to that of a file', async () => {
    vi.stubEnv('PGPASSFILE', await passwordFile(lines(WRONG)));
    await open(url(verified(), { password: PASSWORD }));
    vi.stubEnv('PGPASSWORD', PASSWORD);
    await open(url());
  });

  it('is refused with a wrong password', async () => {
    vi.stubEnv('PGPASSFILE', await passwordFile(lines(WRONG)));
    expect(await refusal(url())).toBe(
      `cannot open the database postgres://localhost:${postgres.port}/aaa: password authentication failed for user "aaa"`,
    );
    expect(await refusal(url(verified(), { password: WRONG }))).toContain('password authentication failed');
  });

  it('is refused without a password, with the places that were searched', async () => {
    const none = join(folder, 'none');
    vi.stubEnv('PGPASSFILE', none);
    expect(await refusal(url())).toContain(`requires a password, which neither the URL nor PGPASSWORD contains`);
    expect(await refusal(url())).toContain(`there is no file ${none}`);
    vi.stubEnv('PGPASSFILE', await passwordFile(`localhost:${postgres.port}:other:aaa:${WRONG}\n`));
    expect(await refusal(url())).toContain('has no line for this database and user');
    vi.stubEnv('PGPASSFILE', await passwordFile(lines(ESCAPED), { mode: 0o640 }));
    expect(await refusal(url())).toContain('chmod 600');
  });

  it('is refused if its certificate is of another or an unknown CA', async () => {
    vi.stubEnv('PGPASSFILE', await passwordFile(lines(ESCAPED)));
    for (const query of [verified('other.pem'), 'sslmode=verify-full']) {
      expect(await refusal(url(query))).toBe(
        `cannot open the database postgres://localhost:${postgres.port}/aaa: unable to verify the first certificate`,
      );
    }
    expect(await refusal(url(verified('missing.pem')))).toContain('missing.pem');
  });

  it('is refused if its certificate is of another host', async () => {
    vi.stubEnv('PGPASSFILE', await passwordFile(`*:*:*:*:${ESCAPED}\n`));
    expect(await refusal(url(verified(), { host: '127.0.0.1' }))).toContain("does not match certificate's altnames");
  });

  it('refuses a connection without TLS', async () => {
    vi.stubEnv('PGPASSFILE', await passwordFile(lines(ESCAPED)));
    for (const query of ['sslmode=disable', '']) expect(await refusal(url(query))).toContain('no encryption');
  });

  it('is reported without the password of its URL', async () => {
    for (const password of [PASSWORD, 'a/b', '1/b@c', 'a?b', '1#b@c', 'a b']) {
      const message = await refusal(`postgres://aaa:${password}@localhost:1/aaa`);
      expect(message).toContain('cannot open the database postgres://');
      expect(message).not.toContain(password);
      expect(message).not.toContain('b@c');
    }
  });
});
