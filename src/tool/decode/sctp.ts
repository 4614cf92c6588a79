import type { Reader } from '../../protocol/bytes/reader.js';

/** A DATA chunk of SCTP (RFC 9260 3.3.1). */
export interface SctpData {
  /** Transmission sequence number. */
  readonly tsn: number;
  readonly stream: number;
  /** Whether this is the first or last fragment of a message. */
  readonly first: boolean;
  readonly last: boolean;
  readonly payload: Uint8Array;
}

const DATA = 0;
const CHUNK_HEADER = 4;
const DATA_HEADER = 12;

/** Reads the DATA chunks after the common header of a packet. `missing`: octets of them that were not captured. */
export function sctpData(reader: Reader): { readonly data: SctpData[]; readonly missing: number } {
  const data: SctpData[] = [];
  let missing = 0;
  while (reader.remaining >= CHUNK_HEADER && missing === 0) {
    const type = reader.u8();
    const flags = reader.u8();
    const length = reader.u16() - CHUNK_HEADER;
    if (length < 0) break;
    const there = Math.min(length, reader.remaining);
    missing = length - there;
    if (type === DATA && there >= DATA_HEADER && missing === 0) {
      const tsn = reader.u32();
      const stream = reader.u16();
      reader.skip(6);
      const payload = reader.bytes(there - DATA_HEADER);
      data.push({ tsn, stream, first: (flags & 2) !== 0, last: (flags & 1) !== 0, payload });
    } else {
      reader.skip(there);
    }
    reader.skip(Math.min(-length & 3, reader.remaining));
  }
  return { data, missing };
}

/** Maximum number of fragments that wait for others. Beyond it, the missing ones were not captured. */
const MAX_WAITING = 256;

/** Reassembles the messages of one direction of an association from fragments in any order. */
export class SctpMessages {
  readonly #waiting = new Map<number, SctpData>();
  readonly #taken = new Set<number>();

  /** Returns the messages that this chunk completes. A retransmitted chunk completes none. */
  push(chunk: SctpData): Uint8Array[] {
    if (this.#taken.has(chunk.tsn)) return [];
    this.#waiting.set(chunk.tsn, chunk);
    if (this.#waiting.size > MAX_WAITING) this.#forgetOldest(this.#waiting);
    const message = this.#messageOf(chunk);
    if (!message) return [];
    for (const { tsn } of message) {
      this.#waiting.delete(tsn);
      this.#taken.add(tsn);
      if (this.#taken.size > MAX_WAITING) this.#forgetOldest(this.#taken);
    }
    return [Buffer.concat(message.map(({ payload }) => payload))];
  }

  #messageOf(chunk: SctpData): SctpData[] | undefined {
    const message = [chunk];
    for (let at = chunk; !at.first; ) {
      const before = this.#waiting.get((at.tsn - 1) >>> 0);
      if (!before || before.last) return undefined;
      message.unshift(before);
      at = before;
    }
    for (let at = chunk; !at.last; ) {
      const after = this.#waiting.get((at.tsn + 1) >>> 0);
      if (!after || after.first) return undefined;
      message.push(after);
      at = after;
    }
    return message;
  }

  #forgetOldest(of: Map<number, unknown> | Set<number>): void {
    const [oldest] = of.keys();
    if (oldest !== undefined) of.delete(oldest);
  }
}
