import { DecodeError } from '../../protocol/bytes/decode-error.js';
import { decodeDiameter, messageLength } from '../../protocol/diameter/wire/codec.js';
import type { Piece } from './tcp-stream.js';

/** Maximum size of a Diameter message in octets. A longer one is not recognized as Diameter. */
const MAX_MESSAGE = 1024 * 1024;

const DIAMETER_HEADER = 20;

export type Framed =
  | { readonly type: 'message'; readonly octets: Uint8Array }
  /** The beginning of a message of `length` octets whose end is not in the capture. */
  | { readonly type: 'part'; readonly octets: Uint8Array; readonly length: number; readonly why: 'lost' | 'cut' }
  | { readonly type: 'missing'; readonly length: number };

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
  #buffer: Uint8Array = new Uint8Array(0);
  /** Offsets in the buffer where segments begin, and a message may begin. */
  #begins: number[] = [];
  /** Remaining octets of a message that is not shown. */
  #skip = 0;

  constructor(expected: boolean) {
    this.#expected = expected;
    this.#isDiameter = expected;
  }

  *push(pieces: readonly Piece[]): Generator<Framed> {
    for (const piece of pieces) {
      if (piece.type === 'new') {
        this.#isDiameter = this.#expected;
        this.#forget(this.#buffer.length);
        this.#skip = 0;
      } else if (piece.type === 'missing') {
        yield* this.#missing(piece.length, piece.why);
      } else {
        this.#add(piece.octets);
        yield* this.#messages();
      }
    }
  }

  #add(octets: Uint8Array): void {
    const skipped = Math.min(this.#skip, octets.length);
    this.#skip -= skipped;
    this.#begins.push(this.#buffer.length);
    this.#buffer = Buffer.concat([this.#buffer, octets.subarray(skipped)]);
  }

  *#messages(): Generator<Framed> {
    while (this.#buffer.length > 0) {
      const length = messageLength(this.#buffer);
      if (this.#buffer[0] !== 1 || (length !== undefined && !isPlausible(length))) {
        // Not Diameter, or the middle of a message: the next segment may begin with one.
        this.#forget(this.#begins.find((begin) => begin > 0) ?? this.#buffer.length);
        continue;
      }
      if (length === undefined || this.#buffer.length < length) return;
      const octets = Uint8Array.from(this.#buffer.subarray(0, length));
      this.#forget(length);
      this.#isDiameter ||= decodes(octets);
      if (this.#isDiameter) yield { type: 'message', octets };
    }
  }

  *#missing(length: number, why: 'lost' | 'cut'): Generator<Framed> {
    const octets = Uint8Array.from(this.#buffer);
    const whole = messageLength(octets);
    this.#forget(octets.length);
    const skipped = Math.min(this.#skip, length);
    this.#skip -= skipped;
    if (!this.#isDiameter || skipped === length) return;
    if (octets[0] === 1 && whole !== undefined && isPlausible(whole)) {
      this.#skip = Math.max(0, whole - octets.length - length);
      yield { type: 'part', octets, length: whole, why };
    } else {
      yield { type: 'missing', length };
    }
  }

  #forget(octets: number): void {
    this.#buffer = this.#buffer.subarray(octets);
    this.#begins = this.#begins.flatMap((begin) => (begin >= octets ? [begin - octets] : []));
  }
}

function isPlausible(length: number): boolean {
  return length >= DIAMETER_HEADER && length <= MAX_MESSAGE && length % 4 === 0;
}

function decodes(octets: Uint8Array): boolean {
  try {
    decodeDiameter(octets);
    return true;
  } catch (error) {
    if (error instanceof DecodeError) return false;
    throw error;
  }
}
