import { join } from 'node:path';
import type { Argv } from 'yargs';
import { print } from '../runtime/cli.js';
import { OperatorError } from '../runtime/failure.js';
import type { CertificateSubject, KeyKind } from '../runtime/pki.js';

const dir = { type: 'string', default: 'pki', description: 'folder of the CA' } as const;
const kind = {
  type: 'string',
  choices: ['rsa', 'p256'],
  description: 'keys: RSA 2048 or P-256, whose handshakes cost less',
} as const;

function days(fallback: number) {
  return { type: 'number', default: fallback, description: 'days that it is valid' } as const;
}

function daysOf(value: unknown): number {
  const number = Number(value);
  if (Number.isFinite(number) && number > 0) return number;
  throw new OperatorError(`--days: ${String(value)} is not a number of days`);
}

async function folderOf(path: unknown) {
  const { PkiFolder } = await import('../runtime/pki.js');
  return new PkiFolder(String(path));
}

/** `pana-mip6 pki …` */
export function pkiCommands(cli: Argv): Argv {
  return cli
    .command(
      'init',
      'Make a CA: ca.pem, ca-key.pem and an empty crl.pem',
      (init) =>
        init
          .option('dir', dir)
          .option('name', { type: 'string', default: 'pana-mip6 CA', description: 'common name of the CA' })
          .option('keys', { ...kind, default: 'p256' })
          .option('days', days(3650))
          .example('pana-mip6 pki init --dir /etc/pana-mip6/pki', ''),
      async (argv) => {
        const folder = await folderOf(argv.dir);
        await folder.init(argv.name, argv.keys as KeyKind, daysOf(argv.days));
        print(`Made ${join(argv.dir, 'ca.pem')}, ${join(argv.dir, 'ca-key.pem')} and ${join(argv.dir, 'crl.pem')}.`);
      },
    )
    .command(
      'issue <name>',
      'Issue a certificate: NAME.pem and NAME-key.pem',
      (issue) =>
        issue
          .positional('name', { type: 'string', demandOption: true, description: 'name of the files' })
          .option('dir', dir)
          .option('client', { type: 'string', description: 'for a mobile node: its NAI' })
          .option('server', { type: 'string', description: 'for a server: its host names, with commas between' })
          .option('keys', { ...kind, description: 'kind of key; without it the CA’s' })
          .option('days', days(365))
          .example('pana-mip6 pki issue aaa --server aaa.home.example', 'for pana-aaa')
          .example('pana-mip6 pki issue mn1 --client mn1@home.example', 'for pana-pac'),
      async (argv) => {
        const folder = await folderOf(argv.dir);
        const { validFor } = await import('../runtime/pki.js');
        const path = await folder.issue(
          argv.name,
          subjectOf(argv.client, argv.server),
          validFor(daysOf(argv.days)),
          argv.keys as KeyKind | undefined,
        );
        print(`Made ${path} and ${path.replace(/\.pem$/, '-key.pem')}.`);
      },
    )
    .command(
      'revoke <name>',
      'Put a certificate on the CRL',
      (revoke) =>
        revoke
          .positional('name', { type: 'string', demandOption: true, description: 'name that it was issued with' })
          .option('dir', dir)
          .example('pana-mip6 pki revoke mn1', 'pana-aaa reads the CRL again by itself'),
      async (argv) => {
        const folder = await folderOf(argv.dir);
        await folder.revoke(argv.name);
        print(`${argv.name} is revoked: ${join(argv.dir, 'crl.pem')}.`);
      },
    )
    .example('pana-mip6 pki init && pana-mip6 pki issue mn1 --client mn1@home.example', 'a CA and a mobile node')
    .demandCommand(1, 'Which? init, issue, revoke');
}

function subjectOf(client: string | undefined, server: string | undefined): CertificateSubject {
  if (client !== undefined && server === undefined) return { kind: 'client', nai: client };
  if (server !== undefined && client === undefined) {
    return { kind: 'server', hosts: server.split(',').map((host) => host.trim()) };
  }
  throw new OperatorError('a certificate is either for a --client NAI or for a --server HOST');
}
