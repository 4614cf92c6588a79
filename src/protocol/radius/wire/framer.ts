import { HEADER_LENGTH, LENGTH_END, MAX_PACKET, packetLength } from './codec.js';

/**
 * Divides a TCP or TLS stream into packets by their length (RFC 6613 2.6.4). After an invalid length the stream cannot
 * be used any more. The pieces may hold hidden keys, not keys.
 */
export class RadiusFramer {
  #held = new Uint8Array(0);
  #isBroken = false;

  /** Whether a packet had an invalid length. Nothing is read after it; the caller closes the connection. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** Returns the packets that are complete with this chunk, each in memory of its own. */
  push(chunk: Uint8Array): Uint8Array[] {
    if (this.#isBroken) return [];
    const octets = new Uint8Array(this.#held.length + chunk.length);
    octets.set(this.#held);
    octets.set(chunk, this.#held.length);
    const packets: Uint8Array[] = [];
    let at = 0;
    while (octets.length - at >= LENGTH_END) {
      const length = packetLength(octets.subarray(at)) ?? 0;
      if (length < HEADER_LENGTH || length > MAX_PACKET) {
        this.#isBroken = true;
        this.#held = new Uint8Array(0);
        return packets;
      }
      if (octets.length - at < length) break;
      packets.push(octets.slice(at, at + length));
      at += length;
    }
    this.#held = octets.slice(at);
    return packets;
  }
}
