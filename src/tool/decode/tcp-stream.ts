/** A TCP segment. `cut`: octets at its end that were not captured. */
export interface Segment {
  readonly sequence: number;
  readonly syn: boolean;
  readonly payload: Uint8Array;
  readonly cut: number;
}

/** The next piece of one direction of a connection. */
export type Piece =
  | { readonly type: 'octets'; readonly octets: Uint8Array }
  /** `lost`: the octets were not captured; `cut`: they exceeded the snapshot length. */
  | { readonly type: 'missing'; readonly length: number; readonly why: 'lost' | 'cut' }
  /** A new connection between the same ports begins (RFC 9293 3.4). */
  | { readonly type: 'new' };

/** Maximum number of segments that wait for a missing one. Beyond it, the missing one was not captured. */
const MAX_WAITING = 256;

const HALF = 0x8000_0000;

/**
 * Reorders the segments of one direction of a TCP connection. Sequence numbers wrap: a number is older if it is less
 * than half the range behind.
 */
export class TcpStream {
  #next: number | undefined;
  #initial: number | undefined;
  readonly #waiting = new Map<number, Segment>();

  /** Returns the pieces that a segment completes, in order. */
  push(segment: Segment): Piece[] {
    const out: Piece[] = [];
    if (segment.syn && segment.sequence !== this.#initial) {
      if (this.#next !== undefined) out.push(...this.finish(), { type: 'new' });
      this.#initial = segment.sequence;
      this.#next = (segment.sequence + 1) >>> 0;
    }
    // A SYN occupies one sequence number, before any data that comes with it (RFC 7413).
    const sequence = segment.syn ? (segment.sequence + 1) >>> 0 : segment.sequence;
    if (segment.payload.length + segment.cut === 0) return out;
    this.#next ??= sequence;
    const there = this.#waiting.get(sequence);
    if (!there || there.payload.length < segment.payload.length) this.#waiting.set(sequence, { ...segment, sequence });
    out.push(...this.#inOrder());
    if (this.#waiting.size > MAX_WAITING) out.push(...this.#leap());
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

  /** Continues after a gap. */
  #leap(): Piece[] {
    const from = this.#next ?? 0;
    const distance = (sequence: number) => (sequence - from) >>> 0;
    const first = [...this.#waiting.keys()].sort((a, b) => distance(a) - distance(b))[0];
    if (first === undefined) return [];
    this.#next = first;
    return [{ type: 'missing', length: distance(first), why: 'lost' }, ...this.#inOrder()];
  }

  #inOrder(): Piece[] {
    const out: Piece[] = [];
    for (let found = this.#takeNext(); found; found = this.#takeNext()) out.push(...found);
    return out;
  }

  /** The pieces of a segment that begins at or before the next sequence number. */
  #takeNext(): Piece[] | undefined {
    const next = this.#next ?? 0;
    for (const [sequence, { payload, cut }] of this.#waiting) {
      const behind = (next - sequence) >>> 0;
      if (behind >= HALF) continue;
      this.#waiting.delete(sequence);
      const length = payload.length + cut;
      if (behind >= length) return [];
      this.#next = (sequence + length) >>> 0;
      const fresh = payload.subarray(Math.min(behind, payload.length));
      const missing = length - Math.max(behind, payload.length);
      return [
        ...(fresh.length > 0 ? [{ type: 'octets', octets: fresh } as const] : []),
        ...(missing > 0 ? [{ type: 'missing', length: missing, why: 'cut' } as const] : []),
      ];
    }
    return undefined;
  }
}

/** Whether a sequence number is after another one. */
function ahead(number: number, other: number): boolean {
  const distance = (number - other) >>> 0;
  return distance > 0 && distance < HALF;
}
