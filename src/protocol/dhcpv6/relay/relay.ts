import { createHmac } from 'node:crypto';
import { formatAddress, parseAddress } from '../../bytes/address.js';
import { DecodeError } from '../../bytes/decode-error.js';
import { concat, encodeUtf8, equalSecrets } from '../../bytes/octets.js';
import type { MobilityAssignment } from '../../mip6/assignment.js';
import {
  CLIENT_PORT,
  type DhcpOption,
  decodeClientMessage,
  decodeRelayMessage,
  encodeOptions,
  encodeRelayMessage,
  HOP_COUNT_LIMIT,
  isRelayType,
  MESSAGE,
  OPTION,
  onlyOption,
  type RelayMessage,
  SERVER_PORT,
} from '../wire/codec.js';
import { encodeHomeNetwork, isDomainName } from '../wire/home-network.js';
import type { RelayConfig, RelayDrop, RelayEnd, RelayInput, RelayOutput } from './alphabet.js';
import { type Match, RelayClients, withoutScope } from './clients.js';
import { RelayRate } from './rate.js';

/** Maximum number of messages that wait for the MAC addresses of their clients. */
export const MAX_WAITING = 256;

/** How many of these places are kept for clients with a session. */
export const RESERVED_WAITING = 64;

/**
 * When the neighbours are read after a message came, in milliseconds. If the last time does not find its client, the
 * message is relayed without home network information.
 */
export const READS = [20, 150, 400, 800] as const;

/** Minimum time between two reads of the neighbours in milliseconds, because each one starts a program. */
export const READ_INTERVAL = 100;

/** Maximum length of a message to a server in octets: what fits UDP over an IPv6 link of 1500 without fragments. */
export const MAX_RELAYED = 1_452;

/** Octets of the Interface-Id after the name, which only this relay agent can compute. */
const PROOF_LENGTH = 8;

/** Message types that only servers send. RFC 7283: types that are not known are relayed. */
const OF_SERVERS: readonly number[] = [MESSAGE.ADVERTISE, MESSAGE.REPLY, MESSAGE.RECONFIGURE];

interface Waiting {
  readonly octets: Uint8Array;
  readonly address: string;
  readonly since: number;
  /** Number of reads that did not find its client. */
  tries: number;
}

/**
 * A DHCPv6 relay agent (RFC 8415 19) that supplies the home network information of authorized clients to servers (RFC
 * 6611 4.2). It keeps nothing of a message except while it waits for the MAC address of its client. Not RFC: it relays
 * for clients of the access link and configured relay agents only, and it recognizes answers to its own messages by the
 * Interface-Id, because the source address of a datagram proves nothing.
 */
export class DhcpRelay {
  #config: RelayConfig;
  readonly #key: Uint8Array;
  readonly #clients = new RelayClients();
  readonly #rate = new RelayRate();
  #waiting: Waiting[] = [];
  /** Addresses that had the MAC address of a session when the neighbours were read last. They only have precedence. */
  #known: ReadonlySet<string> = new Set();
  /** Whether `readNeighbours` is unanswered. */
  #reading = false;
  #readAt = Number.NEGATIVE_INFINITY;
  #out: RelayOutput[] = [];

  /** `key`: unpredictable octets. */
  constructor(config: RelayConfig, key: Uint8Array) {
    this.#config = config;
    this.#key = key;
  }

