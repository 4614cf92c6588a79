import { type DiameterMessage, FLAG } from '../../protocol/diameter/wire/codec.js';
import { MESSAGE_TYPE, type PanaMessage } from '../../protocol/pana/wire/codec.js';
import type { Endpoint } from './dissector.js';
import { hashOf, RecentMap } from './heard.js';

/** Limit of the messages that are remembered. */
const MAX_MESSAGES = 16_384;

interface Ends {
  readonly at: number;
  readonly from: Endpoint;
  readonly to: Endpoint;
}

/** Recognizes messages that are sent again. */
export class Repeats {
  readonly #seen = new RecentMap<number>(MAX_MESSAGES);

  /** When the same PANA message was sent before. RFC 5191 9: a retransmission is the same octets. */
  pana({ at, from, to }: Ends, { type, sequence }: PanaMessage, octets: Uint8Array): number | undefined {
    const ends = `${from.address} ${from.port} ${to.address} ${to.port}`;
    // After an answer, the same PCI begins another session.
    if (type === MESSAGE_TYPE.AUTH) this.#seen.delete(`PCI ${to.address} ${to.port} ${from.address} ${from.port}`);
    if (type === MESSAGE_TYPE.PCI) return this.#before(`PCI ${ends}`, at);
    return this.#before(`${ends} ${sequence} ${octets.length} ${hashOf(octets)}`, at);
  }

  /** When the same Diameter message was sent before between these hosts: RFC 6733 3, same End-to-End Identifier. */
  diameter({ at, from, to }: Ends, message: DiameterMessage, octets: Uint8Array): number | undefined {
    const { commandCode, flags, endToEnd } = message;
    const key = `${from.address} ${to.address} ${commandCode} ${flags & FLAG.R} ${endToEnd}`;
    // Hop-by-Hop Identifier and T flag differ.
    return this.#before(`${key} ${octets.length} ${hashOf(octets.subarray(20))}`, at);
  }

  /** When the same RADIUS packet was sent before (RFC 5080 2.2.2: a retransmission is the same octets). */
  radius({ at, from, to }: Ends, octets: Uint8Array): number | undefined {
    const ends = `${from.address} ${from.port} ${to.address} ${to.port}`;
    return this.#before(`RADIUS ${ends} ${octets.length} ${hashOf(octets)}`, at);
  }

  #before(key: string, at: number): number | undefined {
    const before = this.#seen.get(key);
    this.#seen.set(key, before ?? at);
    return before;
  }
}
