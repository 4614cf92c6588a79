import { writeFile } from 'node:fs/promises';
import type { Lab } from '../../dist/lab/lab.js';
import type { Issued } from '../../src/pki/certificate-authority.js';

/** Replaces a certificate and its key of the lab. */
export async function writePem(lab: Lab, name: string, { certificatePem, keyPem }: Issued): Promise<void> {
  await writeFile(lab.path('pki', `${name}.pem`), certificatePem);
  await writeFile(lab.path('pki', `${name}-key.pem`), keyPem, { mode: 0o600 });
}
