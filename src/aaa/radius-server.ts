import { isIPv6 } from 'node:net';
import { withoutScope } from '../protocol/bytes/address-set.js';
import type { DemandOutcome, Token } from '../protocol/home/alphabet.js';
import {
  DROP_CAUSES,
  type RadiusConfig,
  type RadiusInput,
  type RadiusOutput,
  type RadiusService,
} from '../protocol/home/radius/alphabet.js';
import { clientOfOrigin, type RadiusClient } from '../protocol/home/radius/clients.js';
import { RadiusServer } from '../protocol/home/radius/server.js';
import { codeName } from '../protocol/radius/wire/codec.js';
import { refusedReporter } from '../runtime/diameter/reporter.js';
import type { Logger } from '../runtime/log/events.js';
import type { DatagramSocket, Udp } from '../runtime/net/udp.js';
import type { Guard } from '../runtime/service/barrier.js';
import { each, type MetricDescriptions } from '../runtime/service/metric-descriptions.js';
import type { Metrics } from '../runtime/service/metrics.js';
import { Driver } from '../runtime/system/driver.js';
import type { Host } from '../runtime/system/host.js';
import type { AaaOptions } from './config/options.js';
import type { NasPort, NasPortInput, NasPortOutput } from './nas-port.js';
import { RadiusClientTally, type RadiusClientView } from './radius-client-tally.js';
import type { RadiusMaterial } from './radius-clients.js';
import { RadSec } from './radsec.js';

/** The counters of RADIUS. */
export const RADIUS_COUNTERS: NonNullable<MetricDescriptions['counters']> = {
  radius_answers: {
    help: 'RADIUS packets that were sent as answers, by code',
    series: each('code', ['Access-Accept', 'Access-Challenge', 'Access-Reject', 'Accounting-Response']),
  },
  radius_duplicates: { help: 'Repeated RADIUS requests that got the same answer again' },
  radius_dropped: {
    help: 'RADIUS packets that were discarded without an answer, by cause',
    series: each('cause', DROP_CAUSES),
  },
};

type SentDemand = Pick<Extract<NasPortOutput, { type: 'sendDemand' }>, 'demand' | 'session'>;

export interface RadiusParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly host: Host;
  readonly udp: Udp;
  readonly guard: Guard;
  readonly material: RadiusMaterial;
  /** Receives the requests of NASs and their answers. */
  readonly feed: (input: NasPortInput) => void;
}

/** Drives the RADIUS server: sockets, log and metrics. */
export class RadiusPort implements NasPort {
  readonly #parts: RadiusParts;
  readonly #options: Pick<AaaOptions, 'radius' | 'diameter'>;
  readonly #driver: Driver<RadiusInput, RadiusOutput>;
  readonly #sockets = new Map<string, DatagramSocket>();
  /** The sockets for requests to clients, one for each address that this server listens on. */
  readonly #demandSockets: DatagramSocket[] = [];
  readonly #radSec: RadSec | undefined;
  #tls: RadiusMaterial['tls'];
  readonly #tally: RadiusClientTally;
  /** Unanswered demands. */
  readonly #demands = new Map<Token, SentDemand>();

  constructor(options: Pick<AaaOptions, 'radius' | 'diameter'>, parts: RadiusParts) {
    this.#parts = parts;
    this.#options = options;
    const { host, guard, log } = parts;
    const { tls, clients } = parts.material;
    this.#tls = tls;
    this.#tally = new RadiusClientTally(clients);
    this.#radSec =
      tls &&
      new RadSec(tls, refusedReporter(log), {
        host,
        guard,
        onPacket: (packet) => this.#driver.feed({ type: 'packet', service: 'any', ...packet }),
        onOpened: (local, names) => this.#driver.feed({ type: 'opened', local, names }),
        onClosed: (local) => this.#driver.feed({ type: 'closed', local }),
      });
    const machine = new RadiusServer(this.#config(clients), (octets) => host.random(octets));
    this.#driver = new Driver<RadiusInput, RadiusOutput>(
      machine,
      (output) => this.#perform(output),
      host,
      (error, input) => guard.fault(input.type === 'tick' ? 'timer' : 'datagram', error),
    );
  }

  /** Whether a session is one of a RADIUS client. */
  static has({ origin }: { readonly origin: string }): boolean {
    return clientOfOrigin(origin) !== undefined;
  }

  /** The credentials of RadSec in use. */
  get tls(): RadiusMaterial['tls'] {
    return this.#tls;
  }

