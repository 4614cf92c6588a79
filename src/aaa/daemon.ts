import { dirname } from 'node:path';
import type { DutyInput } from '../protocol/home/duties.js';
import { nextOriginState } from '../runtime/diameter/origin-state.js';
import { diameterReporter, refusedReporter } from '../runtime/diameter/reporter.js';
import { openDiameterTls, peerOptions, readDiameterTls, usedForDiameter } from '../runtime/diameter/setup.js';
import type { TlsTransport } from '../runtime/diameter/tls.js';
import type { TlsServerOptions } from '../runtime/eap/tls-server.js';
import { makeHookRunner, prepareHookFolder } from '../runtime/hooks/reporter.js';
import type { HookRunner } from '../runtime/hooks/runner.js';
import type { Logger } from '../runtime/log/events.js';
import { EventFeed } from '../runtime/log/feed.js';
import { Barrier } from '../runtime/service/barrier.js';
import { controlRoutes } from '../runtime/service/control-api.js';
import { eventRoutes } from '../runtime/service/event-stream.js';
import { Metrics } from '../runtime/service/metrics.js';
import type { Service } from '../runtime/service/service.js';
import { counted } from '../runtime/system/counted.js';
import { FileWatch } from '../runtime/system/file-watch.js';
import { makeFolder } from '../runtime/system/folder.js';
import type { Host } from '../runtime/system/host.js';
import { Inbox } from '../runtime/system/inbox.js';
import { within } from '../runtime/system/within.js';
import { CredentialWatch, credentialFiles, type UsedCredentials } from '../runtime/tls/credential-watch.js';
import { openWeb } from '../runtime/web/open-web.js';
import { isPostgresUrl, storeName } from '../store/backend.js';
import type { StorePort } from '../store/port.js';
import { Administrator } from './administrator.js';
import type { AaaOptions } from './config/options.js';
import { AAA_API } from './control-api.js';
import { HomeAgentHooks } from './home-agent-hooks.js';
import { HomeServer } from './home-server.js';
import { measured, type StoreCalls } from './measured-store.js';
import { AAA_METRICS, registerGauges } from './metrics.js';
import { ProbeRunner, probeOptions, withdrawProbes } from './probe-runner.js';
import { type RadiusMaterial, readRadius, usedForRadSec } from './radius-clients.js';
import { RevokedSessions } from './revoked-sessions.js';
import { ServiceHooks } from './service-hooks.js';
import { StoreReporter } from './store-reporter.js';
import { type AaaSurroundings, systemAaaSurroundings } from './surroundings.js';
import { UpkeepRunner, upkeepConfig } from './upkeep-runner.js';
import { aaaWebPage } from './web.js';
import { workerReporter, workersOf } from './workers.js';

/** Time limit of hooks when the daemon stops, in milliseconds. */
const HOOKS_AT_END = 5_000;

/**
 * Time limit for releasing duties at shutdown, in milliseconds. Other servers take unreleased duties after DUTY_TERM.
 */
const DUTIES_AT_END = 1_000;

/** Created before the store, because opening the store may already report events. */
interface Reporting {
  readonly metrics: Metrics;
  readonly barrier: Barrier;
  readonly storeReporter: StoreReporter;
}

/** The AAA server: Diameter EAP with EAP-TLS, the store, and the home agents' hooks. */
export class AaaDaemon implements Service<AaaOptions> {
  #options: AaaOptions;
  readonly #feed: EventFeed;
  readonly #log: Logger;
  readonly #metrics: Metrics;
  readonly barrier: Barrier;
  readonly #hooks: HookRunner;
  readonly #homeAgents: HomeAgentHooks;
  readonly #services: ServiceHooks;
  readonly #opened: StorePort;
  readonly #storeReporter: StoreReporter;
  readonly #store: StoreCalls;
  readonly #server: HomeServer;
  readonly #upkeep: UpkeepRunner;
  readonly #administrator: Administrator;
  readonly #probes: ProbeRunner | undefined;
  readonly #tls: TlsTransport | undefined;
  readonly #files: FileWatch;
  readonly #credentials: CredentialWatch;
  #closeControl: () => Promise<void> = () => Promise.resolve();
  #closeWeb: () => Promise<void> = () => Promise.resolve();
  readonly #surroundings: AaaSurroundings;
  readonly #host: Host;
  readonly #revoked = new RevokedSessions();
  #reloading: Promise<void> = Promise.resolve();
  #finish: (status: number) => void = () => undefined;
  /** Resolves with an exit status when the daemon can no longer work. */
  readonly finished = new Promise<number>((resolve) => {
    this.#finish = resolve;
  });

