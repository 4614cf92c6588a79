import { withoutScope } from '../../protocol/bytes/address-set.js';
import type { NodePeerStatus } from '../../protocol/diameter/node/alphabet.js';
import type { ApplicationInput, ApplicationOutput } from '../../protocol/diameter/node/application.js';
import type { Origin } from '../../protocol/diameter/wire/answers.js';
import type { GatewayConfig, GatewayEvent, GatewayInput, GatewayOutput } from '../../protocol/nas/radius/alphabet.js';
import { RadiusGateway } from '../../protocol/nas/radius/gateway.js';
import type { EndpointName } from '../../protocol/radius/client/alphabet.js';
import { CODE } from '../../protocol/radius/wire/codec.js';
import type { TlsTransport } from '../diameter/tls.js';
import type { DatagramSocket, Udp } from '../net/udp.js';
import { type Guard, unguarded } from '../service/barrier.js';
import { Driver } from '../system/driver.js';
import type { Host } from '../system/host.js';
import { connectRadSec, type RadSecPlace, type RadSecSocket } from './radsec-socket.js';

/** Datagrams that wait for their socket. More are lost, and sent again later. */
const MAX_WAITING = 64;

/** How long pending requests may take when the node stops, in milliseconds. */
const STOP_TIME = 2_000;

/** Where the ports of a server are. */
export interface ServerPlace {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly accountingPort: number | undefined;
  /** The dNSName in its certificate: RADIUS over TLS. Undefined: over UDP. */
  readonly certificate: string | undefined;
}

export interface GatewayNodeOptions {
  readonly origin: Origin;
  readonly config: GatewayConfig;
  readonly servers: readonly ServerPlace[];
  /** The local address of requests; undefined: the route decides. */
  readonly source: string | undefined;
  /** Where requests of servers (RFC 5176) arrive. */
  readonly dynamic: { readonly listen: readonly string[]; readonly port: number };
  readonly perform: (output: ApplicationOutput) => void;
  readonly onEvent: (event: GatewayEvent) => void;
  /** For servers with a certificate. */
  readonly transport: () => TlsTransport | undefined;
  readonly guard?: Guard | undefined;
  readonly host: Host;
  readonly udp: Udp;
}

/** Requests of servers, which a RadSec connection carries too. */
const REQUESTS: readonly number[] = [CODE['Disconnect-Request'], CODE['CoA-Request']];

type SocketName = EndpointName & { readonly socket: number };

/** A socket that is being opened, or is open. */
interface Held {
  socket: Pick<DatagramSocket, 'send' | 'close'> | RadSecSocket | undefined;
  readonly waiting: Uint8Array[];
}

/** Drives the RADIUS gateway: connects it to sockets, timers and the NAS. */
export class GatewayNode {
  readonly #options: GatewayNodeOptions;
  readonly #guard: Guard;
  readonly #gateway: RadiusGateway;
  readonly #driver: Driver<GatewayInput, GatewayOutput>;
  #servers: readonly ServerPlace[];
  readonly #sockets = new Map<string, Held>();
  readonly #listeners = new Map<string, DatagramSocket>();
  readonly #stopping = new AbortController();
  #resolveStopped: () => void = () => undefined;

