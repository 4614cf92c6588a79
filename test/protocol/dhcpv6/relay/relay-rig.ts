import { parseAddress } from '../../../../src/protocol/bytes/address.js';
import type { RelayConfig, RelayEnd, RelayInput, RelayOutput } from '../../../../src/protocol/dhcpv6/relay/alphabet.js';
import { DhcpRelay } from '../../../../src/protocol/dhcpv6/relay/relay.js';
import {
  type DhcpOption,
  decodeOptions,
  decodeRelayMessage,
  encodeRelayMessage,
  MESSAGE,
  OPTION,
  onlyOption,
} from '../../../../src/protocol/dhcpv6/wire/codec.js';
import { decodeHomeNetwork } from '../../../../src/protocol/dhcpv6/wire/home-network.js';
import type { MobilityAssignment } from '../../../../src/protocol/mip6/assignment.js';
import { INFORMATION_REQUEST } from '../wire/vectors.js';

export const SERVER = '2001:db8:f::2';
export const OTHER_SERVER = '2001:db8:f::3';
export const RELAY = '2001:db8:b::9';
export const CLIENT = 'fe80::cac:b4ff:fe71:e27c%ar0';
export const CLIENT_GLOBAL = '2001:db8:a::11';
export const MAC = '0e:ac:b4:71:e2:7c';

export const octetsOf = (text: string) => parseAddress(text) ?? new Uint8Array();

export const CONFIG: RelayConfig = {
  interface: 'ar0',
  linkAddress: octetsOf('2001:db8:a::1'),
  servers: [SERVER],
  relays: [],
};

export const ASSIGNMENT: MobilityAssignment = {
  capability: 0x2d,
  homeAgent: octetsOf('2001:db8:1::1'),
  homeAddress: octetsOf('2001:db8:1::77'),
  prefix: { length: 64, octets: octetsOf('2001:db8:1::') },
  host: 'ha1.home.example',
  ikeIdentity: 'mn1@home.example',
  lifetime: undefined,
};

export type Of<T extends RelayOutput['type']> = Extract<RelayOutput, { type: T }>;

/** The relay agent in virtual time. The test acts as clients, servers and kernel. */
export class RelayRig {
  readonly machine: DhcpRelay;
  now = 0;
  outputs: readonly RelayOutput[] = [];

  constructor(config: Partial<RelayConfig> = {}, key = Uint8Array.of(1, 2, 3)) {
    this.machine = new DhcpRelay({ ...CONFIG, ...config }, key);
  }

  feed(input: RelayInput): readonly RelayOutput[] {
    this.outputs = this.machine.handle(input, this.now);
    return this.outputs;
  }

  datagram(octets: Uint8Array, from: Partial<RelayEnd> = {}): readonly RelayOutput[] {
    return this.feed({ type: 'datagram', octets, from: { address: CLIENT, port: 546, ...from } });
  }

  /** Authorizes a client and tells the MAC address of its address, if it has one. */
  authorize(
    sessionId: number,
    address: string,
    mac?: string,
    user = 'mn1',
    assignment = ASSIGNMENT as typeof ASSIGNMENT | undefined,
  ) {
    this.feed({ type: 'client', client: { sessionId, address, user, assignment } });
    this.neighbours(mac === undefined ? {} : { [address.split('%')[0] ?? '']: mac });
  }

  /** Answers a pending read, or one that the passage of time brings. */
  neighbours(macs: Readonly<Record<string, string>>): readonly RelayOutput[] {
    if (this.all('readNeighbours').length === 0) this.pass();
    return this.feed({ type: 'neighbours', macs: new Map(Object.entries(macs)) });
  }

  /** Passes the time until the next deadline. */
  pass(): readonly RelayOutput[] {
    const { deadline } = this.machine;
    if (deadline === undefined) throw new Error('no deadline');
    this.now = Math.max(this.now, deadline);
    return this.feed({ type: 'tick' });
  }

  all<T extends RelayOutput['type']>(type: T): Of<T>[] {
    return this.outputs.filter((output): output is Of<T> => output.type === type);
  }

  get types(): string[] {
    return this.outputs.map(({ type }) => type);
  }

  get reason(): string | undefined {
    return this.all('dropped')[0]?.reason;
  }

  /** The Relay-forward that was sent last. */
  get forward() {
    const [sent] = this.all('send');
    if (!sent) throw new Error(`nothing was sent, but ${JSON.stringify(this.types)}`);
    return decodeRelayMessage(sent.octets);
  }

  /** The home network information that was supplied last; undefined: none. */
  get supplied() {
    const rsoo = onlyOption(this.forward.options, OPTION.RSOO);
    const idinf = rsoo && onlyOption(decodeOptions(rsoo), OPTION.MIP6_IDINF);
    return idinf && decodeHomeNetwork(idinf);
  }

  /** A Relay-reply of a server to the last Relay-forward. */
  replyTo(inner: Uint8Array, change: (options: DhcpOption[]) => DhcpOption[] = (all) => all): Uint8Array {
    const { linkAddress, peerAddress, hopCount, options } = this.forward;
    const own = options.filter(({ code }) => code === OPTION.INTERFACE_ID);
    return encodeRelayMessage({
      type: MESSAGE['RELAY-REPL'],
      hopCount,
      linkAddress,
      peerAddress,
      options: change([...own, { code: OPTION.RELAY_MSG, value: inner }]),
    });
  }

  /** A client's message of another type. */
  static typed(type: number): Uint8Array {
    const octets = Uint8Array.from(INFORMATION_REQUEST);
    octets[0] = type;
    return octets;
  }
}