  private constructor(
    options: AaaOptions,
    feed: EventFeed,
    { metrics, barrier, storeReporter }: Reporting,
    opened: StorePort,
    credentials: TlsServerOptions,
    originState: number,
    tls: TlsTransport | undefined,
    radius: RadiusMaterial,
    files: FileWatch,
    surroundings: AaaSurroundings,
  ) {
    const { host, hookProcesses } = surroundings;
    const { log } = feed;
    this.#feed = feed;
    this.#surroundings = surroundings;
    this.#host = host;
    this.#options = options;
    this.#log = log;
    this.#metrics = metrics;
    this.barrier = barrier;
    this.#storeReporter = storeReporter;
    this.#opened = opened;
    const store = measured(opened, metrics, host);
    this.#store = store;
    this.#tls = tls;
    void storeReporter.ended.then(() => this.#finish(1));
    const { hooks } = options;
    const workers = workersOf(options.workers);
    const learned = new Inbox<void>();
    const duties = new Inbox<DutyInput>();
    const record = (input: DutyInput) => duties.put(input);
    this.#hooks = makeHookRunner(hooks, log, this.#metrics, this.barrier, surroundings);
    this.#homeAgents = new HomeAgentHooks(this.#hooks, hooks.ha, record, (all) => this.#administrator.endSoon(all));
    this.#services = new ServiceHooks(this.#hooks, hooks.services, { log, metrics, host, guard: barrier, store });
    this.#server = new HomeServer(options, {
      log,
      metrics,
      surroundings,
      store,
      eap: {
        ...credentials,
        maxClientFlight: options.eap['client-flight'],
        guard: barrier,
        onLearned: () => learned.put(),
      },
      makeEngine: (given) => surroundings.makeEngine(given, { workers, onEvent: workerReporter(log, metrics) }),
      originState,
      guard: barrier,
      homeAgents: this.#homeAgents,
      services: this.#services,
      tls,
      radius: options.radius.listen.length > 0 ? { udp: surroundings.udp, material: radius } : undefined,
      report: diameterReporter(log, metrics, 'session', host),
    });
    this.#administrator = new Administrator({
      log,
      host,
      metrics: this.#metrics,
      store,
      storeName: storeName(options.store),
      application: this.#server.home,
      homeAgents: this.#homeAgents,
      services: this.#services,
      record,
      forget: () => this.#server.home.forget(),
      operatorsHaveGroup: options.control.group !== undefined,
    });
    this.#upkeep = new UpkeepRunner(upkeepConfig(options), {
      log,
      metrics,
      host,
      guard: barrier,
      store,
      homeAgents: this.#homeAgents,
      reauthenticate: (session) => this.#administrator.reauthenticate(session),
      disconnect: (session) => this.#administrator.inBackground(this.#administrator.endRemoved([session])),
      setTicketKey: (key) => this.#server.home.eap.setTicketKey(key),
    });
    duties.open((input) => this.#upkeep.record(input));
    registerGauges(this.#metrics, {
      host,
      store,
      conversations: () => this.#server.home.conversations,
      workers: () => this.#server.home.eap.workers,
      hooks: () => this.#hooks.status(),
      peers: () => this.#server.diameter.node.status(),
      storeWorks: () => this.#storeReporter.works,
      credentials: () => this.#server.home.eap.options,
      revocation: () => this.#server.home.eap.judge.revocation,
    });
    this.#files = files;
    this.#probes =
      hooks.probe === undefined
        ? undefined
        : new ProbeRunner(probeOptions(hooks, hooks.probe, options.diameter.host), {
            log,
            metrics: this.#metrics,
            store,
            surroundings: { host, hookProcesses },
            guard: this.barrier,
            onDead: (agent) => this.#administrator.inBackground(this.#administrator.moveNodes(agent)),
          });
    this.#credentials = new CredentialWatch({
      log,
      metrics: this.#metrics,
      files,
      host,
      used: () => this.#usedCredentials(),
      reload: () => this.reload(),
    });
    learned.open(() => this.#revocationChanged());
  }

  /** Rejects with OperatorError, DatabaseError, or the system's error. Also rejects soon after `signal` aborts. */
  static async start(
    options: AaaOptions,
    logger: Logger,
    signal?: AbortSignal,
    surroundings: AaaSurroundings = systemAaaSurroundings,
  ): Promise<AaaDaemon> {
    const { host, lookAtFiles, readCredentials } = surroundings;
    const feed = new EventFeed('pana-aaa', logger, host);
    const { log } = feed;
    const files = new FileWatch(host, lookAtFiles);
    const [credentials, tls, radius] = await files.watch(credentialFiles(options), () =>
      Promise.all([
        readCredentials(options, host),
        openDiameterTls(options.diameter, host, refusedReporter(log)),
        readRadius(options.radius, host),
      ]),
    );
    const originState = await nextOriginState(options.hooks['state-dir'], host.wall());
    if (!isPostgresUrl(options.store)) await makeFolder(dirname(options.store), 0o700);
    const metrics = new Metrics('pana_aaa', AAA_METRICS);
    const barrier = new Barrier(log, metrics, () => host.monotonic());
    const storeReporter = new StoreReporter(log, metrics, barrier);
    const holder = { server: options.diameter.host, run: originState, hooks: options.hooks.ha !== undefined };
    const opening = { use: 'server', signal, events: storeReporter.events, holder } as const;
    const store = await surroundings.openStore(options.store, opening);
    const reporting = { metrics, barrier, storeReporter };
    const daemon = new AaaDaemon(
      options,
      feed,
      reporting,
      store,
      credentials,
      originState,
      tls,
      radius,
      files,
      surroundings,
    );
    try {
      await daemon.#open();
    } catch (error) {
      await daemon.stop();
      throw error;
    }
    return daemon;
  }

  /**
   * Reads the certificates, key and CRL again and replaces the peers, completely or not at all. Reloads run one after
   * another.
   */
  reload(options?: AaaOptions): Promise<void> {
    const reloaded = this.#reloading.then(() => this.#reload(options ?? this.#options));
    this.#reloading = reloaded.catch(() => undefined);
    return reloaded;
  }

  async #reload(options: AaaOptions): Promise<void> {
    const [credentials, material, radius] = await this.#files.watch(credentialFiles(options), () =>
      Promise.all([
        this.#surroundings.readCredentials(options, this.#host),
        readDiameterTls(options.diameter, this.#host),
        readRadius(options.radius, this.#host),
      ]),
    );
    this.#server.home.eap.reload({ ...this.#server.home.eap.options, ...credentials });
    this.#revocationChanged();
    if (material) this.#tls?.reload(material);
    this.#server.diameter.node.reconfigure(peerOptions(options.diameter.peers, this.#tls), undefined);
    this.#server.radius?.configure(radius);
    this.#options = options;
    this.#upkeep.configure(upkeepConfig(options));
    this.#credentials.changed();
    this.#metrics.count('reloads');
  }

  #usedCredentials(): UsedCredentials[] {
    const { tls, diameter, radius } = this.#options;
    return [
      { ...this.#server.home.eap.options, section: 'tls', files: tls, roles: ['server'] },
      ...usedForDiameter(diameter, this.#tls?.options),
      ...usedForRadSec(radius, this.#server.radius?.tls),
    ];
  }

  summary(): string {
    const peers = this.#server.diameter.node.status();
    const up = peers.filter(({ state }) => state.endsWith('Open')).length;
    const store = this.#storeReporter.works ? '' : '; the store is unavailable';
    return `${counted(this.#server.home.conversations, 'conversation')}, ${up} of ${counted(peers.length, 'peer')} up${store}`;
  }

  /** Whether the store's thread answers. A database that is down is not a reason for a restart. */
  works(): Promise<boolean> {
    return this.#opened.answers();
  }

  async stop(): Promise<void> {
    this.#administrator.stop();
    this.#probes?.stop();
    this.#upkeep.stop();
    this.#services.stop();
    await this.#server.stop();
    await this.#administrator.settle();
    await this.#hooks.stop(HOOKS_AT_END);
    await within(this.#upkeep.leave(), DUTIES_AT_END, this.#host);
    await this.#close();
  }

  async #open(): Promise<void> {
    const { control, hooks } = this.#options;
    await prepareHookFolder(hooks, this.#log, this.#surroundings);
    await this.#upkeep.start();
    this.#services.start();
    await this.#server.start();
    this.#closeControl = await this.#surroundings.openControl(
      control,
      {
        ...eventRoutes(this.#feed, this.#host),
        ...controlRoutes(AAA_API, {
          'GET /status': () => this.status(),
          'POST /store': ({ body }) => this.#administrator.administer(body),
          'POST /session/disconnect': ({ body }) => this.#administrator.onSessions(body, 'disconnect'),
          'POST /session/reauth': ({ body }) => this.#administrator.onSessions(body, 'reauthenticate'),
        }),
      },
      this.#metrics,
      this.barrier,
      this.#host,
    );
    const { node } = this.#server.diameter;
    const page = aaaWebPage({
      administrator: this.#administrator,
      store: this.#store,
      metrics: this.#metrics,
      peers: () => node.status(),
      radiusClients: () => this.#server.radius?.status() ?? [],
      hooks: () => this.#hooks.status(),
      conversations: () => this.#server.home.conversations,
      listening: () => this.#server.listening,
    });
    const tools = { feed: this.#feed, log: this.#log, guard: this.barrier, host: this.#host };
    this.#closeWeb = await openWeb(control, page, tools);
    if (this.#probes) this.#probes.start();
    else this.#administrator.inBackground(withdrawProbes(this.#store, this.#options.diameter.host));
    // Subscribers and certificates may have been disabled or revoked while no server ran.
    this.#administrator.inBackground(this.#administrator.finishOthers());
    this.#revocationChanged();
    this.#credentials.start();
    this.#log.info({ listening: this.#server.addresses }, 'ready');
  }

  async #close(): Promise<void> {
    this.#upkeep.close();
    this.#credentials.stop();
    await this.#closeWeb();
    await this.#closeControl();
    await this.#store.close();
  }

  async status(): Promise<object> {
    const { node } = this.#server.diameter;
    return {
      listening: this.#server.listening,
      store: `${storeName(this.#options.store)} ${this.#storeReporter.works ? 'available' : 'unavailable'}`,
      certificates: this.#credentials.days(),
      conversations: this.#server.home.conversations,
      // An unavailable store must not hide the rest of the status.
      homeAgents: await this.#store.run('listHomeAgents', {}).then(
        (agents) =>
          agents.map(
            ({ name, state, failedBy, leases, capacity }) =>
              `${name} ${state}${failedBy === undefined ? '' : ' (does not answer)'}, ${leases} of ${counted(capacity, 'lease')}`,
          ),
        (error: Error) => `unknown: ${error.message}`,
      ),
      peers: node.status(),
      radiusClients: this.#server.radius?.status(),
      hooks: this.#hooks.status(),
      counters: await this.#metrics.counters(),
    };
  }

  /** Terminates the sessions of newly revoked certificates. */
  #revocationChanged(): void {
    const fresh = this.#revoked.look(this.#server.home.eap.judge, this.#host.wall());
    this.#administrator.inBackground(this.#administrator.revoke(fresh));
    for (const { list, path } of this.#server.home.eap.judge.revocation?.unverified ?? []) {
      this.#log.warn({ issuer: list.issuer.text, file: path, reason: 'issuer not known yet' }, 'CRL not verified');
    }
  }
}
