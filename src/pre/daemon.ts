import { PanaRelay, type RelayConfig, type RelayInput, type RelayOutput } from '../protocol/pana/relay/relay.js';
import type { Logger } from '../runtime/log/events.js';
import { EventFeed } from '../runtime/log/feed.js';
import { panaFields } from '../runtime/log/pana-fields.js';
import type { DatagramSocket } from '../runtime/net/udp.js';
import { Barrier } from '../runtime/service/barrier.js';
import { controlRoutes } from '../runtime/service/control-api.js';
import { eventRoutes } from '../runtime/service/event-stream.js';
import { Metrics } from '../runtime/service/metrics.js';
import type { Service } from '../runtime/service/service.js';
import { type Surroundings, systemSurroundings } from '../runtime/surroundings/surroundings.js';
import { PRE_API } from './control-api.js';
import { PRE_METRICS } from './metrics.js';
import type { PreOptions } from './options.js';

/** The part of the surroundings that a relay needs. */
export type PreSurroundings = Pick<Surroundings, 'host' | 'udp' | 'openControl'>;

/** The PANA relay: connects the relay machine to a socket for each address of the access link and one to the PAA. */
export class PreDaemon implements Service<PreOptions> {
  readonly #options: PreOptions;
  readonly #feed: EventFeed;
  readonly #log: Logger;
  readonly #metrics = new Metrics('pana_pre', PRE_METRICS);
  readonly barrier: Barrier;
  readonly #surroundings: PreSurroundings;
  readonly #sockets = new Map<string, DatagramSocket>();
  #relay: PanaRelay | undefined;
  #paa: DatagramSocket | undefined;
  #lastFromPaa: number | undefined;
  #closeControl: () => Promise<void> = () => Promise.resolve();

  private constructor(options: PreOptions, feed: EventFeed, surroundings: PreSurroundings) {
    this.#options = options;
    this.#feed = feed;
    this.#log = feed.log;
    this.#surroundings = surroundings;
    this.barrier = new Barrier(feed.log, this.#metrics, () => surroundings.host.monotonic());
  }

  /** Rejects with OperatorError, or the system's error. */
  static async start(
    options: PreOptions,
    logger: Logger,
    surroundings: PreSurroundings = systemSurroundings,
  ): Promise<PreDaemon> {
    const daemon = new PreDaemon(options, new EventFeed('pana-pre', logger, surroundings.host), surroundings);
    try {
      await daemon.#open();
    } catch (error) {
      await daemon.stop();
      throw error;
    }
    return daemon;
  }

  reload(options: PreOptions): Promise<void> {
    this.#feedRelay({ type: 'configure', config: relayConfig(options) });
    return Promise.resolve();
  }

  summary(): string {
    const { paa } = this.#options.relay;
    return this.#lastFromPaa === undefined ? `relaying to ${paa}, which has not answered yet` : `relaying to ${paa}`;
  }

  async stop(): Promise<void> {
    await this.#closeControl();
    await Promise.all([...this.#sockets.values()].map((socket) => socket.close()));
    await this.#paa?.close();
  }

  async #open(): Promise<void> {
    const { relay, control } = this.#options;
    const { udp, host, openControl } = this.#surroundings;
    for (const address of relay.listen) {
      const socket = await udp.open({ address, port: relay.port }, (octets, from) => {
        this.#received('client', octets, from);
        const { address, port } = from;
        this.barrier.run('datagram', () => this.#feedRelay({ type: 'fromPac', octets, address, port }));
      });
      this.#sockets.set(socket.label, socket);
    }
    const paa = { address: relay.paa, port: relay['paa-port'] };
    const source = relay.source === undefined ? {} : { address: relay.source };
    const port = relay['source-port'] === 0 ? {} : { port: relay['source-port'] };
    this.#paa = await udp.connect(paa, { ...source, ...port }, (octets) => {
      this.#lastFromPaa = host.monotonic();
      this.#received('paa', octets, paa);
      this.barrier.run('datagram', () => this.#feedRelay({ type: 'fromPaa', octets }));
    });
    // The configured addresses, since that of a socket has no scope on some systems.
    const sides = [...this.#sockets.keys()].map((local, i) => ({ local, address: relay.listen[i] ?? '' }));
    this.#relay = new PanaRelay(sides, relayConfig(this.#options), host.random(16), host.monotonic());
    const routes = {
      ...eventRoutes(this.#feed, host),
      ...controlRoutes(PRE_API, { 'GET /status': () => this.status() }),
    };
    this.#closeControl = await openControl(control, routes, this.#metrics, this.barrier, host);
    this.#log.info({ listening: [...this.#sockets.values()].map((socket) => socket.address) }, 'ready');
  }

  async status(): Promise<object> {
    const { relay } = this.#options;
    const since = this.#lastFromPaa === undefined ? undefined : this.#surroundings.host.monotonic() - this.#lastFromPaa;
    return {
      listening: [...this.#sockets.values()].map(({ address: { address, port } }) => `${address} port ${port}`),
      paa: `${relay.paa} port ${relay['paa-port']}`,
      source: this.#paa?.place,
      lastFromPaaSeconds: since === undefined ? undefined : Math.round(since / 1000),
      certificates: {},
      counters: await this.#metrics.counters(),
    };
  }

  #feedRelay(input: RelayInput): void {
    for (const output of this.#relay?.handle(input, this.#surroundings.host.monotonic()) ?? []) this.#perform(output);
  }

  #perform(output: RelayOutput): void {
    const { relay } = this.#options;
    switch (output.type) {
      case 'toPaa':
        this.#sent('paa', output.octets, { address: relay.paa, port: relay['paa-port'] });
        this.#paa?.send(output.octets, { address: relay.paa, port: relay['paa-port'] });
        break;
      case 'toPac':
        this.#sent('client', output.octets, output);
        this.#sockets.get(output.local)?.send(output.octets, output);
        break;
      case 'dropped': {
        // Anyone can send a datagram that is dropped, so this must be cheap.
        const { code: reason, address } = output;
        this.#metrics.count('dropped', { code: reason });
        if (this.#log.isLevelEnabled('debug')) this.#log.debug({ reason, address }, 'message dropped');
      }
    }
  }

  #received(
    end: 'client' | 'paa',
    octets: Uint8Array,
    from: { readonly address: string; readonly port: number },
  ): void {
    this.#metrics.count('datagrams', { end, direction: 'in' });
    this.#trace('message received', octets, from);
  }

  #sent(end: 'client' | 'paa', octets: Uint8Array, to: { readonly address: string; readonly port: number }): void {
    this.#metrics.count('datagrams', { end, direction: 'out' });
    this.#trace('message sent', octets, to);
  }

  #trace(
    message: 'message sent' | 'message received',
    octets: Uint8Array,
    { address, port }: { readonly address: string; readonly port: number },
  ): void {
    if (!this.#log.isLevelEnabled('debug')) return;
    this.#log.debug({ address, port, ...panaFields(octets), octets: octets.length }, message);
  }
}

function relayConfig({ relay: { limits } }: PreOptions): RelayConfig {
  return {
    limits: { perAddress: limits['pci-per-address'], perNetwork: limits['pci-per-network'], inAll: limits.pci },
    messages: limits['messages-per-address'],
    unproven: limits.messages,
  };
}
