import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import type { DaemonName } from '../../../dist/lab/daemon-process.js';
import { Lab } from '../../../dist/lab/lab.js';
import { DAY, issueCertificate, makeCa } from '../../../src/pki/certificate-authority.js';
import { type Ended, run } from '../../daemons/program.js';
import { within } from '../../eventually.js';

let lab: Lab;

beforeAll(async () => {
  lab = await Lab.make();
  const { daemon, place } = await lab.startAaa();
  const { daemon: paa } = await lab.startPaa(place);
  await lab.addSubscriber('mn1@home.example', 'mn1');
  await lab.configurePac('mn1');
  await paa.stop();
  await daemon.stop();
});

afterAll(() => lab.close());

/** Asserts exit status 2 and a message for the operator without a stack. */
function expectRefusal(ended: Ended, ...parts: readonly (string | RegExp)[]): void {
  expectMessage(ended, parts);
  expect(ended.status).toBe(2);
}

/** Like `expectRefusal`, but expects status 1: the condition may pass, so a service manager tries again. */
function expectFailure(ended: Ended, ...parts: readonly (string | RegExp)[]): void {
  expectMessage(ended, parts);
  expect(ended.status).toBe(1);
}

function expectMessage({ stderr }: Ended, parts: readonly (string | RegExp)[]): void {
  for (const part of parts) expect(stderr).toMatch(part);
  expect(stderr).not.toMatch(/\n\s+at /);
}

/** Runs a daemon with a changed configuration of the lab. */
async function runWith(
  daemon: DaemonName,
  name: string,
  change: (tree: Record<string, Record<string, unknown>>) => void,
  command = 'run',
): Promise<Ended & { readonly path: string }> {
  const tree = parse(await readFile(lab.path(`${name}.yaml`), 'utf8')) as Record<string, Record<string, unknown>>;
  change(tree);
  const path = lab.path('changed.yaml');
  await writeFile(path, stringify(tree));
  return { ...(await run(daemon, [command, '-c', path])), path };
}

