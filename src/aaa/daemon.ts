import { unwatchFile, watchFile } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { resultName } from '../protocol/diameter/result-codes.js';
import { ControlError } from '../runtime/control.js';
import { diameterReporter, makeHookRunner, openControl, refusedReporter } from '../runtime/daemon.js';
import { openDiameterTls, readDiameterTls } from '../runtime/diameter-setup.js';
import type { TlsTransport } from '../runtime/diameter-tls.js';
import { EapServer } from '../runtime/eap-server.js';
import type { HookRunner } from '../runtime/hooks.js';
import type { Logger } from '../runtime/log.js';
import { Metrics } from '../runtime/metrics.js';
import type { VerifiedPeer } from '../runtime/peer-certificate.js';
import type { Service } from '../runtime/service.js';
import type { HomeAgent, HomeAgentChange, Lease, Subscriber } from '../runtime/store/operations.js';
import { type OperationName, Store } from '../runtime/store/store.js';
import { readCredentials } from './credentials.js';
import { EapApplication } from './eap-application.js';
import { HomeAgentHooks } from './home-agent-hooks.js';
import type { AaaOptions } from './options.js';

/** How often leases are looked at whose time may be over, in milliseconds, and how many are freed at a time. */
const EXPIRY_INTERVAL = 5_000;
const EXPIRY_BATCH = 256;

/** Nodes of a home agent that is down which are asked to authenticate again in one second. */
const MOVES_PER_SECOND = 50;

/** How often the CRL file is looked at, in milliseconds. */
const CRL_INTERVAL = 2_000;

/** How long hooks may take when the daemon ends, in milliseconds. */
const HOOKS_AT_END = 5_000;

/** What the operator's commands may do to the store of a running daemon. */
const ADMINISTRATION: ReadonlySet<string> = new Set<OperationName>([
  'addSubscriber',
  'listSubscribers',
  'removeSubscriber',
  'enableSubscriber',
  'addHomeAgent',
  'changeHomeAgent',
  'removeHomeAgent',
  'listHomeAgents',
  'listLeases',
  'listSessions',
  'leaseHistory',
]);

/** The AAA server: Diameter EAP with EAP-TLS, the store, and the home agents' hooks. */
export class AaaDaemon implements Service {
  readonly #options: AaaOptions;
  readonly #log: Logger;
  readonly #metrics = new Metrics('pana_aaa');
  readonly #hooks: HookRunner;
  readonly #homeAgents: HomeAgentHooks;
  readonly #store: Store;
  readonly #eap: EapServer<Subscriber>;
  readonly #application: EapApplication;
  readonly #tls: TlsTransport | undefined;
  #closeControl: () => Promise<void> = () => Promise.resolve();
  #expiry: NodeJS.Timeout | undefined;
  #stopping = false;

  private constructor(
    options: AaaOptions,
    log: Logger,
    store: Store,
    credentials: Awaited<ReturnType<typeof readCredentials>>,
    tls: TlsTransport | undefined,
  ) {
    this.#options = options;
    this.#log = log;
    this.#store = store;
    this.#tls = tls;
    const { hooks } = options;
    this.#hooks = makeHookRunner(hooks, log, this.#metrics);
    this.#homeAgents = new HomeAgentHooks(this.#hooks, hooks.ha);
    this.#eap = new EapServer<Subscriber>({ ...credentials, authorize: (peer) => this.#authorize(peer) });
    const report = diameterReporter(log, this.#metrics, 'trace');
    this.#application = new EapApplication(options, {
      log,
      metrics: this.#metrics,
      store,
      eap: this.#eap,
      homeAgents: this.#homeAgents,
      tls,
      onEvent: (event) => report(event, this.#application.node.grammarian),
    });
  }

