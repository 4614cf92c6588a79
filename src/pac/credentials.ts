import type { PeerCredentials } from '../runtime/eap/engine.js';
import { createPeerCredentials, TlsPeerCredentials } from '../runtime/eap/tls-peer.js';
import type { Host } from '../runtime/system/host.js';
import { readRevocation } from '../runtime/tls/certificates/crl-files.js';
import { certificatesOfPem } from '../runtime/tls/certificates/pem.js';
import type { UsedCredentials } from '../runtime/tls/credential-watch.js';
import { readTlsFiles } from '../runtime/tls/files.js';
import { engineSettings } from '../runtime/tls/settings.js';
import type { PacOptions } from './options.js';

/** The node's credentials, and their expiry dates. */
export interface PacCredentials {
  readonly peer: PeerCredentials;
  readonly used: readonly UsedCredentials[];
}

/** Reads the credentials of a configuration. `before`: the credentials to replace. Throws OperatorError. */
export type ReadCredentials = (options: PacOptions, host: Host, before?: PacCredentials) => Promise<PacCredentials>;

/** Reads certificate, key, CAs and CRL from the files of the configuration. */
export const readCredentials: ReadCredentials = async ({ tls }, host, before) => {
  const settings = engineSettings(tls);
  const { caPem, certificatePem, keyPem } = await readTlsFiles(tls, 'tls', { ...settings, now: host.wall() });
  const revocation = await readRevocation(tls, certificatesOfPem(caPem));
  const options = { caPem, certificatePem, keyPem, serverName: tls['server-name'], revocation, host, ...settings };
  const replaced = before?.peer instanceof TlsPeerCredentials ? before.peer : undefined;
  const peer = createPeerCredentials(options, replaced);
  peer.prepare();
  const { judge } = peer;
  return {
    peer,
    used: [{ section: 'tls', files: tls, caPem, certificatePem, revocation: judge.revocation, roles: ['client'] }],
  };
};
