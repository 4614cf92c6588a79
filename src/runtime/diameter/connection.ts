import { DecodeError } from '../../protocol/bytes/decode-error.js';
import {
  type DiameterMessage,
  decodeDiameter,
  encodeDiameter,
  type Salvage,
  salvageDiameter,
} from '../../protocol/diameter/wire/codec.js';
import { DiameterFramer } from '../../protocol/diameter/wire/framer.js';
import { holdsKey, wipeKeys } from '../../protocol/diameter/wire/keys.js';
import { type Guard, unguarded } from '../service/barrier.js';
import type { CancelTimer, Host } from '../system/host.js';
import type { TransportConnection } from './transport.js';

/** Octets that may wait to be sent; a peer that reads no more is disconnected. */
const MAX_SEND_BUFFER = 16 * 1024 * 1024;

/** How long a closing connection may take to send its last octets, in milliseconds. */
const LINGER = 2_000;

export interface ConnectionEvents {
  message(message: DiameterMessage): void;
  /** A message that does not decode. */
  malformed(code: string, salvage: Salvage | undefined): void;
  /** The stream cannot be cut into messages: nothing more is read, and the connection has to be ended or reset. */
  untrusted(salvage: Salvage | undefined): void;
  closed(): void;
}

/** Messages over one transport connection. Never throws for what the other end sends. */
export class DiameterConnection {
  readonly transport: TransportConnection;
  readonly #events: ConnectionEvents;
  readonly #framer = new DiameterFramer();
  readonly #host: Host;
  #linger: CancelTimer | undefined;
  /** Whether messages are still taken. */
  #reading = true;

  constructor(transport: TransportConnection, events: ConnectionEvents, host: Host, guard: Guard = unguarded) {
    this.#host = host;
    this.transport = transport;
    this.#events = events;
    const { stream } = transport;
    // The stream closes after any error.
    stream.on('error', () => undefined);
    // If handling a message throws, its connection is closed.
    stream.on('data', (chunk: Uint8Array) =>
      guard.run(
        'diameter',
        () => this.#take(chunk),
        () => this.reset(),
      ),
    );
    stream.on('close', () => {
      this.#linger?.();
      this.#reading = false;
      this.#framer.close();
      guard.run('diameter', () => events.closed());
    });
  }

  send(message: DiameterMessage): void {
    const { stream } = this.transport;
    if (!stream.writable) return;
    const octets = encodeDiameter(message);
    if (holdsKey(message.avps)) stream.write(octets, () => octets.fill(0));
    else stream.write(octets);
    if (stream.writableLength > MAX_SEND_BUFFER) this.reset();
  }

  /** Closes it once everything is sent. Nothing is read from now on. */
  end(): void {
    this.#reading = false;
    const { stream } = this.transport;
    if (stream.closed || this.#linger) return;
    this.#linger = this.#host.after(LINGER, () => this.reset());
    stream.end();
  }

  reset(): void {
    this.#reading = false;
    this.transport.reset();
  }

  #take(chunk: Uint8Array): void {
    if (!this.#reading) {
      chunk.fill(0);
      return;
    }
    for (const octets of this.#framer.push(chunk)) {
      try {
        if (this.#reading) this.#decode(octets);
      } finally {
        // A message may hold a key. The decoded message is a copy.
        octets.fill(0);
      }
    }
    if (!this.#reading) return;
    const { broken } = this.#framer;
    if (!broken) return;
    this.#reading = false;
    this.#events.untrusted(salvageDiameter(broken));
  }

  #decode(octets: Uint8Array): void {
    let message: DiameterMessage;
    try {
      message = decodeDiameter(octets);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      const salvage = salvageDiameter(octets);
      this.#events.malformed(error.code, salvage);
      wipeKeys(salvage?.avps ?? []);
      return;
    }
    this.#events.message(message);
  }
}
