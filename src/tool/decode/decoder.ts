import { DecodeError } from '../../protocol/bytes/decode-error.js';
import { decodeDiameter, FLAG } from '../../protocol/diameter/wire/codec.js';
import { commandOf } from '../../protocol/diameter/wire/commands.js';
import { Dictionary } from '../../protocol/diameter/wire/dictionary.js';
import { DIAMETER_PORT, DIAMETER_TLS_PORT } from '../../protocol/diameter/wire/ports.js';
import { decodePana, type PanaMessage } from '../../protocol/pana/wire/codec.js';
import { messageName } from '../../protocol/pana/wire/dictionary.js';
import { PANA_PORT } from '../../protocol/pana/wire/ports.js';
import { OperatorError } from '../../runtime/system/failure.js';
import { isCapture, readCapture } from './capture.js';
import { describeDiameter, describePana, diameterName, type Flights } from './describe.js';
import { DiameterStream, type Framed } from './diameter-stream.js';
import type { Judgement, SessionKeys } from './keys.js';
import { type Packet, packetOf } from './packets.js';
import { SctpMessages } from './sctp.js';
import { type Piece, TcpStream } from './tcp-stream.js';
import { type Block, blocksOf } from './text.js';

/** RFC 6733 11.4: the ports of Diameter, and of Diameter over TLS. */
const DIAMETER_PORTS = new Set([DIAMETER_PORT, DIAMETER_TLS_PORT]);

const ETHERNET = 1;
const RAW_IP = 101;

/** A decoded message as text, or the reason why it could not be decoded. */
export interface Decoded {
  readonly ok: boolean;
  readonly text: string;
  /** The name of the message, for a ladder. */
  readonly name?: string;
  /** The packet that contained the message. */
  readonly packet?: Packet;
}

/**
 * Decodes PANA and Diameter messages to text. Keeps the state that is needed to reassemble fragments and TCP segments.
 */
export class Decoder {
  readonly #vendorId: number;
  readonly #dictionary: Dictionary;
  readonly #flights: Flights = new Map();
  readonly #streams = new Map<string, Direction>();
  readonly #associations = new Map<string, SctpMessages>();
  readonly #skipped = new Map<string, number>();
  readonly #keys: SessionKeys | undefined;

  constructor(vendorId: number, keys?: SessionKeys) {
    this.#vendorId = vendorId;
    this.#keys = keys;
    this.#dictionary = new Dictionary(vendorId);
  }

  /** Decodes a capture file or hexadecimal text. Throws DecodeError, or OperatorError if the input is neither. */
  *decode(input: Uint8Array): Generator<Decoded> {
    if (isCapture(input)) yield* this.#capture(input);
    else if (input.includes(0)) throw new OperatorError('neither a capture (pcap, pcapng) nor hexadecimal text');
    else yield* this.#text(Buffer.from(input).toString('utf8'));
  }