describe('Configuration file', () => {
  it('with an unknown key is rejected with file, line and a suggestion', async () => {
    const path = lab.path('unknown.yaml');
    await writeFile(path, 'log:\n  level: info\npana:\n  paa: ["::1"]\n  prot: 716\n');
    const ended = await run('pac', ['check-config', '-c', path]);
    expectRefusal(ended, `${path}:5: pana.prot: unknown key; did you mean "port"?`);
  });

  it('with an unknown section is rejected, and the known ones are listed', async () => {
    const ended = await runWith('paa', 'paa', (tree) => Object.assign(tree, { kerberos: {} }));
    expectRefusal(ended, /:\d+: kerberos: unknown key; known keys: log, aaa, control, pana/);
  });

  it('with a wrong type is rejected with line and expected type', async () => {
    const path = lab.path('type.yaml');
    await writeFile(path, 'pana:\n  paa: ["::1"]\n  port: many\n');
    expectRefusal(
      await run('pac', ['run', '-c', path]),
      `${path}:3: pana.port: expected number`,
      'UDP port of the PAA',
    );
  });

  it('with several invalid values is rejected with each of them', async () => {
    const path = lab.path('values.yaml');
    await writeFile(path, 'pana:\n  paa: ["::g"]\n  port: 70000\n  ping-interval: soon\n');
    expectRefusal(
      await run('pac', ['run', '-c', path]),
      `${path}:2: pana.paa.0: "::g" is not an IP address`,
      `${path}:3: pana.port: `,
      `${path}:4: pana.ping-interval: "soon" is not a duration such as 500ms, 30s, 5m or 2h`,
    );
  });

  it('that is missing, invalid YAML or no map is rejected', async () => {
    expectRefusal(await run('aaa', ['run', '-c', lab.path('none.yaml')]), 'cannot read the configuration', 'ENOENT');
    expectRefusal(await run('aaa', ['run', '-c']), '-c needs the name of the configuration file');
    await writeFile(lab.path('broken.yaml'), 'log:\n  level: "info\n');
    expectRefusal(await run('aaa', ['run', '-c', lab.path('broken.yaml')]), /broken\.yaml:\d: not YAML/);
    await writeFile(lab.path('list.yaml'), '- a\n- b\n');
    expectRefusal(
      await run('aaa', ['run', '-c', lab.path('list.yaml')]),
      /list\.yaml:1: the configuration must be a map/,
    );
  });

  it('that lets no peer connect to the server is rejected', async () => {
    const ended = await runWith(
      'aaa',
      'aaa',
      (tree) => Object.assign(tree['diameter'] ?? {}, { plain: false }),
      'check-config',
    );
    expectRefusal(ended, 'diameter.tls is missing: no peer could connect with diameter.plain off');
  });

  it('without a PAA is accepted, since the default router is used', async () => {
    const ended = await runWith('pac', 'mn1', (tree) => Object.assign(tree['pana'] ?? {}, { paa: [] }), 'check-config');
    expect(ended.status).toBe(0);
  });

  it('with an interface that does not exist is accepted with a warning, since it may appear', async () => {
    const ended = await runWith(
      'pac',
      'mn1',
      (tree) => Object.assign(tree['pana'] ?? {}, { interface: 'nosuch0' }),
      'check-config',
    );
    expectMessage(ended, ['pana.interface: this host has no interface nosuch0 now']);
    expect(ended.status).toBe(0);
  });

  it('that lacks required keys is rejected with their names', async () => {
    expectRefusal(await run('aaa', ['check-config']), 'diameter.host is missing', 'tls.key is missing: PEM file');
  });

  it('is overridden by the environment, and this by flags; errors name the source', async () => {
    const path = lab.path('mn1.yaml');
    const environment = { PANA_PAC_PANA_PORT: 'x', PANA_PAC_LOG_LEVEL: 'loud' };
    const ended = await run('pac', ['check-config', '-c', path, '--pana.port', '0'], { environment });
    expectRefusal(ended, '--pana.port: must be', /PANA_PAC_LOG_LEVEL: log\.level: must be one of trace, debug, /);
    expect(ended.stderr).not.toContain('PANA_PAC_PANA_PORT');
    const misspelt = await run('pac', ['check-config', '-c', path], { environment: { PANA_PAC_TLS_SERVERNAME: 'x' } });
    expect(misspelt.status).toBe(0);
    expect(misspelt.stderr).toMatch(/^warning: PANA_PAC_TLS_SERVERNAME: .*did you mean PANA_PAC_TLS_SERVER_NAME\?$/m);
    const good = { PANA_PAC_TLS_MIN_VERSION: '1.2', PANA_PAC_PANA_PAA: '::1,192.0.2.1' };
    expect(
      await run('pac', ['check-config', '-c', path, '--tls.max-version', '1.3'], { environment: good }),
    ).toMatchObject({
      status: 0,
      stdout: 'The configuration is valid.\n',
    });
  });

  it('may contain a TLS version without quotes', async () => {
    const path = lab.path('unquoted.yaml');
    const text = await readFile(lab.path('mn1.yaml'), 'utf8');
    await writeFile(path, text.replace('tls:\n', 'tls:\n  min-version: 1.2\n'));
    expect((await run('pac', ['check-config', '-c', path])).status).toBe(0);
  });
});

