import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { issueCertificate, validFor } from '../../pki/certificate-authority.js';
import { plainSubscriber } from '../../protocol/home/records.js';
import { type Lab, REALM } from '../lab.js';

/** Subscribers per call of an import. */
const CHUNK = 500;

/**
 * Makes subscribers with certificates, without the file locks of a CA folder, which would take most of the time. Returns
 * the folder of certificates for `pana-mip6 load`.
 */
export async function populate(lab: Lab, count: number, server = 'aaa'): Promise<string> {
  const folder = lab.path('nodes');
  await mkdir(folder, { mode: 0o700 });
  await symlink(lab.path('pki', 'ca.pem'), join(folder, 'ca.pem'));
  const read = (name: string) => readFile(lab.path('pki', name), 'utf8');
  const ca = { certificatePem: await read('ca.pem'), keyPem: await read('ca-key.pem') };
  const names = Array.from({ length: count }, (_, n) => `n${String(n).padStart(6, '0')}`);
  for (const name of names) {
    const { certificatePem, keyPem } = await issueCertificate(
      ca,
      { kind: 'client', nai: `${name}@${REALM}` },
      validFor(10),
    );
    await writeFile(join(folder, `${name}.pem`), certificatePem);
    await writeFile(join(folder, `${name}-key.pem`), keyPem, { mode: 0o600 });
  }
  for (let from = 0; from < count; from += CHUNK) {
    const rows = names.slice(from, from + CHUNK).map((name, at) => ({
      line: from + at + 2,
      subscriber: plainSubscriber(`${name}@${REALM}`),
    }));
    await lab.administer(server, 'stageImport', { importId: 'bench', rows });
  }
  await lab.administer(server, 'finishImport', { importId: 'bench', update: false });
  return folder;
}
