import { concat } from '../bytes/octets.js';
import { ACKNOWLEDGEMENT, type EapTlsData } from './eap-tls.js';

/**
 * Maximum size of a TLS flight that is reassembled, in octets (RFC 5216 2.1.5). The configuration may set a lower
 * limit.
 */
export const MAX_FLIGHT = 65_536;

/** Minimum EAP packet size in octets: it must hold header, flags, length and some data. */
export const MIN_MTU = 64;

/**
 * Splits a flight into fragments for EAP packets of at most `mtu` octets. The first fragment has at most mtu - 10
 * octets, the others mtu - 6. A flight that fits in one packet has no length field (RFC 9190 2.1.9).
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

/** Why fragments are rejected. */
export type FragmentError = 'announces-too-much' | 'more-than-announced' | 'less-than-announced' | 'empty-fragment';

/** Reassembles a flight within its announced length and a limit. */
export class FlightBuffer {
  readonly #limit: number;
  #parts: Uint8Array[] = [];
  #length = 0;
  #announced: number | undefined;

  /** `limit`: maximum size of the flight in octets. */
  constructor(limit = MAX_FLIGHT) {
    this.#limit = limit;
  }

  /** Adds a fragment. Returns the whole flight after its last fragment, `more` before that, or the error. */
  add(data: EapTlsData): { readonly flight: Uint8Array } | 'more' | FragmentError {
    this.#announced ??= data.total;
    if ((this.#announced ?? 0) > this.#limit || (data.total ?? 0) > this.#limit) return 'announces-too-much';
    // A copy, because a view of one octet would keep its whole message in memory.
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

/** Reaction to a received packet. */
export type FragmentStep =
  /** Send the next fragment of the local flight. */
  | { readonly type: 'fragment'; readonly data: EapTlsData }
  /** Acknowledge a fragment; more follow. */
  | { readonly type: 'acknowledge'; readonly data: EapTlsData }
  /** The remote flight is complete. */
  | { readonly type: 'flight'; readonly flight: Uint8Array }
  | { readonly type: 'refused'; readonly detail: string };

/** Fragmentation in lock step (RFC 5216 2.1.5), the same for both roles: only one flight is in transit at a time. */
export class FragmentExchange {
  readonly #mtu: number;
  readonly #incoming: FlightBuffer;
  #outgoing: EapTlsData[] = [];

  /** `mtu`: maximum size of EAP packets to send, in octets. `limit`: maximum size of a flight to receive, in octets. */
  constructor(mtu: number, limit = MAX_FLIGHT) {
    this.#mtu = Math.max(MIN_MTU, mtu);
    this.#incoming = new FlightBuffer(limit);
  }

  /** Starts to send a flight and returns its first fragment. */
  send(flight: Uint8Array): EapTlsData {
    const [first = ACKNOWLEDGEMENT, ...rest] = cutFlight(flight, this.#mtu);
    this.#outgoing = rest;
    return first;
  }

  receive(data: EapTlsData): FragmentStep {
    const [next] = this.#outgoing;
    if (next) {
      const isAcknowledgement = data.fragment.length === 0 && !data.more;
      if (!isAcknowledgement) return { type: 'refused', detail: 'data instead of an acknowledgement' };
      this.#outgoing.shift();
      return { type: 'fragment', data: next };
    }
    const added = this.#incoming.add(data);
    if (added === 'more') return { type: 'acknowledge', data: ACKNOWLEDGEMENT };
    if (typeof added === 'string') return { type: 'refused', detail: added };
    return { type: 'flight', flight: added.flight };
  }
}
