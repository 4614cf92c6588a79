import { messageLength } from '../protocol/diameter/codec.js';

/** Octets of the largest message taken: a certificate chain of 64 KiB fits with room. */
export const MAX_MESSAGE = 131_072;

/** Cuts a stream into messages by their length (RFC 6733 2.1); a stream that cannot be cut is not to be trusted. */
export class DiameterFramer {
  #held: Buffer[] = [];
  #length = 0;
  #wanted = 0;

  /** The whole messages so far, each in octets of its own; 'bad-stream' when version or length make no sense. */
  push(chunk: Buffer): Uint8Array[] | 'bad-stream' {
    this.#held.push(chunk);
    this.#length += chunk.length;
    if (this.#length < Math.max(4, this.#wanted)) return [];
    let octets = this.#held.length === 1 ? chunk : Buffer.concat(this.#held, this.#length);
    const messages: Uint8Array[] = [];
    this.#wanted = 0;
    while (octets.length >= 4) {
      const length = messageLength(octets) ?? 0;
      if (octets[0] !== 1 || length < 20 || length % 4 !== 0 || length > MAX_MESSAGE) return 'bad-stream';
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
}
