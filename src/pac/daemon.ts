import { isSameAddress } from '../protocol/attachment/care-of-address.js';
import { makeHookRunner, prepareHookFolder } from '../runtime/hooks/reporter.js';
import type { Logger } from '../runtime/log/events.js';
import { EventFeed } from '../runtime/log/feed.js';
import { sessionText } from '../runtime/log/pana-fields.js';
import { interfaceWarning } from '../runtime/net/interface-check.js';
import type { NetworkListener } from '../runtime/net/network-watch.js';
import { Barrier } from '../runtime/service/barrier.js';
import { ControlError } from '../runtime/service/control.js';
import { controlRoutes } from '../runtime/service/control-api.js';
import { eventRoutes } from '../runtime/service/event-stream.js';
import { Metrics } from '../runtime/service/metrics.js';
import type { Service } from '../runtime/service/service.js';
import { FileWatch } from '../runtime/system/file-watch.js';
import type { Host } from '../runtime/system/host.js';
import { nodeName } from '../runtime/tls/certificates/node-name.js';
import { CredentialWatch, credentialFiles } from '../runtime/tls/credential-watch.js';
import { type KeySink, warnOfKeyLog } from '../runtime/tls/key-log.js';
import { openWeb } from '../runtime/web/open-web.js';
import { Attachments } from './attachments.js';
import type { Attempt } from './attempt.js';
import { PAC_API, type PreauthRequest } from './control-api.js';
import type { PacCredentials } from './credentials.js';
import { HomeAgentFinder } from './home-agent-finder.js';
import { PAC_METRICS, registerGauges } from './metrics.js';
import { MobileNode } from './mobile-node.js';
import type { PacOptions } from './options.js';
import { type PacSurroundings, systemPacSurroundings } from './surroundings.js';
import { pacWebPage } from './web.js';

/**
 * Time for the end of the session (PTR) and then the hooks when the daemon stops, in milliseconds: less than the 9 s
 * after which a stop is usually forced. Usually the hooks have nearly all of it. On a slow computer it grows.
 */
const SESSION_AND_HOOKS_AT_END = 8_000;

/** Time for the rest of a stop, in milliseconds. */
const REST_OF_STOP = 1_000;

/**
 * The PaC. It has one session with one PAA. It starts a second one while the first PAA is silent, or if the node has
 * moved to another link.
 */
export class PacDaemon implements Service<PacOptions> {
  #options: PacOptions;
  readonly #feed: EventFeed;
  readonly #metrics = new Metrics('pana_pac', PAC_METRICS);
  readonly barrier: Barrier;
  readonly #node: MobileNode;
  #credentials: PacCredentials;
  readonly #files: FileWatch;
  readonly #watchCredentials: CredentialWatch;
  readonly #keyLog: KeySink | undefined;
  #closeControl: () => Promise<void> = () => Promise.resolve();
  #closeWeb: () => Promise<void> = () => Promise.resolve();
  readonly #attachments: Attachments;
  readonly #finder: HomeAgentFinder | undefined;
  #stopping = false;
  #unwatch: () => void = () => undefined;
  readonly #surroundings: PacSurroundings;
  readonly #host: Host;
  #finish: (status: number) => void = () => undefined;
  /** Resolves with an exit status when the node is not configured to stay and its session has ended. */
  readonly finished = new Promise<number>((resolve) => {
    this.#finish = resolve;
  });