describe('Certificates and keys', () => {
  it('that are missing are rejected with the name of the option', async () => {
    const ended = await runWith('pac', 'mn1', (tree) => Object.assign(tree['tls'] ?? {}, { ca: '/nowhere/ca.pem' }));
    expectRefusal(ended, 'tls.ca: cannot read /nowhere/ca.pem: no such file');
  });

  it('are rejected if the certificate file holds none', async () => {
    const ended = await runWith('aaa', 'aaa', (tree) =>
      Object.assign(tree['tls'] ?? {}, { certificate: lab.path('aaa.yaml') }),
    );
    expectRefusal(ended, 'contains no certificate in PEM');
  });

  it('are rejected if the key does not match the certificate', async () => {
    for (const [daemon, name] of [
      ['pac', 'mn1'],
      ['aaa', 'aaa'],
    ] as const) {
      const other = lab.path('pki', name === 'aaa' ? 'mn1-key.pem' : 'aaa-key.pem');
      const ended = await runWith(daemon, name, (tree) => Object.assign(tree['tls'] ?? {}, { key: other }));
      expectRefusal(ended, `tls.key: ${other} is not the key of the certificate`);
    }
  });

  it('are rejected if the CA or the certificate has expired', async () => {
    const validity = { notBefore: new Date(Date.now() - 3 * DAY), notAfter: new Date(Date.now() - DAY) };
    const ca = await makeCa('Old CA', 'p256', validity);
    await writeFile(lab.path('old-ca.pem'), ca.certificatePem);
    const old = await runWith('aaa', 'aaa', (tree) => Object.assign(tree['tls'] ?? {}, { ca: lab.path('old-ca.pem') }));
    expectRefusal(old, /tls\.ca: .*old-ca\.pem \(CN=Old CA\) has expired/);
    const issued = await issueCertificate(ca, { kind: 'client', nai: 'mn1@home.example' }, validity);
    await writeFile(lab.path('old.pem'), issued.certificatePem);
    await writeFile(lab.path('old-key.pem'), issued.keyPem, { mode: 0o600 });
    const files = { certificate: lab.path('old.pem'), key: lab.path('old-key.pem') };
    expectRefusal(
      await runWith('pac', 'mn1', (tree) => Object.assign(tree['tls'] ?? {}, files)),
      /tls\.certificate: .* has expired/,
    );
  });

  it('are rejected if the CRL file holds no CRL', async () => {
    const ended = await runWith('aaa', 'aaa', (tree) =>
      Object.assign(tree['tls'] ?? {}, { crl: lab.path('pki', 'ca.pem') }),
    );
    expectRefusal(ended, 'tls.crl: ', 'is not a CRL in PEM');
  });
});

describe('Start of a daemon', () => {
  it('fails and names the address that is in use: PANA, Diameter and metrics', async () => {
    const udp = createSocket('udp6');
    udp.bind(0, '::1');
    await within(once(udp, 'listening'), 'udp listens');
    const { port } = udp.address();
    expectFailure(
      await runWith('paa', 'paa', (tree) => Object.assign(tree['pana'] ?? {}, { port })),
      new RegExp(`::1 port ${port}: the address is in use by another program \\(EADDRINUSE\\)`),
    );
    udp.close();
    const tcp = createServer().listen(0, '::1');
    await within(once(tcp, 'listening'), 'tcp listens');
    const taken = (tcp.address() as { port: number }).port;
    expectFailure(
      await runWith('aaa', 'aaa', (tree) => Object.assign(tree['diameter'] ?? {}, { port: taken })),
      `::1 port ${taken}: the address is in use by another program`,
    );
    expectFailure(
      await runWith('aaa', 'aaa', (tree) => {
        Object.assign(tree['diameter'] ?? {}, { port: 0 });
        Object.assign(tree['control'] ?? {}, { metrics: `[::1]:${taken}` });
      }),
      `::1 port ${taken}: the address is in use by another program`,
    );
    tcp.close();
  });

  it('fails and names an address that the host does not have', async () => {
    const ended = await runWith('paa', 'paa', (tree) =>
      Object.assign(tree['pana'] ?? {}, { listen: ['2001:db8::77'] }),
    );
    expectFailure(ended, '2001:db8::77 port ', 'this host has no such address');
  });

  it('refuses a database of a newer version', async () => {
    const path = lab.path('newer.db');
    const place = ['--store', path, '--control.socket', lab.socket('none')];
    expect((await run('aaa', ['subscriber', 'add', 'mn@home.example', ...place])).status).toBe(0);
    const file = new Database(path);
    file.prepare("INSERT INTO kysely_migration (name, timestamp) VALUES ('9999-later', '2030-01-01')").run();
    file.close();
    expectRefusal(
      await runWith('aaa', 'aaa', (tree) => Object.assign(tree, { store: path })),
      `the database ${path} was written by a newer version of pana-mip6 (migration 9999-later): upgrade this one`,
    );
  });

  it('fails if the store file is not a database', async () => {
    await writeFile(lab.path('not.db'), 'this is not a database, and long enough to be looked at as one. '.repeat(10));
    const ended = await runWith('aaa', 'aaa', (tree) => Object.assign(tree, { store: lab.path('not.db') }));
    expectFailure(ended, 'cannot open the database', 'not a database');
  });

  it('fails if the database does not answer, without printing its password', async () => {
    const store = `postgres://pana:geheim@localhost/pana?host=${lab.path('nobody')}`;
    const ended = await runWith('aaa', 'aaa', (tree) => Object.assign(tree, { store }));
    expectFailure(ended, 'cannot open the database postgres://localhost/pana');
    expect(ended.stderr).not.toContain('geheim');
  });

  it('fails with status 1 if a certificate is not valid yet, because the clock may be wrong', async () => {
    const [notBefore, notAfter] = [new Date(Date.now() + DAY), new Date(Date.now() + 2 * DAY)];
    const ca = await makeCa('A later CA', 'p256', { notBefore, notAfter });
    await writeFile(lab.path('later.pem'), ca.certificatePem);
    const ended = await runWith('aaa', 'aaa', (tree) =>
      Object.assign(tree['tls'] ?? {}, { ca: lab.path('later.pem') }),
    );
    expectFailure(ended, 'later.pem', 'is not valid before', 'and the clock says');
  });

  it('fails if another daemon uses the control socket', async () => {
    const running = lab.start('aaa', 'aaa', lab.path('aaa.yaml'));
    await running.line('ready');
    const other = ['--diameter.port', '0', '--store', lab.path('other.db')];
    expectRefusal(await run('aaa', ['run', '-c', lab.path('aaa.yaml'), ...other]), 'another daemon uses');
    expect(await running.stop()).toBe(0);
  });
});