  /** Rejects with OperatorError, DatabaseError, or the system's error. */
  static async start(options: AaaOptions, log: Logger): Promise<AaaDaemon> {
    const credentials = await readCredentials(options);
    const tls = await openDiameterTls(options.diameter, refusedReporter(log));
    await mkdir(dirname(options.store), { recursive: true, mode: 0o700 });
    const store = await Store.open(options.store);
    const daemon = new AaaDaemon(options, log, store, credentials, tls);
    try {
      await daemon.#open();
    } catch (error) {
      await daemon.#application.stop();
      await daemon.#close();
      throw error;
    }
    return daemon;
  }

  /** Reads certificates, key and CRL again, whole or not at all. */
  async reload(): Promise<void> {
    const [credentials, material] = await Promise.all([
      readCredentials(this.#options),
      readDiameterTls(this.#options.diameter),
    ]);
    this.#eap.reload({ ...this.#eap.options, ...credentials });
    if (material) this.#tls?.reload(material);
    this.#metrics.count('reloads');
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#expiry);
    await this.#application.stop();
    await this.#hooks.stop(HOOKS_AT_END);
    await this.#close();
  }

  async #open(): Promise<void> {
    const { control, tls } = this.#options;
    await mkdir(this.#options.hooks['state-dir'], { recursive: true, mode: 0o700 });
    await this.#application.start();
    this.#closeControl = await openControl(
      control,
      {
        'GET /status': () => this.status(),
        'POST /store': ({ body }) => this.#administer(body),
        'POST /session/disconnect': ({ body }) => this.#onSessions(body, 'disconnect'),
        'POST /session/reauth': ({ body }) => this.#onSessions(body, 'reauthenticate'),
      },
      this.#metrics,
    );
    this.#expiry = setInterval(() => void this.#expire(), EXPIRY_INTERVAL);
    if (tls.crl !== undefined) {
      watchFile(tls.crl, { interval: CRL_INTERVAL, persistent: false }, () => void this.#crlChanged());
    }
    this.#log.info({ listening: this.#application.node.addresses }, 'ready');
  }

  async #close(): Promise<void> {
    if (this.#options.tls.crl !== undefined) unwatchFile(this.#options.tls.crl);
    await this.#closeControl();
    await this.#store.close();
  }

  async status(): Promise<object> {
    const { node } = this.#application;
    return {
      listening: node.addresses.map(({ address, port }) => `${address} port ${port}`),
      conversations: this.#application.conversations,
      homeAgents: (await this.#store.run('listHomeAgents', {})).map(
        ({ name, state, leases, capacity }) => `${name} ${state}, ${leases} of ${capacity} leases`,
      ),
      peers: node.status(),
      hooks: this.#hooks.status(),
      counters: await this.#metrics.counters(),
    };
  }

  // ----------------------------------------------------------------------------------------------------------- store

  /** The decision about the subscriber, before the client hears of success. */
  async #authorize(peer: VerifiedPeer) {
    try {
      const subscriber = await this.#store.run('findSubscriber', { names: peer.peerIds });
      if (!subscriber) return { ok: false, reason: 'no-subscriber' } as const;
      if (!subscriber.enabled) return { ok: false, reason: 'disabled' } as const;
      return { ok: true, identity: subscriber.nai, grant: subscriber } as const;
    } catch (error) {
      this.#log.error({ reason: (error as Error).message }, 'store failed');
      return { ok: false, reason: 'unavailable' } as const;
    }
  }

  async #administer(body: unknown): Promise<unknown> {
    const { operation, arguments: given } = (body ?? {}) as { operation?: unknown; arguments?: unknown };
    if (typeof operation !== 'string' || !ADMINISTRATION.has(operation)) {
      throw new ControlError(`there is no operation ${String(operation)}`);
    }
    const result = await this.#store.run(operation as OperationName, given as never).catch((error: unknown) => {
      throw error instanceof Error ? new ControlError(error.message) : error;
    });
    this.#log.info({ operation }, 'store administered');
    this.#follow(operation as OperationName, given, result);
    return result;
  }

  /** What a change of the store means for sessions and home agents. */
  #follow(operation: OperationName, given: unknown, result: unknown): void {
    switch (operation) {
      // What is removed with its subscriber is taken down at its home agent.
      case 'removeSubscriber':
        if (result) void this.#homeAgents.run('down', result as Lease, undefined);
        break;
      case 'enableSubscriber': {
        const { nai, enabled } = given as { nai: string; enabled: boolean };
        if (!enabled) this.#inBackground(this.#disconnect(nai));
        break;
      }
      case 'changeHomeAgent': {
        const { change } = given as { change: HomeAgentChange };
        if (change.state === 'down') this.#inBackground(this.#moveNodes((result as HomeAgent).address));
        break;
      }
      case 'removeHomeAgent':
        for (const lease of result as Lease[]) void this.#homeAgents.run('down', lease, undefined);
        for (const address of new Set((result as Lease[]).map(({ homeAgent }) => homeAgent.address))) {
          this.#inBackground(this.#moveNodes(address));
        }
    }
  }

  #inBackground(work: Promise<void>): void {
    work.catch((error: Error) => this.#log.error({ reason: error.message }, 'store failed'));
  }

  /** Ends all sessions of a subscriber, at the PAA or, where that cannot be reached, here alone. */
  async #disconnect(nai: string): Promise<void> {
    for (const session of await this.#store.run('listSessions', { of: nai })) {
      try {
        await this.#application.disconnect(session);
      } catch (error) {
        this.#log.warn({ user: nai, nas: session.origin, reason: (error as Error).message }, 'no answer to ASR');
        await this.#application.endSession(session, 'its PAA cannot be reached');
      }
    }
  }

  /** A home agent is down: each of its nodes is authenticated again, and gets another one; so many in a second. */
  async #moveNodes(homeAgent: string): Promise<void> {
    const sessions = await this.#store.run('listSessions', { homeAgent });
    this.#log.warn({ homeAgent, sessions: sessions.length }, 'home agent is down: its nodes are moved');
    for (const [i, session] of sessions.entries()) {
      if (this.#stopping) return;
      if (i > 0 && i % MOVES_PER_SECOND === 0) await delay(1000);
      this.#metrics.count('moves');
      this.#application.reauthenticate(session).catch((error: Error) => {
        this.#log.warn({ user: session.nai, nas: session.origin, reason: error.message }, 'no answer to RAR');
      });
    }
  }

  /** ASR or RAR for a session, or for all of a subscriber; what became of each. */
  async #onSessions(body: unknown, what: 'disconnect' | 'reauthenticate'): Promise<object[]> {
    const { of } = (body ?? {}) as { of?: unknown };
    if (typeof of !== 'string' || of === '') throw new ControlError('which session? a Session-Id, or a subscriber');
    const sessions = await this.#store.run('listSessions', { of });
    if (sessions.length === 0) throw new ControlError(`no session ${of}: "session list" shows them`);
    return Promise.all(
      sessions.map(async (session) => {
        const { sessionId, origin } = session;
        try {
          return { session: sessionId, paa: origin, result: resultName(await this.#application[what](session)) };
        } catch (error) {
          return { session: sessionId, paa: origin, result: (error as Error).message };
        }
      }),
    );
  }

  async #expire(): Promise<void> {
    const now = performance.now();
    const silent = this.#application.expire(now);
    if (silent > 0) this.#log.info({ conversations: silent }, 'conversations forgotten');
    try {
      for (const lease of await this.#store.run('expire', { now: Date.now(), limit: EXPIRY_BATCH })) {
        this.#metrics.count('leases', { result: 'expired' });
        this.#log.info({ user: lease.nai, homeAddress: lease.homeAddress }, 'lease expired');
        void this.#homeAgents.run('down', lease, undefined);
      }
      const before = Date.now() - this.#options.session.history;
      await this.#store.run('forgetHistory', { before, limit: EXPIRY_BATCH });
    } catch (error) {
      this.#log.error({ reason: (error as Error).message }, 'store failed');
    }
  }

  async #crlChanged(): Promise<void> {
    try {
      await this.reload();
      this.#log.info('CRL read again');
    } catch (error) {
      this.#log.error({ reason: (error as Error).message }, 'CRL cannot be read: the old one stays');
    }
  }
}
