import type { AttachmentConfig, AttachmentInput, AttachmentOutput, MoveSign } from '../protocol/attachment/alphabet.js';
import { Attachment } from '../protocol/attachment/attachment.js';
import { isSameAddress } from '../protocol/attachment/care-of-address.js';
import type { MoveReason, NetworkChange } from '../protocol/attachment/movement.js';
import { Drbg } from '../protocol/bytes/drbg.js';
import type { PacAuthorized } from '../protocol/pana/session/pac-interface.js';
import type { PeerCredentials } from '../runtime/eap/engine.js';
import type { Logger } from '../runtime/log/events.js';
import { eapPacketOf } from '../runtime/net/link-mtu.js';
import type { Barrier } from '../runtime/service/barrier.js';
import { ControlError } from '../runtime/service/control.js';
import type { Metrics } from '../runtime/service/metrics.js';
import { Driver } from '../runtime/system/driver.js';
import type { KeySink } from '../runtime/tls/key-log.js';
import { reportAttachment, reportAuthorized } from './attachment-reporter.js';
import { Attempt } from './attempt.js';
import type { AttemptEvent, AttemptOptions, EapFailure } from './attempt-interface.js';
import { CandidateSessions } from './candidate-sessions.js';
import { findPaas } from './discovery.js';
import type { MobileNode } from './mobile-node.js';
import type { PacOptions } from './options.js';
import { sessionConfig } from './session-config.js';
import { findSource, NoSourceError, type Source } from './source.js';
import type { PacSurroundings } from './surroundings.js';

/** Maximum number of replaced sessions that are given time to be terminated: a node may move more often than that. */
const MAX_RETIRING = 4;

interface Connection {
  readonly id: number;
  readonly paa: string;
  readonly early: boolean;
  readonly beside: boolean;
  readonly limit: 'none' | 'usual' | 'short';
}

export interface AttachmentTools {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly barrier: Barrier;
  readonly surroundings: PacSurroundings;
  readonly keyLog: KeySink | undefined;
  readonly node: MobileNode;
  /** The current credentials, which may have been reloaded. */
  readonly credentials: () => PeerCredentials;
  /** Called when the node is not configured to stay and its session has ended. */
  readonly onFinished: (authorized: boolean) => void;
}

/**
 * Performs the outputs of the Attachment machine: discovers PAAs, opens attempts, and reports the events of their
 * sessions.
 */
export class Attachments {
  #options: PacOptions;
  readonly failure: EapFailure = { last: undefined };
  readonly #tools: AttachmentTools;
  readonly #machine: Attachment;
  readonly #driver: Driver<AttachmentInput, AttachmentOutput>;
  readonly #attempts = new Map<number, Attempt>();
  /** Sessions with PAAs to which the node may move (RFC 5873). */
  readonly candidates: CandidateSessions;
  /** Attempts that are being closed. */
  readonly #closing = new Set<Promise<void>>();
  /** Attempts whose session was replaced and is being terminated. */
  readonly #retiring = new Set<Attempt>();
  #moving: Promise<unknown> = Promise.resolve();
  #onStopped: () => void = () => undefined;

