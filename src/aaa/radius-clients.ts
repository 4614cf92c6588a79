import { RADSEC_SECRET, type RadiusClient } from '../protocol/home/radius/clients.js';
import type { DiameterTlsOptions } from '../runtime/diameter/tls.js';
import { readRadiusSecret } from '../runtime/radius/secret-file.js';
import type { Host } from '../runtime/system/host.js';
import { readRevocation } from '../runtime/tls/certificates/crl-files.js';
import { certificatesOfPem } from '../runtime/tls/certificates/pem.js';
import type { UsedCredentials } from '../runtime/tls/credential-watch.js';
import { readTlsFiles } from '../runtime/tls/files.js';
import { engineSettings } from '../runtime/tls/settings.js';
import type { RadiusSection } from './config/radius.js';

/** What the files of the section `radius` contain. */
export interface RadiusMaterial {
  readonly clients: readonly RadiusClient[];
  /** Undefined: no RadSec. */
  readonly tls: DiameterTlsOptions | undefined;
}

/** Reads the secrets of the configured RADIUS clients, and the credentials of RadSec. Throws OperatorError. */
export async function readRadius(radius: RadiusSection, host: Host): Promise<RadiusMaterial> {
  const clients = radius.clients.map(
    async ({ name, from, 'secret-file': file, 'home-agent': isHomeAgent, certificate, dae }) => ({
      name,
      from,
      secret: file === undefined ? RADSEC_SECRET : await readRadiusSecret(`radius.clients.${name}.secret-file`, file),
      certificate,
      isHomeAgent,
      // Requests go over UDP, for which this client has no secret.
      dynamic: file === undefined ? undefined : dae,
    }),
  );
  return { clients: await Promise.all(clients), tls: await readRadiusTls(radius, host) };
}

/** The credentials of RadSec in use. */
export function usedForRadius({ tls }: RadiusSection, options: RadiusMaterial['tls']): UsedCredentials[] {
  return tls && options ? [{ ...options, section: 'radius.tls', files: tls, roles: ['server'] }] : [];
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
