import type { DiameterTlsSection } from '../diameter/setup.js';
import type { DiameterTlsOptions } from '../diameter/tls.js';
import type { Host } from '../system/host.js';
import { readRevocation } from '../tls/certificates/crl-files.js';
import { certificatesOfPem } from '../tls/certificates/pem.js';
import type { PeerRole } from '../tls/certificates/policy.js';
import type { UsedCredentials } from '../tls/credential-watch.js';
import { readTlsFiles } from '../tls/files.js';
import { engineSettings } from '../tls/settings.js';

interface RadiusSection {
  readonly tls?: DiameterTlsSection | undefined;
}

/** Reads the credentials of RadSec. Throws OperatorError. */
export async function readRadiusTls({ tls }: RadiusSection, host: Host): Promise<DiameterTlsOptions | undefined> {
  if (!tls) return undefined;
  const section = 'radius.tls';
  const settings = engineSettings(tls);
  const { caPem, certificatePem, keyPem } = await readTlsFiles(tls, section, { ...settings, now: host.wall() });
  const revocation = await readRevocation(tls, certificatesOfPem(caPem), section);
  return { caPem, certificatePem, keyPem, revocation, ...settings };
}

/** The credentials of RadSec in use. `role`: that of this daemon. */
export function usedForRadius(
  { tls }: RadiusSection,
  options: DiameterTlsOptions | undefined,
  role: PeerRole,
): UsedCredentials[] {
  return tls && options ? [{ ...options, section: 'radius.tls', files: tls, roles: [role] }] : [];
}
