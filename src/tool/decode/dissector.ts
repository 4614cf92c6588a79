import type { Frame } from './capture.js';
import { IP_LAYERS, ipEnd, ipv4, ipv6, SCTP, TCP, tunnel, UDP, UDP_LITE } from './internet-layers.js';
import { type End, type Ends, hidden, type Inner, type Layer, SHORT, type Table } from './layer.js';
import { ETHER_LAYERS, etherEnd, LINK_LAYERS, linkEnd, PPP_LAYERS, pppEnd } from './link-layers.js';
import { u16, u32 } from './octets.js';
import { Reassembly, type Rest } from './reassembly.js';
import { type SctpData, sctpData } from './sctp.js';

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** The payload of UDP, TCP or SCTP in one frame, or in one reassembled IP packet. */
export type Packet = {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly from: Endpoint;
  readonly to: Endpoint;
  /** A view of the frame. */
  readonly payload: Uint8Array;
  /** Octets at the end of the payload that are not there, and why: snapshot length, or missing fragments. */
  readonly cut: number;
  readonly why: 'snapshot' | 'fragments';
} & (
  | { readonly protocol: 'udp' }
  | {
      readonly protocol: 'tcp';
      readonly sequence: number;
      readonly acknowledged: number | undefined;
      readonly syn: boolean;
    }
  /** `tag`: the verification tag, which differs between associations of the same ports. */
  | { readonly protocol: 'sctp'; readonly tag: number; readonly data: readonly SctpData[] }
);

/** Maximum nesting of layers. */
const MAX_DEPTH = 32;

ETHER_LAYERS.set(0x0800, ipv4);
ETHER_LAYERS.set(0x86dd, ipv6);

const TABLES: Readonly<Record<Table, ReadonlyMap<number, Layer>>> = {
  link: LINK_LAYERS,
  ether: ETHER_LAYERS,
  ppp: PPP_LAYERS,
  ip: IP_LAYERS,
};

const ENDS: Readonly<Record<Table, (number: number) => End>> = {
  link: linkEnd,
  ether: etherEnd,
  ppp: pppEnd,
  ip: ipEnd,
};

const TOO_DEEP = hidden(`frames with more than ${MAX_DEPTH} layers`);
const OVERLAP = hidden('packets with overlapping fragments, dropped as RFC 5722 requires');
const TOO_LONG = hidden('packets with fragments beyond 65,535 octets');
const INCOMPLETE = hidden('packets with missing fragments');

/** Finds the transport payload in frames. Keeps the fragments of IP packets. */
export class Dissector {
  readonly #reassembly = new Reassembly();

  /** Returns what a frame contains. A fragment that completes nothing contains nothing. */
  read(frame: Frame): (Packet | End)[] {
    const late = this.#reassembly.size === 0 ? [] : this.#rests(frame.at, this.#reassembly.expired(frame.at));
    const found = this.#walk(frame.at, { table: 'link', number: frame.linkType, payload: frame.octets }, frame.missing);
    return found ? [...late, found] : late;
  }

  /** Returns what is incomplete when no more frames follow. `at`: the time of the last frame. */
  end(at: number): (Packet | End)[] {
    return this.#rests(at, this.#reassembly.end());
  }

  /** The beginning of an incomplete packet, if its transport header is there. */
  #rests(at: number, rests: Iterable<Rest>): (Packet | End)[] {
    const out: (Packet | End)[] = [];
    for (const { number, ends, payload, missing } of rests) {
      const packet = isTransport(number) ? transport(at, number, ends, payload, missing, 'fragments') : INCOMPLETE;
      out.push('end' in packet ? INCOMPLETE : packet);
    }
    return out;
  }

  #walk(at: number, outer: Inner, cut: number): Packet | End | undefined {
    let layer = outer;
    let missing = cut;
    let ends: Ends | undefined;
    for (let depth = 0; depth < MAX_DEPTH; depth += 1) {
      const { table, number, payload } = layer;
      let next: Inner | End;
      if (table === 'ip' && isTransport(number) && ends) {
        const packet = transport(at, number, ends, payload, missing, 'snapshot');
        const inner = 'end' in packet || packet.protocol !== 'udp' ? undefined : tunnel(packet.to.port, packet.payload);
        if (!inner) return packet;
        next = inner;
      } else {
        const read = TABLES[table].get(number);
        if (!read) return ENDS[table](number);
        next = read(payload);
      }
      if ('end' in next) return next;
      ends = next.ends ?? ends;
      missing = next.missing ?? missing;
      if (next.fragment && ends) {
        const done = this.#reassembly.add(at, next.fragment, next.number, ends, next.payload, missing);
        if (done.type === 'kept') return undefined;
        if (done.type === 'overlap') return OVERLAP;
        if (done.type === 'too long') return TOO_LONG;
        next = { table: 'ip', number: done.number, payload: done.payload };
        missing = 0;
      }
      layer = next;
    }
    return TOO_DEEP;
  }
}

function isTransport(protocol: number): boolean {
  return protocol === UDP || protocol === TCP || protocol === SCTP || protocol === UDP_LITE;
}

function transport(
  at: number,
  protocol: number,
  ends: Ends,
  octets: Uint8Array,
  missing: number,
  why: Packet['why'],
): Packet | End {
  if (octets.length < 8) return SHORT;
  const from = { address: ends.from, port: u16(octets, 0) };
  const to = { address: ends.to, port: u16(octets, 2) };
  if (protocol === UDP || protocol === UDP_LITE) {
    // The length of UDP-Lite is that of its checksum. A length of 0 is that of segmentation offload.
    const length = protocol === UDP ? u16(octets, 4) : 0;
    const whole = length < 8 ? octets.length - 8 + missing : length - 8;
    const payload = octets.subarray(8, 8 + Math.min(whole, octets.length - 8));
    const absent = whole - payload.length;
    return {
      at,
      protocol: 'udp',
      from,
      to,
      payload,
      cut: why === 'fragments' ? absent : Math.min(missing, absent),
      why,
    };
  }
  if (protocol === SCTP) {
    if (octets.length < 12) return SHORT;
    const { data, missing: cut } = sctpData(octets.subarray(12));
    return { at, protocol: 'sctp', from, to, payload: octets.subarray(12), cut, why, tag: u32(octets, 4), data };
  }
  const header = ((octets[12] ?? 0) >> 4) * 4;
  if (octets.length < 20 || header < 20 || octets.length < header) return SHORT;
  const flags = octets[13] ?? 0;
  return {
    at,
    protocol: 'tcp',
    from,
    to,
    sequence: u32(octets, 4),
    acknowledged: flags & 0x10 ? u32(octets, 8) : undefined,
    syn: (flags & 2) !== 0,
    payload: octets.subarray(header),
    cut: missing,
    why,
  };
}
