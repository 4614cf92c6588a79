import { isIP } from 'node:net';
import { formatAddress } from '../protocol/bytes/address.js';
import { isSuccess, resultName } from '../protocol/diameter/wire/result-codes.js';
import { checkName } from '../protocol/mip6/names.js';
import {
  type AccessInput,
  type AccessOutput,
  type DerRequest,
  type SessionServer,
  serverOf,
} from '../protocol/nas/access.js';
import { Paa, type PaaInput, type PaaOutput, type PaaSessionView } from '../protocol/pana/agent/paa.js';
import type { PaaClosed, PaaSessionInput } from '../protocol/pana/session/paa-session.js';
import type { PacEndpoint } from '../protocol/pana/session/start.js';
import type { DiameterEvent } from '../runtime/diameter/node.js';
import { nextOriginState } from '../runtime/diameter/origin-state.js';
import { diameterReporter, refusedReporter } from '../runtime/diameter/reporter.js';
import { openDiameterTls, peerOptions, readDiameterTls, usedForDiameter } from '../runtime/diameter/setup.js';
import { type DiameterTlsOptions, TlsTransport } from '../runtime/diameter/tls.js';
import { hookGauges, hookOptions } from '../runtime/hooks/reporter.js';
import { HookRunner, type HookView } from '../runtime/hooks/runner.js';
import type { Logger } from '../runtime/log/log.js';
import { panaFields, sessionText } from '../runtime/log/pana-fields.js';
import type { DatagramSocket } from '../runtime/net/udp.js';
import { Barrier } from '../runtime/service/barrier.js';
import { ControlError } from '../runtime/service/control.js';
import { Metrics } from '../runtime/service/metrics.js';
import type { Service } from '../runtime/service/service.js';
import { type Surroundings, systemSurroundings } from '../runtime/surroundings/surroundings.js';
import { Driver } from '../runtime/system/driver.js';
import { FileWatch } from '../runtime/system/file-watch.js';
import { makeFolder } from '../runtime/system/folder.js';
import type { Host } from '../runtime/system/host.js';
import { within } from '../runtime/system/within.js';
import { CredentialWatch, credentialFiles } from '../runtime/tls/credential-watch.js';
import { KeyLog } from '../runtime/tls/key-log.js';
import { AaaClient, type Asker, type ServerWish } from './aaa-client.js';
import { type Client, Clients } from './clients.js';
import { EnforcementPoint } from './enforcement-point.js';
import { Intake } from './intake.js';
import { assignmentFields, LocalMobility } from './local-mobility.js';
import { PAA_METRICS } from './metrics.js';
import type { PaaOptions } from './options.js';
import { paaConfig } from './paa-config.js';

/** How long hooks may take when the daemon ends, in milliseconds. */
const HOOKS_AT_END = 5_000;

/** Access before PAN[C] has proved that the client has the key (`hooks.wait`), in milliseconds. */
const PROVISIONAL = 10_000;

/** How long clients may take to answer PTR when the daemon ends, in milliseconds. */
const PTA_AT_END = 1_000;

/** RFC 5191 10.1: where a PaC listens for a PAA that begins. */
const PANA_PORT = 716;

/** Termination-Cause ADMINISTRATIVE, RFC 5191 8.9. */
const ADMINISTRATIVE = 4;

type SessionOutput = Extract<PaaOutput, { type: 'session' }>;

