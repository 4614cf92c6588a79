import { randomBytes } from 'node:crypto';
import { CodedError } from '../errors/coded-error.js';
import { formatAddress } from '../protocol/bytes/address.js';
import { EAP_CODE } from '../protocol/eap/codec.js';
import { CAPABILITY } from '../protocol/mip6/assignment.js';
import { PacSession } from '../protocol/pana/session/pac.js';
import type { PacConfig, PacInput, PacOutput } from '../protocol/pana/session/pac-interface.js';
import { PCI_DEFAULTS, REQUEST_DEFAULTS } from '../protocol/pana/session/retransmission.js';
import type { PeerCredentials } from '../runtime/eap/engine.js';
import { EapPeer } from '../runtime/eap/peer.js';
import { UdpSocket } from '../runtime/net/udp.js';
import { Driver } from '../runtime/system/driver.js';

/** Address and port of a PAA. */
interface Place {
  readonly address: string;
  readonly port: number;
}

/** The defaults of a PaC, see the options of pana-pac. */
const CONFIG: PacConfig = {
  vendorId: 32473,
  prf: [5, 2],
  integrity: [12, 7],
  sa: 'required',
  encryption: 'wanted',
  piggyback: true,
  eapReplyTimeout: 1_000,
  failedSessionTimeout: 60_000,
  pci: PCI_DEFAULTS,
  request: REQUEST_DEFAULTS,
  pingInterval: 0,
  reauthenticateAt: 0,
  mobility: {
    mode: 'wanted',
    wish: CAPABILITY.MIP6 | CAPABILITY.HOME_HA | CAPABILITY.HOA_ASSIGN | CAPABILITY.IKEV1_PSK,
  },
  exportKeys: false,
};

/**
 * The reason if the PAA ended the authentication without an EAP-Failure, because no AAA server judged the node: the server
 * is overloaded or cannot be reached.
 */
export const UNSERVED = 'unserved';

/** Why a node has no session, or lost it. `reason` is one of few, for counting; the message has the details. */
export class NodeFailure extends CodedError<'ERR_LOAD_NODE'> {
  override readonly name = 'NodeFailure';
  readonly reason: string;

  constructor(reason: string, message: string) {
    super('ERR_LOAD_NODE', message);
    this.reason = reason;
  }
}

/** Few different texts for counting. */
export function reasonOf(error: unknown): string {
  if (error instanceof NodeFailure) return error.reason;
  const { code, syscall } = error as NodeJS.ErrnoException;
  return code === undefined ? 'fault' : `${syscall ?? 'socket'}: ${code}`;
}

const stopped = () => new NodeFailure('stopped', 'the node was stopped');

export interface NodeSettings {
  readonly config: PacConfig;
  readonly identity: string;
  /** Maximum size of a sent EAP packet in octets. */
  readonly mtu: number;
  /** Whether a bootstrap without a home address fails. */
  readonly needsHomeAddress: boolean;
  /** The session ended although nobody asked for it. */
  readonly onLost: (cause: string) => void;
  readonly onReauthenticated: () => void;
}

const DEFAULTS: NodeSettings = {
  config: CONFIG,
  identity: '@home.example',
  mtu: 1100,
  needsHomeAddress: true,
  onLost: () => undefined,
  onReauthenticated: () => undefined,
};

/** What a caller waits for. */
interface Waiter {
  readonly event: 'authorized' | 'heard';
  resolve(): void;
  reject(error: Error): void;
}

/** A mobile node without hooks and logs, so that many fit into one process. */
export class BenchNode {
  readonly #paa: Place;
  readonly #credentials: PeerCredentials;
  readonly #settings: NodeSettings;
  readonly #session: PacSession;
  #from: { readonly address?: string };
  #driver: Driver<PacInput, PacOutput> | undefined;
  #socket: UdpSocket | undefined;
  #eap: EapPeer | undefined;
  #waiter: Waiter | undefined;
  #closed: (() => void) | undefined;
  #hasEnded = false;
  #homeAddress: string | undefined;
  #resumed = false;
  /** Whether the last EAP packet was an EAP-Failure. */
  #isJudged = false;

  /** `address`: local address. Undefined: chosen by the system. */
  constructor(paa: Place, credentials: PeerCredentials, address?: string, settings: Partial<NodeSettings> = {}) {
    this.#paa = paa;
    this.#credentials = credentials;
    this.#settings = { ...DEFAULTS, ...settings };
    this.#session = new PacSession(this.#settings.config, randomBytes(32));
    this.#from = address === undefined ? {} : { address };
  }

  /**
   * Runs a bootstrap from PCI to PAN[C]. Resolves with its duration in milliseconds. Rejects with NodeFailure if the
   * node is not authorized, or gets no home address and needs one.
   */
  async bootstrap(): Promise<number> {
    this.#socket = await this.#connect();
    if (this.#hasEnded) {
      await this.#socket.close();
      throw stopped();
    }
    this.#driver = new Driver<PacInput, PacOutput>(this.#session, (output) => this.#perform(output));
    return this.#measure('authorized', { type: 'start' });
  }

