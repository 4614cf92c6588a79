import type { RadiusClient } from '../protocol/home/radius/clients.js';
import { RADSEC_SECRET } from '../protocol/radius/wire/radsec.js';
import type { DiameterTlsOptions } from '../runtime/diameter/tls.js';
import { readRadiusSecret } from '../runtime/radius/secret-file.js';
import { readRadiusTls, usedForRadius } from '../runtime/radius/tls.js';
import type { Host } from '../runtime/system/host.js';
import type { UsedCredentials } from '../runtime/tls/credential-watch.js';
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
    async ({ name, from, 'secret-file': file, 'home-agent': isHomeAgent, certificate, dae, ...rest }) => ({
      name,
      from,
      secret: file === undefined ? RADSEC_SECRET : await readRadiusSecret(`radius.clients.${name}.secret-file`, file),
      certificate,
      isHomeAgent,
      dynamic: dynamicOf(dae),
      extendedMasterSecret: rest['extended-master-secret'],
    }),
  );
  return { clients: await Promise.all(clients), tls: await readRadiusTls(radius, host) };
}

/** The credentials of RadSec in use. */
export function usedForRadSec(radius: RadiusSection, options: RadiusMaterial['tls']): UsedCredentials[] {
  return usedForRadius(radius, options, 'server');
}

function dynamicOf(dae: RadiusSection['clients'][number]['dae']): RadiusClient['dynamic'] {
  if (dae?.over === 'radsec') return 'radsec';
  return dae?.address === undefined ? undefined : { address: dae.address, port: dae.port };
}
