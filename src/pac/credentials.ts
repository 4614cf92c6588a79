import { createPeerCredentials, type PeerCredentials } from '../runtime/eap-peer.js';
import { readTlsFiles } from '../runtime/tls-files.js';
import type { PacOptions } from './options.js';

/** What the configuration's files make. Throws OperatorError. */
export async function readCredentials({ tls }: PacOptions): Promise<PeerCredentials> {
  const { caPem, certificatePem, keyPem } = await readTlsFiles(tls);
  return createPeerCredentials({
    caPem,
    certificatePem,
    keyPem,
    serverName: tls['server-name'],
    minVersion: `TLSv${tls['min-version']}`,
    maxVersion: `TLSv${tls['max-version']}`,
    ...(tls.ciphers === undefined ? {} : { ciphers: tls.ciphers }),
  });
}
