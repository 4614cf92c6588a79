import { execFile } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { Network } from './mistakes.js';
import { blocksOf } from './page.js';

const run = promisify(execFile);

it('The commands of docs/certificates.md for another CA make certificates that all daemons accept', async () => {
  const page = await readFile('docs/certificates.md', 'utf8');
  const [block] = blocksOf(page).filter(({ section }) => section === 'Another CA');
  const network = await Network.make();
  const folder = network.path('other');
  await mkdir(folder);
  await run('sh', ['-ec', block?.text ?? 'false'], { cwd: folder });
  const tls = (name: string) => ({
    ca: network.path('other', 'ca.pem'),
    certificate: network.path('other', `${name}.pem`),
    key: network.path('other', `${name}-key.pem`),
  });
  await network.start('pana-aaa', { tls: { ...tls('aaa'), crl: network.path('other', 'crl.pem') } });
  const subscriber = { nai: 'mn1@home.example', enabled: true, mip6: true, localHomeAgent: true, sessions: 'replace' };
  await network.administer('addSubscriber', { subscriber });
  await network.start('pana-paa');
  await network.start('pana-pac', { tls: tls('mn1') });
  await network.prints(/authentication succeeded .*nai=mn1@home\.example/);
  expect(network.printed).not.toContain('credential');
  // The text says how to revoke; the next CRL has the serial number.
  const [, revoke = ''] = /^`(openssl ca .* -revoke [^`]+)`/m.exec(page) ?? [];
  await run('sh', ['-ec', `${revoke}\n${/^openssl ca .*-gencrl.*$/m.exec(block?.text ?? '')?.[0]}`], { cwd: folder });
  await network.prints(/certificate revoked nai=mn1@home\.example/);
});