  constructor(options: GatewayNodeOptions) {
    const { origin, config, servers, host } = options;
    this.#options = options;
    this.#servers = servers;
    this.#guard = options.guard ?? unguarded;
    const gateway = new RadiusGateway(origin, config, host.random(32), host.monotonic());
    this.#gateway = gateway;
    this.#driver = new Driver<GatewayInput, GatewayOutput>(
      {
        handle: (input, now) => gateway.handle(input, now, host.wall()),
        get deadline() {
          return gateway.deadline;
        },
      },
      (output) => this.#perform(output),
      host,
      (error, input) => this.#guard.fault(input.type === 'tick' ? 'timer' : 'datagram', error),
    );
  }

  /** Opens the sockets for requests of servers, and asks the servers whether they answer. */
  async start(): Promise<void> {
    const { listen, port } = this.#options.dynamic;
    try {
      for (const address of listen) {
        const socket = await this.#options.udp.open({ address, port }, (octets, from) => {
          const sender = withoutScope(from.address);
          const servers = this.#servers.filter(
            ({ address, certificate }) => certificate === undefined && withoutScope(address) === sender,
          );
          this.#feed({ type: 'dynamic', octets, from, servers: servers.map(({ name }) => name) });
        });
        this.#listeners.set(socket.label, socket);
      }
    } catch (error) {
      await this.#close();
      throw error;
    }
    this.#driver.feed({ type: 'start' });
  }

  /** The local addresses and ports for requests of servers. */
  get listening(): readonly { readonly address: string; readonly port: number }[] {
    return [...this.#listeners.values()].map(({ address }) => address);
  }

  async stop(): Promise<void> {
    const stopped = new Promise<void>((resolve) => {
      this.#resolveStopped = resolve;
    });
    this.#driver.feed({ type: 'stop', timeout: STOP_TIME });
    await stopped;
    this.#driver.stop();
    await this.#close();
  }

  /** Passes an input of the NAS. */
  feed(input: ApplicationInput): void {
    this.#driver.feed(input);
  }

  /** The PAA has authorized the client of this session. */
  started(sessionId: string): void {
    this.#driver.feed({ type: 'started', sessionId });
  }

  reconfigure(config: GatewayConfig, servers: readonly ServerPlace[]): void {
    const gone = this.#servers.filter((old) => !servers.some((server) => isSame(old, server)));
    this.#servers = servers;
    for (const { name } of gone) {
      for (const key of [...this.#sockets.keys()].filter((own) => own.startsWith(`${name} `))) this.#release(key);
    }
    this.#driver.feed({ type: 'configure', config });
  }

  /** The state of each server, in the form of Diameter peers. */
  status(): readonly NodePeerStatus[] {
    return this.#gateway.status().map(({ server, service, status, inFlight }) => ({
      host: service === 'authentication' ? server : `${server} (${service})`,
      state: status === 'DOWN' || status === 'UNKNOWN' ? 'Closed' : 'Open',
      watchdog: status,
      realm: undefined,
      productName: undefined,
      remoteAddress: this.#servers.find(({ name }) => name === server)?.address,
      inFlight,
      serving: 0,
    }));
  }

  /** Numbers of sessions and of waiting Accounting-Requests. */
  get sizes() {
    return this.#gateway.sizes;
  }

  #feed(input: GatewayInput): void {
    this.#guard.run('datagram', () => this.#driver.feed(input));
  }

  #perform(output: GatewayOutput): void {
    switch (output.type) {
      case 'send':
        this.#send(output, output.socket, output.octets);
        break;
      case 'reply':
        if (this.#listeners.has(output.to.local)) this.#listeners.get(output.to.local)?.send(output.octets, output.to);
        else this.#sockets.get(output.to.local)?.socket?.send(output.octets, output.to);
        break;
      case 'event':
        this.#options.onEvent(output.event);
        break;
      case 'stopped':
        this.#resolveStopped();
        break;
      case 'answered':
      case 'failed':
      case 'serve':
        this.#options.perform(output);
    }
  }

  #send(endpoint: EndpointName, number: number, octets: Uint8Array): void {
    const key = `${endpoint.server} ${endpoint.service} ${number}`;
    const held = this.#sockets.get(key);
    if (held?.socket) {
      held.socket.send(octets, { address: '', port: 0 });
      return;
    }
    if (held) {
      if (held.waiting.length < MAX_WAITING) held.waiting.push(octets);
      return;
    }
    const opened: Held = { socket: undefined, waiting: [octets] };
    this.#sockets.set(key, opened);
    void this.#guard.settle('datagram', this.#open(key, endpoint, number, opened));
  }

  async #open(key: string, { server, service }: EndpointName, number: number, held: Held): Promise<void> {
    const place = this.#servers.find(({ name }) => name === server);
    const port = service === 'accounting' ? place?.accountingPort : place?.port;
    if (!place || port === undefined) {
      this.#sockets.delete(key);
      return;
    }
    const { udp, source } = this.#options;
    const slot = { server, service, socket: number };
    let socket: NonNullable<Held['socket']>;
    try {
      socket =
        place.certificate === undefined
          ? await udp.connect(
              { address: place.address, port },
              source === undefined ? {} : { address: source, port: 0 },
              (octets) => this.#feed({ type: 'datagram', ...slot, octets }),
            )
          : await this.#secured({ address: place.address, port, certificate: place.certificate }, key, slot, held);
    } catch {
      // There is no route now. The next transmission tries again.
      if (place.certificate === undefined) this.#sockets.delete(key);
      else this.#lost(key, slot, held);
      return;
    }
    if (this.#sockets.get(key) !== held) {
      await socket.close();
      return;
    }
    held.socket = socket;
    for (const octets of held.waiting.splice(0)) socket.send(octets, { address: '', port: 0 });
  }

  /** Answers and requests of a server come over the same connection. */
  async #secured(place: RadSecPlace, key: string, slot: SocketName, held: Held): Promise<RadSecSocket> {
    const { transport, host } = this.#options;
    const tls = transport();
    if (!tls) throw new Error('radius.tls is missing');
    const { server } = slot;
    const from = { address: place.address, port: 0, local: key };
    const events = {
      onPacket: (octets: Uint8Array) =>
        this.#feed(
          REQUESTS.includes(octets[0] ?? 0)
            ? { type: 'dynamic', octets, from, servers: [server] }
            : { type: 'datagram', ...slot, octets },
        ),
      onClosed: () => this.#lost(key, slot, held),
    };
    return connectRadSec(place, tls, host, events, this.#stopping.signal);
  }

  #lost(key: string, slot: SocketName, held: Held): void {
    if (this.#sockets.get(key) !== held) return;
    this.#sockets.delete(key);
    this.#feed({ type: 'disconnected', ...slot });
  }

  #release(key: string): void {
    const held = this.#sockets.get(key);
    this.#sockets.delete(key);
    void held?.socket?.close();
  }

  async #close(): Promise<void> {
    this.#stopping.abort();
    const sockets = [...this.#sockets.values()].flatMap(({ socket }) => socket ?? []);
    this.#sockets.clear();
    await Promise.all([...sockets, ...this.#listeners.values()].map((socket) => socket.close()));
    this.#listeners.clear();
  }
}

function isSame(a: ServerPlace, b: ServerPlace): boolean {
  return (
    a.name === b.name &&
    a.address === b.address &&
    a.port === b.port &&
    a.accountingPort === b.accountingPort &&
    a.certificate === b.certificate
  );
}
