/** A TCP segment. `cut`: octets at its end that are not there. `at`: milliseconds. */
export interface Segment {
  readonly at: number;
  readonly sequence: number;
  readonly syn: boolean;
  readonly payload: Uint8Array;
  readonly cut: number;
}

/** The next piece of one direction of a connection. */
export type Piece =
  | { readonly type: 'octets'; readonly octets: Uint8Array }
  /** Octets before the first ones that were captured, which arrived later than these. */
  | { readonly type: 'earlier'; readonly octets: Uint8Array }
  /** `lost`: the octets were not captured; `cut`: they exceeded the snapshot length. */
  | { readonly type: 'missing'; readonly length: number; readonly why: 'lost' | 'cut' }
  /** A new connection between the same ports begins (RFC 9293 3.4). */
  | { readonly type: 'new' };

/** Limits of the segments that wait for a missing one. Beyond them, the missing one was not captured. */
const MAX_WAITING = 256;
const MAX_HELD = 1024 * 1024;

/** How long segments wait, in milliseconds of the capture. A retransmission takes less. */
const MAX_WAIT = 10_000;

/** A segment that is further away from its predecessor belongs to another connection, whose SYN was not captured. */
const MAX_DISTANCE = 0x0100_0000;

const HALF = 0x8000_0000;

interface Waiting {
  readonly sequence: number;
  readonly payload: Uint8Array;
  readonly cut: number;
}

/**
 * Reorders the segments of one direction of a TCP connection. Sequence numbers wrap: a number is older if it is less
 * than half the range behind. Pieces are views of the segment, or of copies.
 */
export class TcpStream {
  #next: number | undefined;
  #initial: number | undefined;
  /** The first captured sequence number, if the SYN was not captured. */
  #begin: number | undefined;
  readonly #waiting = new Map<number, Waiting>();
  #held = 0;
  #waitingSince = 0;

  /** Octets that wait. */
  get held(): number {
    return this.#held;
  }

  /** Returns the pieces that a segment completes, in order. */
  push(segment: Segment): Piece[] {
    const out: Piece[] = [];
    if (segment.syn && segment.sequence !== this.#initial) {
      if (this.#next !== undefined) out.push(...this.finish(), { type: 'new' });
      this.#initial = segment.sequence;
      this.#begin = undefined;
      this.#next = (segment.sequence + 1) >>> 0;
    }
    // A SYN occupies one sequence number, before any data that comes with it (RFC 7413).
    const sequence = segment.syn ? (segment.sequence + 1) >>> 0 : segment.sequence;
    const { payload, cut, at } = segment;
    if (payload.length + cut === 0) return out;
    if (this.#next !== undefined && isFar(sequence, this.#next)) {
      out.push(...this.finish(), { type: 'new' });
      this.#next = undefined;
      this.#initial = undefined;
    }
    if (this.#next === undefined) {
      this.#next = sequence;
      this.#begin = sequence;
    }
    if (this.#waiting.size === 0 && sequence === this.#next) {
      out.push(...this.#taken({ sequence, payload, cut }, 0));
      return out;
    }
    if (this.#begin !== undefined && cut === 0 && ahead(this.#begin, sequence)) {
      const length = Math.min(payload.length, (this.#begin - sequence) >>> 0);
      this.#begin = sequence;
      out.push({ type: 'earlier', octets: payload.subarray(0, length) });
      if (length === payload.length) return out;
    }
    if (this.#waiting.size === 0) this.#waitingSince = at;
    const there = this.#waiting.get(sequence);
    if (!there || there.payload.length < payload.length) {
      if (there) this.#remove(there);
      // A copy, because a view of the frame does not outlive it.
      this.#waiting.set(sequence, { sequence, payload: Uint8Array.from(payload), cut });
      this.#held += payload.length;
    }
    out.push(...this.#inOrder());
    const isLate = at - this.#waitingSince > MAX_WAIT;
    while (this.#waiting.size > (isLate ? 0 : MAX_WAITING) || this.#held > MAX_HELD) out.push(...this.#leap());
    return out;
  }

  /** Handles an acknowledgement of all octets before this number. Those still missing were not captured. */
  acknowledged(number: number): Piece[] {
    const out: Piece[] = [];
    while (this.#next !== undefined && this.#waiting.size > 0 && ahead(number, this.#next)) out.push(...this.#leap());
    return out;
  }

  /** Returns the rest when no more segments follow. */
  finish(): Piece[] {
    const out: Piece[] = [];
    while (this.#waiting.size > 0) out.push(...this.#leap());
    return out;
  }

  #remove({ sequence, payload }: Waiting): void {
    if (this.#waiting.delete(sequence)) this.#held -= payload.length;
  }

  /** Continues after a gap. */
  #leap(): Piece[] {
    const from = this.#next ?? 0;
    let first: number | undefined;
    let distance = Number.POSITIVE_INFINITY;
    for (const sequence of this.#waiting.keys()) {
      const each = (sequence - from) >>> 0;
      if (each < distance) {
        first = sequence;
        distance = each;
      }
    }
    if (first === undefined) return [];
    this.#next = first;
    return [{ type: 'missing', length: distance, why: 'lost' }, ...this.#inOrder()];
  }

  #inOrder(): Piece[] {
    const out: Piece[] = [];
    for (let found = this.#takeNext(); found; found = this.#takeNext()) out.push(...found);
    return out;
  }

  /** The pieces of a segment that begins at or before the next sequence number. */
  #takeNext(): Piece[] | undefined {
    const next = this.#next ?? 0;
    for (const waiting of this.#waiting.values()) {
      const behind = (next - waiting.sequence) >>> 0;
      if (behind >= HALF) continue;
      this.#remove(waiting);
      return this.#taken(waiting, behind);
    }
    return undefined;
  }

  /** `behind`: octets at the beginning of the segment that came before. */
  #taken({ sequence, payload, cut }: Waiting, behind: number): Piece[] {
    const length = payload.length + cut;
    if (behind >= length) return [];
    this.#next = (sequence + length) >>> 0;
    const out: Piece[] = [];
    if (behind < payload.length)
      out.push({ type: 'octets', octets: behind === 0 ? payload : payload.subarray(behind) });
    const missing = length - Math.max(behind, payload.length);
    if (missing > 0) out.push({ type: 'missing', length: missing, why: 'cut' });
    return out;
  }
}

/** Whether a sequence number is after another one. */
function ahead(number: number, than: number): boolean {
  const distance = (number - than) >>> 0;
  return distance > 0 && distance < HALF;
}

/** Whether two sequence numbers cannot belong to one connection. */
function isFar(number: number, than: number): boolean {
  const distance = (number - than) >>> 0;
  return distance > MAX_DISTANCE && distance < 2 ** 32 - MAX_DISTANCE;
}
