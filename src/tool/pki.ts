import { join } from 'node:path';
import type { Argv } from 'yargs';
import type { CertificateSubject, KeyKind } from '../pki/certificate-authority.js';
import type { PkiEntry } from '../pki/folder.js';
import { print, table } from '../runtime/cli/cli.js';
import { OperatorError } from '../runtime/system/failure.js';

const dir = { type: 'string', default: 'pki', description: 'folder of the CA' } as const;
/** Milliseconds in a day. */
const DAY = 86_400_000;

const kind = {
  type: 'string',
  choices: ['rsa', 'p256'],
  description: 'type of key: RSA with 2048 bits, or P-256, which needs less CPU time',
} as const;

function days(fallback: number) {
  return { type: 'number', default: fallback, description: 'days of validity' } as const;
}

const crlDays = { type: 'number', description: 'days until the CRL expires' } as const;

function daysOf(value: unknown): number {
  const number = Number(value);
  if (Number.isFinite(number) && number > 0) return number;
  throw new OperatorError(`--days: ${String(value)} is not a number of days`);
}

async function folderOf(path: unknown) {
  const { PkiFolder } = await import('../pki/folder.js');
  return new PkiFolder(String(path));
}

/** `pana-mip6 pki`. */
export function pkiCommands(cli: Argv): Argv {
  return cli
    .command(
      'init',
      'Create a CA: ca.pem, ca-key.pem and an empty crl.pem',
      (init) =>
        init
          .option('dir', dir)
          .option('name', { type: 'string', default: 'pana-mip6 CA', description: 'common name of the CA' })
          .option('keys', { ...kind, default: 'p256' })
          .option('days', days(3650))
          .option('crl-days', { ...crlDays, default: 30 })
          .example('pana-mip6 pki init --dir /etc/pana-mip6/pki', ''),
      async (argv) => {
        const folder = await folderOf(argv.dir);
        await folder.init(argv.name, argv.keys as KeyKind, daysOf(argv.days), daysOf(argv['crl-days']));
        print(`Made ${join(argv.dir, 'ca.pem')}, ${join(argv.dir, 'ca-key.pem')} and ${join(argv.dir, 'crl.pem')}.`);
      },
    )
    .command(
      'issue <name>',
      'Issue a certificate: NAME.pem and NAME-key.pem',
      (issue) =>
        issue
          .positional('name', { type: 'string', demandOption: true, description: 'base name of the files' })
          .option('dir', dir)
          .option('client', { type: 'string', description: 'certificate of a mobile node: its NAI' })
          .option('server', {
            type: 'string',
            description: 'certificate of a server: its host names, separated by commas',
          })
          .option('keys', { ...kind, description: 'type of key [default: that of the CA]' })
          .option('days', {
            type: 'number',
            description: 'days of validity [default: 365, at most until the CA expires]',
          })
          .example('pana-mip6 pki issue aaa --server aaa.home.example', 'for pana-aaa')
          .example('pana-mip6 pki issue mn1 --client mn1@home.example', 'for pana-pac'),
      async (argv) => {
        const folder = await folderOf(argv.dir);
        const { validFor } = await import('../pki/certificate-authority.js');
        const path = await folder.issue(
          argv.name,
          subjectOf(argv.client, argv.server),
          { ...validFor(daysOf(argv.days ?? 365)), mayShorten: argv.days === undefined },
          argv.keys as KeyKind | undefined,
        );
        print(`Made ${path} and ${path.replace(/\.pem$/, '-key.pem')}.`);
      },
    )
    .command(
      'renew <name>',
      'Renew a certificate with the same names and key; "ca": the CA certificate',
      (renew) =>
        renew
          .positional('name', {
            type: 'string',
            demandOption: true,
            description: 'name given to "pki issue", or ca',
          })
          .option('dir', dir)
          .option('new-key', { type: 'boolean', description: 'also create a new key: NAME-key.pem' })
          .option('keys', { ...kind, description: 'type of the new key [default: that of the CA]' })
          .option('days', {
            type: 'number',
            description: 'days of validity [default: 365, at most until the CA expires; 3650 for the CA]',
          })
          .example('pana-mip6 pki renew aaa', 'pana-aaa loads the new file automatically')
          .example('pana-mip6 pki renew mn1 --new-key', 'copy both files to the mobile node'),
      async (argv) => {
        const folder = await folderOf(argv.dir);
        const { validFor } = await import('../pki/certificate-authority.js');
        const fallback = argv.name === 'ca' ? 3650 : 365;
        const newKey = argv['new-key'] === true ? { kind: argv.keys as KeyKind | undefined } : undefined;
        const path = await folder.renew(
          argv.name,
          { ...validFor(daysOf(argv.days ?? fallback)), mayShorten: argv.days === undefined },
          newKey,
        );
        print(`Made ${path}${newKey ? ` and ${path.replace(/\.pem$/, '-key.pem')}` : ', for the same key'}.`);
      },
    )
    .command(
      'crl',
      'Issue a new CRL, before the old one expires',
      (crl) =>
        crl
          .option('dir', dir)
          .option('days', { ...crlDays, description: `${crlDays.description} [default: as for the last CRL]` })
          .example('pana-mip6 pki crl --dir /etc/pana-mip6/pki', 'run weekly by cron'),
      async (argv) => {
        const folder = await folderOf(argv.dir);
        const until = await folder.renewCrl(argv.days === undefined ? undefined : daysOf(argv.days));
        print(`Made ${join(argv.dir, 'crl.pem')}, valid until ${until.toISOString()}.`);
      },
    )
    .command(
      'list',
      'List the CA, the CRL and the certificates with the days until they expire',
      (list) =>
        list
          .option('dir', dir)
          .option('json', { type: 'boolean', description: 'print JSON' })
          .example('pana-mip6 pki list', ''),
      async (argv) => {
        const entries = await (await folderOf(argv.dir)).list();
        print(argv.json === true ? JSON.stringify({ items: entries }) : listOf(entries, Date.now()));
      },
    )
    .command(
      'revoke <name>',
      'Revoke a certificate and those that it replaced, and update crl.pem',
      (revoke) =>
        revoke
          .positional('name', { type: 'string', demandOption: true, description: 'name given to "pki issue"' })
          .option('dir', dir)
          .example('pana-mip6 pki revoke mn1', 'pana-aaa loads the new CRL automatically'),
      async (argv) => {
        const folder = await folderOf(argv.dir);
        const count = await folder.revoke(argv.name);
        const all = count > 1 ? `, ${count} certificates` : '';
        print(`${argv.name} is revoked${all}: ${join(argv.dir, 'crl.pem')}.`);
      },
    )
    .example('pana-mip6 pki init && pana-mip6 pki issue mn1 --client mn1@home.example', 'a CA and a mobile node')
    .demandCommand(1, 'Name a command: init, issue, renew, revoke, crl, list');
}

function listOf(entries: readonly PkiEntry[], now: number): string {
  return table(
    ['NAME', 'KIND', 'STATE', 'DAYS', 'UNTIL', 'FOR', 'SERIAL'],
    entries.map(({ name, kind, state, notAfter, subject, serial }) => [
      name,
      kind,
      state,
      String(Math.floor((notAfter - now) / DAY)),
      Number.isFinite(notAfter) ? new Date(notAfter).toISOString().slice(0, 10) : 'forever',
      subject,
      serial,
    ]),
  );
}

function subjectOf(client: string | undefined, server: string | undefined): CertificateSubject {
  if (client !== undefined && server === undefined) return { kind: 'client', nai: client };
  if (server !== undefined && client === undefined) {
    return { kind: 'server', hosts: server.split(',').map((host) => host.trim()) };
  }
  throw new OperatorError('give either --client NAI or --server HOST');
}
