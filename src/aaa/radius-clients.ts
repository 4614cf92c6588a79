import type { RadiusClient } from '../protocol/home/radius/clients.js';
import { readRadiusSecret } from '../runtime/radius/secret-file.js';
import type { RadiusSection } from './config/radius.js';

/** Reads the secrets of the configured RADIUS clients. Throws OperatorError. */
export async function readRadiusClients({ clients }: Pick<RadiusSection, 'clients'>): Promise<RadiusClient[]> {
  return Promise.all(
    clients.map(async ({ name, from, 'secret-file': file, 'home-agent': isHomeAgent, dae }) => ({
      name,
      from,
      secret: await readRadiusSecret(`radius.clients.${name}.secret-file`, file),
      isHomeAgent,
      dynamic: dae,
    })),
  );
}