  get deadline(): number | undefined {
    if (this.#reading) return undefined;
    const due = this.#waiting.map(({ since, tries }) => since + (READS[tries] ?? 0));
    if (this.#clients.isReading) due.push(this.#readAt);
    return due.length === 0 ? undefined : Math.max(Math.min(...due), this.#readAt + READ_INTERVAL);
  }

  /** Messages that wait for the MAC addresses of their clients. */
  get waiting(): number {
    return this.#waiting.length;
  }

  handle(input: RelayInput, now: number): RelayOutput[] {
    this.#out = [];
    switch (input.type) {
      case 'datagram':
        this.#datagram(input.octets, input.from, now);
        break;
      case 'client':
        this.#clients.set(input.client);
        break;
      case 'moved':
        this.#clients.move(input.sessionId, input.address);
        break;
      case 'gone':
        this.#clients.delete(input.sessionId);
        break;
      case 'neighbours':
        this.#reading = false;
        this.#learn(input.macs, now);
        break;
      case 'configure':
        this.#config = input.config;
        break;
      case 'tick':
        break;
    }
    const { deadline } = this;
    if (deadline !== undefined && now >= deadline) {
      this.#reading = true;
      this.#readAt = now;
      this.#out.push({ type: 'readNeighbours' });
    }
    return this.#out;
  }

  #drop(reason: RelayDrop, address: string): void {
    this.#out.push({ type: 'dropped', reason, address });
  }

  #datagram(octets: Uint8Array, from: RelayEnd, now: number): void {
    const { address } = from;
    const { servers, relays, interface: access } = this.#config;
    try {
      let reason: RelayDrop | undefined = 'unknown-source';
      if (servers.includes(address)) reason = this.#fromServer(octets, address);
      else if (relays.includes(address)) reason = this.#fromRelay(octets, address, now);
      // A client of the access link has a link-local source address, RFC 8415 13.1.
      else if (address.startsWith('fe80:') && address.endsWith(`%${access}`)) {
        reason = this.#fromClient(octets, address, now);
      }
      if (reason !== undefined) this.#drop(reason, address);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#drop('malformed', address);
    }
  }

  /** RFC 8415 19.1.1. */
  #fromClient(octets: Uint8Array, address: string, now: number): RelayDrop | undefined {
    const [type = 0] = octets;
    // A relay agent among the clients could supply another home agent (RFC 6422 8).
    if (isRelayType(type) || OF_SERVERS.includes(type)) return 'unexpected';
    const { options } = decodeClientMessage(octets);
    const ofRelays: readonly number[] = [OPTION.RSOO, OPTION.RELAY_MSG, OPTION.INTERFACE_ID];
    if (options.some(({ code }) => ofRelays.includes(code))) return 'relay-option';
    const match = this.#clients.at(address);
    const isKnown = match.supplied !== 'no-session' || this.#known.has(withoutScope(address));
    const exceeded = this.#rate.exceeded(address, isKnown, now);
    if (exceeded) return exceeded;
    if (match.supplied !== 'no-session' || this.#clients.size === 0) return this.#send(octets, address, 0, match);
    if (this.#waiting.length >= MAX_WAITING - (isKnown ? 0 : RESERVED_WAITING)) return 'waiting-in-all';
    this.#waiting.push({ octets, address, since: now, tries: 0 });
    this.#out.push({ type: 'solicit', address });
    return undefined;
  }

  /** RFC 8415 19.1.2. */
  #fromRelay(octets: Uint8Array, address: string, now: number): RelayDrop | undefined {
    const { type, hopCount } = decodeRelayMessage(octets);
    if (type !== MESSAGE['RELAY-FORW']) return 'unexpected';
    if (hopCount >= HOP_COUNT_LIMIT) return 'hop-limit';
    // It is configured.
    const exceeded = this.#rate.exceeded(address, true, now);
    if (exceeded) return exceeded;
    return this.#send(octets, address, hopCount + 1, { supplied: 'no-session', client: undefined });
  }

  /** RFC 8415 19.2. */
  #fromServer(octets: Uint8Array, server: string): RelayDrop | undefined {
    const [type] = octets;
    if (type !== MESSAGE['RELAY-REPL']) return 'unexpected';
    const reply = decodeRelayMessage(octets);
    const inner = onlyOption(reply.options, OPTION.RELAY_MSG);
    const id = onlyOption(reply.options, OPTION.INTERFACE_ID);
    if (inner === undefined) return 'malformed';
    if (id === undefined || !equalSecrets(id, this.#interfaceId(reply))) return 'unasked';
    if (inner[0] === MESSAGE['RELAY-FORW']) return 'unexpected';
    const isForRelay = inner[0] === MESSAGE['RELAY-REPL'];
    if (isForRelay) decodeRelayMessage(inner);
    else decodeClientMessage(inner);
    const plain = formatAddress(reply.peerAddress);
    const address = plain.startsWith('fe80:') ? `${plain}%${this.#config.interface}` : plain;
    const to = { address, port: isForRelay ? SERVER_PORT : CLIENT_PORT };
    this.#out.push(
      { type: 'send', octets: inner, to },
      { type: 'delivered', messageType: inner[0] ?? 0, address, server },
    );
    return undefined;
  }

  #learn(macs: ReadonlyMap<string, string>, now: number): void {
    this.#clients.learn(macs);
    const isOfSession = (mac: string) => this.#clients.of(mac).supplied !== 'no-session';
    this.#known = new Set([...macs].flatMap(([address, mac]) => (isOfSession(mac) ? [address] : [])));
    const all = this.#waiting;
    this.#waiting = [];
    for (const waiting of all) {
      const { octets, address, since } = waiting;
      const mac = macs.get(withoutScope(address));
      if (mac !== undefined) {
        this.#forward(octets, address, this.#clients.of(mac));
        continue;
      }
      while (waiting.tries < READS.length && now >= since + (READS[waiting.tries] ?? 0)) waiting.tries += 1;
      if (waiting.tries < READS.length) this.#waiting.push(waiting);
      else this.#forward(octets, address, { supplied: 'no-session', client: undefined });
    }
  }

