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

/** Limit of the send buffer in octets. The node resets the connection of a peer that stops reading. */
const MAX_SEND_BUFFER = 16 * 1024 * 1024;

/** How long a closing connection may take to send its remaining octets, in milliseconds. */
const LINGER = 2_000;

/**
 * Number of messages that a connection handles in one turn of the event loop. One read may return hundreds, and other
 * connections, timers and the answers so far would wait for all of them.
 */
export const MESSAGES_PER_TURN = 16;

export interface ConnectionEvents {
  message(message: DiameterMessage): void;
  /** A message could not be decoded. `salvage`: the part that could be read. */
  malformed(code: string, salvage: Salvage | undefined): void;
  /** The framing of the stream is lost. Nothing more is read; the node must end or reset the connection. */
  untrusted(salvage: Salvage | undefined): void;
  closed(): void;
}

/** Sends and receives Diameter messages over one transport connection. Never throws for what the peer sends. */
export class DiameterConnection {
  readonly transport: TransportConnection;
  readonly #events: ConnectionEvents;
  readonly #framer = new DiameterFramer();
  readonly #host: Host;
  #linger: CancelTimer | undefined;
  /** Whether received messages are still processed. */
  #reading = true;
  /** Received messages that wait for the next turn. Nothing is read from the stream meanwhile. */
  readonly #received: Uint8Array[] = [];
  #isPaused = false;

  constructor(transport: TransportConnection, events: ConnectionEvents, host: Host, guard: Guard = unguarded) {
    this.#host = host;
    this.transport = transport;
    this.#events = events;
    const { stream } = transport;
    // A 'close' event follows every error.
    stream.on('error', () => undefined);
    // If handling a message throws, the connection is reset.
    stream.on('data', (chunk: Uint8Array) =>
      guard.run(
        'diameter',
        () => this.#take(chunk, guard),
        () => this.reset(),
      ),
    );
    stream.on('close', () => {
      this.#linger?.();
      guard.run('diameter', () => this.#handle(this.#received.length));
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

  /** Closes the connection after sending what is buffered. Discards everything received from now on. */
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

  #take(chunk: Uint8Array, guard: Guard): void {
    if (!this.#reading) {
      chunk.fill(0);
      return;
    }
    const isWaiting = this.#received.length > 0;
    this.#received.push(...this.#framer.push(chunk));
    if (!isWaiting) this.#turn(guard);
  }

  /** Handles as many messages as fit into this turn, and the others in the next ones. */
  #turn(guard: Guard): void {
    this.#handle(MESSAGES_PER_TURN);
    const { stream } = this.transport;
    if (this.#received.length === 0) {
      if (this.#isPaused) stream.resume?.();
      this.#isPaused = false;
      return;
    }
    if (!this.#isPaused) stream.pause?.();
    this.#isPaused = true;
    setImmediate(() =>
      guard.run(
        'diameter',
        () => this.#turn(guard),
        () => this.reset(),
      ),
    );
  }

  #handle(most: number): void {
    for (let handled = 0; handled < most; handled += 1) {
      const octets = this.#received.shift();
      if (!octets) break;
      try {
        if (this.#reading) this.#decode(octets);
      } finally {
        // The message may contain a key. The decoded message is a copy.
        octets.fill(0);
      }
    }
    if (!this.#reading || this.#received.length > 0) return;
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