/** The PAA: PANA on its addresses, EAP over Diameter, the enforcement point's hooks and the local home agent's. */
export class PaaDaemon implements Service<PaaOptions> {
  #options: PaaOptions;
  readonly #log: Logger;
  readonly #metrics = new Metrics('pana_paa', PAA_METRICS);
  readonly barrier: Barrier;
  readonly #hooks: HookRunner;
  readonly #ep: EnforcementPoint | undefined;
  readonly #paa: Paa;
  readonly #driver: Driver<PaaInput, PaaOutput>;
  readonly #intake: Intake;
  readonly #aaa: AaaClient;
  #tls: TlsTransport | undefined;
  readonly #files: FileWatch;
  readonly #credentials: CredentialWatch;
  readonly #clients = new Clients();
  readonly #surroundings: Surroundings;
  readonly #host: Host;
  readonly #local: LocalMobility;
  readonly #sockets = new Map<string, DatagramSocket>();
  #closeControl: () => Promise<void> = () => Promise.resolve();
  #emptied: (() => void) | undefined;
  #keyLog: KeyLog | undefined;

  private constructor(
    options: PaaOptions,
    log: Logger,
    originState: number,
    tls: TlsTransport | undefined,
    files: FileWatch,
    surroundings: Surroundings,
  ) {
    const { host } = surroundings;
    this.#surroundings = surroundings;
    this.#host = host;
    this.#options = options;
    this.#log = log;
    this.barrier = new Barrier(log, this.#metrics, () => host.monotonic());
    this.#tls = tls;
    if (tls) tls.guard = this.barrier;
    const { hooks } = options;
    const running = hookOptions(hooks, log, this.#metrics, this.barrier, surroundings);
    this.#hooks = new HookRunner(running);
    if (hooks.ep !== undefined) {
      const ep = { program: hooks.ep, batch: hooks['ep-batch'], interface: options.pana.interface };
      this.#ep = new EnforcementPoint(ep, running, this.#hooks, host);
    }
    this.#local = new LocalMobility(options, this.#hooks, log, host);
    this.#paa = new Paa(paaConfig(options), host.random(32));
    this.#driver = new Driver<PaaInput, PaaOutput>(
      this.#paa,
      (output) => this.#perform(output),
      host,
      (error, input, output) => this.#faulted(error, input, output),
    );
    this.#intake = new Intake(this.#driver, this.#metrics, log, this.barrier);
    const report = diameterReporter(log, this.#metrics, 'debug', host);
    const events = {
      onEvent: (event: DiameterEvent) => report(event, this.#aaa.node.grammarian),
      onWish: (sessionId: string, wish: ServerWish, from: Asker) => this.#serverWish(sessionId, wish, from),
    };
    this.#aaa = new AaaClient(options, originState, tls, events, this.barrier, surroundings);
    this.#metrics.gauge('sessions', 'PANA sessions under way, half-open ones included', () => this.#paa.size);
    this.#metrics.gauge(
      'half_open_sessions',
      'PANA sessions whose first authentication is not over',
      () => this.#paa.halfOpen,
    );
    hookGauges(this.#metrics, () => this.#hooksLeft());
    this.#files = files;
    this.#credentials = new CredentialWatch({
      log,
      metrics: this.#metrics,
      files,
      host,
      used: () => usedForDiameter(this.#options.diameter, this.#tls?.options),
      reload: () => this.#reloadTls(),
    });
  }

  /** Rejects with OperatorError, or the system's error. */
  static async start(
    options: PaaOptions,
    log: Logger,
    surroundings: Surroundings = systemSurroundings,
  ): Promise<PaaDaemon> {
    const { host, lookAtFiles } = surroundings;
    const files = new FileWatch(host, lookAtFiles);
    const tls = await files.watch(credentialFiles({ diameter: options.diameter }), () =>
      openDiameterTls(options.diameter, host, refusedReporter(log)),
    );
    const originState = await nextOriginState(options.hooks['state-dir'], host.wall());
    const daemon = new PaaDaemon(options, log, originState, tls, files, surroundings);
    try {
      await daemon.#open();
    } catch (error) {
      await daemon.#close();
      throw error;
    }
    return daemon;
  }

  /**
   * Sets the enforcement point up again; reads certificates of Diameter again, which connections from now on use; takes other
   * peers, and what sessions from now on are offered.
   */
  async reload(options: PaaOptions): Promise<void> {
    const { diameter } = options;
    const material = await this.#readTls(options);
    const adoptLocal = this.#local.plan(options);
    if (material) this.#takeTls(material);
    this.#aaa.node.reconfigure(peerOptions(diameter.peers, this.#tls), diameter.routes);
    this.#options = options;
    this.#credentials.changed();
    await adoptLocal();
    this.#driver.feed({ type: 'configure', config: paaConfig(options) });
    void this.#ep?.start();
  }

  #readTls({ diameter }: PaaOptions): Promise<DiameterTlsOptions | undefined> {
    return this.#files.watch(credentialFiles({ diameter }), () => readDiameterTls(diameter));
  }

  #takeTls(material: DiameterTlsOptions): void {
    if (this.#tls) this.#tls.reload(material);
    else {
      this.#tls = new TlsTransport(material, this.#host, refusedReporter(this.#log));
      this.#tls.guard = this.barrier;
    }
  }

  /** The files of certificates alone have changed. */
  async #reloadTls(): Promise<void> {
    const material = await this.#readTls(this.#options);
    if (material) this.#takeTls(material);
    this.#credentials.changed();
  }

