import type { EapServerOptions } from '../runtime/eap/server.js';
import { readRevocation } from '../runtime/tls/certificates/crl-files.js';
import { certificatesOfPem } from '../runtime/tls/certificates/pem.js';
import { readTlsFiles } from '../runtime/tls/files.js';
import { engineSettings } from '../runtime/tls/settings.js';
import type { AaaOptions } from './config/options.js';

/** What the configuration's files make. Throws OperatorError. */
export async function readCredentials({ tls }: AaaOptions): Promise<Omit<EapServerOptions<never>, 'authorize'>> {
  const { caPem, certificatePem, keyPem } = await readTlsFiles(tls, 'tls', engineSettings(tls));
  return {
    caPem,
    certificatePem,
    keyPem,
    revocation: await readRevocation(tls, certificatesOfPem(caPem)),
    ...engineSettings(tls),
  };
}
