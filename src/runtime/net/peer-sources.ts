import { BlockList, isIP } from 'node:net';

/** Addresses of a peer, as a configuration has them. */
export interface PeerAddresses {
  /** Where to connect to, each tried in turn; none: the peer connects to us. */
  readonly address?: string | undefined;
  readonly addresses?: readonly string[] | undefined;
  /** Addresses and networks that it connects from, beside those. */
  readonly from?: readonly string[] | undefined;
}

/** Where a peer without any address may connect from: this host, where labs and tests have everything. */
const LOOPBACK = ['127.0.0.0/8', '::1'] as const;

/** The addresses that we connect to, in their order. */
export function addressesOf({ address, addresses = [] }: PeerAddresses): readonly string[] {
  return address === undefined ? addresses : [address, ...addresses];
}

/** Whether anything says where a peer connects from. */
export function hasSources(peer: PeerAddresses): boolean {
  return addressesOf(peer).length > 0 || (peer.from ?? []).length > 0;
}

/** Whether an address is one of this host alone. */
export function isLoopback(address: string): boolean {
  return new PeerSources({}).has(address);
}

/** Where a peer may connect from without TLS, which has only its address to be told by. */
export class PeerSources {
  readonly #list = new BlockList();

  /** Text that is no address and no network is left out: a configuration is checked before. */
  constructor(peer: PeerAddresses) {
    const given = [...addressesOf(peer), ...(peer.from ?? [])];
    for (const text of given.length > 0 ? given : LOOPBACK) this.#add(text);
  }

  /** `address`: as a socket names its other end. The interface of a link-local address does not count. */
  has(address: string): boolean {
    const plain = withoutScope(address);
    const family = familyOf(plain);
    return family !== undefined && this.#list.check(plain, family);
  }

  #add(text: string): void {
    const [given = '', length] = text.split('/');
    const address = withoutScope(given);
    const family = familyOf(address);
    if (family === undefined) return;
    if (length === undefined) this.#list.addAddress(address, family);
    else this.#list.addSubnet(address, Number(length), family);
  }
}

function familyOf(address: string): 'ipv4' | 'ipv6' | undefined {
  const version = isIP(address);
  return version === 4 ? 'ipv4' : version === 6 ? 'ipv6' : undefined;
}

/** The text of an address without its interface, and of an IPv4 one that IPv6 maps as IPv4. */
export function withoutScope(address = ''): string {
  const text = address.split('%', 1)[0] ?? '';
  return text.startsWith('::ffff:') && text.includes('.') ? text.slice('::ffff:'.length) : text;
}
