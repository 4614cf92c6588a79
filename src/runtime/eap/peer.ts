import { type EapPeerEvent, EapPeerMethod, type PeerInput, type PeerOutput } from '../../protocol/eap/peer.js';
import { type Guard, unguarded } from '../service/barrier.js';
import type { PeerCredentials, PeerEngineAnswer, PeerHandshake } from './engine.js';

export interface EapPeerOptions {
  /** The EAP identity, sent in clear. `@realm` reveals only what routing needs (RFC 9190 2.1.7). */
  readonly identity: string;
  /** Maximum size of a sent EAP packet in octets. */
  readonly mtu: number;
  readonly credentials: PeerCredentials;
  readonly guard?: Guard | undefined;
}

/** An EAP-TLS peer for one run: connects the method to an engine. */
export class EapPeer {
  readonly #method: EapPeerMethod;
  readonly #credentials: PeerCredentials;
  readonly #guard: Guard;
  readonly #sink: (event: EapPeerEvent) => void;
  #handshake: PeerHandshake | undefined;

  /** `sink` becomes the owner of the keys. */
  constructor(options: EapPeerOptions, sink: (event: EapPeerEvent) => void) {
    const { credentials, guard = unguarded } = options;
    this.#method = new EapPeerMethod(options);
    this.#credentials = credentials;
    this.#guard = guard;
    this.#sink = sink;
  }

  /** Processes one EAP packet from the authenticator. */
  receive(octets: Uint8Array): void {
    this.#step({ type: 'packet', octets });
  }

  /** Ends the run and frees its state. No event follows. */
  close(): void {
    this.#step({ type: 'close' });
  }

  #step(input: PeerInput): void {
    for (const output of this.#method.handle(input)) this.#perform(output);
  }

  #perform(output: PeerOutput): void {
    switch (output.type) {
      case 'handshake': {
        const { token, flight } = output;
        this.#handshake ??= this.#credentials.open();
        this.#handshake.exchange(flight, (answer) => this.#answered(token, answer));
        break;
      }
      case 'finish':
        this.#finish(output.token);
        break;
      case 'forget':
        this.#handshake?.forget();
        break;
      case 'abandon':
        this.#handshake?.destroy();
        break;
      default:
        this.#sink(output);
    }
  }

  #answered(token: number, answer: PeerEngineAnswer): void {
    this.#guard.run(
      'tls',
      () => {
        if (answer.type === 'fault') throw answer.error;
        this.#step({ ...answer, token });
      },
      () => this.#step({ type: 'fault' }),
    );
  }

  #finish(token: number): void {
    const keys = this.#handshake?.finish();
    this.#step(keys ? { type: 'finished', token, keys } : { type: 'fault' });
  }
}
