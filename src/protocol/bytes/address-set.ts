import { parseAddress } from './address.js';

/** Loopback networks. */
export const LOOPBACK = ['127.0.0.0/8', '::1'] as const;

interface Network {
  readonly octets: Uint8Array;
  readonly bits: number;
}

/** A set of IP addresses and networks (`2001:db8:1::/64`). */
export class AddressSet {
  readonly #networks: Network[];

  /**
   * Ignores a text that is neither an address nor a network, because the configuration parser has already checked them.
   */
  constructor(texts: readonly string[]) {
    this.#networks = texts.map(parseNetwork).filter((network) => network !== undefined);
  }

  /**
   * Whether the set contains `address`, in the form in which a socket reports its remote end. A scope (`%eth0`) is
   * ignored.
   */
  has(address: string): boolean {
    const octets = octetsOf(address);
    return octets !== undefined && this.#networks.some((network) => isWithin(octets, network));
  }
}

const LOOPBACK_SET = new AddressSet(LOOPBACK);

export function isLoopback(address: string): boolean {
  return LOOPBACK_SET.has(address);
}

/** Removes the scope (`%eth0`) from an address in text form. Converts an IPv4-mapped IPv6 address to IPv4. */
export function withoutScope(address = ''): string {
  const text = address.split('%', 1)[0] ?? '';
  return text.startsWith('::ffff:') && text.includes('.') ? text.slice('::ffff:'.length) : text;
}

function octetsOf(address: string): Uint8Array | undefined {
  return parseAddress(withoutScope(address));
}

function parseNetwork(text: string): Network | undefined {
  const [address = '', length, ...more] = text.split('/');
  const octets = octetsOf(address);
  if (octets === undefined || more.length > 0) return undefined;
  const most = octets.length * 8;
  if (length === undefined) return { octets, bits: most };
  return /^\d{1,3}$/.test(length) && Number(length) <= most ? { octets, bits: Number(length) } : undefined;
}

function isWithin(octets: Uint8Array, { octets: network, bits }: Network): boolean {
  if (octets.length !== network.length) return false;
  const whole = bits >> 3;
  for (let i = 0; i < whole; i += 1) if (octets[i] !== network[i]) return false;
  const rest = bits & 7;
  return rest === 0 || (((octets[whole] ?? 0) ^ (network[whole] ?? 0)) & (0xff << (8 - rest))) % 256 === 0;
}
