import { CAPABILITY } from '../protocol/mip6/assignment.js';
import type { PacAuthorized, PacConfig } from '../protocol/pana/session/pac-interface.js';
import { PCI_DEFAULTS, REQUEST_DEFAULTS } from '../protocol/pana/session/retransmission.js';
import { makeHookRunner } from '../runtime/hooks/reporter.js';
import type { Logger } from '../runtime/log/log.js';
import { sessionText } from '../runtime/log/pana-fields.js';
import { Barrier } from '../runtime/service/barrier.js';
import { ControlError } from '../runtime/service/control.js';
import { Metrics } from '../runtime/service/metrics.js';
import type { Service } from '../runtime/service/service.js';
import { FileWatch } from '../runtime/system/file-watch.js';
import type { CancelTimer, Host } from '../runtime/system/host.js';
import { CredentialWatch, credentialFiles } from '../runtime/tls/credential-watch.js';
import { KeyLog } from '../runtime/tls/key-log.js';
import { Attempt, type AttemptEvent } from './attempt.js';
import type { PacCredentials } from './credentials.js';
import { discoverPaas } from './discovery.js';
import { PAC_METRICS } from './metrics.js';
import { MobileNode } from './mobile-node.js';
import type { PacOptions } from './options.js';
import { type PacSurroundings, systemPacSurroundings } from './surroundings.js';

/** Where one PAA of several is given up, in milliseconds, unless configured. */
const PCI_LIMIT_OF_SEVERAL = 10_000;

/** Share of a wait by which it is shorter or longer, so that not all nodes come back at once. */
const RETRY_JITTER = 0.1;

/** How long the PAA may take to answer PTR when the daemon ends, in milliseconds. */
const PTA_AT_END = 2_000;

/** Ends of a session of which the AAA server and the home agent know nothing: what they gave the node stays. */
const UNNOTICED = new Set(['no-answer', 'no-progress', 'moved']);

/** The PaC: one session with one PAA at a time, a second one while the first is silent or elsewhere. */
export class PacDaemon implements Service<PacOptions> {
  #options: PacOptions;
  readonly #log: Logger;
  readonly #metrics = new Metrics('pana_pac', PAC_METRICS);
  readonly barrier: Barrier;
  readonly #node: MobileNode;
  #credentials: PacCredentials;
  readonly #files: FileWatch;
  readonly #watchCredentials: CredentialWatch;
  #keyLog: KeyLog | undefined;
  #closeControl: () => Promise<void> = () => Promise.resolve();
  #current: Attempt | undefined;
  /** Tried beside the current one, which it replaces when it is authorised. */
  #standby: Attempt | undefined;
  readonly #retiring = new Set<Promise<void>>();
  #opening = false;
  /** The PAA of the current session does not answer. */
  #silent = false;
  /** The node is in a network that has another PAA than the current session's. */
  #elsewhere = false;
  #nextPaa = 0;
  #failures = 0;
  #retry: CancelTimer | undefined;
  #stopping = false;
  #unwatch: () => void = () => undefined;
  readonly #surroundings: PacSurroundings;
  readonly #host: Host;
  #closed: (() => void) | undefined;
  #finish: (status: number) => void = () => undefined;
  /** Resolves when the node is not to stay and its session is over. */
  readonly finished = new Promise<number>((resolve) => {
    this.#finish = resolve;
  });

