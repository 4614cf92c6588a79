import { DecodeError } from '../../protocol/bytes/decode-error.js';
import { decodeDiameter, FLAG } from '../../protocol/diameter/wire/codec.js';
import { commandOf } from '../../protocol/diameter/wire/commands.js';
import { OctetQueue, u24 } from './octets.js';
import type { Piece } from './tcp-stream.js';

/** Maximum size of a Diameter message in octets. A longer one is not recognized as Diameter. */
const MAX_MESSAGE = 1024 * 1024;

/** The same on a port that is not Diameter's, until a message was found. */
const MAX_UNEXPECTED = 65_536;

/** Limit of the places that are remembered as beginnings of segments. */
const MAX_BEGINS = 4096;

const DIAMETER_HEADER = 20;

/** Octets of the header up to the end of the command code. */
const CODE_END = 8;

/** Bits of the flags that are 0 (RFC 6733 3). */
const RESERVED_FLAGS = 0x0f;

export type Framed =
  | { readonly type: 'message'; readonly octets: Uint8Array }
  /** The beginning of a message of `length` octets whose end is not in the capture. */
  | { readonly type: 'part'; readonly octets: Uint8Array; readonly length: number; readonly why: 'lost' | 'cut' }
  | { readonly type: 'missing'; readonly length: number }
  /** Octets that begin a segment and no Diameter message. */
  | { readonly type: 'other'; readonly octets: Uint8Array };

/**
 * Finds the Diameter messages in one direction of a connection, even if the capture starts in the middle or has gaps.
 */
export class DiameterStream {
  /**
   * True on a Diameter port, or after a valid message. On other ports the stream counts as Diameter only once a message
   * decodes.
   */
  #isDiameter: boolean;
  readonly #expected: boolean;
  readonly #queue = new OctetQueue();
  /** Octets that have left the queue. */
  #gone = 0;
  /** Positions in the stream where segments begin, and a message may begin. */
  #begins: number[] = [];
  /** Remaining octets of a message that is not shown. */
  #skip = 0;

  constructor(expected: boolean) {
    this.#expected = expected;
    this.#isDiameter = expected;
  }

  /** Octets that wait for the rest of a message. */
  get held(): number {
    return this.#queue.length;
  }

  /** Whether the stream counts as Diameter. */
  get isDiameter(): boolean {
    return this.#isDiameter;
  }

  *push(pieces: readonly Piece[]): Generator<Framed> {
    for (const piece of pieces) {
      if (piece.type === 'new') {
        this.#isDiameter = this.#expected;
        this.#forget(this.#queue.length);
        this.#skip = 0;
      } else if (piece.type === 'missing') {
        yield* this.#missing(piece.length, piece.why);
      } else if (piece.type === 'earlier') {
        const stream = new DiameterStream(this.#isDiameter);
        yield* stream.push([{ type: 'octets', octets: piece.octets }]);
      } else if (this.#queue.length === 0 && this.#skip === 0 && !this.#isPlausible(piece.octets)) {
        // Most segments of most captures: nothing to copy.
        yield { type: 'other', octets: piece.octets };
      } else {
        this.#add(piece.octets);
        yield* this.#messages();
      }
    }
  }

  #add(octets: Uint8Array): void {
    const skipped = Math.min(this.#skip, octets.length);
    this.#skip -= skipped;
    if (skipped === octets.length) return;
    if (this.#begins.length < MAX_BEGINS) this.#begins.push(this.#gone + this.#queue.length);
    this.#queue.push(skipped === 0 ? octets : octets.subarray(skipped));
  }

  *#messages(): Generator<Framed> {
    while (this.#queue.length > 0) {
      const octets = this.#queue.octets;
      if (!this.#isPlausible(octets)) {
        // Not Diameter, or the middle of a message: the next segment may begin with one.
        if (this.#begins[0] === this.#gone) yield { type: 'other', octets };
        const next = this.#begins.find((begin) => begin > this.#gone);
        this.#forget(next === undefined ? octets.length : next - this.#gone);
        continue;
      }
      const length = octets.length < 4 ? undefined : u24(octets, 1);
      if (length === undefined || octets.length < length) return;
      const message = Uint8Array.from(octets.subarray(0, length));
      this.#forget(length);
      this.#isDiameter ||= decodes(message);
      if (this.#isDiameter) yield { type: 'message', octets: message };
    }
  }

  *#missing(length: number, why: 'lost' | 'cut'): Generator<Framed> {
    const octets = Uint8Array.from(this.#queue.octets);
    const whole = octets.length < 4 ? undefined : u24(octets, 1);
    this.#forget(octets.length);
    const skipped = Math.min(this.#skip, length);
    this.#skip -= skipped;
    this.#isDiameter ||= this.#beginsKnown(octets);
    if (!this.#isDiameter || (skipped > 0 && skipped === length)) return;
    if (whole !== undefined && this.#isPlausible(octets)) {
      this.#skip = Math.max(0, whole - octets.length - length);
      yield { type: 'part', octets, length: whole, why };
    } else {
      yield { type: 'missing', length };
    }
  }

  /** Whether the octets begin with the length, flags and code of a command that is known. */
  #beginsKnown(octets: Uint8Array): boolean {
    if (octets.length < CODE_END || !this.#isPlausible(octets)) return false;
    return commandOf(u24(octets, 5), ((octets[4] ?? 0) & FLAG.R) !== 0) !== undefined;
  }

  #forget(octets: number): void {
    this.#queue.skip(octets);
    this.#gone += octets;
    let past = 0;
    while (past < this.#begins.length && (this.#begins[past] ?? 0) < this.#gone) past += 1;
    if (past > 0) this.#begins.splice(0, past);
  }

  /** Whether the octets may begin a Diameter message, as far as they are there. */
  #isPlausible(octets: Uint8Array): boolean {
    if (octets[0] !== 1) return false;
    if (octets.length < 4) return true;
    const length = u24(octets, 1);
    if (length < DIAMETER_HEADER || length % 4 !== 0) return false;
    if (this.#isDiameter) return length <= MAX_MESSAGE;
    return length <= MAX_UNEXPECTED && ((octets[4] ?? 0) & RESERVED_FLAGS) === 0;
  }
}

/** Whether octets are a well-formed Diameter message. */
export function decodes(octets: Uint8Array): boolean {
  try {
    decodeDiameter(octets);
    return true;
  } catch (error) {
    if (error instanceof DecodeError) return false;
    throw error;
  }
}