describe('Commands', () => {
  it('that are misspelled or incomplete are rejected with a hint', async () => {
    expectRefusal(await run('pac', ['stauts']), 'there is no command "stauts"; did you mean "status"?');
    expectRefusal(await run('pac', []), 'Name a command');
    expectRefusal(await run('aaa', ['subscriber']), 'Name a command: add, set, list, show, enable');
    expectRefusal(await run('aaa', ['home-agent', 'add', 'ha9']), 'Missing required arguments: address, host, prefix');
  });

  it('to a daemon that is not running fail and name its control socket', async () => {
    expectRefusal(
      await run('paa', ['status', '--control.socket', lab.socket('nobody')]),
      'no daemon runs with the control socket',
    );
  });

  it('reject duplicates, unknown names, and names that hooks could not handle', async () => {
    const store = ['--store', lab.path('names.db'), '--control.socket', lab.socket('nobody')];
    for (const nai of ['$(reboot)@home.example', "a'b@home.example", '.hidden@home.example', 'a..b', 'x'.repeat(300)]) {
      expectRefusal(await run('aaa', ['subscriber', 'add', nai, ...store]), 'cannot be a subscriber: it ');
    }
    const warned = await run('aaa', ['subscriber', 'add', 'mn1', ...store]);
    expect(warned).toMatchObject({ status: 0, stdout: 'Added mn1.\n' });
    expect(warned.stderr).toContain('warning: mn1 has no realm: ');
    expect((await run('aaa', ['subscriber', 'add', 'mn2', '--certificate-name', 'x', ...store])).stderr).toBe('');
    const agent = ['--address', '2001:db8:1::1', '--host', 'ha.home.example', '--prefix', '2001:db8:1::/48', ...store];
    expectRefusal(
      await run('aaa', ['home-agent', 'add', 'ha', ...agent]),
      'is not a /64 prefix with zeros behind it, such as 2001:db8:1::/64',
    );
    expect((await run('aaa', ['subscriber', 'add', 'mn@home.example', ...store])).status).toBe(0);
    expectRefusal(
      await run('aaa', ['subscriber', 'add', 'MN@home.example', ...store]),
      'mn@home.example already exists',
    );
    expectRefusal(await run('aaa', ['subscriber', 'remove', 'nobody@home.example', ...store]), 'no subscriber nobody');
  });
});
