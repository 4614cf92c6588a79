import { randomBytes } from 'node:crypto';
import { formatAddress, parseAddress } from '../protocol/bytes/address.js';
import { CAPABILITY, capabilityNames } from '../protocol/mip6/assignment.js';
import { type PacAuthorized, type PacInput, type PacOutput, PacSession } from '../protocol/pana/pac.js';
import { PCI_DEFAULTS, REQUEST_DEFAULTS } from '../protocol/pana/retransmission.js';
import { AddressWatch } from '../runtime/address-watch.js';
import { ControlError } from '../runtime/control.js';
import { makeHookRunner, openControl, panaFields, sessionText } from '../runtime/daemon.js';
import { Driver } from '../runtime/driver.js';
import { EapPeer, type EapPeerEvent, type PeerCredentials } from '../runtime/eap-peer.js';
import type { HookEvent } from '../runtime/hook-environment.js';
import type { HookRunner } from '../runtime/hooks.js';
import type { Logger } from '../runtime/log.js';
import { Metrics } from '../runtime/metrics.js';
import type { Service } from '../runtime/service.js';
import { UdpSocket } from '../runtime/udp.js';
import { type Binding, bindingOf, hookVariables, isSameBinding, pskOf, type RunKeys, refusal } from './binding.js';
import { readCredentials } from './credentials.js';
import type { PacOptions } from './options.js';

/** Where one PAA of several is given up, in milliseconds, unless configured. */
const PCI_LIMIT_OF_SEVERAL = 10_000;

/** Share of a wait by which it is shorter or longer, so that not all nodes come back at once. */
const RETRY_JITTER = 0.1;

/** Subject of the hook runner: there is one mobile node here. */
const NODE = 'mn';

/** How long hooks may take when the daemon ends, and the PAA to answer PTR, in milliseconds. */
const HOOKS_AT_END = 5_000;
const PTA_AT_END = 2_000;

/** One try at one PAA, from PCI to the end of the session. */
interface Attempt {
  readonly paa: string;
  socket: UdpSocket;
  readonly session: PacSession;
  readonly driver: Driver<PacInput, PacOutput>;
  readonly startedAt: number;
  eap: EapPeer | undefined;
  keys: RunKeys | undefined;
  authorized: { readonly event: PacAuthorized; readonly at: number } | undefined;
}

/** The PaC: one session with one PAA at a time, and the hooks of the mobile node. */
export class PacDaemon implements Service {
  readonly #options: PacOptions;
  readonly #log: Logger;
  readonly #metrics = new Metrics('pana_pac');
  readonly #hooks: HookRunner;
  #credentials: PeerCredentials;
  #closeControl: () => Promise<void> = () => Promise.resolve();
  #attempt: Attempt | undefined;
  #binding: Binding | undefined;
  #nextPaa = 0;
  #failures = 0;
  #retry: NodeJS.Timeout | undefined;
  #stopping = false;
  #watch: AddressWatch | undefined;
  #closed: (() => void) | undefined;
  #finish: (status: number) => void = () => undefined;
  /** Resolves when the node is not to stay and its session is over. */
  readonly finished = new Promise<number>((resolve) => {
    this.#finish = resolve;
  });

  private constructor(options: PacOptions, log: Logger, credentials: PeerCredentials) {
    this.#options = options;
    this.#log = log;
    this.#credentials = credentials;
    const { hooks } = options;
    this.#hooks = makeHookRunner(hooks, log, this.#metrics);
  }

