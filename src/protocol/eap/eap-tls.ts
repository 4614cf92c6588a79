import { DecodeError } from '../bytes/decode-error.js';
import { concat } from '../bytes/octets.js';
import { Reader } from '../bytes/reader.js';
import { Writer } from '../bytes/writer.js';

/** RFC 5216 3.1: flags. */
const LENGTH_INCLUDED = 0x80;
const MORE_FRAGMENTS = 0x40;
const START = 0x20;

/** A TLS flight put together from fragments has no more octets than this (RFC 5216 2.1.5), and may have to have fewer. */
export const MAX_FLIGHT = 65_536;

/** The smallest EAP packet size that leaves room for progress: header, flags, length and some data. */
export const MIN_MTU = 64;

/** Type-Data of an EAP-TLS packet, RFC 5216 3.1 and 3.2. `total` is TLS Message Length. */
export interface EapTlsData {
  readonly start: boolean;
  readonly more: boolean;
  readonly total: number | undefined;
  readonly fragment: Uint8Array;
}

/** No data: an acknowledgement of a fragment, or of the last flight. */
export const ACKNOWLEDGEMENT: EapTlsData = { start: false, more: false, total: undefined, fragment: new Uint8Array(0) };

/*
 *  +---------------+-----------------------------------------------+
 *  |L M S R R R R R|  TLS Message Length, four octets, only with L |
 *  +---------------+-----------------------------------------------+
 *  |  TLS records ...
 */
export function decodeEapTls(octets: Uint8Array): EapTlsData {
  const reader = new Reader(octets);
  const flags = reader.u8();
  const total = flags & LENGTH_INCLUDED ? reader.u32() : undefined;
  const fragment = reader.rest();
  if (total !== undefined && total < fragment.length)
    throw new DecodeError('bad-length', 1, `TLS Message Length ${total}`);
  return { start: (flags & START) !== 0, more: (flags & MORE_FRAGMENTS) !== 0, total, fragment };
}

export function encodeEapTls(data: EapTlsData): Uint8Array {
  const { start, more, total, fragment } = data;
  const length = total === undefined ? 0 : LENGTH_INCLUDED;
  const writer = new Writer(fragment.length + 5).u8(length | (more ? MORE_FRAGMENTS : 0) | (start ? START : 0));
  if (total !== undefined) writer.u32(total);
  return writer.bytes(fragment).finish();
}

/**
 * Cuts a flight into fragments for EAP packets of at most `mtu` octets: the first holds mtu - 10 of them, the others
 * mtu - 6. A flight that fits one packet has no length (RFC 9190 2.1.9).
 */
export function cutFlight(flight: Uint8Array, mtu: number): EapTlsData[] {
  if (flight.length <= mtu - 6) return [{ start: false, more: false, total: undefined, fragment: flight }];
  const out: EapTlsData[] = [];
  for (let at = 0; at < flight.length; ) {
    const total = at === 0 ? flight.length : undefined;
    const fragment = flight.subarray(at, at + mtu - (at === 0 ? 10 : 6));
    at += fragment.length;
    out.push({ start: false, more: at < flight.length, total, fragment });
  }
  return out;
}

/** Why a stream of fragments is refused. */
export type FragmentError = 'announces-too-much' | 'more-than-announced' | 'less-than-announced' | 'empty-fragment';

/** Puts a flight together again, within what was announced and a limit. */
export class FlightBuffer {
  readonly #limit: number;
  #parts: Uint8Array[] = [];
  #length = 0;
  #announced: number | undefined;

  /** `limit`: octets. */
  constructor(limit = MAX_FLIGHT) {
    this.#limit = limit;
  }

  /** The whole flight after its last fragment; `more` before; or what is wrong. */
  add(data: EapTlsData): { readonly flight: Uint8Array } | 'more' | FragmentError {
    this.#announced ??= data.total;
    if ((this.#announced ?? 0) > this.#limit || (data.total ?? 0) > this.#limit) return 'announces-too-much';
    // A copy: a fragment of one octet would hold on to the whole message that it came in.
    this.#parts.push(data.more ? data.fragment.slice() : data.fragment);
    this.#length += data.fragment.length;
    if (this.#length > (this.#announced ?? this.#limit)) return 'more-than-announced';
    if (data.more) return data.fragment.length === 0 ? 'empty-fragment' : 'more';
    if (this.#announced !== undefined && this.#length < this.#announced) return 'less-than-announced';
    const flight = this.#parts.length === 1 ? data.fragment : concat(...this.#parts);
    this.#parts = [];
    this.#length = 0;
    this.#announced = undefined;
    return { flight };
  }
}
