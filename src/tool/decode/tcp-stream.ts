/** A segment of TCP; `cut`: octets at its end that were not captured. */
export interface Segment {
  readonly sequence: number;
  readonly syn: boolean;
  readonly payload: Uint8Array;
  readonly cut: number;
}

/** What comes next in a direction of a connection. */
export type Piece =
  | { readonly type: 'octets'; readonly octets: Uint8Array }
  /** `lost`: they were not captured at all; `cut`: by the snapshot length. */
  | { readonly type: 'missing'; readonly length: number; readonly why: 'lost' | 'cut' }
  /** Another connection between the same ports begins (RFC 9293 3.4). */
  | { readonly type: 'new' };

/** Segments that wait for one that is missing; with more of them it was never captured. */
const MAX_WAITING = 256;

const HALF = 0x8000_0000;

/** One direction of a TCP connection put in order. Sequence numbers wrap: what is up to half of them behind is older. */
export class TcpStream {
  #next: number | undefined;
  #initial: number | undefined;
  readonly #waiting = new Map<number, Segment>();

  /** What a segment brings, in order. */
  push(segment: Segment): Piece[] {
    const out: Piece[] = [];
    if (segment.syn && segment.sequence !== this.#initial) {
      if (this.#next !== undefined) out.push(...this.finish(), { type: 'new' });
      this.#initial = segment.sequence;
      this.#next = (segment.sequence + 1) >>> 0;
    }
    // A SYN takes a number of its own, before the data that may come with it (RFC 7413).
    const sequence = segment.syn ? (segment.sequence + 1) >>> 0 : segment.sequence;
    if (segment.payload.length + segment.cut === 0) return out;
    this.#next ??= sequence;
    const there = this.#waiting.get(sequence);
    if (!there || there.payload.length < segment.payload.length) this.#waiting.set(sequence, { ...segment, sequence });
    out.push(...this.#inOrder());
    if (this.#waiting.size > MAX_WAITING) out.push(...this.#leap());
    return out;
  }

  /** The other end has everything before this number: what is missing of that was not captured. */
  acknowledged(number: number): Piece[] {
    const out: Piece[] = [];
    while (this.#next !== undefined && this.#waiting.size > 0 && ahead(number, this.#next)) out.push(...this.#leap());
    return out;
  }

  /** Nothing comes any more. */
  finish(): Piece[] {
    const out: Piece[] = [];
    while (this.#waiting.size > 0) out.push(...this.#leap());
    return out;
  }

  /** Goes on behind a hole. */
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

  /** The pieces of a segment that begins at or before what comes next. */
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

/** Whether a number lies behind another in the order of the stream. */
function ahead(number: number, other: number): boolean {
  const distance = (number - other) >>> 0;
  return distance > 0 && distance < HALF;
}