  private constructor(
    options: PacOptions,
    feed: EventFeed,
    credentials: PacCredentials,
    files: FileWatch,
    surroundings: PacSurroundings,
    keyLog: KeySink | undefined,
  ) {
    const { host } = surroundings;
    const { log } = feed;
    this.#feed = feed;
    this.#surroundings = surroundings;
    this.#host = host;
    this.#options = options;
    this.#credentials = credentials;
    this.#files = files;
    this.barrier = new Barrier(log, this.#metrics, () => host.monotonic());
    const hooks = makeHookRunner(options.hooks, log, this.#metrics, this.barrier, surroundings);
    this.#node = new MobileNode(options, log, hooks, this.barrier, host);
    this.#keyLog = keyLog;
    this.#attachments = new Attachments(options, {
      log,
      metrics: this.#metrics,
      barrier: this.barrier,
      surroundings,
      keyLog,
      node: this.#node,
      credentials: () => this.#credentials.peer,
      onFinished: (authorized) => this.#finish(authorized ? 0 : 1),
    });
    this.#finder = HomeAgentFinder.make(options, {
      log,
      guard: this.barrier,
      surroundings,
      node: this.#node,
      isHeard: () => this.#attachments.current?.isHeard ?? false,
      identity: () => nodeName(this.#credentials.used[0]?.certificatePem),
    });
    this.#node.onSession = (type) => this.#finder?.feed({ type });
    registerGauges(this.#metrics, {
      hasSession: () => this.#attachments.current?.authorized !== undefined,
      preAuthenticated: () => this.#attachments.candidates.size,
      hasHomeAddress: () => this.#node.status().binding !== undefined,
      hooks: () => hooks.status(),
    });
    this.#watchCredentials = new CredentialWatch({
      log,
      metrics: this.#metrics,
      files,
      host,
      used: () => this.#credentials.used,
      reload: () => this.#reloadCredentials(this.#options),
    });
  }

  /** Rejects with OperatorError, or the system's error. */
  static async start(
    options: PacOptions,
    logger: Logger,
    surroundings: PacSurroundings = systemPacSurroundings,
  ): Promise<PacDaemon> {
    const { host, lookAtFiles } = surroundings;
    const feed = new EventFeed('pana-pac', logger, host);
    const files = new FileWatch(host, lookAtFiles);
    const read = () => surroundings.readCredentials(options, host);
    const credentials = await files.watch(credentialFiles({ tls: options.tls }), read);
    const keyLog = options['key-log'] === undefined ? undefined : await surroundings.openKeyLog(options['key-log']);
    if (options['key-log'] !== undefined) warnOfKeyLog(feed.log, options['key-log']);
    const daemon = new PacDaemon(options, feed, credentials, files, surroundings, keyLog);
    try {
      await daemon.#open(feed.log);
    } catch (error) {
      daemon.#stopWatching();
      await daemon.#close();
      throw error;
    }
    return daemon;
  }

  async #open(log: Logger): Promise<void> {
    const { hooks, control, pana } = this.#options;
    if (hooks.mn !== undefined) await prepareHookFolder(hooks, log, this.#surroundings);
    this.#closeControl = await this.#surroundings.openControl(
      control,
      {
        ...eventRoutes(this.#feed, this.#host),
        ...controlRoutes(PAC_API, {
          'GET /status': () => this.status(),
          'POST /reauth': () => this.#trigger({ type: 'reauthenticate' }),
          'POST /ping': () => this.#trigger({ type: 'ping' }),
          'POST /preauth': ({ body }) => this.#preauth(body),
          'POST /move': () => this.#attachments.move(),
        }),
      },
      this.#metrics,
      this.barrier,
      this.#host,
    );
    const page = pacWebPage({
      metrics: this.#metrics,
      log,
      node: this.#node,
      session: () => this.#sessionStatus(),
      trigger: (type) => this.#trigger({ type }),
    });
    this.#closeWeb = await openWeb(control, page, { feed: this.#feed, log, guard: this.barrier, host: this.#host });
    if (pana['local-address'] === undefined) {
      this.#unwatch = this.#surroundings.watchNetwork(pana.interface, this.#networkListener(log), this.#host);
    }
    this.#watchCredentials.start();
    const reason = interfaceWarning(pana.interface, this.#surroundings.hasInterface);
    if (reason !== undefined) log.warn({ option: 'pana.interface', reason }, 'interface missing');
    log.info({ address: pana.paa.join(', '), port: pana.port }, 'ready');
    this.#attachments.start();
    this.#finder?.feed({ type: 'start' });
  }

  #stopWatching(): void {
    this.#unwatch();
    this.#finder?.stop();
    this.#watchCredentials.stop();
  }

  async #close(): Promise<void> {
    await this.#keyLog?.close();
    await this.#closeWeb();
    await this.#closeControl();
  }

  /**
   * Reads certificates and keys again. The next authentication uses them. The other options apply from the next search
   * for a PAA.
   */
  async reload(options: PacOptions): Promise<void> {
    await this.#reloadCredentials(options);
    this.#options = options;
    this.#watchCredentials.changed();
    this.#attachments.configure(options);
  }

  async #reloadCredentials(options: PacOptions): Promise<void> {
    const read = () => this.#surroundings.readCredentials(options, this.#host, this.#credentials);
    this.#credentials = await this.#files.watch(credentialFiles({ tls: options.tls }), read);
  }

  #networkListener(log: Logger): NetworkListener {
    return {
      changed: (change) =>
        this.barrier.run('timer', () => {
          for (const reason of change.reasons) this.#metrics.count('network_changes', { reason });
          log.debug({ reason: change.reasons.join(', ') }, 'network changed');
          this.#attachments.networkChanged(change);
          this.#finder?.feed({ type: 'networkChanged' });
        }),
      counted: (kind) => this.#metrics.count('network_events', { kind }),
      monitorMissing: (reason) => log.warn({ reason }, 'network monitor missing'),
    };
  }

  summary(): string {
    const { current, isSilent } = this.#attachments;
    if (!current) return 'no session';
    return `${current.authorized ? 'session' : 'authenticating'} with ${current.paa}${isSilent ? ', which does not respond' : ''}`;
  }

  /** Terminates the session, runs the hook `down`, and frees everything. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#stopWatching();
    const { careOfAddress, sessionId, interface: access } = this.#attachments.current ?? {};
    const place = careOfAddress === undefined ? undefined : { careOfAddress, sessionId, interface: access };
    const until = this.#host.monotonic() + this.#node.stopTime(SESSION_AND_HOOKS_AT_END);
    await this.#attachments.stop();
    await this.#node.stop(place, until - this.#host.monotonic());
    await this.#close();
  }

  /** The hook `down` ends the node's SAs, which nobody else does. */
  stopLimit(): number {
    return this.#node.stopTime(SESSION_AND_HOOKS_AT_END) + REST_OF_STOP;
  }

  async status(): Promise<object> {
    const certificates = this.#watchCredentials.days();
    return { ...this.#sessionStatus(), certificates, ...this.#node.status(), counters: await this.#metrics.counters() };
  }

  #sessionStatus(): object {
    const { current, standby } = this.#attachments;
    const authorized = current?.authorized;
    const lifetime = authorized?.event.lifetime;
    const remaining =
      authorized && lifetime !== undefined
        ? Math.round((authorized.at + lifetime - this.#host.monotonic()) / 1000)
        : undefined;
    return {
      state: this.#stopping ? 'stopping' : 'waiting',
      ...this.#describe(current),
      remainingSeconds: remaining,
      lastFailure: this.#attachments.failure.last,
      candidates: this.#attachments.candidates.status(),
      ...(standby ? { beside: this.#describe(standby) } : {}),
    };
  }

  #describe(attempt: Attempt | undefined): object {
    if (!attempt) return {};
    const { state, paa, sessionId, careOfAddress, authorized } = attempt;
    return {
      state,
      paa: `${paa} port ${this.#options.pana.port}`,
      session: sessionId === undefined ? undefined : sessionText(sessionId),
      careOfAddress,
      encryption: authorized && (authorized.event.algorithms?.encryption?.name ?? 'none'),
    };
  }

  /** A candidate that is known is tried at once. */
  #preauth({ paa }: PreauthRequest): object {
    const { current, candidates } = this.#attachments;
    if (!current?.authorized) throw new ControlError('there is no open session');
    if (isSameAddress(current.paa, paa)) throw new ControlError(`the session is with ${paa}: name another PAA`);
    candidates.name(paa);
    return { asked: `pre-authentication with ${paa}` };
  }

  #trigger(input: { readonly type: 'reauthenticate' | 'ping' }): object {
    const { current } = this.#attachments;
    if (!current?.authorized) throw new ControlError('there is no open session');
    // The PAA is being asked for an answer, or the node authenticates again.
    if (current.state !== 'OPEN') throw new ControlError(`the session is in state ${current.state}: try again`, 409);
    current.feed(input);
    return { asked: input.type };
  }
}