  /** The addresses and ports of the open sockets. */
  get addresses(): { readonly address: string; readonly port: number }[] {
    return [...[...this.#sockets.values()].map(({ address }) => address), ...(this.#radSec?.addresses ?? [])];
  }

  /** What each client got. */
  status(): RadiusClientView[] {
    return this.#tally.views();
  }

  /** Opens the sockets. Rejects with the system's error. */
  async start(): Promise<void> {
    const { radius } = this.#options;
    for (const address of radius.listen) {
      await this.#open(address, radius.port, 'authentication');
      await this.#open(address, radius['accounting-port'], 'accounting');
      const { udp, guard } = this.#parts;
      const socket = await udp.open({ address, port: 0 }, (octets, { address, port }) =>
        guard.run('datagram', () => this.#driver.feed({ type: 'reply', octets, from: { address, port } })),
      );
      this.#demandSockets.push(socket);
      if (radius.tls) await this.#radSec?.listen(address, radius.tls.port);
    }
  }

  async stop(): Promise<void> {
    this.#driver.stop();
    const sockets = [...this.#sockets.values(), ...this.#demandSockets];
    await Promise.all([...sockets.map((socket) => socket.close()), this.#radSec?.stop()]);
  }

  /** Uses other clients and certificates. */
  configure({ clients, tls }: RadiusMaterial): void {
    if (tls) this.#radSec?.reload(tls);
    this.#tls = tls;
    this.#tally.configure(clients);
    this.#driver.feed({ type: 'configure', config: this.#config(clients) });
  }

  perform(output: NasPortOutput): void {
    switch (output.type) {
      case 'answer':
        this.#driver.feed(output);
        break;
      case 'forgetKeys':
        this.#driver.feed(output);
        break;
      case 'sendDemand':
        this.#demands.set(output.token, output);
        this.#driver.feed({ ...output, wall: this.#parts.host.wall() });
        break;
      case 'forgetKeysOf':
        break;
    }
  }

  failed(output: NasPortOutput): void {
    if (output.type === 'answer') this.#driver.feed({ type: 'unserved', token: output.token });
    if (output.type === 'sendDemand') this.#demandAnswered(output.token, { failure: 'internal error' });
  }

  #demandAnswered(token: Token, outcome: DemandOutcome): void {
    const sent = this.#demands.get(token);
    this.#demands.delete(token);
    if (sent && 'result' in outcome) {
      const { demand, session } = sent;
      const fields = {
        message: demand === 'disconnect' ? 'Disconnect-Request' : 'CoA-Request',
        session: session.sessionId,
        nai: session.nai,
        peer: session.origin,
        resultCode: outcome.result,
      };
      this.#parts.log.info(fields, 'request answered');
    }
    this.#parts.feed({ type: 'demandAnswered', token, outcome });
  }

  #config(clients: readonly RadiusClient[]): RadiusConfig {
    const { diameter } = this.#options;
    return { clients, vendorId: diameter['vendor-id'], realm: diameter.realm };
  }

  async #open(address: string, port: number, service: RadiusService): Promise<void> {
    const { udp, guard } = this.#parts;
    const socket = await udp.open({ address, port }, (octets, from) =>
      guard.run('datagram', () =>
        this.#driver.feed({
          type: 'packet',
          octets,
          end: from,
          service,
          names: undefined,
        }),
      ),
    );
    this.#sockets.set(socket.label, socket);
  }

  #trace(
    message: 'message sent' | 'message received',
    { code, client: peer, sessionId: session }: { code: number; client: string; sessionId: string | undefined },
  ): void {
    const { log } = this.#parts;
    if (log.isLevelEnabled('debug')) log.debug({ peer, message: codeName(code), session }, message);
  }

  #perform(output: RadiusOutput): void {
    const { metrics, log, feed, host } = this.#parts;
    switch (output.type) {
      case 'send':
        if (output.end.local.startsWith('tls|')) this.#radSec?.send(output.end.local, output.octets);
        else this.#sockets.get(output.end.local)?.send(output.octets, output.end);
        break;
      case 'sendRequest': {
        const isIpv6 = isIPv6(withoutScope(output.to.address));
        const socket = this.#demandSockets.find(({ address }) => isIPv6(withoutScope(address.address)) === isIpv6);
        socket?.send(output.octets, output.to);
        break;
      }
      case 'packet':
        this.#trace(output.direction === 'in' ? 'message received' : 'message sent', output);
        break;
      case 'accounted': {
        const { client, request } = output;
        const { status, sessionId, cause, report } = request;
        const octets = { octetsIn: report.octets?.received, octetsOut: report.octets?.sent };
        const reason = status === 'Stop' ? cause : undefined;
        log.debug({ peer: client, session: sessionId, message: status, reason, ...octets }, 'accounting received');
        break;
      }
      case 'home':
        if (output.input.type === 'demandAnswered') this.#demandAnswered(output.input.token, output.input.outcome);
        else feed(output.input);
        break;
      case 'served':
        this.#trace('message sent', output);
        metrics.count('radius_answers', { code: codeName(output.code) });
        if (output.isRepeated) metrics.count('radius_duplicates');
        this.#tally.served(output, host.wall());
        break;
      case 'dropped': {
        const { cause, detail, client, address, report } = output;
        metrics.count('radius_dropped', { cause });
        this.#tally.dropped(output);
        if (report === undefined) break;
        log.warn({ peer: client, address, reason: cause, detail, count: report }, 'RADIUS packet discarded');
      }
    }
  }
}
