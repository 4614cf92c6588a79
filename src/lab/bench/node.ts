import { randomBytes } from 'node:crypto';
import { formatAddress } from '../../protocol/bytes/address.js';
import { CAPABILITY } from '../../protocol/mip6/assignment.js';
import { PacSession } from '../../protocol/pana/session/pac.js';
import type { PacInput, PacOutput } from '../../protocol/pana/session/pac-interface.js';
import { PCI_DEFAULTS, REQUEST_DEFAULTS } from '../../protocol/pana/session/retransmission.js';
import type { PeerCredentials } from '../../runtime/eap/engine.js';
import { EapPeer } from '../../runtime/eap/peer.js';
import { UdpSocket } from '../../runtime/net/udp.js';
import { Driver } from '../../runtime/system/driver.js';
import type { Place } from '../lab.js';

/** The defaults of a PaC, see the options of pana-pac. */
const CONFIG = {
  vendorId: 32473,
  prf: [5, 2],
  integrity: [12, 7],
  sa: 'required',
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
} as const;

/** A mobile node without hooks and logs, so that many fit into one process. */
export class BenchNode {
  readonly #paa: Place;
  readonly #credentials: PeerCredentials;
  readonly #from: { readonly address?: string };
  readonly #session = new PacSession(CONFIG, randomBytes(32));
  #driver: Driver<PacInput, PacOutput> | undefined;
  #socket: UdpSocket | undefined;
  #eap: EapPeer | undefined;
  #settle: { resolve(): void; reject(error: Error): void } | undefined;
  #closed: (() => void) | undefined;
  #homeAddress: string | undefined;

  /** `address`: local address. Undefined: chosen by the system. */
  constructor(paa: Place, credentials: PeerCredentials, address?: string) {
    this.#paa = paa;
    this.#credentials = credentials;
    this.#from = address === undefined ? {} : { address };
  }

  /**
   * Runs a bootstrap from PCI to PAN[C]. Resolves with its duration in milliseconds. Rejects if the node is not
   * authorized or gets no home address.
   */
  async bootstrap(): Promise<number> {
    this.#socket = await UdpSocket.connect(this.#paa, this.#from, (octets) =>
      this.#driver?.feed({ type: 'datagram', octets }),
    );
    this.#driver = new Driver<PacInput, PacOutput>(this.#session, (output) => this.#perform(output));
    const started = performance.now();
    await new Promise<void>((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#driver?.feed({ type: 'start' });
    });
    return performance.now() - started;
  }

  /** The assigned home address as text. */
  get homeAddress(): string | undefined {
    return this.#homeAddress;
  }

  /** Frees everything without sending a message. */
  async abandon(): Promise<void> {
    this.#driver?.stop();
    this.#eap?.close();
    await this.#socket?.close();
  }

  async terminate(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#closed = resolve;
    });
    if (this.#session.state === 'CLOSED') this.#closed?.();
    else this.#driver?.feed({ type: 'terminate' });
    await closed;
    this.#driver?.stop();
    await this.#socket?.close();
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
        this.#eap?.receive(output.packet);
        break;
      case 'authorized':
        this.#homeAddress = output.assignment?.homeAddress && formatAddress(output.assignment.homeAddress);
        if (this.#homeAddress !== undefined) this.#settle?.resolve();
        else this.#settle?.reject(new Error('a node got no home address'));
        break;
      case 'closed':
        this.#settle?.reject(new Error(`a session ended: ${output.cause}`));
        this.#closed?.();
        break;
      case 'dropped':
        break;
    }
  }

  #newEap(): void {
    this.#eap?.close();
    const options = { identity: '@home.example', mtu: 1100, credentials: this.#credentials };
    this.#eap = new EapPeer(options, (event) => {
      if (event.type === 'response') this.#driver?.feed({ type: 'eapResponse', packet: event.packet });
      else if (event.type === 'keys') {
        event.emsk.wipe();
        this.#driver?.feed({ type: 'eapKeys', msk: event.msk, unconfirmed: event.tlsVersion !== 'TLSv1.3' });
      } else if (event.type === 'succeeded') this.#driver?.feed({ type: 'eapSucceeded' });
      else this.#settle?.reject(new Error(`EAP: ${JSON.stringify(event)}`));
    });
  }
}
