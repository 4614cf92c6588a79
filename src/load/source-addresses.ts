import { formatAddress, parseAddress } from '../protocol/bytes/address.js';
import { OperatorError } from '../runtime/system/failure.js';

/** Bits of a network of which addresses are used: a million addresses are enough. */
const MOST_BITS = 20;

/**
 * Local addresses for nodes, from a list such as `2001:db8::1,127.1.0.0/16`. Of a network every address but the first
 * and the last is used, at most a million. Throws OperatorError.
 */
export class SourceAddresses {
  readonly #parts: readonly { readonly base: Uint8Array; readonly count: number; readonly first: number }[];
  /** Number of addresses. */
  readonly count: number;

  constructor(list: string) {
    this.#parts = list.split(',').map(partOf);
    this.count = this.#parts.reduce((sum, { count }) => sum + count, 0);
  }

  /** The address with this number; after the last one follows the first one. */
  at(number: number): string {
    let left = number % this.count;
    for (const { base, count, first } of this.#parts) {
      if (left < count) return formatAddress(plus(base, first + left));
      left -= count;
    }
    throw new RangeError(`no address ${number}`);
  }
}

function partOf(text: string): { base: Uint8Array; count: number; first: number } {
  const [address = '', length, ...more] = text.trim().split('/');
  const base = parseAddress(address);
  const bits = base ? 8 * base.length - Number(length ?? 8 * base.length) : Number.NaN;
  const isLength = length === undefined || /^\d{1,3}$/.test(length);
  if (!base || more.length > 0 || !isLength || bits < 0) {
    throw new OperatorError(`--local: "${text}" is not an address, nor a network such as 127.1.0.0/16`);
  }
  if (bits === 0) return { base, count: 1, first: 0 };
  const network = base.map((octet, at) => octet & mask(8 * (base.length - at) - bits));
  if (bits === 1) return { base: network, count: 2, first: 0 };
  return { base: network, count: 2 ** Math.min(bits, MOST_BITS) - 2, first: 1 };
}

/** The mask of an octet of which this many bits, counted from the top of the octet, belong to the network. */
function mask(kept: number): number {
  return (0xff00 >> Math.max(0, Math.min(8, kept))) & 0xff;
}

function plus(base: Uint8Array, number: number): Uint8Array {
  const octets = base.slice();
  let carry = number;
  for (let at = octets.length - 1; at >= 0 && carry > 0; at -= 1) {
    const sum = (octets[at] ?? 0) + carry;
    octets[at] = sum & 0xff;
    carry = Math.floor(sum / 256);
  }
  return octets;
}