  summary(): string {
    const peers = this.#aaa.node.status();
    const up = peers.filter(({ state }) => state.endsWith('Open')).length;
    return `${this.#paa.size} sessions, ${up} of ${peers.length} peers up`;
  }

  async stop(): Promise<void> {
    const sessions = [...this.#paa.list(this.#host.monotonic())];
    if (sessions.length > 0) {
      const emptied = new Promise<void>((resolve) => {
        this.#emptied = resolve;
        this.#host.after(PTA_AT_END, resolve);
      });
      for (const { sessionId } of sessions) {
        this.#driver.feed({ type: 'session', sessionId, input: { type: 'terminate', cause: ADMINISTRATIVE } });
      }
      await emptied;
      // Who did not answer is told nothing more, but the AAA server and the hooks are.
      for (const { sessionId } of this.#paa.list(this.#host.monotonic())) this.#closed(sessionId, 'administrative');
    }
    this.#driver.stop();
    await this.#aaa.stop();
    const until = this.#host.monotonic() + HOOKS_AT_END;
    if (this.#ep) await within(this.#ep.stop(), HOOKS_AT_END, this.#host);
    await this.#hooks.stop(Math.max(0, until - this.#host.monotonic()));
    await this.#close();
  }

  async #open(): Promise<void> {
    const { pana, hooks, control } = this.#options;
    await makeFolder(hooks['state-dir'], 0o700);
    if (this.#options['key-log'] !== undefined) this.#keyLog = await KeyLog.open(this.#options['key-log']);
    await this.#local.takeDownLeftovers();
    // Who passed before a restart has no session any more, and nobody is listened to before that is so.
    await this.#ep?.start();
    for (const address of pana.listen) {
      const socket = await this.#surroundings.udp.open({ address, port: pana.port }, (octets, from) =>
        this.#intake.received(octets, from),
      );
      this.#sockets.set(socket.label, socket);
    }
    await this.#aaa.node.start();
    this.#closeControl = await this.#surroundings.openControl(
      control,
      {
        'GET /status': () => this.status(),
        'GET /sessions': () => this.sessions(),
        'POST /session/start': ({ body }) => this.#invite(body),
        'POST /session/end': ({ body }) => this.#command(body, { type: 'terminate', cause: ADMINISTRATIVE }),
        'POST /session/reauth': ({ body }) => this.#command(body, { type: 'reauthenticate' }),
        'POST /session/ping': ({ body }) => this.#command(body, { type: 'ping' }),
      },
      this.#metrics,
      this.barrier,
    );
    const listening = [...this.#sockets.values()].map((socket) => socket.address);
    this.#credentials.start();
    this.#log.info({ listening }, 'ready');
  }

  async #close(): Promise<void> {
    this.#credentials.stop();
    await this.#closeControl();
    await this.#keyLog?.close();
    await Promise.all([...this.#sockets.values()].map((socket) => socket.close()));
    this.#sockets.clear();
  }

  async status(): Promise<object> {
    return {
      listening: [...this.#sockets.values()].map(({ address }) => `${address.address} port ${address.port}`),
      sessions: this.#paa.size,
      halfOpen: this.#paa.halfOpen,
      localHomeAddresses: this.#local.used,
      peers: this.#aaa.node.status(),
      hooks: this.#hooksLeft(),
      counters: await this.#metrics.counters(),
    };
  }

  // -------------------------------------------------------------------------------------------------------- operator

  sessions(): object[] {
    const now = this.#host.monotonic();
    return [...this.#paa.list(now)].map((view) => this.#describe(view));
  }

  #describe({ sessionId, peer, state, remaining }: PaaSessionView): object {
    const client = this.#clients.ofPana(sessionId);
    const assignment = client?.granted?.grant.assignment;
    return {
      session: sessionText(sessionId),
      address: peer.address,
      port: peer.port,
      state,
      remainingSeconds: remaining === undefined ? undefined : Math.round(remaining / 1000),
      user: client?.granted?.userName ?? client?.access.identity,
      homeAgent: assignment && formatAddress(assignment.homeAgent),
      homeAddress: assignment?.homeAddress && formatAddress(assignment.homeAddress),
      diameterSession: client?.sessionId,
    };
  }

  /** RFC 5191 4.1: a session that the PAA begins, with a PaC that listens on a port. */
  #invite(body: unknown): object {
    const { address, port = PANA_PORT } = (body ?? {}) as { address?: unknown; port?: unknown };
    const family = typeof address === 'string' ? isIP(address.split('%', 1)[0] ?? '') : 0;
    if (typeof address !== 'string' || family === 0) throw new ControlError(`${String(address)} is not an IP address`);
    if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65_535) {
      throw new ControlError(`${String(port)} is not a port`);
    }
    const socket = [...this.#sockets.values()].find(
      (each) => isIP(each.address.address.split('%', 1)[0] ?? '') === family,
    );
    if (!socket) throw new ControlError(`this PAA listens on no IPv${family} address`);
    this.#driver.feed({ type: 'invite', peer: { address, port, local: socket.label } });
    return { invited: `${address} port ${port}` };
  }

  #command(body: unknown, input: Extract<PaaInput, { type: 'session' }>['input']): object {
    const wanted = (body as { session?: unknown } | undefined)?.session;
    const sessionId = typeof wanted === 'string' && /^[0-9a-f]{1,8}$/i.test(wanted) ? Number.parseInt(wanted, 16) : -1;
    if (!this.#clients.ofPana(sessionId))
      throw new ControlError(`no session ${String(wanted)}: "session list" shows them`);
    this.#driver.feed({ type: 'session', sessionId, input });
    return { asked: input.type };
  }

  // ------------------------------------------------------------------------------------------------------------ PANA

  /** A fault ends the session that it is about; about none it ends the message. */
  #faulted(error: unknown, input: PaaInput, output: PaaOutput | undefined): void {
    this.barrier.fault(input.type === 'tick' ? 'timer' : input.type === 'datagram' ? 'datagram' : 'diameter', error);
    if (output && 'sessionId' in output) this.#abandon(output.sessionId);
    else if (input.type === 'session' && !output) this.#abandon(input.sessionId);
  }

  #abandon(sessionId: number): void {
    this.#driver.feed({ type: 'session', sessionId, input: { type: 'abandon' } });
  }

