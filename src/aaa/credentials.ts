import type { EapServerOptions } from '../runtime/eap-server.js';
import { readCrlFile, readTlsFiles } from '../runtime/tls-files.js';
import { engineSettings } from '../runtime/tls-settings.js';
import type { AaaOptions } from './options.js';

/** What the configuration's files make. Throws OperatorError. */
export async function readCredentials({ tls }: AaaOptions): Promise<Omit<EapServerOptions<never>, 'authorize'>> {
  const { caPem, certificatePem, keyPem } = await readTlsFiles(tls);
  return {
    caPem,
    certificatePem,
    keyPem,
    revocation: tls.crl === undefined ? undefined : await readCrlFile(tls.crl, tls['crl-expired']),
    ...engineSettings(tls),
  };
}
