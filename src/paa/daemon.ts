import { isIP } from 'node:net';
import { join } from 'node:path';
import type { NasInput, NasOutput } from '../protocol/nas/alphabet.js';
import { Nas } from '../protocol/nas/nas.js';
import { wipeKeys } from '../protocol/pana/session/session.js';
import { nextOriginState } from '../runtime/diameter/origin-state.js';
import { makeHookRunner, prepareHookFolder } from '../runtime/hooks/reporter.js';
import type { HookRunner, HookView } from '../runtime/hooks/runner.js';
import type { Logger } from '../runtime/log/events.js';
import { EventFeed } from '../runtime/log/feed.js';
import { panaFields, sessionText } from '../runtime/log/pana-fields.js';
import type { DatagramSocket } from '../runtime/net/udp.js';
import { Barrier } from '../runtime/service/barrier.js';
import { eventRoutes } from '../runtime/service/event-stream.js';
import { Metrics } from '../runtime/service/metrics.js';
import type { Service } from '../runtime/service/service.js';
import { type Surroundings, systemSurroundings } from '../runtime/surroundings/surroundings.js';
import { counted } from '../runtime/system/counted.js';
import { Driver } from '../runtime/system/driver.js';
import { OperatorError, StartError } from '../runtime/system/failure.js';
import { Inbox } from '../runtime/system/inbox.js';
import { type KeySink, warnOfKeyLog } from '../runtime/tls/key-log.js';
import { openWeb } from '../runtime/web/open-web.js';
import type { WebPage } from '../runtime/web/page.js';
import type { AaaLink, MakeLink } from './aaa-link.js';
import { paaRoutes, sessionsOf } from './control-routes.js';
import { DhcpRelayPort } from './dhcp-relay.js';
import { EnforcementPoints, relayedPoints } from './enforcement-points.js';
import { EnforcementRunner } from './enforcement-runner.js';
import { HomeAgentHook } from './home-agent-hook.js';
import { LeaseFile } from './lease-file.js';
import { LinkCredentials } from './link-credentials.js';
import { PAA_METRICS, registerGauges } from './metrics.js';
import { nasConfig, nasOrigin } from './nas-config.js';
import { openLink } from './open-link.js';
import type { PaaOptions } from './options.js';
import { nasReporter, placeOfInput } from './reporter.js';
import { paaWebPage } from './web.js';

/** Time limit of hooks when the daemon stops, in milliseconds. */
const HOOKS_AT_END = 5_000;

const IN = { direction: 'in' } as const;
const OUT = { direction: 'out' } as const;

/** The PAA: connects the NAS machine to sockets, Diameter peers, hooks, files and logs. */
export class PaaDaemon implements Service<PaaOptions> {
  #options: PaaOptions;
  readonly #feed: EventFeed;
  readonly #log: Logger;
  readonly #metrics: Metrics;
  readonly barrier: Barrier;
  readonly #surroundings: Surroundings;
  readonly #nas: Nas;
  readonly #driver: Driver<NasInput, NasOutput>;
  readonly #report: ReturnType<typeof nasReporter>;
  readonly #link: AaaLink;
  readonly #hooks: HookRunner;
  readonly #ep: EnforcementRunner | undefined;
  readonly #points: EnforcementPoints;
  readonly #homeAgent: HomeAgentHook;
  readonly #leases: LeaseFile;
  readonly #dhcp: DhcpRelayPort;
  readonly #credentials: LinkCredentials;
  readonly #sockets = new Map<string, DatagramSocket>();
  #closeControl: () => Promise<void> = () => Promise.resolve();
  #closeWeb: () => Promise<void> = () => Promise.resolve();
  #keyLog: KeySink | undefined;
  /** Called when the NAS has stopped. */
  #stopped: (() => void) | undefined;