  private constructor(
    options: PacOptions,
    log: Logger,
    credentials: PacCredentials,
    files: FileWatch,
    surroundings: PacSurroundings,
  ) {
    const { host } = surroundings;
    this.#surroundings = surroundings;
    this.#host = host;
    this.#options = options;
    this.#log = log;
    this.#credentials = credentials;
    this.#files = files;
    this.#watchCredentials = new CredentialWatch({
      log,
      metrics: this.#metrics,
      files,
      host,
      used: () => this.#credentials.used,
      reload: () => this.#reloadCredentials(this.#options),
    });
    this.barrier = new Barrier(log, this.#metrics, () => host.monotonic());
    const hooks = makeHookRunner(options.hooks, log, this.#metrics, this.barrier, surroundings);
    this.#node = new MobileNode(options, log, hooks, this.barrier, host);
  }

  /** Rejects with OperatorError, or the system's error. */
  static async start(
    options: PacOptions,
    log: Logger,
    surroundings: PacSurroundings = systemPacSurroundings,
  ): Promise<PacDaemon> {
    const { host, lookAtFiles } = surroundings;
    const files = new FileWatch(host, lookAtFiles);
    const read = () => surroundings.readCredentials(options, host);
    const credentials = await files.watch(credentialFiles({ tls: options.tls }), read);
    const daemon = new PacDaemon(options, log, credentials, files, surroundings);
    if (options['key-log'] !== undefined) daemon.#keyLog = await KeyLog.open(options['key-log']);
    daemon.#closeControl = await surroundings.openControl(
      options.control,
      {
        'GET /status': () => daemon.status(),
        'POST /reauth': () => daemon.#trigger({ type: 'reauthenticate' }),
        'POST /ping': () => daemon.#trigger({ type: 'ping' }),
        'POST /move': () => daemon.#move(),
      },
      daemon.#metrics,
      daemon.barrier,
    );
    if (options.pana['local-address'] === undefined) {
      const changed = () => daemon.#inBackground(daemon.#addressesChanged());
      daemon.#unwatch = surroundings.watchAddresses(changed, host);
    }
    daemon.#watchCredentials.start();
    log.info({ paa: options.pana.paa, port: options.pana.port }, 'ready');
    daemon.#inBackground(daemon.#begin());
    return daemon;
  }

  /** Reads certificates and keys again; the next authentication uses them, and the next search for a PAA the rest. */
  async reload(options: PacOptions): Promise<void> {
    await this.#reloadCredentials(options);
    this.#options = options;
    this.#watchCredentials.changed();
    this.#nextPaa = 0;
  }

  async #reloadCredentials(options: PacOptions): Promise<void> {
    const read = () => this.#surroundings.readCredentials(options, this.#host, this.#credentials);
    this.#credentials = await this.#files.watch(credentialFiles({ tls: options.tls }), read);
  }

  summary(): string {
    const { state, paa, authorized } = this.#current ?? {};
    if (state === undefined) return 'no session';
    return `${authorized ? 'session' : 'authenticating'} with ${paa}${this.#silent ? ', which is silent' : ''}`;
  }

  /** Says PTR, runs the hook `down`, and frees everything. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#unwatch();
    this.#watchCredentials.stop();
    this.#retry?.();
    const { careOfAddress, sessionId } = this.#current ?? {};
    await this.#standby?.close();
    this.#standby = undefined;
    if (this.#current) {
      const over = new Promise<void>((resolve) => {
        this.#closed = resolve;
      });
      this.#current.feed({ type: 'terminate' });
      const cancel = this.#host.after(PTA_AT_END, () => {
        if (this.#current) this.#inBackground(this.#ended(this.#current, 'no-answer'));
      });
      await over;
      cancel();
    }
    await Promise.all(this.#retiring);
    await this.#node.stop(careOfAddress === undefined ? undefined : { careOfAddress, sessionId });
    await this.#keyLog?.close();
    await this.#closeControl();
  }

  async status(): Promise<object> {
    const { authorized, ...attempt } = { authorized: this.#current?.authorized, ...this.#describe(this.#current) };
    const lifetime = authorized?.event.lifetime;
    const remaining =
      authorized && lifetime !== undefined
        ? Math.round((authorized.at + lifetime - this.#host.monotonic()) / 1000)
        : undefined;
    return {
      state: this.#stopping ? 'stopping' : 'waiting',
      ...attempt,
      remainingSeconds: remaining,
      ...(this.#standby ? { beside: this.#describe(this.#standby) } : {}),
      ...this.#node.status(),
      counters: await this.#metrics.counters(),
    };
  }

  #inBackground(going: Promise<unknown>): void {
    void this.barrier.settle('timer', going);
  }

  #describe(attempt: Attempt | undefined): object {
    if (!attempt) return {};
    const { state, paa, sessionId, careOfAddress } = attempt;
    return {
      state,
      paa: `${paa} port ${this.#options.pana.port}`,
      session: sessionId === undefined ? undefined : sessionText(sessionId),
      careOfAddress,
    };
  }

  #trigger(input: { readonly type: 'reauthenticate' | 'ping' }): object {
    if (this.#current?.state !== 'OPEN') throw new ControlError('there is no session that is open');
    this.#current.feed(input);
    return { asked: input.type };
  }

  // ------------------------------------------------------------------------------------------------------ attempts

  #discover(): Promise<string[]> {
    const { pana } = this.#options;
    const { paa: configured, 'discovery-file': file, 'default-router': defaultRouter } = pana;
    return discoverPaas({ configured, file, defaultRouter });
  }

  /** A session with the next PAA of the list: the current one, or one beside it. */
  async #begin(): Promise<void> {
    if (this.#opening || this.#standby || this.#stopping) return;
    this.#opening = true;
    let paa: string | undefined;
    try {
      const paas = await this.#discover();
      paa = paas[this.#nextPaa % paas.length];
      if (paa === undefined) {
        this.#log.warn('no PAA is known: pana.paa is empty, and neither DHCP nor a default router says one');
        this.#again(false);
        return;
      }
      await this.#open(paa, paas.length > 1);
    } catch (error) {
      this.#log.warn({ paa, reason: (error as NodeJS.ErrnoException).code ?? String(error) }, 'no way to the PAA');
      this.#again(false);
    } finally {
      this.#opening = false;
    }
  }

  async #open(paa: string, isOneOfSeveral: boolean): Promise<void> {
    const { pana, eap } = this.#options;
    const isFirst = this.#current === undefined;
    const fixedPort = pana['local-port'] === 0 ? undefined : pana['local-port'];
    const options = {
      paa,
      port: pana.port,
      localAddress: pana['local-address'],
      // The current session has the port.
      localPort: isFirst ? fixedPort : undefined,
      initiate: pana.initiate || !isFirst,
      pana: this.#sessionConfig(isOneOfSeveral || !isFirst),
      eap: () => ({ identity: eap.identity, mtu: eap.mtu, credentials: this.#credentials.peer }),
    };
    const tools = {
      log: this.#log,
      metrics: this.#metrics,
      keyLog: this.#keyLog,
      guard: this.barrier,
      surroundings: this.#surroundings,
    };
    const attempt = await Attempt.open(options, tools, (event) => this.#happened(attempt, event));
    if (this.#stopping) {
      await attempt.close();
      return;
    }
    if (this.#current) this.#standby = attempt;
    else this.#current = attempt;
    this.#log.debug({ paa, port: pana.port, from: attempt.careOfAddress }, 'starting');
    attempt.begin();
  }

  #sessionConfig(hasLimit: boolean): PacConfig {
    const { pana, mobility } = this.#options;
    return {
      vendorId: pana['vendor-id'],
      prf: pana.prf,
      integrity: pana.integrity,
      sa: pana.sa,
      piggyback: pana['piggyback-responses'],
      eapReplyTimeout: pana['eap-reply-timeout'],
      failedSessionTimeout: pana['progress-timeout'],
      pci: { ...PCI_DEFAULTS, mrd: pana['pci-limit'] || (hasLimit ? PCI_LIMIT_OF_SEVERAL : 0) },
      request: REQUEST_DEFAULTS,
      pingInterval: pana['ping-interval'],
      reauthenticateAt: pana['reauthenticate-at'],
      mobility: mobility.mode === 'off' ? undefined : { mode: mobility.mode, wish: wishOf(mobility) },
      exportKeys: this.#keyLog !== undefined,
    };
  }

  #happened(attempt: Attempt, event: AttemptEvent): void {
    switch (event.type) {
      case 'authorized':
        this.#authorized(attempt, event);
        break;
      case 'closed':
        this.#inBackground(this.#ended(attempt, event.cause));
        break;
      case 'silent':
        this.#unanswered(attempt);
        break;
      case 'heard':
        this.#answered(attempt);
    }
  }

  // ---------------------------------------------------------------------------------------------- silence, movement

  /** The PAA may have restarted and know nothing of us: another session is begun beside this one, at every PAA in turn. */
  #unanswered(attempt: Attempt): void {
    if (attempt !== this.#current) return;
    if (!this.#silent) this.#log.warn({ paa: attempt.paa }, 'the PAA does not answer');
    this.#silent = true;
    if (this.#options.stay) this.#inBackground(this.#begin());
  }

  #answered(attempt: Attempt): void {
    if (attempt !== this.#current) return;
    this.#silent = false;
    this.#log.info({ paa: attempt.paa }, 'the PAA answers again');
    if (this.#elsewhere) return;
    if (this.#standby) this.#inBackground(this.#standby.close());
    this.#standby = undefined;
  }

  /** An address came or went: if the route to the PAA has another one now, the node has moved. */
  async #addressesChanged(): Promise<void> {
    const attempt = this.#current;
    if (this.#stopping) return;
    if (!attempt) {
      if (this.#retry) this.#inBackground(this.#begin());
      return;
    }
    try {
      const probe = await this.#surroundings.udp.connect(
        { address: attempt.paa, port: this.#options.pana.port },
        {},
        () => undefined,
      );
      const { address } = probe.address;
      await probe.close();
      if (address !== attempt.careOfAddress && this.#current === attempt) await this.#move();
    } catch (error) {
      // Between two networks there is no route; the next change may bring one.
      this.#log.debug({ paa: attempt.paa, reason: (error as NodeJS.ErrnoException).code }, 'no way to the PAA');
    }
    const paas = await this.#discover();
    if (this.#current !== attempt || paas.length === 0) return;
    this.#elsewhere = !paas.includes(attempt.paa) && this.#options.stay;
    if (!this.#elsewhere) return;
    this.#nextPaa = 0;
    await this.#begin();
  }

  /** RFC 5191 5.6: goes on from another place; without a key nothing would prove it, and it starts again. */
  async #move(): Promise<object> {
    const attempt = this.#current;
    if (!attempt) throw new ControlError('there is no session that could move');
    if (!attempt.protected) {
      await this.#ended(attempt, 'moved');
      return { started: 'again' };
    }
    const from = await attempt.move();
    const { careOfAddress } = attempt;
    this.#metrics.count('moves');
    this.#log.info({ from, careOfAddress }, 'moved');
    this.#node.moved(attempt);
    return { moved: careOfAddress };
  }

  // ------------------------------------------------------------------------------------------------------- results

  #authorized(attempt: Attempt, event: PacAuthorized): void {
    const { sessionId, reauthentication, lifetime, algorithms } = event;
    const milliseconds = this.#host.monotonic() - attempt.startedAt;
    this.#failures = 0;
    this.#retry?.();
    if (attempt === this.#standby) this.#replaceCurrent(attempt);
    this.#metrics.count('sessions', { result: reauthentication ? 'reauthenticated' : 'authorized' });
    if (!reauthentication) this.#metrics.time('bootstrap', milliseconds);
    this.#log.info(
      {
        session: sessionText(sessionId),
        paa: attempt.paa,
        lifetime: lifetime === undefined ? undefined : Math.round(lifetime / 1000),
        ...(reauthentication ? {} : { milliseconds: Math.round(milliseconds) }),
        protection: algorithms?.integrity.name ?? 'none',
      },
      reauthentication ? 'reauthenticated' : 'authorized',
    );
    this.#node.authorized(attempt);
  }

  #replaceCurrent(attempt: Attempt): void {
    const old = this.#current;
    this.#current = attempt;
    this.#standby = undefined;
    this.#silent = false;
    this.#elsewhere = false;
    if (!old) return;
    this.#metrics.count('sessions', { result: 'replaced' });
    this.#log.info({ paa: old.paa, by: attempt.paa }, 'session replaced');
    const retired = old.retire().finally(() => this.#retiring.delete(retired));
    this.#retiring.add(retired);
  }

  async #ended(attempt: Attempt, cause: string): Promise<void> {
    const isStandby = attempt === this.#standby;
    if (!isStandby && attempt !== this.#current) return;
    const { authorized } = attempt;
    this.#metrics.count('sessions', { result: cause });
    const fields = { paa: attempt.paa, cause };
    if (authorized) this.#log.info(fields, 'session ended');
    else this.#log.warn(fields, 'not authorized');
    if (!isStandby) {
      this.#current = this.#standby;
      this.#silent = false;
      this.#endBinding(attempt, cause);
    }
    this.#standby = undefined;
    await attempt.close();
    this.#closed?.();
    if (!this.#stopping && this.#wantsAnother()) this.#again(authorized !== undefined);
  }

  /** There is no session, or one that is of no use where the node is now. */
  #wantsAnother(): boolean {
    return this.#current === undefined || this.#silent || this.#elsewhere;
  }

  #endBinding(attempt: Attempt, cause: string): void {
    const { event, at = 0 } = attempt.authorized ?? {};
    const isKept = UNNOTICED.has(cause) && this.#options.stay && !this.#stopping;
    if (!isKept) this.#node.withdraw(attempt);
    else if (event?.lifetime !== undefined) this.#node.keepFor(at + event.lifetime - this.#host.monotonic(), attempt);
  }

  /** Another start after a while that grows with each failure; or the end, if the node is not to stay. */
  #again(wasOpen: boolean): void {
    const { stay, retry } = this.#options;
    if (!stay) {
      this.#finish(wasOpen ? 0 : 1);
      return;
    }
    if (!wasOpen) this.#nextPaa += 1;
    const base = Math.min(retry.first * 2 ** Math.min(this.#failures, 30), retry.longest);
    this.#failures += 1;
    const wait = base * (1 + RETRY_JITTER * (2 * this.#fraction() - 1));
    this.#log.info({ seconds: Math.round(wait / 100) / 10 }, 'starting again');
    this.#retry?.();
    this.#retry = this.#host.after(wait, () => {
      this.#retry = undefined;
      // The current PAA may have been heard meanwhile.
      if (this.#wantsAnother()) this.#inBackground(this.#begin());
    });
  }

  /** A random number from 0 to 1. */
  #fraction(): number {
    const [high = 0, low = 0] = this.#host.random(2);
    return (high * 256 + low) / 65_535;
  }
}

function wishOf(mobility: PacOptions['mobility']): number {
  const { 'home-agent': where, ike, 'psk-root': root } = mobility;
  let wish: number = CAPABILITY.MIP6 | CAPABILITY.HOA_ASSIGN;
  if (where === 'home') wish |= CAPABILITY.HOME_HA;
  if (where === 'local') wish |= CAPABILITY.LOCAL_HA;
  if (ike.includes('ikev1')) wish |= CAPABILITY.IKEV1_PSK;
  if (ike.includes('ikev2')) wish |= CAPABILITY.IKEV2_PSK;
  if (root === 'emsk') wish |= CAPABILITY.PSK_FROM_EMSK;
  return wish;
}
