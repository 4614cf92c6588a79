import { randomBytes } from 'node:crypto';
import type { Place } from '../../dist/lab/lab.js';
import { encodeUtf8 } from '../../src/protocol/bytes/octets.js';
import { Secret } from '../../src/protocol/bytes/secret.js';
import { decodeEap, EAP_CODE, EAP_TYPE, encodeEap } from '../../src/protocol/eap/codec.js';
import { PacSession } from '../../src/protocol/pana/session/pac.js';
import type { PacConfig, PacInput, PacOutput } from '../../src/protocol/pana/session/pac-interface.js';
import { PCI_DEFAULTS, REQUEST_DEFAULTS } from '../../src/protocol/pana/session/retransmission.js';
import { algorithmsOf } from '../../src/protocol/pana/wire/algorithms.js';
import { encodePana, FLAG } from '../../src/protocol/pana/wire/codec.js';
import type { Protection } from '../../src/protocol/pana/wire/keys.js';
import type { PeerCredentials } from '../../src/runtime/eap/engine.js';
import { EapPeer } from '../../src/runtime/eap/peer.js';
import { UdpSocket } from '../../src/runtime/net/udp.js';
import { Driver } from '../../src/runtime/system/driver.js';
import { anyRequest, mutatePana } from './pana-mutations.js';
import type { Chance } from './seed.js';

const CONFIG: PacConfig = {
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
  mobility: { mode: 'wanted', wish: 0x3d },
  exportKeys: true,
};

/** The MSK of sessions without TLS, known to both ends. */
export const FIXED_MSK = new Uint8Array(64).fill(0x4d);

/** The largest number of messages that a PaC sends until it is authorized. */
const STEPS = 16;

/**
 * How long to wait for an answer before the conversation is given up, in milliseconds: with mutated messages, and
 * without.
 */
const SILENCE = 250;
const PATIENCE = 2_000;

export interface PacOptions {
  readonly paa: Place;
  readonly localAddress: string;
  /** Undefined: no EAP method; any request gets an answer, and the key is FIXED_MSK. */
  readonly credentials: PeerCredentials | undefined;
  readonly identity: string;
  /** The PaC sends fewer than twice this number of mutated messages before each correct one. */
  readonly before: number;
  /** The number of arbitrary requests in the open session. */
  readonly inside: number;
}

/** A PaC that follows the protocol but sends mutated messages before each correct one. */
export class HostilePac {
  readonly #options: PacOptions;
  readonly #chance: Chance;
  readonly #session = new PacSession(CONFIG, randomBytes(32));
  readonly #driver: Driver<PacInput, PacOutput>;
  #socket: UdpSocket | undefined;
  #eap: EapPeer | undefined;
  #protection: Protection | undefined;
  #last: Uint8Array | undefined;
  #over: (() => void) | undefined;
  #heard = performance.now();
  readonly #from: number;
  #step = 0;
  sent = 0;
  isAuthorized = false;

  constructor(options: PacOptions, chance: Chance) {
    this.#options = options;
    this.#chance = chance;
    this.#from = chance.in(3) ? chance.below(STEPS) : STEPS;
    this.#driver = new Driver<PacInput, PacOutput>(this.#session, (output) => this.#perform(output));
  }

