import { decodeDiameter, FLAG, HEADER_LENGTH } from '../../src/protocol/diameter/wire/codec.js';
import { CER, DPR, DWR } from '../../src/protocol/diameter/wire/commands.js';
import { AVPS } from '../../src/protocol/diameter/wire/dictionary.js';
import { RESULT } from '../../src/protocol/diameter/wire/result-codes.js';
import type { Life } from './clock.js';
import type { Scene } from './scene.js';

/** How often and how late requests are repeated. */
export interface Repetition {
  /** The probability that a request is repeated. */
  readonly chance: number;
  /**
   * The longest time between a request and its copy, in milliseconds, less than the time for which answers are stored.
   */
  readonly delay: number;
}

/** Positions of fields in the header of RFC 6733 3. */
const FLAGS_AT = 4;
const COMMAND_AT = 5;
const HOP_BY_HOP_AT = 12;
const END_TO_END_AT = 16;

/** Commands of a connection, which agents do not forward. */
const OF_CONNECTIONS: readonly number[] = [CER.code, DWR.code, DPR.code];

/** Result-Codes of requests that were not served. A copy of such a request is served again. */
const UNSERVED: readonly number[] = [RESULT.TOO_BUSY, RESULT.UNABLE_TO_COMPLY];

/** A request that is repeated, and its first answer. */
interface Asked {
  answer: Uint8Array | undefined;
  copies: number;
}

/** Delivers a copy to the server of a request; returns whether it was delivered. */
export type Carry = (from: Life, to: Life, octets: Uint8Array) => boolean;

/** A difference between the answers to a request and to its copy. */
export interface Disagreement {
  readonly server: string;
  readonly session: string;
  readonly text: string;
}

/**
 * An agent between two daemons that has lost a connection and therefore sends requests again with the T flag (RFC 6733
 * 5.5.4), over any connection that exists then. The server must answer a copy like the first request and serve the
 * request once.
 */
export class Repeats {
  readonly #scene: Scene;
  readonly #carry: Carry;
  readonly #differ: (disagreement: Disagreement) => void;
  /** Undefined: no request is repeated. */
  trouble: Repetition | undefined;
  readonly #asked = new Map<Life, Map<string, Asked>>();

  constructor(scene: Scene, carry: Carry, differ: (disagreement: Disagreement) => void) {
    this.#scene = scene;
    this.#carry = carry;
    this.#differ = differ;
  }

  /** Receives each message that one daemon sends to another. */
  sent(from: Life, to: Life, octets: Uint8Array): void {
    if (octets.length < HEADER_LENGTH || OF_CONNECTIONS.includes(commandOf(octets))) return;
    if (((octets[FLAGS_AT] ?? 0) & FLAG.R) === 0) this.#answered(from, octets);
    else if (this.trouble && this.#scene.dice.chance(this.trouble.chance)) this.#repeat(from, to, octets);
  }

  #repeat(from: Life, to: Life, octets: Uint8Array): void {
    const { clock, dice } = this.#scene;
    const key = keyOf(octets);
    const ofServer = this.#asked.get(to) ?? new Map<string, Asked>();
    this.#asked.set(to, ofServer);
    const asked = ofServer.get(key) ?? { answer: undefined, copies: 0 };
    ofServer.set(key, asked);
    asked.copies += 1;
    const copy = octets.slice();
    copy[FLAGS_AT] = (copy[FLAGS_AT] ?? 0) | FLAG.T;
    copy[HOP_BY_HOP_AT] = (copy[HOP_BY_HOP_AT] ?? 0) ^ 0x80;
    const { delay } = this.trouble ?? { delay: 0 };
    clock.after(dice.fraction() * delay, () => this.#carry(from, to, copy));
    // The copy is answered at once, or when the first request is.
    clock.after(2 * delay + 1_000, () => {
      asked.copies -= 1;
      if (asked.copies === 0) ofServer.delete(key);
      if (ofServer.size === 0) this.#asked.delete(to);
    });
  }

  #answered(server: Life, octets: Uint8Array): void {
    const asked = this.#asked.get(server)?.get(keyOf(octets));
    if (!asked) return;
    const first = asked.answer;
    if (!first) {
      asked.answer = octets.slice();
      return;
    }
    if (withoutHop(first).equals(withoutHop(octets))) return;
    const [one, other] = [first, octets].map(described);
    if (!one || !other || UNSERVED.includes(one.code)) return;
    const text = `answers ${one.code} and ${other.code} to one request of command ${commandOf(octets)}`;
    this.#differ({ server: server.name, session: one.session, text });
  }
}

function described(octets: Uint8Array): { readonly code: number; readonly session: string } {
  const { avps } = decodeDiameter(octets);
  const dataOf = ({ code }: { readonly code: number }) => avps.find((avp) => avp.code === code)?.data;
  const code = dataOf(AVPS['Result-Code']);
  return {
    code: code ? Buffer.from(code).readUInt32BE() : 0,
    session: new TextDecoder().decode(dataOf(AVPS['Session-Id'])),
  };
}

const commandOf = (octets: Uint8Array) => Buffer.from(octets.buffer, octets.byteOffset).readUIntBE(COMMAND_AT, 3);

/** The End-to-End Identifier of an encoded message. */
export function endToEndOf(octets: Uint8Array): number {
  return Buffer.from(octets.buffer, octets.byteOffset).readUInt32BE(END_TO_END_AT);
}

const keyOf = (octets: Uint8Array) => `${commandOf(octets)} ${endToEndOf(octets)}`;

/** A message without its Hop-by-Hop Identifier, which differs between copies. */
function withoutHop(octets: Uint8Array): Buffer {
  const copy = Buffer.from(octets);
  copy.fill(0, HOP_BY_HOP_AT, END_TO_END_AT);
  return copy.length < HEADER_LENGTH ? Buffer.alloc(0) : copy;
}
