import { CodedError } from '../errors/coded-error.js';
import { type CareOfAddress, careOfAddresses, isSameAddress } from '../protocol/attachment/care-of-address.js';
import type { Surroundings } from '../runtime/surroundings/surroundings.js';

/** There is no address from which the PAA can be reached. */
export class NoSourceError extends CodedError<'ERR_NO_SOURCE'> {
  override readonly name = 'NoSourceError';

  constructor(where: string | undefined) {
    super('ERR_NO_SOURCE', `no usable address${where === undefined ? '' : ` on ${where}`}`);
  }
}

/** The local address for a PAA. `interface` is undefined if the address is configured. */
export type Source = Pick<CareOfAddress, 'address'> & Partial<CareOfAddress>;

export interface SourceOptions {
  /** `pana.local-address`. */
  readonly configured: string | undefined;
  /** `pana.interface`. */
  readonly access: string | undefined;
  readonly port: number;
  readonly homeAddresses: ReadonlySet<string>;
}

/**
 * Finds the local address for a PAA, which is the node's care-of address: the source address that the route selects,
 * unless it is a home address, the address of a tunnel, or otherwise unusable. Undefined: the PAA is on this host.
 * Rejects with NoSourceError.
 */
export async function findSource(
  paa: string,
  { configured, access, port, homeAddresses }: SourceOptions,
  { udp, readAddresses }: Pick<Surroundings, 'udp' | 'readAddresses'>,
): Promise<Source | undefined> {
  if (configured !== undefined) return { address: configured };
  const candidates = careOfAddresses(paa, await readAddresses(), { interface: access, homeAddresses });
  if (candidates === 'any') return undefined;
  const [first] = candidates;
  if (first === undefined) throw new NoSourceError(access);
  if (candidates.length === 1) return first;
  // If several addresses fit, the system selects one of them (RFC 6724). Without a route, the first one is used.
  const route = await udp.connect({ address: paa, port }, {}, () => undefined).catch(() => undefined);
  const chosen = route?.address.address;
  await route?.close();
  return candidates.find(({ address }) => chosen !== undefined && isSameAddress(address, chosen)) ?? first;
}