  private constructor(
    options: PaaOptions,
    feed: EventFeed,
    metrics: Metrics,
    originStateId: number,
    credentials: LinkCredentials,
    makeLink: MakeLink,
    surroundings: Surroundings,
  ) {
    const { host } = surroundings;
    const { pana, hooks } = options;
    const { log } = feed;
    this.#options = options;
    this.#feed = feed;
    this.#log = log;
    this.#surroundings = surroundings;
    this.#metrics = metrics;
    this.#credentials = credentials;
    this.barrier = new Barrier(log, metrics, () => host.monotonic());
    this.#hooks = makeHookRunner(hooks, log, metrics, this.barrier, surroundings);
    if (hooks.ep !== undefined) {
      const ep = {
        program: hooks.ep,
        batch: hooks['ep-batch'],
        interface: pana.interface,
        checkInterval: hooks['ep-check-interval'],
      };
      this.#ep = new EnforcementRunner(ep, this.#hooks, host);
    }
    const runner = (stateDir: string) =>
      makeHookRunner({ ...hooks, 'state-dir': stateDir }, log, metrics, this.barrier, surroundings);
    this.#points = new EnforcementPoints(this.#ep, relayedPoints(options, runner, host));
    this.#homeAgent = new HomeAgentHook(hooks.ha, this.#hooks);
    this.#leases = new LeaseFile(join(hooks['state-dir'], 'local-leases.json'), ({ message: reason }) =>
      log.error({ reason }, 'lease file not written'),
    );
    this.#dhcp = new DhcpRelayPort(options, { log, metrics, guard: this.barrier, surroundings });
    this.#report = nasReporter(log, metrics, this.barrier, () => host.monotonic());
    this.#nas = new Nas(nasOrigin(options, originStateId), nasConfig(options), host.random(32));
    const inputs = new Inbox<NasInput>();
    const parts = { credentials, originStateId, log, metrics, guard: this.barrier, surroundings };
    this.#link = makeLink(parts, (input) => inputs.put(input));
    this.#driver = new Driver<NasInput, NasOutput>(
      this.#nas,
      (output) => this.#perform(output),
      host,
      (error, input, output) => this.#faulted(error, input, output),
    );
    inputs.open((input) => this.#driver.feed(input));
    registerGauges(metrics, {
      nas: this.#nas,
      peers: () => (options.aaa === 'diameter' ? this.#link.status() : []),
      servers: () => (options.aaa === 'radius' ? this.#link.status() : []),
      accounting: () => this.#link.accounting(),
      hooks: () => this.#unfinishedHooks(),
    });
  }

  /** Rejects with OperatorError, or the system's error. */
  static async start(
    options: PaaOptions,
    logger: Logger,
    surroundings: Surroundings = systemSurroundings,
  ): Promise<PaaDaemon> {
    const feed = new EventFeed('pana-paa', logger, surroundings.host);
    const { log } = feed;
    const metrics = new Metrics('pana_paa', PAA_METRICS);
    const credentials = await LinkCredentials.open(options, log, metrics, surroundings);
    const originState = await nextOriginState(options.hooks['state-dir'], surroundings.host.wall());
    const makeLink = await openLink(options);
    const daemon = new PaaDaemon(options, feed, metrics, originState, credentials, makeLink, surroundings);
    try {
      await daemon.#open();
    } catch (error) {
      await daemon.#halt();
      // Hook `stop` does not run, because it might open an enforcement point that a running PAA of this host uses.
      daemon.#ep?.close();
      daemon.#points.close();
      await daemon.#hooks.stop(HOOKS_AT_END);
      await daemon.#close();
      throw error;
    }
    return daemon;
  }

  /**
   * Sets up the enforcement point again, reads the certificates or secrets for the AAA servers again, and replaces the
   * servers and the settings of new sessions. Rejects with OperatorError and changes nothing if nodes would lose the
   * local home agent that they use.
   */
  async reload(options: PaaOptions): Promise<void> {
    const { 'local-home-agent': local } = options;
    const adopt = await this.#link.read(options);
    const current = this.#nas.localHomeAgent;
    const isAnother = local !== undefined && !current?.isAt(local);
    if (isAnother && current && current.used > 0) {
      throw new OperatorError(
        `local-home-agent: ${current.used} nodes use the home agent ${current.config.address}: end their sessions first`,
      );
    }
    adopt();
    this.#options = options;
    this.#driver.feed({ type: 'configure', config: nasConfig(options) });
    if (isAnother) await this.#homeAgent.takeDownLeftovers(local, this.#leases);
    void this.#ep?.start();
    this.#points.startRelayed();
  }

  summary(): string {
    const peers = this.#link.status();
    const up = peers.filter(({ state }) => state.endsWith('Open')).length;
    const closed = this.#ep?.condition === 'not set up' ? '; the enforcement point is not set up' : '';
    return `${counted(this.#nas.size, 'session')}, ${up} of ${counted(peers.length, 'peer')} up${closed}`;
  }

  async stop(): Promise<void> {
    await this.#halt();
    void this.#ep?.stop();
    await Promise.all([this.#hooks.stop(HOOKS_AT_END), this.#points.stop(HOOKS_AT_END)]);
    await this.#close();
  }

  /** Ends the sessions and the connections to AAA servers. */
  async #halt(): Promise<void> {
    const stopped = new Promise<void>((resolve) => {
      this.#stopped = resolve;
    });
    this.#driver.feed({ type: 'stop' });
    await stopped;
    this.#driver.stop();
    await this.#link.stop();
  }

  async #open(): Promise<void> {
    const { pana, hooks, control } = this.#options;
    const { udp, host, openControl, openKeyLog } = this.#surroundings;
    await prepareHookFolder(hooks, this.#log, this.#surroundings);
    const keyFile = this.#options['key-log'];
    if (keyFile !== undefined) {
      this.#keyLog = await openKeyLog(keyFile);
      warnOfKeyLog(this.#log, keyFile);
    }
    // The port first: the permits below may be those of another PAA that runs on this host.
    let isSetUp = false;
    for (const address of pana.listen) {
      const socket = await udp.open({ address, port: pana.port }, (octets, from) => {
        this.#metrics.count('datagrams', IN);
        if (isSetUp && this.#log.isLevelEnabled('debug')) this.#trace('message received', octets, from);
        if (isSetUp) this.barrier.run('datagram', () => this.#driver.feed({ type: 'datagram', octets, from }));
      });
      this.#sockets.set(socket.label, socket);
    }
    await this.#homeAgent.takeDownLeftovers(this.#options['local-home-agent'], this.#leases);
    // Clear stale permits before accepting traffic. Without an enforcement point, every node might pass.
    if ((await this.#ep?.start()) === false) {
      const isShut = await this.#ep?.shut();
      throw new StartError(
        `the enforcement point was not set up: ${hooks.ep} start failed, see its output in the log; the PAA does not serve, and the link is ${isShut ? 'closed' : 'not closed by this hook'}. "pana-paa doctor" says more; with nft or ip6tables the service needs the drop-in packet-filter.conf`,
      );
    }
    for (const { 'state-dir': folder } of pana.relays) {
      if (folder !== undefined)
        await prepareHookFolder({ ...hooks, 'state-dir': folder }, this.#log, this.#surroundings);
    }
    this.#points.startRelayed();
    isSetUp = true;
    await this.#dhcp.start();
    await this.#link.start();
    const routes = paaRoutes({
      nas: this.#nas,
      feed: (input) => this.#driver.feed(input),
      socketOf: (family) =>
        [...this.#sockets.values()].find(({ address }) => isIP(address.address.split('%', 1)[0] ?? '') === family)
          ?.label,
      now: () => host.monotonic(),
      status: () => this.status(),
    });
    const all = { ...eventRoutes(this.#feed, host), ...routes };
    this.#closeControl = await openControl(control, all, this.#metrics, this.barrier, host);
    const tools = { feed: this.#feed, log: this.#log, guard: this.barrier, host };
    this.#closeWeb = await openWeb(control, this.#webPage(), tools);
    const listening = [...this.#sockets.values()].map((socket) => socket.address);
    this.#credentials.start();
    this.#log.info({ listening }, 'ready');
  }

  #webPage(): WebPage {
    return paaWebPage({
      nas: this.#nas,
      feed: (input) => this.#driver.feed(input),
      log: this.#log,
      host: this.#surroundings.host,
      metrics: this.#metrics,
      peers: () => this.#link.status(),
      hooks: () => this.#unfinishedHooks(),
      ep: this.#ep,
      program: this.#options.hooks.ep,
      aaa: this.#options.aaa,
      dhcpRelay: () => this.#dhcp.status,
      listening: () => this.#listening(),
    });
  }

  #listening(): string[] {
    return [
      ...[...this.#sockets.values()].map(({ address }) => address),
      ...(this.#dhcp.address ? [this.#dhcp.address] : []),
    ].map(({ address, port }) => `${address} port ${port}`);
  }

  async #close(): Promise<void> {
    this.#credentials.stop();
    await this.#closeWeb();
    await this.#closeControl();
    await this.#keyLog?.close();
    await this.#dhcp.stop();
    await Promise.all([...this.#sockets.values()].map((socket) => socket.close()));
    this.#sockets.clear();
  }

  #unfinishedHooks(): HookView[] {
    return [...this.#hooks.status(), ...this.#points.hooks()];
  }

  async status(): Promise<object> {
    return {
      listening: this.#listening(),
      certificates: this.#credentials.days(),
      enforcementPoint: this.#ep?.condition ?? 'none',
      sessions: this.#nas.size,
      halfOpen: this.#nas.halfOpen,
      preAuthenticated: this.#nas.preAuthenticated,
      localHomeAddresses: this.#nas.localHomeAgent?.used,
      peers: this.#link.status(),
      dhcpv6Relay: this.#dhcp.status,
      hooks: this.#unfinishedHooks(),
      counters: await this.#metrics.counters(),
    };
  }

  sessions(): object[] {
    return sessionsOf(this.#nas, this.#surroundings.host.monotonic());
  }

  // --------------------------------------------------------------------------------------------------------- the NAS

  #perform(output: NasOutput): void {
    switch (output.type) {
      case 'send':
        this.#metrics.count('datagrams', OUT);
        if (this.#log.isLevelEnabled('debug')) this.#trace('message sent', output.octets, output.to);
        this.#sockets.get(output.to.local)?.send(output.octets, output.to);
        break;
      case 'ask': {
        const timeout = this.#options.diameter['request-timeout'];
        this.#link.feed({ type: 'request', token: output.token, message: output.message, target: {}, timeout });
        break;
      }
      case 'answer':
        this.#link.feed(output);
        break;
      case 'admit':
        this.#admit(output);
        break;
      case 'move':
        this.#points.move(sessionText(output.sessionId), output.address, output.relay);
        break;
      case 'expel':
        this.#points.revoke(sessionText(output.sessionId));
        break;
      case 'homeAgent':
        this.#homeAgent.run(output);
        break;
      case 'leases':
        this.#leases.write(output.leases);
        break;
      case 'key':
        if (this.#keyLog) this.#keyLog.write(output.key);
        else wipeKeys(output.key);
        break;
      case 'stopped':
        this.#stopped?.();
        break;
      case 'event':
        this.#dhcp.note(output.event);
        this.#report(output.event);
        if (output.event.type === 'authorized') {
          this.#link.started(this.#nas.aaaSessionOf(output.event.sessionId) ?? '');
        }
    }
  }

  #trace(
    message: 'message sent' | 'message received',
    octets: Uint8Array,
    { address, port }: { readonly address: string; readonly port: number },
  ): void {
    this.#log.debug({ address, port, ...panaFields(octets), octets: octets.length }, message);
  }

  #admit({ token, sessionId, userName, address, relay, lifetime }: Extract<NasOutput, { type: 'admit' }>): void {
    const admission = { session: sessionText(sessionId), userName, address, lifetime };
    this.#points.permit(admission, relay, () => {
      if (token !== undefined) this.#driver.feed({ type: 'permitted', token });
    });
  }

  /** If an output throws, the session or request that it belongs to ends. */
  #faulted(error: unknown, input: NasInput, output: NasOutput | undefined): void {
    this.barrier.fault(placeOfInput(input.type), error);
    if (output?.type === 'ask') {
      this.#driver.feed({ type: 'unreachable', token: output.token, reason: 'an internal error of this node' });
    } else if (output?.type === 'answer') this.#link.feed({ type: 'unserved', token: output.token });
    else if (output && 'sessionId' in output) {
      this.#driver.feed({ type: 'command', sessionId: output.sessionId, command: 'abandon' });
    }
  }
}
