import { HEADER_LENGTH, messageLength } from './codec.js';

/** Maximum size of a message in octets. It has room for an EAP packet of 64 KiB. */
export const MAX_MESSAGE = 131_072;

/** Octets that contain the version and the length of a message. */
const LENGTH_OCTETS = 4;

/**
 * Divides a stream into messages by their length (RFC 6733 2.1). After an invalid length the stream cannot be used any
 * more.
 */
export class DiameterFramer {
  #held: Uint8Array[] = [];
  #length = 0;
  #wanted = LENGTH_OCTETS;
  #broken: Uint8Array | undefined;

  /** The received part of a message with an invalid version or length. Nothing is read after it. */
  get broken(): Uint8Array | undefined {
    return this.#broken;
  }

  /**
   * Takes ownership of a chunk. Returns the complete messages, which may be views of it; the caller overwrites them.
   */
  push(chunk: Uint8Array): Uint8Array[] {
    if (this.#broken) return [];
    this.#held.push(chunk);
    this.#length += chunk.length;
    if (this.#length < this.#wanted) return [];
    let octets = chunk;
    if (this.#held.length > 1) {
      octets = Buffer.concat(this.#held, this.#length);
      wipe(this.#held);
    }
    const messages: Uint8Array[] = [];
    this.#wanted = LENGTH_OCTETS;
    for (let length = messageLength(octets); length !== undefined; length = messageLength(octets)) {
      if (octets[0] !== 1 || length < HEADER_LENGTH || length % 4 !== 0 || length > MAX_MESSAGE) {
        this.#broken = Uint8Array.from(octets.subarray(0, HEADER_LENGTH));
        wipe([octets]);
        octets = octets.subarray(octets.length);
        break;
      }
      if (octets.length < length) {
        this.#wanted = length;
        break;
      }
      messages.push(octets.subarray(0, length));
      octets = octets.subarray(length);
    }
    this.#held = octets.length > 0 ? [octets] : [];
    this.#length = octets.length;
    return messages;
  }

  /** Overwrites the received part of an incomplete message. */
  close(): void {
    wipe(this.#held);
    this.#held = [];
    this.#length = 0;
  }
}

/** Overwrites octets that may hold a key before their memory is freed. */
function wipe(pieces: readonly Uint8Array[]): void {
  for (const piece of pieces) piece.fill(0);
}
