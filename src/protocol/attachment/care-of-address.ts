import { formatAddress, isLinkLocal, parseAddress } from '../bytes/address.js';

/** An address of this host. */
export interface HostAddress {
  /** Without scope. */
  readonly address: string;
  readonly interface: string;
  /** `tunnel`: packets to it come from elsewhere, such as ip6tnl, tun, IPsec and WireGuard interfaces. */
  readonly kind: 'link' | 'loopback' | 'tunnel';
  /**
   * Why new communication must not use the address; undefined: it may. `home`: it is a home address of Mobile IPv6
   * (IFA_F_HOMEADDRESS); `tentative` and `duplicate`: Duplicate Address Detection has not ended or has failed;
   * `deprecated`: RFC 4862 5.5.4.
   */
  readonly unusable: 'home' | 'tentative' | 'duplicate' | 'deprecated' | undefined;
}

/** Names of tunnel interfaces, whose packets leave the host through another interface. */
const TUNNEL = /^(ip6tnl|ip6_vti|ip_vti|vti|tunl|tun|sit|ip6gre|gre|erspan|gif|stf|ipsec|xfrm|wg)\d*$/;

/** Whether an interface of this name is a tunnel. */
export function isTunnelName(name: string): boolean {
  return TUNNEL.test(name);
}

/** An address to bind to: a link-local one with its scope. */
export interface CareOfAddress {
  readonly address: string;
  readonly interface: string;
}

export interface AccessLink {
  /** The interface of the access link. Undefined: any that is neither a tunnel nor the loopback interface. */
  readonly interface: string | undefined;
  /** Home addresses of this node, which its hooks may have given to an interface. */
  readonly homeAddresses: ReadonlySet<string>;
}

/**
 * The addresses of this host that can be its care-of address for a PAA, best first. An address in the /64 of the PAA is best; otherwise the order of `addresses` counts. `any`: the PAA is on this host,
 * so that the route decides.
 *
 * A node that used its home address, or one of a tunnel, would reach its PAA only by way of its home agent, and the
 * enforcement point of its link would permit the wrong address.
 */
export function careOfAddresses(
  paa: string,
  addresses: readonly HostAddress[],
  { interface: access, homeAddresses }: AccessLink,
): readonly CareOfAddress[] | 'any' {
  const [host = '', scope] = paa.split('%', 2);
  const target = canonical(host);
  if (target === undefined || isLoopback(target)) return 'any';
  if (addresses.some(({ address }) => canonical(address) === target) && scope === undefined) return 'any';
  const isLocal = isLinkLocal(target);
  const home = new Set([...homeAddresses].map(canonical));
  const found = addresses.flatMap((own) => {
    const address = canonical(own.address);
    if (address === undefined || own.unusable !== undefined || home.has(address)) return [];
    if (address.includes(':') !== target.includes(':') || isLinkLocal(address) !== isLocal) return [];
    if (isLoopback(address)) return [];
    if (scope !== undefined && own.interface !== scope) return [];
    if (access === undefined ? own.kind !== 'link' : own.interface !== access) return [];
    return [{ address: isLocal ? `${address}%${own.interface}` : address, interface: own.interface }];
  });
  const isNear = (own: CareOfAddress) => !isLocal && isInPrefix(own, target);
  return [...found.filter(isNear), ...found.filter((own) => !isNear(own))];
}

/** PAAs on the node's link, and others, which do not control the enforcement point there. */
export interface PaasByLink {
  readonly onLink: readonly string[];
  readonly others: readonly string[];
}

/**
 * Divides PAAs, in their order. On the link are link-local ones, those in the /64 of a care-of address, and those on this
 * host.
 */
export function paasByLink(paas: readonly string[], addresses: readonly HostAddress[], access: AccessLink): PaasByLink {
  const isOnLink = (paa: string) => {
    const [host = ''] = paa.split('%', 1);
    const target = canonical(host);
    const candidates = careOfAddresses(paa, addresses, access);
    if (target === undefined || candidates === 'any') return true;
    return isLinkLocal(target) || candidates.some((own) => isInPrefix(own, target));
  };
  return { onLink: paas.filter(isOnLink), others: paas.filter((paa) => !isOnLink(paa)) };
}

function isInPrefix({ address }: CareOfAddress, target: string): boolean {
  return prefixOf(address) === prefixOf(target);
}

/** Whether two texts are the same address, with the same scope. */
export function isSameAddress(one: string, other: string): boolean {
  const [oneHost = '', oneScope] = one.split('%', 2);
  const [otherHost = '', otherScope] = other.split('%', 2);
  return canonical(oneHost) === canonical(otherHost) && oneScope === otherScope;
}

function canonical(text: string): string | undefined {
  const octets = parseAddress(text);
  return octets && formatAddress(octets);
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}

/** The /64 or /24 of an address. */
function prefixOf(address: string): string {
  const octets = parseAddress(address) ?? new Uint8Array();
  return octets.subarray(0, octets.length === 16 ? 8 : 3).join('.');
}