  /** Rejects with OperatorError, or the system's error. */
  static async start(options: PacOptions, log: Logger): Promise<PacDaemon> {
    const daemon = new PacDaemon(options, log, await readCredentials(options));
    daemon.#closeControl = await openControl(
      options.control,
      {
        'GET /status': () => daemon.status(),
        'POST /reauth': () => daemon.#trigger({ type: 'reauthenticate' }),
        'POST /ping': () => daemon.#trigger({ type: 'ping' }),
        'POST /move': () => daemon.#move(),
      },
      daemon.#metrics,
    );
    if (options.pana['local-address'] === undefined) {
      daemon.#watch = new AddressWatch(() => void daemon.#addressesChanged());
    }
    log.info({ paa: options.pana.paa, port: options.pana.port }, 'ready');
    void daemon.#begin();
    return daemon;
  }

  /** Reads certificates and keys again; the next authentication uses them. */
  async reload(): Promise<void> {
    this.#credentials = await readCredentials(this.#options);
  }

  /** Says PTR, runs the hook `down`, and frees everything. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#watch?.stop();
    clearTimeout(this.#retry);
    if (this.#attempt) {
      const over = new Promise<void>((resolve) => {
        this.#closed = resolve;
      });
      this.#attempt.driver.feed({ type: 'terminate' });
      const limit = setTimeout(() => {
        if (this.#attempt) void this.#ended(this.#attempt, 'no-answer');
      }, PTA_AT_END);
      await over;
      clearTimeout(limit);
    }
    await this.#hooks.stop(HOOKS_AT_END);
    await this.#closeControl();
  }

  async status(): Promise<object> {
    const { pana } = this.#options;
    const { session, authorized, paa, socket } = this.#attempt ?? {};
    const lifetime = authorized?.event.lifetime;
    const remaining =
      authorized && lifetime !== undefined
        ? Math.round((authorized.at + lifetime - performance.now()) / 1000)
        : undefined;
    return {
      state: session?.state ?? (this.#stopping ? 'stopping' : 'waiting'),
      paa: paa === undefined ? undefined : `${paa} port ${pana.port}`,
      session: session?.sessionId === undefined ? undefined : sessionText(session.sessionId),
      careOfAddress: socket?.address.address,
      remainingSeconds: remaining,
      binding: this.#binding && describe(this.#binding),
      hooks: this.#hooks.status(),
      counters: await this.#metrics.counters(),
    };
  }

  #trigger(input: { readonly type: 'reauthenticate' | 'ping' }): object {
    if (this.#attempt?.session.state !== 'OPEN') throw new ControlError('there is no session that is open');
    this.#attempt.driver.feed(input);
    return { asked: input.type };
  }

  // ------------------------------------------------------------------------------------------------------ attempts

  async #begin(): Promise<void> {
    const { pana } = this.#options;
    const paa = pana.paa[this.#nextPaa % pana.paa.length] ?? '';
    const startedAt = performance.now();
    let attempt: Attempt | undefined;
    try {
      const socket = await this.#connect(paa, (octets) => attempt?.driver.feed({ type: 'datagram', octets }));
      if (this.#stopping) {
        await socket.close();
        return;
      }
      const session = new PacSession(this.#sessionConfig(), randomBytes(32));
      const driver = new Driver<PacInput, PacOutput>(session, (output) => {
        if (attempt) this.#perform(attempt, output);
      });
      attempt = { paa, socket, session, driver, startedAt, eap: undefined, keys: undefined, authorized: undefined };
      this.#attempt = attempt;
      this.#log.debug({ paa, port: pana.port, from: socket.address.address }, 'starting');
      if (pana.initiate) driver.feed({ type: 'start' });
    } catch (error) {
      this.#log.warn({ paa, reason: (error as NodeJS.ErrnoException).code ?? String(error) }, 'no way to the PAA');
      this.#again(false);
    }
  }

  /** A socket to a PAA, from the address that the route there has now. */
  #connect(paa: string, take: (octets: Uint8Array) => void): Promise<UdpSocket> {
    const { pana } = this.#options;
    return UdpSocket.connect(
      { address: paa, port: pana.port },
      {
        ...(pana['local-address'] === undefined ? {} : { address: pana['local-address'] }),
        ...(pana['local-port'] === 0 ? {} : { port: pana['local-port'] }),
      },
      (octets) => {
        this.#metrics.count('datagrams', { direction: 'in' });
        this.#trace('received', octets);
        take(octets);
      },
    );
  }

  // ------------------------------------------------------------------------------------------------------ movement

  /** An address came or went: if the route to the PAA has another one now, the node has moved. */
  async #addressesChanged(): Promise<void> {
    const attempt = this.#attempt;
    if (!attempt || this.#stopping) return;
    try {
      const probe = await UdpSocket.connect(
        { address: attempt.paa, port: this.#options.pana.port },
        {},
        () => undefined,
      );
      const { address } = probe.address;
      await probe.close();
      if (address !== attempt.socket.address.address && this.#attempt === attempt) await this.#move();
    } catch (error) {
      // Between two networks there is no route; the next change may bring one.
      this.#log.debug({ paa: attempt.paa, reason: (error as NodeJS.ErrnoException).code }, 'no way to the PAA');
    }
  }

  /** RFC 5191 5.6: goes on from another place; without a key nothing would prove it, and it starts again. */
  async #move(): Promise<object> {
    const attempt = this.#attempt;
    if (!attempt) throw new ControlError('there is no session that could move');
    if (!attempt.session.protected) {
      await this.#ended(attempt, 'moved');
      return { started: 'again' };
    }
    const before = attempt.socket;
    const port = this.#options.pana['local-port'];
    // The same port can be had only when it is free again.
    if (port !== 0) await before.close();
    attempt.socket = await this.#connect(attempt.paa, (octets) => attempt.driver.feed({ type: 'datagram', octets }));
    if (port === 0) await before.close();
    this.#metrics.count('moves');
    const { address } = attempt.socket.address;
    this.#log.info({ from: before.place, careOfAddress: address }, 'moved');
    attempt.driver.feed({ type: 'moved' });
    if (this.#binding) this.#hook('move', attempt, this.#binding, undefined);
    return { moved: address };
  }

  #sessionConfig() {
    const { pana, mobility } = this.#options;
    const several = pana.paa.length > 1 ? PCI_LIMIT_OF_SEVERAL : 0;
    return {
      vendorId: pana['vendor-id'],
      prf: pana.prf,
      integrity: pana.integrity,
      sa: pana.sa,
      piggyback: pana['piggyback-responses'],
      eapReplyTimeout: pana['eap-reply-timeout'],
      failedSessionTimeout: pana['progress-timeout'],
      pci: { ...PCI_DEFAULTS, mrd: pana['pci-limit'] || several },
      request: REQUEST_DEFAULTS,
      pingInterval: pana['ping-interval'],
      reauthenticateAt: pana['reauthenticate-at'],
      mobility: mobility.mode === 'off' ? undefined : { mode: mobility.mode, wish: wishOf(mobility) },
    };
  }

  #perform(attempt: Attempt, output: PacOutput): void {
    switch (output.type) {
      case 'send':
        this.#metrics.count('datagrams', { direction: 'out' });
        this.#trace('sent', output.octets);
        attempt.socket.send(output.octets, { address: attempt.paa, port: this.#options.pana.port });
        break;
      case 'dropped':
        this.#metrics.count('dropped', { code: output.code });
        this.#log.debug({ code: output.code }, 'dropped');
        break;
      case 'eapRestart':
        this.#newEap(attempt);
        break;
      case 'eapPacket':
        attempt.eap?.receive(output.packet);
        break;
      case 'authorized':
        this.#authorized(attempt, output);
        break;
      case 'closed':
        void this.#ended(attempt, output.cause);
    }
  }

  #trace(message: 'sent' | 'received', octets: Uint8Array): void {
    if (this.#log.isLevelEnabled('debug')) this.#log.debug({ ...panaFields(octets), octets: octets.length }, message);
  }

  #newEap(attempt: Attempt): void {
    attempt.eap?.close();
    forget(attempt);
    const { eap } = this.#options;
    const options = { identity: eap.identity, mtu: eap.mtu, credentials: this.#credentials };
    const peer: EapPeer = new EapPeer(options, (event) => {
      if (attempt.eap === peer) this.#eapEvent(attempt, event);
    });
    attempt.eap = peer;
  }

  #eapEvent(attempt: Attempt, event: EapPeerEvent): void {
    const { driver } = attempt;
    switch (event.type) {
      case 'response':
        driver.feed({ type: 'eapResponse', packet: event.packet });
        break;
      case 'keys':
        forget(attempt);
        attempt.keys = { msk: event.msk, emsk: event.emsk };
        this.#log.debug({ tls: event.tlsVersion, resumed: event.resumed }, 'EAP has its keys');
        driver.feed({ type: 'eapKeys', msk: event.msk });
        break;
      case 'succeeded':
        driver.feed({ type: 'eapSucceeded' });
        break;
      case 'failed':
        this.#metrics.count('eap_failures', { reason: event.reason });
        this.#log.warn({ reason: event.reason, detail: event.detail }, 'EAP failed');
        driver.feed({ type: 'eapFailed' });
        break;
      case 'discarded':
        this.#metrics.count('dropped', { code: 'eap' });
        this.#log.debug({ reason: event.reason }, 'EAP packet discarded');
        driver.feed({ type: 'eapDiscarded' });
    }
  }

  // ------------------------------------------------------------------------------------------------------- results

  #authorized(attempt: Attempt, event: PacAuthorized): void {
    const now = performance.now();
    const { sessionId, reauthentication } = event;
    attempt.authorized = { event, at: now };
    this.#failures = 0;
    this.#metrics.count('sessions', { result: reauthentication ? 'reauthenticated' : 'authorized' });
    if (!reauthentication) this.#metrics.time('bootstrap', now - attempt.startedAt);
    this.#log.info(
      {
        session: sessionText(sessionId),
        paa: attempt.paa,
        lifetime: event.lifetime === undefined ? undefined : Math.round(event.lifetime / 1000),
        ...(reauthentication ? {} : { milliseconds: Math.round(now - attempt.startedAt) }),
        protection: event.algorithms?.integrity.name ?? 'none',
      },
      reauthentication ? 'reauthenticated' : 'authorized',
    );
    this.#bind(attempt, event);
    forget(attempt);
    if (event.reconfigure) this.#hook('reconfigure', attempt, this.#binding, undefined);
  }

  /** RFC 5191 knows nothing of this: the assignment of PAR[C] against the one before it. */
  #bind(attempt: Attempt, { assignment }: PacAuthorized): void {
    const { 'psk-root': root, mode } = this.#options.mobility;
    const before = this.#binding;
    const why = assignment && refusal(assignment, root);
    if (!assignment || !attempt.keys || why !== undefined) {
      const reason = why ?? 'none was assigned';
      if (mode !== 'off') this.#log.warn({ reason }, 'no Mobile IPv6');
      if (before) this.#unbind(attempt);
      return;
    }
    const psk = pskOf(assignment, attempt.keys, root);
    const binding = bindingOf(assignment, psk);
    const same = before !== undefined && isSameBinding(before.assignment, assignment);
    if (before && !same) this.#unbind(attempt);
    this.#binding = binding;
    this.#log.info(describe(binding), same ? 'bootstrap refreshed' : 'bootstrapped');
    this.#hook(same ? 'refresh' : 'up', attempt, binding, psk);
    psk.fill(0);
  }

  #unbind(attempt: Attempt): void {
    const before = this.#binding;
    this.#binding = undefined;
    if (!before) return;
    this.#log.info(describe(before), 'bootstrap withdrawn');
    this.#hook('down', attempt, before, undefined);
  }

  #hook(event: HookEvent, attempt: Attempt, binding: Binding | undefined, psk: Uint8Array | undefined): void {
    const { hooks, pana } = this.#options;
    if (hooks.mn === undefined) return;
    const { sessionId } = attempt.authorized?.event ?? {};
    const local = parseAddress(attempt.socket.address.address.split('%', 1)[0] ?? '');
    const scope = attempt.socket.address.address.split('%')[1];
    void this.#hooks.run({
      program: hooks.mn,
      role: 'mn',
      event,
      subject: NODE,
      variables: {
        ...(binding ? hookVariables(binding.assignment) : {}),
        session: sessionId === undefined ? undefined : sessionText(sessionId),
        careOfAddress: local && formatAddress(local) + (scope === undefined ? '' : `%${scope}`),
        interface: pana.interface,
      },
      psk,
    });
  }

  async #ended(attempt: Attempt, cause: string): Promise<void> {
    if (this.#attempt !== attempt) return;
    this.#attempt = undefined;
    attempt.driver.stop();
    attempt.eap?.close();
    forget(attempt);
    const wasOpen = attempt.authorized !== undefined;
    this.#metrics.count('sessions', { result: cause });
    const fields = { paa: attempt.paa, cause };
    if (wasOpen) this.#log.info(fields, 'session ended');
    else this.#log.warn(fields, 'not authorized');
    this.#unbind(attempt);
    await attempt.socket.close();
    this.#closed?.();
    if (!this.#stopping) this.#again(wasOpen);
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
    const wait = base * (1 + RETRY_JITTER * (2 * Math.random() - 1));
    this.#log.info({ seconds: Math.round(wait / 100) / 10 }, 'starting again');
    this.#retry = setTimeout(() => void this.#begin(), wait);
  }
}

function forget(attempt: Attempt): void {
  attempt.keys?.msk.fill(0);
  attempt.keys?.emsk.fill(0);
  attempt.keys = undefined;
}

function describe({ assignment, fingerprint: shown }: Binding): Record<string, unknown> {
  return {
    homeAgent: formatAddress(assignment.homeAgent),
    homeAgentHost: assignment.host,
    homeAddress: assignment.homeAddress && formatAddress(assignment.homeAddress),
    identity: assignment.ikeIdentity,
    lifetime: assignment.lifetime,
    capability: capabilityNames(assignment.capability).join(' '),
    fingerprint: shown,
  };
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
