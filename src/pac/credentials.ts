import { createPeerCredentials, type PeerCredentials } from '../runtime/eap/peer.js';
import { readRevocation } from '../runtime/tls/certificates/crl-files.js';
import { certificatesOfPem } from '../runtime/tls/certificates/pem.js';
import type { UsedCredentials } from '../runtime/tls/credential-watch.js';
import { readTlsFiles } from '../runtime/tls/files.js';
import { engineSettings } from '../runtime/tls/settings.js';
import type { PacOptions } from './options.js';

/** Credentials with the PEM texts that they were made of. */
export interface PacCredentials extends PeerCredentials {
  readonly caPem: string;
  readonly certificatePem: string;
}

/** What the configuration's files make, in place of what was there before. Throws OperatorError. */
export async function readCredentials({ tls }: PacOptions, before?: PeerCredentials): Promise<PacCredentials> {
  const { caPem, certificatePem, keyPem } = await readTlsFiles(tls, 'tls', engineSettings(tls));
  const options = {
    caPem,
    certificatePem,
    keyPem,
    serverName: tls['server-name'],
    revocation: await readRevocation(tls, certificatesOfPem(caPem)),
    ...engineSettings(tls),
  };
  return Object.assign(createPeerCredentials(options, before), { caPem, certificatePem });
}

/** The same, for what looks after their ends. */
export function usedCredentials({ tls }: PacOptions, credentials: PacCredentials): UsedCredentials[] {
  const { caPem, certificatePem, judge } = credentials;
  return [{ section: 'tls', files: tls, caPem, certificatePem, revocation: judge.revocation, roles: ['client'] }];
}