  /** Runs from PCI to PTA, or until the PAA is silent. */
  async run(): Promise<void> {
    const { paa, localAddress, inside } = this.#options;
    this.#socket = await UdpSocket.connect(paa, { address: localAddress }, (octets) => {
      this.#heard = performance.now();
      this.#driver.feed({ type: 'datagram', octets });
    });
    const over = new Promise<void>((resolve) => {
      this.#over = resolve;
    });
    const watch = setInterval(() => {
      const patience = this.isAuthorized || this.#from < STEPS ? SILENCE : PATIENCE;
      if (performance.now() - this.#heard > patience) this.#over?.();
    }, SILENCE / 3);
    this.#driver.feed({ type: 'start' });
    await over;
    if (this.isAuthorized) {
      const inSession = new Promise<void>((resolve) => {
        this.#over = resolve;
      });
      this.#heard = performance.now();
      this.#driver.feed({ type: 'ping' });
      for (let i = 0; i < inside; i += 1) this.#anyRequest();
      this.#driver.feed({ type: this.#chance.in(3) ? 'reauthenticate' : 'terminate' });
      await inSession;
    }
    clearInterval(watch);
    this.#driver.stop();
    this.#eap?.close();
    await this.#socket.close();
  }

  /** Sends a signed request near the sequence number that the PAA expects. */
  #anyRequest(): void {
    const { sessionId } = this.#session;
    if (sessionId === undefined || !this.#last) return;
    const sequence = new DataView(this.#last.buffer, this.#last.byteOffset).getUint32(12);
    const request = encodePana(anyRequest(sessionId, (sequence + this.#chance.below(3)) >>> 0, this.#chance));
    this.#put(mutatePana(request, this.#chance, this.#protection));
  }

  #put(octets: Uint8Array): void {
    this.sent += 1;
    this.#socket?.send(octets, this.#options.paa);
  }

  #perform(output: PacOutput): void {
    switch (output.type) {
      case 'send': {
        // Before there is a key, a mutated message may end the conversation. So each conversation sends its first one
        // at a different step.
        this.#step += 1;
        const isDue = this.#step > this.#from || this.#protection !== undefined;
        const count = isDue ? this.#chance.below(2 * this.#options.before) : 0;
        for (let i = 0; i < count; i += 1) this.#put(mutatePana(output.octets, this.#chance, this.#protection));
        if (((output.octets[4] ?? 0) << 8) & FLAG.R) this.#last = output.octets;
        this.#put(output.octets);
        break;
      }
      case 'eapRestart':
        this.#newEap();
        break;
      case 'eapPacket':
        if (this.#options.credentials) this.#eap?.receive(output.packet);
        else this.#answerWithoutMethod(output.packet);
        break;
      case 'key': {
        const algorithms = algorithmsOf(5, output.integrity);
        if (algorithms) this.#protection = { integrity: algorithms.integrity, key: output.key };
        break;
      }
      case 'authorized':
        this.isAuthorized = true;
        this.#over?.();
        break;
      case 'closed':
        this.#over?.();
    }
  }

  #newEap(): void {
    const { identity, credentials } = this.#options;
    this.#eap?.close();
    if (!credentials) return;
    this.#eap = new EapPeer({ identity, mtu: 1100, credentials }, (event) => {
      if (event.type === 'response') this.#driver.feed({ type: 'eapResponse', packet: event.packet });
      else if (event.type === 'keys') this.#driver.feed({ type: 'eapKeys', msk: event.msk });
      else if (event.type === 'succeeded') this.#driver.feed({ type: 'eapSucceeded' });
      else this.#over?.();
    });
  }

  /** EAP without a method: every request gets an answer, and every EAP-Success is accepted. */
  #answerWithoutMethod(packet: Uint8Array): void {
    let code: number;
    let identifier: number;
    let type: number | undefined;
    try {
      ({ code, identifier, type } = decodeEap(packet));
    } catch {
      this.#driver.feed({ type: 'eapDiscarded' });
      return;
    }
    if (code === EAP_CODE.SUCCESS) this.#driver.feed({ type: 'eapSucceeded' });
    else if (code === EAP_CODE.FAILURE) this.#driver.feed({ type: 'eapFailed' });
    else if (type === EAP_TYPE.IDENTITY) this.#respond(identifier, type, encodeUtf8(this.#options.identity));
    else {
      this.#driver.feed({ type: 'eapKeys', msk: Secret.copyOf(FIXED_MSK) });
      this.#respond(identifier, EAP_TYPE.EAP_TLS, Uint8Array.of(0));
    }
  }

  #respond(identifier: number, type: number, data: Uint8Array): void {
    const packet = encodeEap({ code: EAP_CODE.RESPONSE, identifier, type, data });
    this.#driver.feed({ type: 'eapResponse', packet });
  }
}
