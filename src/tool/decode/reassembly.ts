import type { Ends, Fragment } from './layer.js';

/** Limits of the packets that wait for fragments. Beyond them, the oldest is given up. */
const MAX_PACKETS = 1024;
const MAX_HELD = 16 * 1024 * 1024;

/** Limit of the fragments of a packet: 65,535 octets in pieces of eight, as a hostile capture may have them. */
const MAX_FRAGMENTS = 8192;

/** Maximum size of a packet in octets. */
const MAX_PACKET = 65_535;

/** RFC 8200 4.5: fragments are collected for 60 s. In milliseconds. */
const LIFETIME = 60_000;

/** A packet whose fragments are not all there: how far it is complete from its beginning. */
export interface Rest {
  readonly number: number;
  readonly ends: Ends;
  readonly payload: Uint8Array;
  /** Octets after `payload`, as far as they are known of. */
  readonly missing: number;
}

export type Reassembled =
  /** The fragment was kept, or was there before. */
  | { readonly type: 'kept' }
  | { readonly type: 'whole'; readonly number: number; readonly payload: Uint8Array }
  /** RFC 5722: the packet is dropped; hosts differ in what they make of it. */
  | { readonly type: 'overlap' }
  | { readonly type: 'too long' };

interface Part {
  readonly offset: number;
  readonly octets: Uint8Array;
}

interface Packet {
  readonly since: number;
  readonly ends: Ends;
  /** In order of their offsets. */
  readonly parts: Part[];
  /** The protocol, from the first fragment. */
  number: number;
  held: number;
  total: number | undefined;
  /** The packet was complete, or is not to be had; what remains of it is ignored. */
  state: 'open' | 'whole' | 'dropped';
}

/** Reassembles IP packets. Bounded in memory, whatever a capture contains. */
export class Reassembly {
  readonly #packets = new Map<string, Packet>();
  #held = 0;

  /** How many packets are kept. */
  get size(): number {
    return this.#packets.size;
  }

  /** Takes a fragment. `missing`: octets of it that were not captured. */
  add(at: number, fragment: Fragment, number: number, ends: Ends, payload: Uint8Array, missing: number): Reassembled {
    const key = `${ends.from} ${ends.to} ${fragment.id}`;
    let packet = this.#packets.get(key);
    if (packet && at - packet.since > LIFETIME) {
      this.#drop(key, packet);
      packet = undefined;
    }
    if (packet?.state === 'whole' && !isRepeat(packet, fragment, payload)) {
      // The identification is used again.
      this.#drop(key, packet);
      packet = undefined;
    }
    if (packet && packet.state !== 'open') return { type: 'kept' };
    if (!packet) {
      packet = { since: at, ends, parts: [], number, held: 0, total: undefined, state: 'open' };
      this.#packets.set(key, packet);
    }
    const end = fragment.offset + payload.length + missing;
    if (fragment.offset === 0) packet.number = number;
    if (end > MAX_PACKET || packet.parts.length >= MAX_FRAGMENTS) return this.#give(packet, 'too long');
    if (!fragment.more) {
      if (packet.total !== undefined && packet.total !== end) return this.#give(packet, 'overlap');
      packet.total = end;
    }
    if (!this.#insert(packet, fragment.offset, payload)) return this.#give(packet, 'overlap');
    const last = packet.parts.at(-1);
    const { total } = packet;
    if (total === undefined) return { type: 'kept' };
    if (last && last.offset + last.octets.length > total) return this.#give(packet, 'overlap');
    // No parts overlap, so the packet is complete when it has as many octets.
    if (packet.held < total) return { type: 'kept' };
    packet.state = 'whole';
    return { type: 'whole', number: packet.number, payload: joined(packet) };
  }

  /** Packets that are given up: too old, or beyond the limits. */
  *expired(at: number): Generator<Rest> {
    for (const [key, packet] of this.#packets) {
      const isTooMuch = this.#packets.size >= MAX_PACKETS || this.#held > MAX_HELD;
      if (!isTooMuch && at - packet.since <= LIFETIME) return;
      this.#drop(key, packet);
      if (packet.state === 'open') yield restOf(packet);
    }
  }

  /** Packets that are incomplete when no more fragments follow. */
  *end(): Generator<Rest> {
    yield* this.expired(Number.POSITIVE_INFINITY);
  }

  /** Returns false if the fragment overlaps another one, and is not its repetition. */
  #insert(packet: Packet, offset: number, payload: Uint8Array): boolean {
    let place = packet.parts.length;
    while (place > 0 && (packet.parts[place - 1]?.offset ?? 0) > offset) place -= 1;
    const before = packet.parts[place - 1];
    const after = packet.parts[place];
    if (before?.offset === offset && Buffer.compare(before.octets, payload) === 0) return true;
    if (before && before.offset + before.octets.length > offset) return false;
    if (after && offset + payload.length > after.offset) return false;
    if (payload.length === 0) return true;
    packet.parts.splice(place, 0, { offset, octets: Uint8Array.from(payload) });
    packet.held += payload.length;
    this.#held += payload.length;
    return true;
  }

  #give(packet: Packet, type: 'overlap' | 'too long'): Reassembled {
    this.#held -= packet.held;
    packet.held = 0;
    packet.parts.length = 0;
    packet.state = 'dropped';
    return { type };
  }

  #drop(key: string, packet: Packet): void {
    this.#held -= packet.held;
    this.#packets.delete(key);
  }
}

function isRepeat(packet: Packet, { offset }: Fragment, payload: Uint8Array): boolean {
  return packet.parts.some((part) => part.offset === offset && Buffer.compare(part.octets, payload) === 0);
}

/** The octets from the beginning of a packet to the first gap. */
function joined({ parts }: Packet): Uint8Array {
  let length = 0;
  const found: Uint8Array[] = [];
  for (const { offset, octets } of parts) {
    if (offset !== length) break;
    length += octets.length;
    found.push(octets);
  }
  return Buffer.concat(found);
}

function restOf(packet: Packet): Rest {
  const payload = joined(packet);
  const last = packet.parts.at(-1);
  const known = packet.total ?? (last ? last.offset + last.octets.length : 0);
  return { number: packet.number, ends: packet.ends, payload, missing: Math.max(1, known - payload.length) };
}
