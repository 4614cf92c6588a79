import { CodedError } from '../../errors/coded-error.js';
import { formatAddress, parseAddress } from '../bytes/address.js';
import { hostAddressProblem } from '../mip6/address-checks.js';
import { checkName } from '../mip6/names.js';

/** The node that the hook configures: mobile node, home agent, enforcement point, or rendezvous server. */
export type HookRole = 'mn' | 'ha' | 'ep' | 'rvs';
/**
 * The event; the only argument of a hook. `close`: let no client pass, after a failed `start`.
 * `test`: whether it could work, without any effect; only `doctor` asks.
 */
export type HookEvent =
  | ('up' | 'refresh' | 'move' | 'down' | 'reconfigure' | 'probe')
  | ('start' | 'permit' | 'revoke' | 'batch' | 'check' | 'stop')
  | ('close' | 'test');

/** Variables for a hook. Times in seconds, addresses as text; undefined: the variable is not set. */
export interface HookVariables {
  readonly mnId?: string | undefined;
  readonly session?: string | undefined;
  readonly homeAgent?: string | undefined;
  readonly homeAgentHost?: string | undefined;
  readonly homeAgentId?: string | undefined;
  readonly homeAgentTarget?: string | undefined;
  readonly homeAddress?: string | undefined;
  readonly prefix?: string | undefined;
  readonly prefixLength?: number | undefined;
  readonly lifetime?: number | undefined;
  readonly ike?: 'ikev1' | 'ikev2' | undefined;
  /** What named the home agent. Only for `pana` there is a key. */
  readonly source?: 'pana' | 'dhcpv6' | 'dns' | undefined;
  /** `ikev2`: the node authenticates to the home agent by EAP and gets its home address there. */
  readonly homeAddressBy?: 'ikev2' | undefined;
  /** For EAP-TLS to the home agent: PEM files of the node, as absolute paths, and the name of the AAA server. */
  readonly certificateFile?: string | undefined;
  readonly keyFile?: string | undefined;
  readonly caFile?: string | undefined;
  readonly serverName?: string | undefined;
  readonly careOfAddress?: string | undefined;
  /** The care-of address before a move. */
  readonly formerAddress?: string | undefined;
  readonly interface?: string | undefined;
  /** A service besides Mobile IPv6, the name of its server in the store, and the address where the hook reaches it. */
  readonly service?: 'mip4' | 'hip' | undefined;
  readonly serverId?: string | undefined;
  readonly serverTarget?: string | undefined;
  readonly mip4HomeAgent?: string | undefined;
  readonly mip4HomeAddress?: string | undefined;
  readonly mip4PrefixLength?: number | undefined;
  readonly mip4Spi?: number | undefined;
  readonly hipRvsHit?: string | undefined;
  readonly hipRvsAddress?: string | undefined;
  readonly hipTokenId?: string | undefined;
}

/** A value must not be passed to a hook, because hooks write values into configuration files and file names. */
export class HookValueError extends CodedError<'ERR_HOOK_VALUE'> {
  override readonly name = 'HookValueError';
  readonly variable: string;

  constructor(variable: string, problem: string) {
    super('ERR_HOOK_VALUE', `${variable} must not be passed to a hook: ${problem}`);
    this.variable = variable;
  }
}

/** Contains the programs of the base system and of packages on Linux and FreeBSD. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

type Check = (value: string) => string | undefined;

const address: Check = (text) => {
  const octets = parseAddress(text);
  if (!octets) return 'it is not an address';
  return formatAddress(octets) === text ? undefined : `it is not canonical: ${formatAddress(octets)}`;
};

/** An address that a home agent can have, or that can be a home address. */
const hostAddress: Check = (text) => {
  const octets = parseAddress(text);
  return address(text) ?? (octets && hostAddressProblem(octets));
};

/** An address; a link-local one has a scope: `fe80::1%eth0`. */
const scopedAddress: Check = (text) => {
  const [plain = '', scope, more] = text.split('%');
  if (more !== undefined || (scope !== undefined && interfaceName(scope))) return 'its scope is not an interface';
  return address(plain);
};

const interfaceName: Check = (text) =>
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,30}$/.test(text) ? undefined : 'it is not the name of an interface';
const token: Check = (text) =>
  /^[A-Za-z0-9][A-Za-z0-9.;:_-]{0,252}$/.test(text) ? undefined : 'it is not a plain token';
const path: Check = (text) =>
  /^\/[A-Za-z0-9._@+/-]{1,1022}$/.test(text) ? undefined : 'it is not an absolute path of plain characters';
