import { readRevocation } from '../runtime/certificates/crl-files.js';
import { certificatesOfPem } from '../runtime/certificates/pem.js';
import type { EapServerOptions } from '../runtime/eap-server.js';
import { readTlsFiles } from '../runtime/tls-files.js';
import { engineSettings } from '../runtime/tls-settings.js';
import type { AaaOptions } from './options.js';

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
