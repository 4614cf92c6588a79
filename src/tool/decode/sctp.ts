import { u16, u32 } from './octets.js';

/** A DATA chunk of SCTP (RFC 9260 3.3.1), or an I-DATA chunk (RFC 8260 2.1). */
export interface SctpData {
  /** Transmission sequence number. */
  readonly tsn: number;
  readonly stream: number;
  /** Payload Protocol Identifier; undefined in later fragments of I-DATA. */
  readonly ppid: number | undefined;
  /** Whether this is the first or last fragment of a message. */
  readonly first: boolean;
  readonly last: boolean;
  /** Of I-DATA: its message within the stream, and the number of the fragment in the message. */
  readonly message: { readonly id: string; readonly part: number } | undefined;
  readonly payload: Uint8Array;
}

const DATA = 0;
const I_DATA = 64;
const CHUNK_HEADER = 4;
const DATA_HEADER = 16;
const I_DATA_HEADER = 20;

/** RFC 6733 13.1: Diameter in DTLS over SCTP. */
export const PPID_DTLS = 47;

/** Reads the DATA chunks after the common header of a packet. `missing`: octets of them that were not captured. */
export function sctpData(octets: Uint8Array): { readonly data: SctpData[]; readonly missing: number } {
  const data: SctpData[] = [];
  for (let at = 0; at + CHUNK_HEADER <= octets.length; ) {
    const type = octets[at] ?? 0;
    const flags = octets[at + 1] ?? 0;
    const length = u16(octets, at + 2);
    if (length < CHUNK_HEADER) break;
    if (at + length > octets.length) return { data, missing: at + length - octets.length };
    const header = type === DATA ? DATA_HEADER : I_DATA_HEADER;
    const first = (flags & 2) !== 0;
    if ((type === DATA || type === I_DATA) && length >= header) {
      data.push({
        tsn: u32(octets, at + 4),
        stream: u16(octets, at + 8),
        ppid: type === DATA ? u32(octets, at + 12) : first ? u32(octets, at + 16) : undefined,
        first,
        last: (flags & 1) !== 0,
        message: type === DATA ? undefined : messageOf(octets, at),
        payload: octets.subarray(at + header, at + length),
      });
    }
    at += (length + 3) & ~3;
  }
  return { data, missing: 0 };
}

/** RFC 8260 2.1: ordered and unordered messages are numbered apart; the first fragment has the PPID in place of its number. */
function messageOf(octets: Uint8Array, at: number): SctpData['message'] {
  const flags = octets[at + 1] ?? 0;
  const id = `${flags & 4 ? 'unordered' : 'ordered'} ${u32(octets, at + 12)}`;
  return { id, part: flags & 2 ? 0 : u32(octets, at + 16) };
}

/** Limits of the fragments that wait for others. Beyond them, the missing ones were not captured. */
const MAX_WAITING = 256;
const MAX_HELD = 1024 * 1024;

/**
 * Reassembles the messages of one stream of an association in one direction, from fragments in any order. The fragments
 * of a message have consecutive TSNs. Those of I-DATA have numbers of their own, because messages may be interleaved.
 */
export class SctpMessages {
  readonly #waiting = new Map<string, SctpData>();
  readonly #taken = new Set<number>();
  #held = 0;

  /** Octets that wait. */
  get held(): number {
    return this.#held;
  }

  /** Returns the messages that this chunk completes. A retransmitted chunk completes none. */
  push(chunk: SctpData): Uint8Array[] {
    const key = keyOf(chunk);
    if (this.#taken.has(chunk.tsn) || this.#waiting.has(key)) return [];
    this.#waiting.set(key, chunk.first && chunk.last ? chunk : { ...chunk, payload: Uint8Array.from(chunk.payload) });
    this.#held += chunk.payload.length;
    const message = this.#messageOf(chunk);
    if (!message) {
      while (this.#waiting.size > MAX_WAITING || this.#held > MAX_HELD) this.#forgetOldest();
      return [];
    }
    for (const part of message) {
      const { tsn, payload } = part;
      this.#waiting.delete(keyOf(part));
      this.#held -= payload.length;
      this.#taken.add(tsn);
      const [oldest = tsn] = this.#taken;
      if (this.#taken.size > MAX_WAITING) this.#taken.delete(oldest);
    }
    return [Buffer.concat(message.map(({ payload }) => payload))];
  }

  /** Fragments of messages that are incomplete when no more follow. */
  finish(): number {
    const left = this.#waiting.size;
    this.#waiting.clear();
    this.#held = 0;
    return left;
  }

  #messageOf(chunk: SctpData): SctpData[] | undefined {
    const before: SctpData[] = [];
    for (let at = chunk; !at.first; ) {
      const found = this.#waiting.get(keyOf(at, -1));
      if (!found || found.last || before.length > MAX_WAITING) return undefined;
      before.push(found);
      at = found;
    }
    const message = [...before.reverse(), chunk];
    for (let at = chunk; !at.last; ) {
      const found = this.#waiting.get(keyOf(at, 1));
      if (!found || found.first || message.length > 2 * MAX_WAITING) return undefined;
      message.push(found);
      at = found;
    }
    return message;
  }

  #forgetOldest(): void {
    const [oldest] = this.#waiting;
    if (!oldest) return;
    this.#waiting.delete(oldest[0]);
    this.#held -= oldest[1].payload.length;
  }
}

/** The place of a chunk among those of its stream, or of one that many fragments after it. */
function keyOf({ tsn, message }: SctpData, after = 0): string {
  return message ? `${message.id} ${message.part + after}` : `${(tsn + after) >>> 0}`;
}
