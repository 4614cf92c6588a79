import { createPeerCredentials, type PeerCredentials } from '../runtime/eap-peer.js';
import { readTlsFiles } from '../runtime/tls-files.js';
import { engineSettings } from '../runtime/tls-settings.js';
import type { PacOptions } from './options.js';

/** What the configuration's files make. Throws OperatorError. */
export async function readCredentials({ tls }: PacOptions): Promise<PeerCredentials> {
  const { caPem, certificatePem, keyPem } = await readTlsFiles(tls);
  return createPeerCredentials({
    caPem,
    certificatePem,
    keyPem,
    serverName: tls['server-name'],
    ...engineSettings(tls),
  });
}