  constructor(options: PacOptions, tools: AttachmentTools) {
    const { host } = tools.surroundings;
    this.#options = options;
    this.#tools = tools;
    this.#machine = new Attachment(configOf(options), new Drbg(host.random(32)));
    this.#driver = new Driver<AttachmentInput, AttachmentOutput>(
      this.#machine,
      (output) => this.#perform(output),
      host,
      (error) => tools.barrier.fault('timer', error),
    );
    this.candidates = new CandidateSessions(options, {
      ...tools,
      homeAddresses: () => tools.node.homeAddresses,
      terminate: (attempt) => this.#terminate(attempt),
      open: (paa, onEvent) => this.#connect({ id: 0, paa, early: true, beside: true, limit: 'usual' }, onEvent),
    });
  }

  /** The attempt whose session the node uses or is establishing. */
  get current(): Attempt | undefined {
    return this.#attemptOf(this.#machine.current);
  }

  /** The attempt that runs in parallel to the current one. */
  get standby(): Attempt | undefined {
    return this.#attemptOf(this.#machine.standby);
  }

  /** Whether its PAA does not answer. */
  get isSilent(): boolean {
    return this.#machine.isSilent;
  }

  start(): void {
    this.#driver.feed({ type: 'start' });
  }

  configure(options: PacOptions): void {
    this.#options = options;
    this.#driver.feed({ type: 'configure', config: configOf(options) });
    this.candidates.configure(options);
  }

  networkChanged({ reasons }: NetworkChange): void {
    this.#driver.feed({ type: 'networkChanged', sign: signOf(reasons) });
  }

  /** Terminates every session with a PTR. Resolves when all have ended. */
  async stop(): Promise<void> {
    const candidates = this.candidates.stop();
    await new Promise<void>((resolve) => {
      this.#onStopped = resolve;
      this.#driver.feed({ type: 'stop' });
    });
    for (const attempt of this.#retiring) attempt.hurry();
    await Promise.all([candidates, ...this.#closing]);
    this.#driver.stop();
  }

  /**
   * Moves the session to the current address (RFC 5191 5.6). An unprotected session starts anew, because no key would
   * authenticate the move.
   */
  move(): Promise<object> {
    return this.#inTurn(() => this.#move());
  }

  /** Runs moves one after another. Two concurrent moves would each open a socket, and one of them would stay open. */
  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const turn = this.#moving.then(action);
    this.#moving = turn.catch(() => undefined);
    return turn;
  }

  async #move(): Promise<object> {
    const attempt = this.current;
    if (!attempt) throw new ControlError('there is no session to move');
    if (!attempt.protected) {
      this.#driver.feed({ type: 'closed', attempt: attempt.id, cause: 'moved', heard: false });
      return { started: 'again' };
    }
    const { log, metrics, node } = this.#tools;
    const fromAddress = await attempt.move();
    const { careOfAddress } = attempt;
    metrics.count('moves');
    log.info({ fromAddress, careOfAddress }, 'session moved');
    this.#driver.feed({ type: 'moved', attempt: attempt.id });
    // Another session may have replaced this one meanwhile.
    if (attempt === this.current) node.moved(attempt, this.#machine.isSettling);
    return { moved: careOfAddress };
  }

  #attemptOf(id: number | undefined): Attempt | undefined {
    return id === undefined ? undefined : this.#attempts.get(id);
  }

  #perform(output: AttachmentOutput): void {
    switch (output.type) {
      case 'discover':
        this.#inBackground(this.#discover(output.token));
        break;
      case 'open':
        this.#inBackground(this.#open(output));
        break;
      case 'begin':
        this.#attemptOf(output.attempt)?.begin();
        break;
      case 'terminate':
        this.#attemptOf(output.attempt)?.feed({ type: 'terminate' });
        break;
      case 'close':
        this.#end(output.attempt, (attempt) => attempt.close());
        break;
      case 'retire':
        this.#retire(output.attempt, output.by);
        break;
      case 'locate':
        this.#inBackground(this.#inTurn(() => this.#locate(output.attempt)));
        break;
      case 'probe':
        this.#attemptOf(output.attempt)?.probe();
        break;
      case 'detached':
        this.#detached(output.attempt, output.kept);
        break;
      case 'settled':
        this.#tools.node.settled();
        break;
      case 'event':
        reportAttachment(output.event, this.#tools.log, this.#tools.metrics);
        break;
      case 'finished':
        this.#tools.onFinished(output.authorized);
        break;
      case 'stopped':
        this.#onStopped();
    }
  }

  #inBackground(going: Promise<unknown>): void {
    void this.#tools.barrier.settle('timer', going);
  }

  async #discover(token: number): Promise<void> {
    try {
      const [here, { onLink, others }] = await Promise.all([this.candidates.here(), this.#paas()]);
      this.#driver.feed({ type: 'found', token, paas: [...new Set([...here, ...onLink, ...others])] });
    } catch (error) {
      this.#driver.feed({ type: 'notFound', token, reason: reasonOf(error) });
    }
  }

  #paas() {
    const { surroundings, node } = this.#tools;
    return findPaas(this.#options, node.homeAddresses, surroundings);
  }

  async #open({ attempt: id, paa, beside, limit }: Extract<AttachmentOutput, { type: 'open' }>): Promise<void> {
    const onEvent = (event: AttemptEvent) => this.#happened(id, event);
    const early = this.candidates.take(paa);
    early?.adopt(id, onEvent);
    try {
      const attempt = early ?? (await this.#connect({ id, paa, early: false, beside, limit }, onEvent));
      this.#attempts.set(id, attempt);
      const { careOfAddress } = attempt;
      this.#tools.log.debug({ address: paa, port: this.#options.pana.port, careOfAddress }, 'session starting');
    } catch (error) {
      this.#driver.feed({ type: 'unreachable', attempt: id, reason: reasonOf(error) });
      return;
    }
    this.#driver.feed({ type: 'opened', attempt: id });
  }

  /** Opens a socket to a PAA. `early`: for a pre-authentication. */
  #connect({ id, paa, early, beside, limit }: Connection, onEvent: (event: AttemptEvent) => void): Promise<Attempt> {
    const { pana, eap } = this.#options;
    const { log, metrics, barrier, surroundings, keyLog, credentials } = this.#tools;
    const mtu = eap.mtu ?? eapPacketOf(pana.interface);
    const options: AttemptOptions = {
      id,
      paa,
      port: pana.port,
      findSource: () => this.#source(paa),
      // The current session occupies the configured port.
      localPort: beside || pana['local-port'] === 0 ? undefined : pana['local-port'],
      initiate: pana.initiate || beside,
      pana: { ...sessionConfig(this.#options, limit, keyLog !== undefined), preAuthentication: early },
      eap: () => ({ identity: eap.identity, mtu, credentials: credentials() }),
    };
    // The failure of another PAA is not that of the node.
    const failure = early ? { last: undefined } : this.failure;
    return Attempt.open(options, { log, metrics, keyLog, guard: barrier, surroundings, failure }, onEvent);
  }

  #end(id: number, how: (attempt: Attempt) => Promise<void>): void {
    const attempt = this.#attempts.get(id);
    this.#attempts.delete(id);
    if (!attempt) return;
    const closed = how(attempt).finally(() => this.#closing.delete(closed));
    this.#closing.add(closed);
    this.#inBackground(closed);
  }

  #retire(id: number, by: number): void {
    const { log, metrics } = this.#tools;
    metrics.count('sessions', { result: 'replaced' });
    const [fromAddress, address] = [this.#attempts.get(id)?.paa, this.#attempts.get(by)?.paa];
    log.info({ fromAddress, address }, 'session replaced');
    this.#end(id, (attempt) => this.#terminate(attempt));
  }

  #terminate(attempt: Attempt): Promise<void> {
    const [oldest] = this.#retiring.add(attempt);
    if (this.#retiring.size > MAX_RETIRING) oldest?.hurry();
    return attempt.retire().finally(() => this.#retiring.delete(attempt));
  }

  #source(paa: string): Promise<Source | undefined> {
    const { 'local-address': configured, interface: access, port } = this.#options.pana;
    const { surroundings, node } = this.#tools;
    return findSource(paa, { configured, access, port, homeAddresses: node.homeAddresses }, surroundings);
  }

  /** Continues the session from the care-of address that the node has now, and finds the PAAs of its network. */
  async #locate(id: number): Promise<void> {
    const attempt = this.#attempts.get(id);
    const [from, paas, outdated] = await Promise.all([
      attempt ? this.#follow(attempt) : ('nowhere' as const),
      this.#found(),
      this.#outdated(),
    ]);
    this.#driver.feed({ type: 'located', attempt: id, paas, from, outdated });
  }

  /** The attempt beside the session, if the node would choose another care-of address for it now. */
  async #outdated(): Promise<number | undefined> {
    const { standby } = this;
    if (!standby || standby.authorized) return undefined;
    const source = await this.#source(standby.paa).catch(() => undefined);
    return source && !isSameAddress(source.address, standby.careOfAddress) ? standby.id : undefined;
  }

  async #follow(attempt: Attempt): Promise<'same' | 'moved' | 'nowhere'> {
    try {
      const source = await this.#source(attempt.paa);
      if (source === undefined || isSameAddress(source.address, attempt.careOfAddress)) return 'same';
      // If the attempt has no session yet, the machine opens another attempt instead.
      if (this.current === attempt && attempt.authorized) await this.#move();
      return 'moved';
    } catch (error) {
      // While the node changes networks it may have no address. The next change triggers another check.
      this.#tools.log.debug({ address: attempt.paa, reason: reasonOf(error) }, 'PAA unreachable');
      return 'nowhere';
    }
  }

  /** The PAAs on the node's link, or all if there are none. None if the discovery fails. */
  async #found(): Promise<readonly string[]> {
    const paas = this.#paas().catch(() => ({ onLink: [], others: [] }));
    const [here, { onLink, others }] = await Promise.all([this.candidates.here(), paas]);
    return [...here, ...(onLink.length > 0 ? onLink : others)];
  }

  #happened(id: number, event: AttemptEvent): void {
    switch (event.type) {
      case 'authorized':
        this.#driver.feed({ type: 'authorized', attempt: id });
        this.#authorized(id, event);
        break;
      case 'arrived':
        this.#arrived(id);
        break;
      case 'closed':
        this.#driver.feed({ type: 'closed', attempt: id, cause: event.cause, heard: event.heard });
        if (event.heard) this.#tools.node.heard();
        break;
      case 'silent':
        this.#driver.feed({ type: 'silent', attempt: id });
        break;
      case 'heard':
        this.#driver.feed({ type: 'answered', attempt: id, besideHeard: this.standby?.isHeard ?? false });
    }
  }

  #authorized(id: number, event: PacAuthorized): void {
    const attempt = this.#attempts.get(id);
    if (!attempt) return;
    reportAuthorized(attempt, event, this.#tools);
    this.#tools.node.authorized(attempt);
    if (attempt === this.current) this.candidates.served(attempt.paa);
  }

  /**
   * The node is let in where it was pre-authenticated. It keeps its home agent and its key until the authentication that
   * follows, and then leaves the session that has them.
   */
  #arrived(id: number): void {
    const attempt = this.#attempts.get(id);
    const event = attempt?.authorized?.event;
    if (!attempt || !event) return;
    reportAuthorized(attempt, { ...event, reauthentication: false }, this.#tools, true);
    this.#tools.node.moved(attempt, false);
  }

  #detached(id: number, kept: boolean): void {
    const attempt = this.#attempts.get(id);
    if (!attempt) return;
    const { node } = this.#tools;
    const { event, at = 0 } = attempt.authorized ?? {};
    if (!kept) node.withdraw(attempt);
    else if (event?.lifetime !== undefined) node.keepUntil(at + event.lifetime, attempt);
  }
}

function configOf({ stay, retry }: PacOptions): AttachmentConfig {
  return { stay, first: retry.first, longest: retry.longest };
}

function signOf(reasons: readonly MoveReason[]): MoveSign {
  if (reasons.includes('link-up') || reasons.includes('wake')) return 'link';
  return reasons.length > 0 ? 'neighbours' : 'none';
}

function reasonOf(error: unknown): string {
  if (error instanceof NoSourceError) return error.message;
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
