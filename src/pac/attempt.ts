import type { RunKeys } from '../protocol/attachment/binding.js';
import { isSameAddress } from '../protocol/attachment/care-of-address.js';
import { Silence } from '../protocol/attachment/silence.js';
import type { EapPeerEvent } from '../protocol/eap/peer.js';
import { PacSession } from '../protocol/pana/session/pac.js';
import type { PacAuthorized, PacInput, PacOutput } from '../protocol/pana/session/pac-interface.js';
import type { AlgorithmOffer, DropCode } from '../protocol/pana/session/session.js';
import { INTEGRITY_ALGORITHMS, PRF_ALGORITHMS } from '../protocol/pana/wire/algorithms.js';
import { EapPeer } from '../runtime/eap/peer.js';
import type { DatagramSocket } from '../runtime/net/udp.js';
import type { FaultPlace } from '../runtime/service/barrier.js';
import { Driver } from '../runtime/system/driver.js';
import { Inbox } from '../runtime/system/inbox.js';
import type { AttemptEvent, AttemptOptions, AttemptTools } from './attempt-interface.js';
import { type Connected, connect, nameList, trace } from './attempt-socket.js';

/**
 * How long the PAA of a replaced session may take to answer the PTR, in milliseconds. It may have to be asked through an
 * enforcement point that opens late. A session that is left would keep the former link open to the node's former address.
 */
const RETIRE_LIMIT = 30_000;

/** The same if the node is stopping. */
const HURRIED_LIMIT = 2_000;

/** How long a PAA may take to let in a node that is pre-authenticated and has come, in milliseconds: two PNRs. */
const ARRIVAL_LIMIT = 2_500;

/** Receives the session's events: first the owner; after `retire`, the caller that waits for the end; then nobody. */
type Audience = { readonly name: 'owner' | 'nobody' } | { readonly name: 'retirement'; readonly onClosed: () => void };

/**
 * An attempt to reach one PAA, from the first PCI to the end of the session: its socket, session machine and EAP peer.
 */
export class Attempt {
  readonly paa: string;
  /** The keys of the last EAP run, until they are wiped. */
  keys: RunKeys | undefined;
  authorized: { readonly event: PacAuthorized; readonly at: number } | undefined;
  readonly #options: AttemptOptions;
  readonly #tools: AttemptTools;
  readonly #session: PacSession;
  readonly #driver: Driver<PacInput, PacOutput>;
  #id: number;
  #startedAt: number;
  #onEvent: (event: AttemptEvent) => void;
  /** `arriving`, `arrived`: the node is pre-authenticated, and goes to the network of the PAA. */
  #arrival: 'none' | 'arriving' | 'arrived' = 'none';
  #cancelArrival: () => void = () => undefined;
  /** Whether the PAA refused a pre-authentication. */
  isUnsupported = false;
  #audience: Audience = { name: 'owner' };
  #socket: DatagramSocket;
  #interface: string | undefined;
  #eap: EapPeer | undefined;
  #closed = false;
  #hurry: () => void = () => undefined;
  readonly #silence = new Silence();
  /** Whether an offer without a usable algorithm was reported. */
  #isOfferReported = false;

