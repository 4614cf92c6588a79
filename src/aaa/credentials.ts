import type { TlsServerOptions } from '../runtime/eap/tls-server.js';
import type { Host } from '../runtime/system/host.js';
import { readRevocation } from '../runtime/tls/certificates/crl-files.js';
import { certificatesOfPem } from '../runtime/tls/certificates/pem.js';
import { readTlsFiles } from '../runtime/tls/files.js';
import { engineSettings } from '../runtime/tls/settings.js';
import type { AaaOptions } from './config/options.js';

/** Reads the EAP server's credentials of a configuration. Throws OperatorError. */
export type ReadCredentials = (options: AaaOptions, host: Host) => Promise<TlsServerOptions>;

/** Reads certificate, key, CAs and CRL from the files of the configuration. */
export const readCredentials: ReadCredentials = async ({ tls }, host) => {
  const settings = engineSettings(tls);
  const { caPem, certificatePem, keyPem } = await readTlsFiles(tls, 'tls', { ...settings, now: host.wall() });
  return {
    caPem,
    certificatePem,
    keyPem,
    revocation: await readRevocation(tls, certificatesOfPem(caPem)),
    host,
    ...settings,
  };
};
