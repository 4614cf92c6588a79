import { formatAddress, parseAddress } from '../protocol/bytes/address.js';
import {
  RELAY_DROPS,
  type RelayConfig,
  type RelayInput,
  type RelayOutput,
  SUPPLIED,
} from '../protocol/dhcpv6/relay/alphabet.js';
import { DhcpRelay } from '../protocol/dhcpv6/relay/relay.js';
import { MESSAGE, RELAYS_AND_SERVERS, SERVER_PORT } from '../protocol/dhcpv6/wire/codec.js';
import type { NasEvent } from '../protocol/nas/alphabet.js';
import type { Logger } from '../runtime/log/events.js';
import { sessionText } from '../runtime/log/pana-fields.js';
import { type ReadNeighbours, readNeighbours } from '../runtime/net/neighbours.js';
import type { DatagramSocket } from '../runtime/net/udp.js';
import type { Guard } from '../runtime/service/barrier.js';
import { each, type MetricDescriptions } from '../runtime/service/metric-descriptions.js';
import type { Metrics } from '../runtime/service/metrics.js';
import type { Surroundings } from '../runtime/surroundings/surroundings.js';
import { Driver } from '../runtime/system/driver.js';
import { StartError } from '../runtime/system/failure.js';
import type { PaaOptions } from './options.js';

/** The counters of the relay agent. */
export const DHCP_COUNTERS: NonNullable<MetricDescriptions['counters']> = {
  dhcpv6_forwarded: {
    help: 'DHCPv6 messages of clients that were relayed to the servers, by the home network information sent with them',
    series: each('supplied', SUPPLIED),
  },
  dhcpv6_delivered: { help: 'DHCPv6 messages of servers that were relayed to clients' },
  dhcpv6_dropped: {
    help: 'DHCPv6 datagrams that were discarded, by reason',
    series: each('reason', RELAY_DROPS),
  },
};

/** What the relay agent uses of the daemon. */
export interface DhcpRelayParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly guard: Guard;
  readonly surroundings: Pick<Surroundings, 'host' | 'udp' | 'readAddresses'>;
  readonly neighbours?: ReadNeighbours;
}

/** The relay agent, for status output. */
export interface DhcpRelayView {
  /** The interface of the access link. */
  readonly interface: string;
  readonly linkAddress: string;
  readonly servers: readonly string[];
}

/** Drives the DHCPv6 relay agent: its socket, the neighbours of the access link, log and metrics. */
export class DhcpRelayPort {
  readonly #options: PaaOptions;
  readonly #parts: DhcpRelayParts;
  #driver: Driver<RelayInput, RelayOutput> | undefined;
  #socket: DatagramSocket | undefined;
  #status: DhcpRelayView | undefined;

  constructor(options: PaaOptions, parts: DhcpRelayParts) {
    this.#options = options;
    this.#parts = parts;
  }

  /** Opens the socket, if there are servers. Rejects with StartError. */
  async start(): Promise<void> {
    const { relay } = this.#options.dhcpv6;
    if (relay.servers.length === 0) return;
    const { guard, surroundings } = this.#parts;
    const { host, udp } = surroundings;
    const config = await this.#config();
    const driver = new Driver<RelayInput, RelayOutput>(
      new DhcpRelay(config, host.random(32)),
      (output) => this.#perform(output, config.interface),
      host,
      (error, input) => guard.fault(input.type === 'tick' ? 'timer' : 'datagram', error),
    );
    const place = { address: '::', port: SERVER_PORT };
    const group = { address: RELAYS_AND_SERVERS, interface: config.interface };
    try {
      this.#socket = await udp.open({ ...place, group }, (octets, from) =>
        guard.run('datagram', () => driver.feed({ type: 'datagram', octets, from })),
      );
    } catch (error) {
      const { message } = error as Error;
      throw new StartError(`dhcpv6.relay: cannot listen on ${config.interface} port ${SERVER_PORT}: ${message}`);
    }
    this.#driver = driver;
    const linkAddress = formatAddress(config.linkAddress);
    this.#status = { interface: config.interface, linkAddress, servers: relay.servers };
  }

  /** Undefined: it is not configured. */
  get status(): DhcpRelayView | undefined {
    return this.#status;
  }

  /** The local address and port of the socket, if it is open. */
  get address(): DatagramSocket['address'] | undefined {
    return this.#socket?.address;
  }

  async stop(): Promise<void> {
    this.#driver?.stop();
    await this.#socket?.close();
  }

  /** Takes note of the authorized clients. */
  note(event: NasEvent): void {
    switch (event.type) {
      case 'authorized':
      case 'reauthenticated': {
        const { sessionId, address, nai: user = '', grant, kind } = event;
        // RFC 6611 4.2: a home agent of the access network is the server's matter.
        const assignment = kind === 'home' ? grant.assignment : undefined;
        this.#driver?.feed({ type: 'client', client: { sessionId, address, user, assignment } });
        break;
      }
      case 'moved':
        this.#driver?.feed({ type: 'moved', sessionId: event.sessionId, address: event.address });
        break;
      case 'terminating':
      case 'ended':
        this.#driver?.feed({ type: 'gone', sessionId: event.sessionId });
        break;
      default:
    }
  }

  async #config(): Promise<RelayConfig> {
    const { pana, dhcpv6 } = this.#options;
    const { servers, relays, 'link-address': link, interface: access = pana.interface } = dhcpv6.relay;
    const own = link === undefined ? await this.#parts.surroundings.readAddresses() : [];
    const found = own.find((one) => one.interface === access && isGlobal(one.address))?.address;
    const linkAddress = parseAddress(link ?? found ?? '::') ?? new Uint8Array(16);
    return { interface: access, linkAddress, servers, relays };
  }

  #perform(output: RelayOutput, access: string): void {
    const { log, metrics, neighbours = readNeighbours } = this.#parts;
    switch (output.type) {
      case 'send':
        this.#socket?.send(output.octets, output.to);
        break;
      case 'solicit':
        // The kernel looks up the MAC address before it sends anything; port 9 discards it.
        this.#socket?.send(new Uint8Array(), { address: output.address, port: 9 });
        break;
      case 'readNeighbours':
        void neighbours(access).then((macs) => this.#driver?.feed({ type: 'neighbours', macs }));
        break;
      case 'forwarded': {
        metrics.count('dhcpv6_forwarded', { supplied: output.supplied });
        const { address, messageType, sessionId, supplied: reason } = output;
        const session = sessionId === undefined ? undefined : sessionText(sessionId);
        log.debug({ address, session, message: nameOf(messageType), reason }, 'DHCPv6 message relayed');
        break;
      }
      case 'delivered':
        metrics.count('dhcpv6_delivered');
        log.debug(
          { address: output.address, peer: output.server, message: nameOf(output.messageType) },
          'DHCPv6 message relayed',
        );
        break;
      case 'dropped':
        // Anyone can send these.
        metrics.count('dhcpv6_dropped', { reason: output.reason });
        log.debug({ address: output.address, reason: output.reason }, 'DHCPv6 message dropped');
    }
  }
}

/** Whether an address is an IPv6 address that is not link-local. */
export function isGlobal(address: string): boolean {
  return address.includes(':') && !/^(fe[89ab]|::1$)/.test(address);
}

function nameOf(type: number): string {
  return Object.entries(MESSAGE).find(([, own]) => own === type)?.[0] ?? String(type);
}