  #forward(octets: Uint8Array, address: string, match: Match): void {
    const reason = this.#send(octets, address, 0, match);
    if (reason !== undefined) this.#drop(reason, address);
  }

  #send(octets: Uint8Array, address: string, hopCount: number, { supplied, client }: Match): RelayDrop | undefined {
    const { servers, linkAddress } = this.#config;
    const peerAddress = parseAddress(withoutScope(address)) ?? new Uint8Array(16);
    const head = { type: MESSAGE['RELAY-FORW'], hopCount, linkAddress, peerAddress };
    const relayed = encodeRelayMessage({
      ...head,
      options: [
        { code: OPTION.INTERFACE_ID, value: this.#interfaceId(head) },
        ...(client?.assignment ? [suppliedOptions(client.assignment)] : []),
        { code: OPTION.RELAY_MSG, value: octets },
      ],
    });
    if (relayed.length > MAX_RELAYED) return 'too-long';
    for (const server of servers) {
      this.#out.push({ type: 'send', octets: relayed, to: { address: server, port: SERVER_PORT } });
    }
    const messageType = octets[0] ?? 0;
    this.#out.push({ type: 'forwarded', messageType, address, supplied, sessionId: client?.sessionId });
    return undefined;
  }

  /** The name of the interface and a proof. Servers return it as it is (RFC 8415 21.18). */
  #interfaceId({ linkAddress, peerAddress }: Pick<RelayMessage, 'linkAddress' | 'peerAddress'>): Uint8Array {
    const name = encodeUtf8(this.#config.interface);
    const proof = createHmac('sha256', this.#key).update(linkAddress).update(peerAddress).update(name).digest();
    return concat(name, Uint8Array.of(0), proof.subarray(0, PROOF_LENGTH));
  }
}

/** The home agent of a client for the server to pass on, RFC 6611 4.2. */
function suppliedOptions({ prefix, homeAgent, host }: MobilityAssignment): DhcpOption {
  const information = encodeHomeNetwork({
    prefixes: prefix ? [prefix] : [],
    agents: homeAgent.length === 16 ? [homeAgent] : [],
    hosts: host !== undefined && isDomainName(host) ? [host] : [],
  });
  return { code: OPTION.RSOO, value: encodeOptions([{ code: OPTION.MIP6_IDINF, value: information }]) };
}
