import type { Grammarian } from '../protocol/diameter/wire/grammar.js';
import type { HomeConfig, HomeInput } from '../protocol/home/alphabet.js';
import type { DiameterEvent, DiameterSurroundings } from '../runtime/diameter/node.js';
import type { TlsTransport } from '../runtime/diameter/tls.js';
import { tcpTransport } from '../runtime/diameter/transport.js';
import type { Logger } from '../runtime/log/events.js';
import type { Udp } from '../runtime/net/udp.js';
import { type Guard, unguarded } from '../runtime/service/barrier.js';
import type { Metrics } from '../runtime/service/metrics.js';
import { systemHost } from '../runtime/system/host.js';
import { Inbox } from '../runtime/system/inbox.js';
import type { AaaOptions } from './config/options.js';
import { DiameterServer } from './diameter-server.js';
import type { EapCredentials, MakeEngine } from './eap-conversations.js';
import type { HomeAgentHooks } from './home-agent-hooks.js';
import { HomeRunner } from './home-runner.js';
import type { StoreCalls } from './measured-store.js';
import { NasPorts } from './nas-ports.js';
import type { RadiusMaterial } from './radius-clients.js';
import { RadiusPort } from './radius-server.js';
import type { ServiceHooks } from './service-hooks.js';
import { enginesOf, workersOf } from './workers.js';

export interface HomeServerParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly surroundings?: DiameterSurroundings | undefined;
  readonly store: StoreCalls;
  readonly eap: EapCredentials;
  readonly makeEngine: MakeEngine;
  readonly originState: number;
  readonly guard?: Guard | undefined;
  readonly homeAgents: Pick<HomeAgentHooks, 'run' | 'isBehind'>;
  readonly services: Pick<ServiceHooks, 'run' | 'look'>;
  /** TLS transport for Diameter. Undefined: no TLS. */
  readonly tls: TlsTransport | undefined;
  /** UDP sockets, and the clients of RADIUS. Undefined: no RADIUS. */
  readonly radius?: { readonly udp: Udp; readonly material: RadiusMaterial } | undefined;
  readonly report: (event: DiameterEvent, grammarian: Grammarian) => void;
}

/** The home machine, and the servers of Diameter and RADIUS through which NASs reach it. */
export class HomeServer {
  readonly diameter: DiameterServer;
  readonly radius: RadiusPort | undefined;
  readonly home: HomeRunner;

  constructor(options: AaaOptions, parts: HomeServerParts) {
    const { surroundings = { host: systemHost, transport: tcpTransport }, guard = unguarded } = parts;
    const inputs = new Inbox<HomeInput>();
    this.diameter = new DiameterServer(options, {
      ...parts,
      surroundings,
      guard,
      feed: (input) => inputs.put(input),
    });
    const { host } = surroundings;
    const { radius } = parts;
    this.radius =
      radius && new RadiusPort(options, { ...parts, ...radius, host, guard, feed: (input) => inputs.put(input) });
    const nas = new NasPorts(this.diameter, this.radius);
    this.home = new HomeRunner(homeConfig(options), { ...parts, host, guard, nas, inputs });
  }

  /** The addresses and ports of the open sockets, those of Diameter first. */
  get addresses(): { readonly address: string; readonly port: number }[] {
    return [...this.diameter.node.addresses, ...(this.radius?.addresses ?? [])];
  }

  /** The same for output to operators. */
  get listening(): string[] {
    return this.addresses.map(({ address, port }) => `${address} port ${port}`);
  }

  async start(): Promise<void> {
    await this.diameter.node.start();
    await this.radius?.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.diameter.node.stop(), this.radius?.stop()]);
    this.home.stop();
  }
}

function homeConfig({ workers, diameter, session, eap, limits, mobility, hooks }: AaaOptions): HomeConfig {
  return {
    conversations: diameter.conversations,
    roundTimeout: diameter['round-timeout'],
    mtu: eap.mtu,
    sessionLifetime: session.lifetime,
    grace: session.grace,
    outage: session.outage,
    failures: limits['failures-per-subscriber'],
    pskRoot: mobility['psk-root'],
    hookWait: hooks.wait,
    engines: enginesOf(workersOf(workers)),
  };
}
