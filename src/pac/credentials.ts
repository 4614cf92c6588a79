import { readRevocation } from '../runtime/certificates/crl-files.js';
import { certificatesOfPem } from '../runtime/certificates/pem.js';
import { createPeerCredentials, type PeerCredentials } from '../runtime/eap-peer.js';
import { readTlsFiles } from '../runtime/tls-files.js';
import { engineSettings } from '../runtime/tls-settings.js';
import type { PacOptions } from './options.js';

/** What the configuration's files make, in place of what was there before. Throws OperatorError. */
export async function readCredentials({ tls }: PacOptions, before?: PeerCredentials): Promise<PeerCredentials> {
  const { caPem, certificatePem, keyPem } = await readTlsFiles(tls);
  const options = {
    caPem,
    certificatePem,
    keyPem,
    serverName: tls['server-name'],
    revocation: await readRevocation(tls, certificatesOfPem(caPem)),
    ...engineSettings(tls),
  };
  return createPeerCredentials(options, before);
}