  /** The parts of a capture that were not decoded, as text for people. */
  get skipped(): string[] {
    return [...this.#skipped].map(([what, count]) => `${count} ${what}`);
  }

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
      return { ok: false, text: `${octets.length} octets that are not a message; ${why}` };
    }
  }

  #pana(message: PanaMessage, octets: Uint8Array): Decoded {
    const judgement = this.#keys?.judge(message, octets);
    const text = describePana(message, this.#vendorId, this.#flights, judgement?.text).join('\n');
    const { rfc, paper } = messageName(message);
    return { ok: true, name: `${rfc === paper ? rfc : `${rfc} / ${paper}`}${mark(judgement)}`, text };
  }

  *#text(text: string): Generator<Decoded> {
    for (const block of blocksOf(text)) {
      if ('problem' in block) yield { ok: false, text: `line ${block.line}: ${block.problem}` };
      else if (block.isDump) yield* this.#dump(block);
      else yield this.message(block.octets);
    }
  }

  /** Decodes the octets of a message, of a stream, or of a dumped frame. */
  *#dump({ octets }: Block): Generator<Decoded> {
    const first = octets[0] ?? 0;
    if (panaOf(octets)) {
      yield this.message(octets);
    } else if (first === 1) {
      const stream = new DiameterStream(true);
      let found = false;
      for (const framed of stream.push([{ type: 'octets', octets }])) {
        found = true;
        yield this.#framed(framed);
      }
      if (!found) yield this.message(octets);
    } else {
      const linkType = first >> 4 === 4 || first >> 4 === 6 ? RAW_IP : ETHERNET;
      yield* this.#frame(packetOf({ at: 0, linkType, octets }));
    }
  }

  *#capture(input: Uint8Array): Generator<Decoded> {
    for (const frame of readCapture(input)) yield* this.#frame(packetOf(frame));
    for (const { packet, tcp, diameter } of this.#streams.values()) yield* this.#pieces(packet, diameter, tcp.finish());
  }

  *#frame(packet: ReturnType<typeof packetOf>): Generator<Decoded> {
    if ('skipped' in packet) {
      const { skipped } = packet;
      if (skipped !== undefined) this.#skipped.set(skipped, (this.#skipped.get(skipped) ?? 0) + 1);
      return;
    }
    switch (packet.protocol) {
      case 'udp':
        yield* this.#udp(packet);
        break;
      case 'tcp':
        yield* this.#tcp(packet);
        break;
      case 'sctp': {
        const key = `${keyOf(packet)} `;
        for (const chunk of packet.data) {
          const messages = entry(this.#associations, `${key}${chunk.stream}`, () => new SctpMessages());
          for (const octets of messages.push(chunk)) {
            const decoded = this.message(octets);
            if (decoded.ok || isDiameterPort(packet)) yield this.#at(packet, decoded);
          }
        }
        if (packet.cut > 0 && isDiameterPort(packet)) {
          yield this.#at(packet, {
            ok: false,
            text: `an SCTP packet, cut by the snapshot length: ${packet.cut} octets are missing`,
          });
        }
      }
    }
  }

  *#udp(packet: Packet): Generator<Decoded> {
    const { payload, cut, from, to } = packet;
    const expected = from.port === PANA_PORT || to.port === PANA_PORT;
    if (cut > 0 && expected) {
      const all = payload.length + cut;
      const text = `a PANA message, cut by the snapshot length: ${payload.length} of ${all} octets were captured`;
      yield this.#at(packet, { ok: false, text });
    } else if (panaOf(payload) || expected) {
      yield this.#at(packet, this.message(payload));
    }
  }

  *#tcp(packet: Extract<Packet, { protocol: 'tcp' }>): Generator<Decoded> {
    const back = this.#streams.get(keyOf({ from: packet.to, to: packet.from }));
    if (back && packet.acknowledged !== undefined) {
      yield* this.#pieces(back.packet, back.diameter, back.tcp.acknowledged(packet.acknowledged));
    }
    const direction = entry(this.#streams, keyOf(packet), () => ({
      packet,
      tcp: new TcpStream(),
      diameter: new DiameterStream(isDiameterPort(packet)),
    }));
    direction.packet = packet;
    yield* this.#pieces(packet, direction.diameter, direction.tcp.push(packet));
  }

  *#pieces(packet: Packet, diameter: DiameterStream, pieces: readonly Piece[]): Generator<Decoded> {
    for (const framed of diameter.push(pieces)) yield this.#at(packet, this.#framed(framed));
  }

  #framed(framed: Framed): Decoded {
    if (framed.type === 'message') return this.message(framed.octets);
    if (framed.type === 'missing') {
      return { ok: false, text: `a segment of ${framed.length} octets was not captured` };
    }
    const { octets, length, why } = framed;
    const cause = why === 'cut' ? 'cut by the snapshot length' : 'with a segment missing';
    return {
      ok: false,
      text: `Diameter ${partName(octets)}, ${cause}: ${octets.length} of ${length} octets are present`,
    };
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
}

/** One direction of a connection. */
interface Direction {
  /** The last packet in this direction. */
  packet: Packet;
  readonly tcp: TcpStream;
  readonly diameter: DiameterStream;
}

function keyOf({ from, to }: Pick<Packet, 'from' | 'to'>): string {
  return `${from.address} ${from.port} ${to.address} ${to.port}`;
}

function isDiameterPort({ from, to }: Packet): boolean {
  return DIAMETER_PORTS.has(from.port) || DIAMETER_PORTS.has(to.port);
}

function entry<V>(map: Map<string, V>, key: string, make: () => V): V {
  const value = map.get(key) ?? make();
  map.set(key, value);
  return value;
}

/** The message name according to a Diameter header, if the header is complete. */
function partName(octets: Uint8Array): string {
  if (octets.length < 8) return 'message';
  const code = ((octets[5] ?? 0) << 16) | ((octets[6] ?? 0) << 8) | (octets[7] ?? 0);
  return commandOf(code, ((octets[4] ?? 0) & FLAG.R) !== 0)?.name ?? `command ${code}`;
}

/** A mark beside a message's name in a ladder. */
function mark(judgement: Judgement | undefined): string {
  if (!judgement) return '';
  return judgement.right ? ' ✓' : ' ✗ AUTH';
}

/** Decodes a PANA message. Undefined if the octets cannot be one: unknown type, or reserved field not zero. */
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
    return `unknown message type ${decodePana(octets).type}`;
  } catch (error) {
    return (error as Error).message;
  }
}
