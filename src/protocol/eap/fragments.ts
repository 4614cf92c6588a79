import { concat } from '../bytes/octets.js';
import { ACKNOWLEDGEMENT, type EapTlsData } from './eap-tls.js';

/** Octets of the longest TLS flight that is reassembled (RFC 5216 2.1.5); a lower limit may be configured. */
export const MAX_FLIGHT = 65_536;

/** The smallest EAP packet size that leaves room for progress: header, flags, length and some data. */
export const MIN_MTU = 64;

/**
 * Cuts a flight into fragments for EAP packets of at most `mtu` octets: the first fragment has at most mtu - 10 octets,
 * the others mtu - 6. A flight that fits one packet carries no length (RFC 9190 2.1.9).
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

/** Reassembles a flight, within the announced length and a limit. */
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
    // A copy: a fragment of one octet would keep the whole message in memory that it came in.
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

/** What follows from a received packet. */
export type FragmentStep =
  /** The next fragment of our own flight. */
  | { readonly type: 'fragment'; readonly data: EapTlsData }
  /** More fragments of the other end's flight are to come. */
  | { readonly type: 'acknowledge'; readonly data: EapTlsData }
  /** The other end's flight is complete. */
  | { readonly type: 'flight'; readonly flight: Uint8Array }
  | { readonly type: 'refused'; readonly detail: string };

/** Fragmentation in lock step (RFC 5216 2.1.5), the same for both roles: one flight is on its way at a time. */
export class FragmentExchange {
  readonly #mtu: number;
  readonly #incoming: FlightBuffer;
  #outgoing: EapTlsData[] = [];

  /** `mtu`: octets of the largest EAP packet to send. `limit`: octets of a flight to receive. */
  constructor(mtu: number, limit = MAX_FLIGHT) {
    this.#mtu = Math.max(MIN_MTU, mtu);
    this.#incoming = new FlightBuffer(limit);
  }

  /** Begins a flight of ours: its first fragment. */
  send(flight: Uint8Array): EapTlsData {
    const [first = ACKNOWLEDGEMENT, ...rest] = cutFlight(flight, this.#mtu);
    this.#outgoing = rest;
    return first;
  }

  receive(data: EapTlsData): FragmentStep {
    const [next] = this.#outgoing;
    if (next) {
      const isAcknowledgement = data.fragment.length === 0 && !data.more;
      if (!isAcknowledgement) return { type: 'refused', detail: 'data where an acknowledgement was due' };
      this.#outgoing.shift();
      return { type: 'fragment', data: next };
    }
    const added = this.#incoming.add(data);
    if (added === 'more') return { type: 'acknowledge', data: ACKNOWLEDGEMENT };
    if (typeof added === 'string') return { type: 'refused', detail: added };
    return { type: 'flight', flight: added.flight };
  }
}