  #perform(output: PaaOutput): void {
    switch (output.type) {
      case 'fault':
        this.barrier.fault('datagram', output.error);
        break;
      case 'send':
        this.#metrics.count('datagrams', { direction: 'out' });
        if (this.#log.isLevelEnabled('trace')) this.#log.trace({ ...panaFields(output.octets), to: output.to }, 'sent');
        this.#sockets.get(output.to.local)?.send(output.octets, output.to);
        break;
      case 'dropped':
        this.#intake.dropped(output);
        break;
      case 'moved':
        this.#moved(output);
        break;
      case 'uninvited':
        this.#log.warn({ client: output.peer.address, port: output.peer.port }, 'no answer to an invitation');
        break;
      case 'session':
        this.#sessionEvent(output);
    }
  }

  #sessionEvent({ sessionId, peer, event }: SessionOutput): void {
    switch (event.type) {
      case 'eapStart': {
        const client = this.#clients.ofPana(sessionId) ?? this.#newClient(sessionId, peer);
        this.#access(client, { type: 'start', wish: event.wish, asked: event.asked });
        break;
      }
      case 'eapPacket': {
        const client = this.#clients.ofPana(sessionId);
        if (client) this.#access(client, { type: 'packet', packet: event.packet });
        break;
      }
      case 'authorized':
        this.#authorized(sessionId, event.reauthentication);
        break;
      case 'unkeyed':
        this.#unkeyed(sessionId, event.missing);
        break;
      case 'key':
        this.#keyLog?.write(event);
        break;
      case 'closed':
        this.#closed(sessionId, event.cause);
    }
  }

  #newClient(panaSession: number, peer: PacEndpoint): Client {
    const { 'session-lifetime': sessionLifetime } = this.#options.pana;
    const [identifier = 0] = this.#host.random(1);
    return this.#clients.add(
      panaSession,
      this.#aaa.node.newSessionId(),
      peer,
      { sessionLifetime },
      identifier,
      this.#host.monotonic(),
    );
  }

  #authorized(sessionId: number, reauthentication: boolean): void {
    const client = this.#clients.ofPana(sessionId);
    const { granted } = client ?? {};
    if (!client || !granted) return;
    this.#metrics.count('authorizations', { result: reauthentication ? 'reauthenticated' : 'authorized' });
    if (!reauthentication) this.#metrics.time('bootstrap', this.#host.monotonic() - client.startedAt);
    const { grant, userName, kind } = granted;
    this.#log.info(
      {
        session: sessionText(sessionId),
        client: client.peer.address,
        user: userName,
        lifetime: grant.lifetime === undefined ? undefined : Math.round(grant.lifetime / 1000),
        ...(grant.assignment ? assignmentFields(grant.assignment) : {}),
        ...(kind === undefined ? {} : { homeAgentKind: kind }),
      },
      reauthentication ? 'reauthenticated' : 'authorized',
    );
    const { 'lifetime-grace': grace, limits } = this.#options.pana;
    for (const older of this.#clients.admit(client, limits['sessions-per-subscriber'])) {
      this.#driver.feed({ type: 'session', sessionId: older.panaSession, input: { type: 'replace' } });
    }
    const lasts = grant.lifetime === undefined ? undefined : grant.lifetime + grace;
    void this.barrier.settle('hook', this.#permit(client, lasts));
  }

  #closed(sessionId: number, cause: PaaClosed): void {
    const client = this.#clients.ofPana(sessionId);
    if (!client) return;
    this.#clients.remove(client);
    this.#metrics.count('sessions_ended', { cause });
    const fields = { session: sessionText(sessionId), client: client.peer.address, user: client.granted?.userName };
    // Of a flood of starts nobody wants to read.
    this.#log[cause === 'pushed-out' ? 'debug' : 'info']({ ...fields, cause }, 'session ended');
    // Also if the client has not heard of it: the server has a session.
    if (client.granted) this.#tellEnd(client, client.granted.server, cause);
    this.#ep?.revoke(sessionText(sessionId));
    this.#local.takeDown(client);
    if (this.#paa.size <= 1) setImmediate(() => this.#paa.size === 0 && this.#emptied?.());
  }

  #moved({ sessionId, from, peer }: Extract<PaaOutput, { type: 'moved' }>): void {
    const client = this.#clients.ofPana(sessionId);
    if (!client) return;
    this.#metrics.count('moves');
    this.#log.info({ session: sessionText(sessionId), from: from.address, client: peer.address }, 'client moved');
    client.peer = peer;
    this.#ep?.move(sessionText(sessionId), peer.address);
  }

  // ------------------------------------------------------------------------------------------------------------- AAA

  #access(client: Client, input: AccessInput): void {
    for (const output of client.access.handle(input)) this.#performAccess(client, output);
  }

  #performAccess(client: Client, output: AccessOutput): void {
    const { panaSession } = client;
    switch (output.type) {
      case 'request':
        void this.barrier.settle('diameter', this.#ask(client, output.request), () => this.#abandon(panaSession));
        break;
      case 'propose':
        this.#propose(client, output.wish);
        break;
      case 'pana':
        if (output.input.type === 'eapSuccess' && output.input.authorized) {
          void this.barrier.settle('hook', this.#succeed(client, output.input), () => this.#abandon(panaSession));
        } else this.#driver.feed({ type: 'session', sessionId: panaSession, input: output.input });
        break;
      case 'granted':
        this.#granted(client, output);
        break;
      case 'noMobility':
        this.#noMobility(client, output.reason);
        break;
      case 'refused':
        this.#metrics.count('authorizations', { result: 'refused' });
        this.#log.info(
          {
            session: sessionText(panaSession),
            client: client.peer.address,
            identity: client.access.identity,
            result: output.resultCode ?? 'no answer',
          },
          'refused',
        );
        break;
      case 'postponed':
        this.#metrics.count('authorizations', { result: 'postponed' });
        this.#log.warn(
          {
            session: sessionText(panaSession),
            client: client.peer.address,
            user: client.granted?.userName,
            result: output.resultCode === undefined ? 'no answer' : resultName(output.resultCode),
          },
          'reauthentication postponed',
        );
        break;
      case 'dropped':
        this.#metrics.count('dropped', { code: output.code });
        this.#log.debug({ session: sessionText(panaSession), code: output.code }, 'dropped');
    }
  }

  async #ask(client: Client, request: DerRequest): Promise<void> {
    const judged = await this.#aaa
      .authenticate(client.sessionId, request, client.peer.address)
      .catch((error: Error) => ({ type: 'refusal', reason: error.message }) as const);
    // The session may have ended meanwhile, and another one may have its number.
    const isHere = this.#clients.ofPana(client.panaSession) === client;
    if (judged.type === 'answer' && isHere) {
      if (judged.unfit !== undefined) this.#noMobility(client, judged.unfit);
      this.#access(client, { type: 'answer', answer: judged.answer });
      return;
    }
    if (judged.type === 'answer') {
      judged.answer['EAP-Master-Session-Key']?.wipe();
      if (isSuccess(judged.answer['Result-Code'])) this.#tellEnd(client, serverOf(judged.answer), 'no-progress');
      return;
    }
    this.#metrics.count('aaa_failures');
    const fields = { session: sessionText(client.panaSession), reason: judged.reason };
    if (judged.type === 'unusable') {
      this.#log.warn(fields, 'success of the AAA server cannot be used');
      this.#tellUnusable(client, judged.server);
    } else this.#log.warn(fields, 'no answer from the AAA server');
    if (isHere) this.#access(client, { type: judged.type === 'unusable' ? 'unusable' : 'unreachable' });
  }

  /** RFC 6733 8.1: a server that has granted what is not provided hears of it; there is nothing left to end later. */
  #tellUnusable(client: Client, server: SessionServer | undefined): void {
    this.#tellEnd(client, server, 'unusable');
    if (client.granted) client.granted = { ...client.granted, server: undefined };
  }

  #unkeyed(sessionId: number, missing: 'msk' | 'nonce'): void {
    const client = this.#clients.ofPana(sessionId);
    if (!client) return;
    const reason = missing === 'msk' ? 'no EAP-Master-Session-Key of 64 octets or more' : 'the client sent no Nonce';
    this.#log.warn({ session: sessionText(sessionId), reason }, 'success of the AAA server cannot be used');
    this.#tellUnusable(client, client.granted?.server);
  }

  #tellEnd(client: Client, server: SessionServer | undefined, cause: PaaClosed | 'unusable'): void {
    if (!server) return;
    const { sessionId: id, access, granted } = client;
    const { identity, classes } = access;
    this.#aaa.end({ id, identity, userName: granted?.userName ?? identity ?? '', server, classes }, cause);
  }

  #noMobility(client: Client, reason: string): void {
    this.#metrics.count('unfit_assignments');
    const fields = { session: sessionText(client.panaSession), client: client.peer.address, reason };
    this.#log.warn(fields, 'no Mobile IPv6');
  }

  #propose(client: Client, wish: number): void {
    this.#local.propose(client, wish);
    this.#access(client, { type: 'proposal', local: client.local });
  }

  #granted(client: Client, { userName, server, kind, grant, msk }: Extract<AccessOutput, { type: 'granted' }>): void {
    client.granted = { userName, server, kind, grant };
    const { assignment } = grant;
    if (kind === 'local' && assignment && msk) this.#local.bringUp(client, userName, assignment, msk);
    else this.#local.takeDown(client);
  }

  #serverWish(sessionId: string, wish: ServerWish, from: Asker): boolean {
    const client = this.#clients.ofDiameter(sessionId);
    if (!client) return false;
    if (!this.#isServerOf(client, from)) {
      this.#log.warn({ session: sessionText(client.panaSession), peer: from.host, wish }, 'session of another server');
      return false;
    }
    const input =
      wish === 'abort'
        ? ({ type: 'terminate', cause: ADMINISTRATIVE } as const)
        : ({ type: 'reauthenticate' } as const);
    // The answer leaves first.
    setImmediate(() => this.#driver.feed({ type: 'session', sessionId: client.panaSession, input }));
    return true;
  }

  /** The session's server, or another one of its realm if they share it; those are the ones that DERs could have gone to. */
  #isServerOf({ access }: Client, { host, realm, peer }: Asker): boolean {
    if (access.server?.toLowerCase() === host.toLowerCase()) return true;
    if (access.sharedRealm?.toLowerCase() !== realm.toLowerCase()) return false;
    return this.#aaa.peersFor(access.identity).includes(peer);
  }

  // ----------------------------------------------------------------------------------------------------------- hooks

  /** With `hooks.wait` a client may pass before it hears of its success, but not for long until PAN[C] has come. */
  async #succeed(client: Client, input: Extract<PaaSessionInput, { type: 'eapSuccess' }>): Promise<void> {
    const { wait } = this.#options.hooks;
    if (wait > 0 && this.#ep && !client.permitted) {
      const { lifetime = PROVISIONAL } = client.granted?.grant ?? {};
      await within(this.#permit(client, Math.min(lifetime, PROVISIONAL)), wait, this.#host);
      if (this.#clients.ofPana(client.panaSession) !== client) {
        input.msk?.wipe();
        return;
      }
    }
    this.#driver.feed({ type: 'session', sessionId: client.panaSession, input });
  }

  async #permit(client: Client, lifetime: number | undefined): Promise<void> {
    client.permitted = true;
    const { panaSession, granted, peer } = client;
    // A name that no hook is given must not keep its user out.
    const userName = granted && checkName(granted.userName) === undefined ? granted.userName : undefined;
    await this.#ep?.permit({
      session: sessionText(panaSession),
      userName,
      address: peer.address,
      lifetime,
    });
  }

  #hooksLeft(): HookView[] {
    return [...(this.#ep?.status() ?? []), ...this.#hooks.status()];
  }
}
