import { HEADER_LENGTH, messageLength } from './codec.js';

/** Octets of the largest message taken: an EAP packet of 64 KiB fits with room. */
export const MAX_MESSAGE = 131_072;

/** Octets that tell the version and the length of a message. */
const LENGTH_OCTETS = 4;

/** Cuts a stream into messages by their length (RFC 6733 2.1); a stream that cannot be cut is not to be trusted. */
export class DiameterFramer {
  #held: Uint8Array[] = [];
  #length = 0;
  #wanted = LENGTH_OCTETS;
  #broken: Uint8Array | undefined;

  /** The message at which version or length made no sense, as far as it had come: nothing is read any more. */
  get broken(): Uint8Array | undefined {
    return this.#broken;
  }

  /** Takes a chunk over; the whole messages so far, which may be views of it and are overwritten by whoever has read them. */
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
        break;
      }
      if (octets.length < length) {
        this.#wanted = length;
        break;
      }
      messages.push(octets.subarray(0, length));
      octets = octets.subarray(length);
    }
    this.#held = octets.length > 0 && !this.#broken ? [octets] : [];
    this.#length = octets.length;
    return messages;
  }

  /** Overwrites what has come of a message that will not be whole. */
  close(): void {
    wipe(this.#held);
    this.#held = [];
    this.#length = 0;
  }
}

/** A message may hold a key: its octets do not stay in memory that is free for something else. */
function wipe(pieces: readonly Uint8Array[]): void {
  for (const piece of pieces) piece.fill(0);
}