  private constructor(
    options: AttemptOptions,
    tools: AttemptTools,
    { socket, interface: access }: Connected,
    onEvent: (event: AttemptEvent) => void,
  ) {
    const { host } = tools.surroundings;
    this.#startedAt = host.monotonic();
    this.#id = options.id;
    this.paa = options.paa;
    this.#options = options;
    this.#tools = tools;
    this.#socket = socket;
    this.#interface = access;
    this.#onEvent = onEvent;
    this.#session = new PacSession(options.pana, host.random(32));
    this.#driver = new Driver<PacInput, PacOutput>(
      this.#session,
      (output) => this.#perform(output),
      host,
      (error, input) => this.#faulted(error, input.type === 'tick' ? 'timer' : 'datagram'),
    );
  }

  /** Rejects with the system's error if there is no route to the PAA. */
  static async open(
    options: AttemptOptions,
    tools: AttemptTools,
    onEvent: (event: AttemptEvent) => void,
  ): Promise<Attempt> {
    const datagrams = new Inbox<Uint8Array>();
    const source = await options.findSource();
    const socket = await connect(options, tools, source, (octets) => datagrams.put(octets));
    const attempt = new Attempt(options, tools, { socket, interface: source?.interface }, onEvent);
    datagrams.open((octets) => attempt.feed({ type: 'datagram', octets }));
    return attempt;
  }

  /** The number of the attempt in the machine of its owner. */
  get id(): number {
    return this.#id;
  }

  /** When it began; after a pre-authentication, when the node came. */
  get startedAt(): number {
    return this.#startedAt;
  }

  get state(): PacSession['state'] {
    return this.#session.state;
  }

  get sessionId(): number | undefined {
    return this.#session.sessionId;
  }

  /** Whether the session can move. Without a key a move cannot be authenticated (RFC 5191 5.6). */
  get protected(): boolean {
    return this.#session.protected;
  }

  /** The local address, with the scope if it is link-local. */
  get careOfAddress(): string {
    return this.#socket.address.address;
  }

  /** The interface of the care-of address, if known. */
  get interface(): string | undefined {
    return this.#interface;
  }

  /** Another owner takes over a pre-authenticated session. `begin` then goes to the PAA. */
  adopt(id: number, onEvent: (event: AttemptEvent) => void): void {
    this.#id = id;
    this.#onEvent = onEvent;
    this.#startedAt = this.#tools.surroundings.host.monotonic();
    this.#arrival = 'arriving';
  }

  begin(): void {
    if (this.#arrival === 'arriving') void this.#arrive();
    else if (this.#options.initiate) this.feed({ type: 'start' });
  }

  /** Whether at least one message of its PAA was accepted. */
  get isHeard(): boolean {
    return this.#session.heard;
  }

  /** Checks whether the PAA still has the session, if there is one. `heard` follows. */
  probe(): void {
    if (this.#options.initiate || this.sessionId !== undefined) this.feed({ type: 'probe' });
  }

  feed(input: PacInput): void {
    this.#driver.feed(input);
  }

  /**
   * Continues the session from the current address. Resolves with the previous one. Rejects if there is no route to the
   * PAA.
   */
  async move(by: 'moved' | 'arrive' = 'moved'): Promise<string> {
    const before = this.#socket;
    const isPortFixed = this.#options.localPort !== undefined;
    const source = await this.#options.findSource();
    // A configured port is free only when the old socket is closed.
    if (isPortFixed) await before.close();
    const take = (octets: Uint8Array) => this.feed({ type: 'datagram', octets });
    this.#socket = await connect(this.#options, this.#tools, source, take);
    this.#interface = source?.interface;
    if (!isPortFixed) await before.close();
    this.feed({ type: by });
    return before.place;
  }

  /** Whether the node would choose the local address that this attempt has. */
  async isAtSource(): Promise<boolean> {
    const source = await this.#options.findSource();
    return source === undefined || isSameAddress(source.address, this.careOfAddress);
  }

  /** RFC 5873 3: tells the PAA, from the address that the node has in its network. */
  async #arrive(): Promise<void> {
    const failed = { type: 'closed', cause: 'no-answer', heard: false } as const;
    this.#cancelArrival = this.#tools.surroundings.host.after(ARRIVAL_LIMIT, () => this.#report(failed));
    try {
      if (await this.isAtSource()) this.feed({ type: 'arrive' });
      else await this.move('arrive');
    } catch {
      this.#cancelArrival();
      this.#report(failed);
    }
  }

  #arrived(): void {
    this.#cancelArrival();
    this.#arrival = 'arrived';
    this.#report({ type: 'arrived' });
    // The home agent, and the whole lifetime, come with an authentication here.
    this.feed({ type: 'reauthenticate' });
  }

  /** Wipes the keys of the last EAP run. */
  forgetKeys(): void {
    this.keys?.msk.wipe();
    this.keys?.emsk.wipe();
    this.keys = undefined;
  }

  /** Frees everything without sending a message. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelArrival();
    this.#audience = { name: 'nobody' };
    this.#driver.stop();
    this.#session.destroy();
    this.#eap?.close();
    this.forgetKeys();
    await this.#socket.close();
  }

  /**
   * Terminates the session after another one has replaced it: sends PTR, and closes when it is answered or after
   * RETIRE_LIMIT.
   */
  async retire(): Promise<void> {
    const { host } = this.#tools.surroundings;
    await new Promise<void>((resolve) => {
      let cancel = host.after(RETIRE_LIMIT, resolve);
      const onClosed = () => {
        cancel();
        this.#hurry = () => undefined;
        resolve();
      };
      this.#hurry = () => {
        cancel();
        cancel = host.after(HURRIED_LIMIT, resolve);
        this.#hurry = () => undefined;
      };
      this.#audience = { name: 'retirement', onClosed };
      this.feed({ type: 'terminate' });
    });
    await this.close();
  }

  /** Gives a session that is being retired only HURRIED_LIMIT more. */
  hurry(): void {
    this.#hurry();
  }

  /** Ends this session after a fault. The node then starts another one. */
  #faulted(error: unknown, where: FaultPlace): void {
    this.#tools.guard.fault(where, error);
    this.#driver.stop();
    const audience = this.#audience;
    this.#audience = { name: 'nobody' };
    const closed = { type: 'closed', cause: 'fault', heard: this.#session.heard } as const;
    this.#tools.guard.run(where, () => this.#report(closed, audience));
  }

  #report(event: AttemptEvent, audience = this.#audience): void {
    if (audience.name === 'owner') this.#onEvent(event);
    else if (audience.name === 'retirement' && event.type === 'closed') audience.onClosed();
  }

  #perform(output: PacOutput): void {
    const { log, metrics, keyLog, surroundings } = this.#tools;
    switch (output.type) {
      case 'send':
        metrics.count('datagrams', { direction: 'out' });
        trace(log, 'message sent', output.octets);
        this.#socket.send(output.octets, { address: this.paa, port: this.#options.port });
        this.#noteSilence();
        break;
      case 'dropped':
        metrics.count('dropped', { code: output.code });
        log.debug({ reason: output.code }, 'message dropped');
        if (output.code === 'pre-authentication') this.isUnsupported = true;
        if (output.offered) this.#refuseOffer(output.code, output.offered);
        break;
      case 'eapRestart':
        this.#newEap();
        break;
      case 'eapPacket':
        this.#eap?.receive(output.packet);
        break;
      case 'key':
        keyLog?.write(output);
        break;
      case 'authorized':
        this.#tools.failure.last = undefined;
        if (output.sealed && this.keys) keyLog?.writeSealing({ ...this.keys, wish: output.sealed.wish });
        // The I bit of a pre-authentication takes effect here (RFC 5873 3).
        if (this.#arrival === 'arrived' && this.authorized?.event.reconfigure)
          output = { ...output, reconfigure: true };
        if (this.#arrival === 'arrived') this.#arrival = 'none';
        this.authorized = { event: output, at: surroundings.host.monotonic() };
        this.#report(output);
        this.forgetKeys();
        break;
      case 'silent':
      case 'heard':
        this.#report(output);
        break;
      case 'arrived':
        this.#arrived();
        break;
      case 'closed':
        this.#report({ type: 'closed', cause: output.cause, heard: this.#session.heard });
    }
  }

  /** Reports that the PAA does not answer PCI, or answers after that was reported. */
  #noteSilence(): void {
    const { log, surroundings } = this.#tools;
    const { paa: address } = this;
    const { port } = this.#options;
    if (this.#session.heard) {
      if (this.#silence.answered()) log.info({ address }, 'PAA responding again');
      return;
    }
    if (this.#session.state !== 'INITIAL' || this.#isOfferReported) return;
    const report = this.#silence.asked(surroundings.host.monotonic());
    if (!report) return;
    const { count, waited } = report;
    log.warn({ address, port, count, duration: Math.round(waited), reason: 'no answer to PCI' }, 'PAA not responding');
  }

  /** Reports the first offer: a PAA repeats it with every PCI, and anyone can forge one. */
  #refuseOffer(code: DropCode, { prf, integrity, encryption }: AlgorithmOffer): void {
    if (this.#isOfferReported) return;
    this.#isOfferReported = true;
    const both = `prf ${nameList(prf, PRF_ALGORITHMS)}; integrity ${nameList(integrity, INTEGRITY_ALGORITHMS)}`;
    const isClear = code === 'no-encryption';
    const reason = `the PAA offers ${isClear ? `encryption ${nameList(encryption, new Map())}` : both}`;
    const option = isClear ? 'pana.encryption' : 'pana.prf, pana.integrity';
    this.#tools.log.warn({ address: this.paa, option, reason }, 'PAA offers no usable algorithm');
  }

  #newEap(): void {
    this.#eap?.close();
    this.forgetKeys();
    const peer: EapPeer = new EapPeer({ ...this.#options.eap(), guard: this.#tools.guard }, (event) => {
      if (this.#eap === peer) this.#eapEvent(event);
    });
    this.#eap = peer;
  }

  #eapEvent(event: EapPeerEvent): void {
    const { log, metrics } = this.#tools;
    switch (event.type) {
      case 'response':
        this.feed({ type: 'eapResponse', packet: event.packet });
        break;
      case 'keys':
        this.forgetKeys();
        this.keys = { msk: event.msk, emsk: event.emsk, sessionId: event.sessionId };
        log.debug({ tls: event.tlsVersion, resumed: event.resumed }, 'EAP keys derived');
        this.feed({ type: 'eapKeys', msk: event.msk.copy(), unconfirmed: event.tlsVersion !== 'TLSv1.3' });
        break;
      case 'succeeded':
        this.feed({ type: 'eapSucceeded' });
        break;
      case 'failed':
        metrics.count('eap_failures', { reason: event.reason });
        this.#tools.failure.last = { reason: event.reason, detail: event.detail };
        log.warn({ reason: event.reason, detail: event.detail }, 'EAP failed');
        this.feed({ type: 'eapFailed' });
        break;
      case 'discarded':
        metrics.count('dropped', { code: 'eap' });
        log.debug({ reason: event.reason }, 'EAP packet discarded');
        this.feed({ type: 'eapDiscarded' });
    }
  }
}
