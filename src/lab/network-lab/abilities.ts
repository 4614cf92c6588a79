import { existsSync } from 'node:fs';
import { OperatorError } from '../../runtime/system/failure.js';
import { charonProgram, hasEsp, hasUserSpaceEsp } from './charon.js';
import { type Enforcement, enforcementOn } from './enforcement.js';
import { hasProgram, type NetworkHost } from './hosts.js';

/** What this host has, and therefore what the lab can show. */
export interface Abilities {
  /** Path of charon. Undefined: strongSwan with swanctl is not installed. */
  readonly charon: string | undefined;
  /** Where ESP packets are processed. Undefined: there are IKE_SAs but no CHILD_SAs. */
  readonly esp: 'kernel' | 'charon' | undefined;
  readonly enforcement: Enforcement;
  /** Whether access routers advertise themselves. Otherwise the lab configures addresses and routes of the nodes. */
  readonly radvd: boolean;
  /** Why there is no Mobile IPv6. Undefined: mip6d runs. */
  readonly noMobility: string | undefined;
}

/** Finds out what a host has, for all hosts of the lab. Rejects with OperatorError if nothing could be shown. */
export async function findAbilities(host: NetworkHost): Promise<Abilities> {
  const charon = charonProgram();
  const kernelEsp = await hasEsp(host.namespace);
  const userSpaceEsp = charon !== undefined && hasUserSpaceEsp();
  return {
    charon,
    esp: kernelEsp ? 'kernel' : userSpaceEsp ? 'charon' : undefined,
    enforcement: await enforcementOn(host),
    radvd: hasProgram('radvd'),
    noMobility: await whyNoMobility(host, kernelEsp),
  };
}

/** Lines that say what the lab uses, and what is missing. */
export function describeAbilities({ charon, esp, enforcement, radvd, noMobility }: Abilities): string[] {
  const ike =
    charon === undefined
      ? 'none: strongSwan (charon, swanctl) is not installed'
      : `strongSwan (${charon})${charon.endsWith('charon-systemd') ? ', without systemd' : ''}`;
  const espText = {
    kernel: 'the kernel',
    charon: 'charon in user space (kernel-libipsec), because this kernel has none',
    none: 'none: this kernel has none, and neither /dev/net/tun with the plugin kernel-libipsec (libcharon-extra-plugins)',
  }[esp ?? 'none'];
  const tunnel = charon !== undefined && esp !== undefined ? ': the IKE tunnel carries the home address' : '';
  const packages = missingPackages({ charon, esp, enforcement, radvd });
  return [
    `  IKE                ${ike}`,
    `  ESP                ${espText}`,
    `  Mobile IPv6        ${noMobility === undefined ? 'UMIP (mip6d)' : `none (${noMobility})${tunnel}`}`,
    `  enforcement point  ${enforcement.why === undefined ? enforcement.hook : `none: ${enforcement.why}`}`,
    `  access link        ${radvd ? 'router advertisements by radvd' : 'radvd is not installed: the lab configures address and route'}`,
    ...(packages.length > 0 ? [`\nTo show more, on Debian: apt install ${packages.join(' ')}`] : []),
  ];
}

/** Debian's packages with which the lab could show more. */
function missingPackages({ charon, esp, enforcement, radvd }: Omit<Abilities, 'noMobility'>): string[] {
  return [
    ...(charon === undefined ? ['charon-systemd', 'strongswan-swanctl'] : []),
    ...(esp === undefined ? ['libcharon-extra-plugins'] : []),
    ...(enforcement.why === undefined ? [] : [hasProgram('nft') ? 'iptables' : 'nftables']),
    ...(radvd ? [] : ['radvd']),
  ];
}

function works(host: NetworkHost, ...command: readonly string[]): Promise<boolean> {
  return host.exec(...command).then(
    () => true,
    () => false,
  );
}

async function whyNoMobility(host: NetworkHost, kernelEsp: boolean): Promise<string | undefined> {
  const missing = ['mip6d', 'radvd', 'tcpdump'].filter((name) => !hasProgram(name));
  if (missing.length > 0) return `not installed: ${missing.join(', ')}`;
  if (!kernelEsp) return 'mip6d needs a kernel with ESP';
  const [node, agent, careOf] = ['2001:db8::1', '2001:db8::2', '2001:db8::3'];
  const state = ['src', node, 'dst', agent, 'proto', 'hao', 'mode', 'ro'];
  if (!(await works(host, 'ip', 'xfrm', 'state', 'add', ...state, 'coa', careOf))) {
    return 'this kernel does not support Mobile IPv6';
  }
  await works(host, 'ip', 'xfrm', 'state', 'delete', 'src', node, 'dst', agent, 'proto', 'hao');
  return undefined;
}

/** Throws OperatorError if the lab cannot run here at all. */
export function checkHost(): void {
  if (process.platform !== 'linux') throw new OperatorError('the lab needs Linux network namespaces');
  if (process.getuid?.() !== 0) throw new OperatorError('network namespaces need root: run it with sudo');
  if (!hasProgram('ip')) throw new OperatorError('the program "ip" is missing: install iproute2');
  if (!existsSync('/proc/sys/net/ipv6')) throw new OperatorError('the kernel has no IPv6');
}
