import { decodeService, type Service, serviceFields } from '../../protocol/mip6/services.js';

const SERVICE: Readonly<Record<string, Service>> = { 'MIP4-Assignment': 'mip4', 'HIP-Assignment': 'hip' };

/** Names of the values in an assignment of a service. */
const NAMES: Readonly<Record<string, string>> = {
  mip4HomeAgent: 'home agent',
  mip4HomeAddress: 'home address',
  mip4PrefixLength: 'prefix length',
  mip4Spi: 'SPI',
  hipRvsHit: 'HIT',
  hipRvsAddress: 'address',
  hipTokenId: 'Token-Id',
};

/** The assignment in an AVP with this name, or why it is unusable. Undefined: the AVP carries none. */
export function serviceText(name: string, octets: Uint8Array): string | undefined {
  const service = SERVICE[name];
  if (service === undefined) return undefined;
  const read = decodeService(service, octets);
  if (typeof read === 'string') return `${octets.length} octets, unusable: ${read}`;
  const { lifetime, ...fields } = serviceFields(read);
  const shown = Object.entries(fields).map(([key, value]) => `${NAMES[key] ?? key} ${value}`);
  return [...shown, `lifetime ${lifetime} s`].join(', ');
}
