import { dirname } from 'node:path';
import type { Authorization } from '../protocol/eap/tls-authenticator.js';
import type { VerifiedPeer } from '../protocol/eap/verified-peer.js';
import { nextOriginState } from '../runtime/diameter/origin-state.js';
import { diameterReporter, refusedReporter } from '../runtime/diameter/reporter.js';
import { openDiameterTls, peerOptions, readDiameterTls, usedForDiameter } from '../runtime/diameter/setup.js';
import type { TlsTransport } from '../runtime/diameter/tls.js';
import { EapServer, type EapServerOptions } from '../runtime/eap/server.js';
import type { TlsServerOptions } from '../runtime/eap/tls-server.js';
import { makeHookRunner } from '../runtime/hooks/reporter.js';
import type { HookRunner } from '../runtime/hooks/runner.js';
import type { Logger } from '../runtime/log/log.js';
import { Barrier } from '../runtime/service/barrier.js';
import { Metrics } from '../runtime/service/metrics.js';
import type { Service } from '../runtime/service/service.js';
import { FileWatch } from '../runtime/system/file-watch.js';
import { makeFolder } from '../runtime/system/folder.js';
import { type CancelTimer, every, type Host } from '../runtime/system/host.js';
import { CredentialWatch, credentialFiles, type UsedCredentials } from '../runtime/tls/credential-watch.js';
import { isPostgresUrl, storeName } from '../store/backend.js';
import type { StorePort } from '../store/port.js';
import type { Found, Subscriber } from '../store/records.js';
import { Administrator } from './administrator.js';
import type { AaaOptions } from './config/options.js';
import { EapApplication } from './eap-application.js';
import { FailureLimits } from './failure-limits.js';
import { HomeAgentHooks } from './home-agent-hooks.js';
import { KnownSubscribers } from './known-subscribers.js';
import { measured, type StoreCalls } from './measured-store.js';
import { AAA_METRICS, showState } from './metrics.js';
import { Probes, withdrawProbes } from './probes.js';
import { RevokedSessions } from './revoked-sessions.js';
import { StoreReporter } from './store-reporter.js';
import { type AaaSurroundings, systemAaaSurroundings } from './surroundings.js';

/** How often leases are looked at whose time may be over, in milliseconds, and how many are freed at a time. */
const EXPIRY_INTERVAL = 5_000;
const EXPIRY_BATCH = 256;

/** Imports to which nothing was added for so long are forgotten, and how often they are looked for, in milliseconds. */
const IMPORT_LIFETIME = 3_600_000;

/** How long until the store is asked for a ticket key again that it did not give, in milliseconds. */
const TICKET_RETRY = 10_000;

/** How long hooks may take when the daemon ends, in milliseconds. */
const HOOKS_AT_END = 5_000;

/** What exists before the daemon does, since opening its store may already have something to report. */
interface Reporting {
  readonly metrics: Metrics;
  readonly barrier: Barrier;
  readonly storeReporter: StoreReporter;
}

/** The AAA server: Diameter EAP with EAP-TLS, the store, and the home agents' hooks. */
export class AaaDaemon implements Service<AaaOptions> {
  #options: AaaOptions;
  readonly #log: Logger;
  readonly #metrics: Metrics;
  readonly barrier: Barrier;
  readonly #hooks: HookRunner;
  readonly #homeAgents: HomeAgentHooks;
  readonly #opened: StorePort;
  readonly #storeReporter: StoreReporter;
  readonly #store: StoreCalls;
  readonly #eap: EapServer<Subscriber>;
  readonly #application: EapApplication;
  readonly #administrator: Administrator;
  readonly #probes: Probes | undefined;
  readonly #known: KnownSubscribers;
  readonly #failures: FailureLimits;
  readonly #tls: TlsTransport | undefined;
  readonly #files: FileWatch;
  readonly #credentials: CredentialWatch;
  #closeControl: () => Promise<void> = () => Promise.resolve();
  #expiry: CancelTimer | undefined;
  #ticketTimer: CancelTimer | undefined;
  readonly #surroundings: AaaSurroundings;
  readonly #host: Host;
  #importsSought = -Infinity;
  readonly #revoked = new RevokedSessions();
  #reloading: Promise<void> = Promise.resolve();
  #finish: (status: number) => void = () => undefined;
  /** Resolves when it can do nothing any more. */
  readonly finished = new Promise<number>((resolve) => {
    this.#finish = resolve;
  });