const wholeNumber: Check = (text) => (/^\d{1,10}$/.test(text) ? undefined : 'it is not a whole number');
const target: Check = (text) =>
  /^[A-Za-z0-9[][A-Za-z0-9.:@[\]_+-]{0,252}$/.test(text) ? undefined : 'it is not a host or address';

const VARIABLES: readonly { readonly key: keyof HookVariables; readonly name: string; readonly check: Check }[] = [
  { key: 'mnId', name: 'MIP6_MN_ID', check: checkName },
  { key: 'session', name: 'MIP6_SESSION', check: token },
  { key: 'homeAgent', name: 'MIP6_HA', check: hostAddress },
  { key: 'homeAgentHost', name: 'MIP6_HA_HOST', check: checkName },
  { key: 'homeAgentId', name: 'MIP6_HA_ID', check: checkName },
  { key: 'homeAgentTarget', name: 'MIP6_HA_TARGET', check: target },
  { key: 'homeAddress', name: 'MIP6_HOA', check: hostAddress },
  { key: 'prefix', name: 'MIP6_PREFIX', check: hostAddress },
  { key: 'prefixLength', name: 'MIP6_PREFIX_LEN', check: wholeNumber },
  { key: 'lifetime', name: 'MIP6_LIFETIME', check: wholeNumber },
  { key: 'ike', name: 'MIP6_IKE', check: token },
  { key: 'source', name: 'MIP6_SOURCE', check: token },
  { key: 'homeAddressBy', name: 'MIP6_HOA_BY', check: token },
  { key: 'certificateFile', name: 'MIP6_CERTIFICATE_FILE', check: path },
  { key: 'keyFile', name: 'MIP6_KEY_FILE', check: path },
  { key: 'caFile', name: 'MIP6_CA_FILE', check: path },
  { key: 'serverName', name: 'MIP6_AAA_HOST', check: checkName },
  { key: 'careOfAddress', name: 'MIP6_COA', check: scopedAddress },
  { key: 'formerAddress', name: 'MIP6_COA_OLD', check: scopedAddress },
  { key: 'interface', name: 'MIP6_INTERFACE', check: interfaceName },
  { key: 'service', name: 'MIP6_SERVICE', check: token },
  { key: 'serverId', name: 'MIP6_SERVER_ID', check: checkName },
  { key: 'serverTarget', name: 'MIP6_SERVER_TARGET', check: target },
  { key: 'mip4HomeAgent', name: 'MIP4_HOME_AGENT', check: hostAddress },
  { key: 'mip4HomeAddress', name: 'MIP4_HOME_ADDRESS', check: hostAddress },
  { key: 'mip4PrefixLength', name: 'MIP4_PREFIX_LEN', check: wholeNumber },
  { key: 'mip4Spi', name: 'MIP4_SPI', check: wholeNumber },
  { key: 'hipRvsHit', name: 'HIP_RVS_HIT', check: hostAddress },
  { key: 'hipRvsAddress', name: 'HIP_RVS_ADDRESS', check: hostAddress },
  { key: 'hipTokenId', name: 'HIP_TOKEN_ID', check: token },
];

/** Environment variables that do not depend on the event. */
export interface HookPlaces {
  /** Home directory of the daemon's user. */
  readonly home: string;
  readonly stateDir: string;
}

/**
 * The complete environment of a hook, except MIP6_PSK_FILE, which the writer of that file adds. Throws HookValueError
 * if a value does not match its pattern.
 */
export function hookEnvironment(
  event: HookEvent,
  role: HookRole,
  variables: HookVariables,
  places: HookPlaces,
): Readonly<Record<string, string>> {
  const environment: Record<string, string> = {
    PATH,
    HOME: places.home,
    LANG: 'C',
    MIP6_EVENT: event,
    MIP6_ROLE: role,
    MIP6_STATE_DIR: places.stateDir,
  };
  for (const [name, text] of checked(variables)) environment[name] = text;
  return environment;
}

/**
 * An event as a line of a hook's standard input: `permit MIP6_SESSION=… MIP6_COA=…`. No value contains a blank. Throws
 * HookValueError.
 */
export function hookLine(event: HookEvent, variables: HookVariables): string {
  return [event, ...[...checked(variables)].map(([name, text]) => `${name}=${text}`)].join(' ');
}

function* checked(variables: HookVariables): Generator<readonly [name: string, text: string]> {
  for (const { key, name, check } of VARIABLES) {
    const value = variables[key];
    if (value === undefined) continue;
    const text = String(value);
    const problem = check(text);
    if (problem) throw new HookValueError(name, problem);
    yield [name, text];
  }
}