  /** Resolves with the milliseconds until the session is authorized again. */
  reauthenticate(): Promise<number> {
    return this.#measure('authorized', { type: 'reauthenticate' });
  }

  /**
   * Continues the session from another port, and from another address if given. Resolves with the milliseconds until
   * the PAA has answered there.
   */
  async move(address?: string): Promise<number> {
    const before = this.#socket;
    if (address !== undefined) this.#from = { address };
    this.#socket = await this.#connect();
    await before?.close();
    if (this.#hasEnded) {
      await this.#socket.close();
      throw stopped();
    }
    return this.#measure('heard', { type: 'moved' });
  }

  /** The assigned home address as text. */
  get homeAddress(): string | undefined {
    return this.#homeAddress;
  }

  /** Whether the last TLS handshake resumed a session. */
  get resumed(): boolean {
    return this.#resumed;
  }

  get state(): PacSession['state'] {
    return this.#session.state;
  }

  /** Whether a PAA has answered. */
  get heard(): boolean {
    return this.#session.heard;
  }

  /** Frees everything without sending a message. */
  async abandon(): Promise<void> {
    this.#hasEnded = true;
    this.#driver?.stop();
    this.#session.destroy();
    this.#eap?.close();
    this.#settle(({ reject }) => reject(stopped()));
    await this.#socket?.close();
  }

  async terminate(): Promise<void> {
    this.#hasEnded = true;
    const closed = new Promise<void>((resolve) => {
      this.#closed = resolve;
    });
    if (this.#session.state === 'CLOSED') this.#closed?.();
    else this.#driver?.feed({ type: 'terminate' });
    await closed;
    this.#driver?.stop();
    this.#eap?.close();
    await this.#socket?.close();
  }

  #connect(): Promise<UdpSocket> {
    return UdpSocket.connect(this.#paa, this.#from, (octets) => this.#driver?.feed({ type: 'datagram', octets }));
  }

  async #measure(event: Waiter['event'], input: PacInput): Promise<number> {
    const started = performance.now();
    await new Promise<void>((resolve, reject) => {
      this.#waiter = { event, resolve, reject };
      this.#driver?.feed(input);
    });
    return performance.now() - started;
  }

  #settle(action: (waiter: Waiter) => void): void {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (waiter) action(waiter);
  }

  #perform(output: PacOutput): void {
    switch (output.type) {
      case 'send':
        this.#socket?.send(output.octets, this.#paa);
        break;
      case 'eapRestart':
        this.#newEap();
        break;
      case 'eapPacket':
        this.#isJudged = output.packet[0] === EAP_CODE.FAILURE;
        this.#eap?.receive(output.packet);
        break;
      case 'authorized':
        this.#homeAddress = output.assignment?.homeAddress && formatAddress(output.assignment.homeAddress);
        // The TLS connection would take 50 kB until the next authentication.
        this.#eap?.close();
        this.#eap = undefined;
        if (output.reauthentication) this.#settings.onReauthenticated();
        if (this.#waiter?.event !== 'authorized') break;
        this.#settle(({ resolve, reject }) => {
          if (this.#homeAddress !== undefined || !this.#settings.needsHomeAddress) resolve();
          else reject(new NodeFailure('no-home-address', 'a node got no home address'));
        });
        break;
      case 'heard':
        if (this.#waiter?.event === 'heard') this.#settle(({ resolve }) => resolve());
        break;
      case 'closed':
        this.#ended(output.cause);
        break;
    }
  }

  #ended(cause: string): void {
    const wasAsked = this.#waiter !== undefined || this.#hasEnded;
    this.#hasEnded = true;
    const reason = cause === 'authentication-rejected' && !this.#isJudged ? UNSERVED : cause;
    this.#settle(({ reject }) => reject(new NodeFailure(reason, `a session ended: ${cause}`)));
    this.#closed?.();
    if (!wasAsked) this.#settings.onLost(reason);
  }

  #newEap(): void {
    this.#eap?.close();
    const { identity, mtu } = this.#settings;
    this.#eap = new EapPeer({ identity, mtu, credentials: this.#credentials }, (event) => {
      if (event.type === 'response') this.#driver?.feed({ type: 'eapResponse', packet: event.packet });
      else if (event.type === 'keys') {
        event.emsk.wipe();
        this.#resumed = event.resumed;
        this.#driver?.feed({ type: 'eapKeys', msk: event.msk, unconfirmed: event.tlsVersion !== 'TLSv1.3' });
      } else if (event.type === 'succeeded') this.#driver?.feed({ type: 'eapSucceeded' });
      else if (event.type === 'discarded') this.#driver?.feed({ type: 'eapDiscarded' });
      else {
        this.#settle(({ reject }) => reject(new NodeFailure(`eap-${event.reason}`, `EAP: ${JSON.stringify(event)}`)));
        this.#driver?.feed({ type: 'eapFailed' });
      }
    });
  }
}
