/** The tables of layers: link types of tcpdump.org, EtherTypes, PPP protocols, IP protocols. */
export type Table = 'link' | 'ether' | 'ppp' | 'ip';

/** Source and destination as in an IP header. */
export interface Ends {
  readonly from: string;
  readonly to: string;
}

/** A part of an IP packet. `offset` in octets; `id` is unique for the ends, for some time. */
export interface Fragment {
  readonly id: string;
  readonly offset: number;
  readonly more: boolean;
}

/** What a layer contains: the payload and the layer that reads it. */
export interface Inner {
  readonly table: Table;
  readonly number: number;
  readonly payload: Uint8Array;
  /** Octets at the end of the payload that were not captured, if the header tells. */
  readonly missing?: number;
  readonly ends?: Ends;
  readonly fragment?: Fragment;
}

/**
 * The layer cannot be read further. `hides`: PANA or Diameter may be in it; otherwise it is a protocol that never contains
 * either.
 */
export interface End {
  readonly end: string;
  readonly hides: boolean;
}

/** Reads the header of a layer. */
export type Layer = (octets: Uint8Array) => Inner | End;

/** The frame ends within a header. */
export const SHORT: End = { end: 'frames that end within a header', hides: true };

export function hidden(end: string): End {
  return { end, hides: true };
}

export function other(end: string): End {
  return { end, hides: false };
}

/** A layer of a fixed number of octets before another layer. */
export function skipTo(length: number, table: Table, number: number): Layer {
  return (octets) => (octets.length < length ? SHORT : { table, number, payload: octets.subarray(length) });
}

/** A layer of a fixed number of octets before an IP packet of either version. */
export function skipToIp(length: number): Layer {
  return (octets) => (octets.length <= length ? SHORT : byVersion(octets.subarray(length)));
}

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_IPV6 = 0x86dd;

/** An IP packet whose version is only in its own header. */
export function byVersion(payload: Uint8Array): Inner | End {
  const version = (payload[0] ?? 0) >> 4;
  if (version === 4) return { table: 'ether', number: ETHERTYPE_IPV4, payload };
  if (version === 6) return { table: 'ether', number: ETHERTYPE_IPV6, payload };
  return hidden('frames that contain no IP packet');
}

/** `0x88cc`: a number of a protocol, as registries print it. */
export function hex16(value: number): string {
  return `0x${value.toString(16).padStart(4, '0')}`;
}