  private constructor(
    options: AaaOptions,
    log: Logger,
    { metrics, barrier, storeReporter }: Reporting,
    opened: StorePort,
    credentials: TlsServerOptions,
    originState: number,
    tls: TlsTransport | undefined,
    files: FileWatch,
    surroundings: AaaSurroundings,
  ) {
    const { host, runHook } = surroundings;
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
    if (tls) tls.guard = barrier;
    void storeReporter.ended.then(() => this.#finish(1));
    const { hooks } = options;
    this.#hooks = makeHookRunner(hooks, log, this.#metrics, this.barrier, surroundings);
    this.#homeAgents = new HomeAgentHooks(this.#hooks, hooks.ha);
    this.#known = new KnownSubscribers(options.session.outage);
    this.#failures = new FailureLimits(options.limits['failures-per-subscriber']);
    const eap: EapServerOptions<Subscriber> = {
      ...credentials,
      maxClientFlight: options.eap['client-flight'],
      guard: this.barrier,
      authorize: (peer, session) => this.#authorize(peer, session),
      onLearned: () => this.#revocationChanged(),
    };
    this.#eap = new EapServer(eap, surroundings.makeEngine(eap));
    const report = diameterReporter(log, this.#metrics, 'trace', host);
    this.#application = new EapApplication(options, {
      log,
      metrics: this.#metrics,
      ground: surroundings,
      store,
      eap: this.#eap,
      originState,
      guard: this.barrier,
      homeAgents: this.#homeAgents,
      tls,
      onEvent: (event) => report(event, this.#application.node.grammarian),
    });
    showState(this.#metrics, {
      host,
      store,
      conversations: () => this.#application.conversations,
      hooks: () => this.#hooks.status(),
      peers: () => this.#application.node.status(),
      credentials: () => this.#eap.options,
      revocation: () => this.#eap.judge.revocation,
    });
    this.#files = files;
    this.#credentials = new CredentialWatch({
      log,
      metrics: this.#metrics,
      files,
      host,
      used: () => this.#usedCredentials(),
      reload: () => this.reload(),
    });
    this.#administrator = new Administrator({
      log,
      host,
      metrics: this.#metrics,
      store,
      storeName: storeName(options.store),
      application: this.#application,
      homeAgents: this.#homeAgents,
      forget: () => this.#known.clear(),
    });
    this.#probes =
      hooks.probe === undefined
        ? undefined
        : new Probes(
            {
              program: hooks.probe,
              interval: hooks['probe-interval'],
              timeout: Math.min(hooks.timeout, hooks['probe-interval']),
              failures: hooks['probe-failures'],
              stateDir: hooks['state-dir'],
              host: options.diameter.host,
            },
            {
              log,
              metrics: this.#metrics,
              store,
              ground: { host, runHook },
              onDead: (agent) => this.#administrator.inBackground(this.#administrator.moveNodes(agent)),
            },
          );
  }

  /** Rejects with OperatorError, DatabaseError, or the system's error; soon after the signal, too. */
  static async start(
    options: AaaOptions,
    log: Logger,
    signal?: AbortSignal,
    surroundings: AaaSurroundings = systemAaaSurroundings,
  ): Promise<AaaDaemon> {
    const { host, lookAtFiles, readCredentials } = surroundings;
    const files = new FileWatch(host, lookAtFiles);
    const [credentials, tls] = await files.watch(credentialFiles(options), () =>
      Promise.all([readCredentials(options, host), openDiameterTls(options.diameter, host, refusedReporter(log))]),
    );
    const originState = await nextOriginState(options.hooks['state-dir'], host.wall());
    if (!isPostgresUrl(options.store)) await makeFolder(dirname(options.store), 0o700);
    const metrics = new Metrics('pana_aaa', AAA_METRICS);
    const barrier = new Barrier(log, metrics, () => host.monotonic());
    const storeReporter = new StoreReporter(log, metrics, barrier);
    const opening = { use: 'server', signal, events: storeReporter.events } as const;
    const store = await surroundings.openStore(options.store, opening);
    const reporting = { metrics, barrier, storeReporter };
    const daemon = new AaaDaemon(options, log, reporting, store, credentials, originState, tls, files, surroundings);
    try {
      await daemon.#open();
    } catch (error) {
      await daemon.#application.stop();
      await daemon.#close();
      throw error;
    }
    return daemon;
  }

  /** Reads certificates, key and CRL again, and takes other peers, whole or not at all. One after another. */
  reload(options?: AaaOptions): Promise<void> {
    const reloaded = this.#reloading.then(() => this.#reload(options ?? this.#options));
    this.#reloading = reloaded.catch(() => undefined);
    return reloaded;
  }

  async #reload(options: AaaOptions): Promise<void> {
    const { diameter } = options;
    const [credentials, material] = await this.#files.watch(credentialFiles(options), () =>
      Promise.all([this.#surroundings.readCredentials(options, this.#host), readDiameterTls(diameter)]),
    );
    this.#eap.reload({ ...this.#eap.options, ...credentials });
    this.#revocationChanged();
    if (material) this.#tls?.reload(material);
    this.#application.node.reconfigure(peerOptions(diameter.peers, this.#tls), undefined);
    this.#options = options;
    this.#credentials.changed();
    this.#metrics.count('reloads');
  }

  #usedCredentials(): UsedCredentials[] {
    const { tls, diameter } = this.#options;
    return [
      { ...this.#eap.options, section: 'tls', files: tls, roles: ['server'] },
      ...usedForDiameter(diameter, this.#tls?.options),
    ];
  }

  summary(): string {
    const peers = this.#application.node.status();
    const up = peers.filter(({ state }) => state.endsWith('Open')).length;
    const store = this.#storeReporter.works ? '' : '; the store is lost';
    return `${this.#application.conversations} conversations, ${up} of ${peers.length} peers up${store}`;
  }

  /** That the database does not answer is known, and nothing that a restart would put right. */
  works(): Promise<boolean> {
    return this.#opened.answers();
  }

  async stop(): Promise<void> {
    this.#administrator.stop();
    this.#probes?.stop();
    this.#expiry?.();
    this.#ticketTimer?.();
    await this.#application.stop();
    await this.#hooks.stop(HOOKS_AT_END);
    await this.#close();
  }

  async #open(): Promise<void> {
    const { control } = this.#options;
    await makeFolder(this.#options.hooks['state-dir'], 0o700);
    await this.#shareTicketKey();
    await this.#application.start();
    this.#closeControl = await this.#surroundings.openControl(
      control,
      {
        'GET /status': () => this.status(),
        'POST /store': ({ body }) => this.#administrator.administer(body),
        'POST /session/disconnect': ({ body }) => this.#administrator.onSessions(body, 'disconnect'),
        'POST /session/reauth': ({ body }) => this.#administrator.onSessions(body, 'reauthenticate'),
      },
      this.#metrics,
      this.barrier,
    );
    this.#expiry = every(this.#host, EXPIRY_INTERVAL, () => void this.barrier.settle('timer', this.#expire()));
    if (this.#probes) this.#probes.start();
    else this.#administrator.inBackground(withdrawProbes(this.#store, this.#options.diameter.host));
    // Whoever was disabled or revoked while nobody looked.
    this.#administrator.inBackground(this.#administrator.endDisabled());
    this.#revocationChanged();
    this.#credentials.start();
    this.#log.info({ listening: this.#application.node.addresses }, 'ready');
  }

  async #close(): Promise<void> {
    this.#expiry?.();
    this.#ticketTimer?.();
    this.#credentials.stop();
    await this.#closeControl();
    await this.#store.close();
  }

  async status(): Promise<object> {
    const { node } = this.#application;
    return {
      listening: node.addresses.map(({ address, port }) => `${address} port ${port}`),
      conversations: this.#application.conversations,
      // A store that is lost is no reason not to tell the rest.
      homeAgents: await this.#store.run('listHomeAgents', {}).then(
        (agents) =>
          agents.map(
            ({ name, state, failedBy, leases, capacity }) =>
              `${name} ${state}${failedBy === undefined ? '' : ' (does not answer)'}, ${leases} of ${capacity} leases`,
          ),
        (error: Error) => `not known: ${error.message}`,
      ),
      peers: node.status(),
      hooks: this.#hooks.status(),
      counters: await this.#metrics.counters(),
    };
  }

  // ----------------------------------------------------------------------------------------------------------- store

  /** The decision about the subscriber, before the client hears of success. */
  async #authorize(peer: VerifiedPeer, sessionId: string): Promise<Authorization<Subscriber>> {
    const { peerIds, fingerprint256: sha256 } = peer;
    const now = this.#host.monotonic();
    // Only who holds the key of a certificate comes here: nobody else can use up a subscriber's tries.
    if (this.#failures.exceeded(sha256, now)) return this.#limited();
    let found: Found;
    try {
      found = await this.#store.run('findSubscriber', { names: peerIds, sha256, sessionId });
    } catch (error) {
      this.#log.error({ reason: (error as Error).message }, 'store failed');
      const known = this.#known.find(sha256, sessionId, now);
      if (!known) return { ok: false, reason: 'unavailable' };
      this.#metrics.count('known_subscribers');
      return { ok: true, identity: known.nai, grant: known };
    }
    if ('refusal' in found) {
      this.#failures.failed(sha256, now);
      return { ok: false, reason: found.refusal };
    }
    this.#known.remember(sha256, sessionId, found.subscriber, now);
    return { ok: true, identity: found.subscriber.nai, grant: found.subscriber };
  }

  #limited(): Authorization<Subscriber> {
    this.#metrics.count('limited', { of: 'certificate' });
    return { ok: false, reason: 'too-many-failures' };
  }

  /** Tickets of one server of the store are good at all; the next key comes when its time is there. */
  async #shareTicketKey(): Promise<void> {
    let pause = TICKET_RETRY;
    try {
      const every = this.#options.tls['ticket-key-lifetime'];
      const { value, validFor } = await this.#store.run('ticketKey', { every });
      const key = Buffer.from(value, 'hex');
      this.#eap.setTicketKey(key);
      key.fill(0);
      pause = validFor + 1;
    } catch (error) {
      this.#log.error({ reason: (error as Error).message }, 'store failed');
    }
    this.#ticketTimer = this.#host.after(pause, () => void this.barrier.settle('timer', this.#shareTicketKey()));
  }

  /** The sessions of certificates that were good a moment ago end. */
  #revocationChanged(): void {
    const fresh = this.#revoked.look(this.#eap.judge, this.#host.wall());
    this.#administrator.inBackground(this.#administrator.revoke(fresh));
    for (const { list, path } of this.#eap.judge.revocation?.unverified ?? []) {
      this.#log.warn({ issuer: list.issuer.text, file: path }, 'CRL is not verified: its issuer is not known yet');
    }
  }

  async #expire(): Promise<void> {
    const now = this.#host.monotonic();
    const silent = this.#application.expire(now);
    if (silent > 0) this.#log.info({ conversations: silent }, 'conversations forgotten');
    try {
      for (const lease of await this.#store.run('expire', { limit: EXPIRY_BATCH })) {
        this.#metrics.count('leases', { result: 'expired' });
        this.#log.info({ user: lease.nai, homeAddress: lease.homeAddress }, 'lease expired');
        void this.#homeAgents.run('down', lease, undefined);
      }
      await this.#store.run('forgetHistory', { age: this.#options.session.history, limit: EXPIRY_BATCH });
      if (now - this.#importsSought >= IMPORT_LIFETIME) {
        // Whoever began them was killed.
        await this.#store.run('abandonImport', { age: IMPORT_LIFETIME });
        this.#importsSought = now;
      }
    } catch (error) {
      this.#log.error({ reason: (error as Error).message }, 'store failed');
    }
  }
}
