import { readFile } from 'node:fs/promises';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { type HostAddress, isTunnelName } from '../../protocol/attachment/care-of-address.js';
import { formatAddress, parseAddress } from '../../protocol/bytes/address.js';

/** Reads the addresses of this host. Of one interface, addresses that were added later come first. */
export type ReadAddresses = () => Promise<HostAddress[]>;

/** ARPHRD_* of tunnels: TUNNEL, TUNNEL6, SIT, IPGRE, IP6GRE, NONE (tun, xfrm, WireGuard); Linux if_arp.h. */
const TUNNEL_TYPES = ['768', '769', '776', '778', '823', '65534'];

/** IFA_F_* of Linux if_addr.h. */
const IFA = { OPTIMISTIC: 0x04, DADFAILED: 0x08, HOMEADDRESS: 0x10, DEPRECATED: 0x20, TENTATIVE: 0x40 };

/** The addresses of this computer. Their flags are known on Linux only. */
export const readAddresses: ReadAddresses = async () => {
  const interfaces = networkInterfaces();
  const [flags, types] = await Promise.all([
    text('/proc/net/if_inet6'),
    Promise.all(
      Object.keys(interfaces).map(async (name) => [name, await text(`/sys/class/net/${name}/type`)] as const),
    ),
  ]);
  return hostAddresses(interfaces, flags, new Map(types));
};

/** `flags`: the content of /proc/net/if_inet6. `types`: ARPHRD_* of each interface, if known. */
export function hostAddresses(
  interfaces: Readonly<NodeJS.Dict<NetworkInterfaceInfo[]>>,
  flags: string,
  types: ReadonlyMap<string, string>,
): HostAddress[] {
  const unusable = unusableAddresses(flags);
  return Object.entries(interfaces).flatMap(([name, list = []]) => {
    const isTunnel = isTunnelName(name) || TUNNEL_TYPES.includes((types.get(name) ?? '').trim());
    return list.map(({ address, internal }): HostAddress => {
      const kind = internal ? 'loopback' : isTunnel ? 'tunnel' : 'link';
      return { address, interface: name, kind, unusable: unusable.get(keyOf(name, parseAddress(address))) };
    });
  });
}

/** Lines of address (32 hexadecimal digits), index, prefix length, scope, flags, name. Other lines are ignored. */
const IF_INET6 = /^([0-9a-f]{32}) [0-9a-f]+ [0-9a-f]+ [0-9a-f]+ ([0-9a-f]+) +(\S+)$/;

function unusableAddresses(table: string): Map<string, HostAddress['unusable']> {
  const found = new Map<string, HostAddress['unusable']>();
  for (const line of table.split('\n')) {
    const [, digits, flags, name] = IF_INET6.exec(line) ?? [];
    if (digits === undefined || flags === undefined) continue;
    const why = reasonIn(Number.parseInt(flags, 16));
    if (why !== undefined) found.set(keyOf(name ?? '', Buffer.from(digits, 'hex')), why);
  }
  return found;
}

function keyOf(name: string, address: Uint8Array | undefined): string {
  return `${name}|${address && formatAddress(address)}`;
}

function reasonIn(flags: number): HostAddress['unusable'] {
  if (flags & IFA.HOMEADDRESS) return 'home';
  if (flags & IFA.DADFAILED) return 'duplicate';
  // RFC 4429: an optimistic address can be used while it is tentative.
  if (flags & IFA.TENTATIVE && !(flags & IFA.OPTIMISTIC)) return 'tentative';
  return flags & IFA.DEPRECATED ? 'deprecated' : undefined;
}

function text(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
