import { DecodeError } from '../../protocol/bytes/decode-error.js';
import { fromHex } from '../../protocol/bytes/octets.js';
import { decodeDiameter, messageLength } from '../../protocol/diameter/codec.js';
import { Dictionary } from '../../protocol/diameter/dictionary.js';
import { decodePana, type PanaMessage } from '../../protocol/pana/codec.js';
import { messageName } from '../../protocol/pana/dictionary.js';
import { isCapture, readCapture } from './capture.js';
import { describeDiameter, describePana, diameterName, type Flights } from './describe.js';
import type { Judgement, SessionKeys } from './keys.js';
import { type Packet, packetOf, TcpStream } from './packets.js';

/** RFC 5191 10.1. */
const PANA_PORT = 716;

/** A Diameter message of a capture has no more octets than this; anything else is no Diameter. */
const MAX_MESSAGE = 1024 * 1024;

const DIAMETER_HEADER = 20;

/** Text of a decoded message, or what is wrong with it. */
export interface Decoded {
  readonly ok: boolean;
  readonly text: string;
  /** Its name, for a ladder. */
  readonly name?: string;
  /** Where it was seen. */
  readonly packet?: Packet;
}

/** Makes PANA and Diameter messages readable. Holds what fragments and TCP segments need of those before them. */
export class Decoder {
  readonly #vendorId: number;
  readonly #dictionary: Dictionary;
  readonly #flights: Flights = new Map();
  readonly #streams = new Map<string, TcpStream>();

  readonly #keys: SessionKeys | undefined;

  constructor(vendorId: number, keys?: SessionKeys) {
    this.#vendorId = vendorId;
    this.#keys = keys;
    this.#dictionary = new Dictionary(vendorId);
  }

  /** A capture file, or text of hexadecimal messages with empty lines between. */
  *decode(input: Uint8Array): Generator<Decoded> {
    if (isCapture(input)) yield* this.#capture(input);
    else yield* this.#text(Buffer.from(input).toString('utf8'));
  }

  /** One message. */
  message(octets: Uint8Array): Decoded {
    const pana = panaOf(octets);
    if (pana) return this.#pana(pana, octets);
    try {
      const message = decodeDiameter(octets);
      const name = diameterName(message, this.#dictionary);
      return { ok: true, name, text: describeDiameter(message, this.#dictionary, this.#flights).join('\n') };
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      const why = octets[0] === 1 ? `as Diameter: ${error.message}` : `as PANA: ${panaProblem(octets)}`;
      return { ok: false, text: `${octets.length} octets that are no message; ${why}` };
    }
  }

  #pana(message: PanaMessage, octets: Uint8Array): Decoded {
    const judgement = this.#keys?.judge(message, octets);
    const text = describePana(message, this.#vendorId, this.#flights, judgement?.text).join('\n');
    const { rfc, paper } = messageName(message);
    return { ok: true, name: `${rfc === paper ? rfc : `${rfc} / ${paper}`}${mark(judgement)}`, text };
  }

  *#text(text: string): Generator<Decoded> {
    const blocks = text
      .split('\n')
      .map((line) => line.replace(/#.*/, '').trim())
      .join('\n')
      .split(/\n\n+/)
      .filter((block) => block.trim() !== '');
    for (const block of blocks) {
      try {
        yield this.message(fromHex(block.replaceAll(/^0x/gm, '')));
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
        yield { ok: false, text: `not hexadecimal: ${error.message}` };
      }
    }
  }

  *#capture(input: Uint8Array): Generator<Decoded> {
    for (const frame of readCapture(input)) {
      const packet = packetOf(frame);
      if (packet?.protocol === 'udp') {
        const pana = panaOf(packet.payload);
        const expected = packet.from.port === PANA_PORT || packet.to.port === PANA_PORT;
        if (pana || expected) yield this.#at(packet, this.message(packet.payload));
      } else if (packet) {
        for (const message of this.#diameter(packet)) yield this.#at(packet, this.message(message));
      }
    }
  }

  #at(packet: Packet, { text, ...decoded }: Decoded): Decoded {
    const { at, from, to } = packet;
    const time = new Date(at).toISOString().slice(11, 23);
    return {
      ...decoded,
      packet,
      text: `${time}  ${from.address} port ${from.port} → ${to.address} port ${to.port}\n${text}`,
    };
  }

  /** Whole messages that this segment completes. */
  *#diameter(packet: Packet): Generator<Uint8Array> {
    const key = `${packet.from.address} ${packet.from.port} ${packet.to.address} ${packet.to.port}`;
    const stream = this.#streams.get(key) ?? new TcpStream();
    this.#streams.set(key, stream);
    stream.push(packet);
    for (;;) {
      const { octets } = stream;
      const length = messageLength(octets);
      if (length === undefined) return;
      if (octets[0] !== 1 || length < DIAMETER_HEADER || length > MAX_MESSAGE || length % 4 !== 0) {
        // Not Diameter, or captured from the middle: the next segment may begin with a message.
        stream.drop();
        return;
      }
      if (octets.length < length) return;
      yield stream.take(length);
    }
  }
}

/** Beside a message's name in a ladder. */
function mark(judgement: Judgement | undefined): string {
  if (!judgement) return '';
  return judgement.right ? ' ✓' : ' ✗ AUTH';
}

/** A PANA message, if these octets can be one: known type, reserved field zero. */
function panaOf(octets: Uint8Array): PanaMessage | undefined {
  if (octets[0] !== 0 || octets[1] !== 0) return undefined;
  try {
    const message = decodePana(octets);
    return message.type >= 1 && message.type <= 5 ? message : undefined;
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

function panaProblem(octets: Uint8Array): string {
  try {
    return `type ${decodePana(octets).type} is not known`;
  } catch (error) {
    return (error as Error).message;
  }
}
