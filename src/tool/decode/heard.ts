import type { DiameterMessage } from '../../protocol/diameter/wire/codec.js';
import type { PanaMessage } from '../../protocol/pana/wire/codec.js';
import type { RadiusPacket } from '../../protocol/radius/wire/codec.js';
import type { Endpoint } from './dissector.js';

/** A message of a relay (RFC 6345): the message inside it, and the PaC that it concerns. */
export interface Relayed {
  readonly message: PanaMessage;
  readonly pac: Endpoint | undefined;
}

/** A message, or what is missing of one, as it is drawn in a ladder. */
export interface Heard {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly name: string;
  /** A shorter name, if there is little room. */
  readonly short: string;
  /** When the same message was sent before. */
  readonly repeats: number | undefined;
  readonly content:
    | { readonly protocol: 'pana'; readonly message: PanaMessage; readonly relayed: Relayed | undefined }
    | { readonly protocol: 'diameter'; readonly message: DiameterMessage | undefined }
    | { readonly protocol: 'radius'; readonly message: RadiusPacket };
}

/** A 32-bit hash (FNV-1a) of octets, to recognize the same ones again. */
export function hashOf(octets: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const octet of octets) hash = Math.imul(hash ^ octet, 0x01000193);
  return hash >>> 0;
}

/**
 * A map that forgets what was not used for long, in two generations: if the younger one is full, it replaces the older
 * one.
 */
export class RecentMap<V> {
  #young = new Map<string, V>();
  #old = new Map<string, V>();
  readonly #limit: number;

  /** `limit`: maximum number of entries. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get(key: string): V | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  set(key: string, value: V): void {
    this.#young.set(key, value);
    if (this.#young.size * 2 > this.#limit) {
      this.#old = this.#young;
      this.#young = new Map();
    }
  }

  delete(key: string): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }
}
