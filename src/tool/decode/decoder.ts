import { DecodeError } from '../../protocol/bytes/decode-error.js';
import { type DiameterMessage, decodeDiameter, FLAG } from '../../protocol/diameter/wire/codec.js';
import { commandOf } from '../../protocol/diameter/wire/commands.js';
import { Dictionary } from '../../protocol/diameter/wire/dictionary.js';
import type { PanaMessage } from '../../protocol/pana/wire/codec.js';
import { messageName } from '../../protocol/pana/wire/dictionary.js';
import { PANA_PORT } from '../../protocol/pana/wire/ports.js';
import type { RadiusPacket } from '../../protocol/radius/wire/codec.js';
import { OperatorError } from '../../runtime/system/failure.js';
import { CaptureReader, isCapture } from './capture.js';
import { describeDiameter, describePana, describeSeal, diameterName, Flights } from './describe.js';
import { DiameterStream, decodes, type Framed } from './diameter-stream.js';
import { Direction, isDiameterPort } from './direction.js';
import { Dissector, type Packet } from './dissector.js';
import { Flows } from './flows.js';
import type { Heard } from './heard.js';
import type { Judgement, SessionKeys } from './keys.js';
import { type End, hidden, other } from './layer.js';
import { Notes } from './notes.js';
import { u24 } from './octets.js';
import { describeRadius, isRadiusPort, radiusName, radiusOf } from './radius.js';
import { panaHeaderOf, panaOf, panaProblem, relayedIn } from './relay.js';
import { Repeats } from './repeats.js';
import { PPID_DTLS, SctpMessages } from './sctp.js';
import { sealOfDiameter, sealOfPana, sealOfRadius } from './seals.js';
import type { Piece } from './tcp-stream.js';
import { type BadText, type Block, TextReader } from './text.js';

const ETHERNET = 1;
const RAW_IP = 101;

/** Octets that tell the format of the input. */
const MAGIC = 4;

/** A decoded message as text, or the reason why it could not be decoded. */
export interface Decoded {
  readonly ok: boolean;
  readonly text: string;
  /** The message in a ladder. */
  readonly heard?: Heard;
}

type Input =
  | { readonly type: 'capture'; readonly reader: CaptureReader }
  | { readonly type: 'text'; readonly reader: TextReader };

/**
 * Decodes PANA, Diameter and RADIUS messages to text. The input arrives in pieces of any size. Keeps the state that is needed to
 * reassemble packets, streams and messages, within limits.
 */
export class Decoder {
  readonly #vendorId: number;
  readonly #dictionary: Dictionary;
  readonly #flights = new Flights();
  readonly #dissector = new Dissector();
  readonly #streams = new Flows<Direction>();
  readonly #associations = new Flows<SctpMessages>();
  readonly #repeats = new Repeats();
  readonly #notes = new Notes();
  readonly #keys: SessionKeys | undefined;
  readonly #detail: boolean;
  #input: Input | undefined;
  #begin = new Uint8Array(0);
  #time = 0;

  /** `keys`: those that verify AUTH. `detail`: false: only the names of messages are needed, for a ladder. */
  constructor(vendorId: number, keys?: SessionKeys, detail = true) {
    this.#vendorId = vendorId;
    this.#keys = keys;
    this.#detail = detail;
    this.#dictionary = new Dictionary(vendorId);
  }

  /** Decodes a whole input. Throws DecodeError, or OperatorError if it is neither a capture nor hexadecimal text. */
  *decode(input: Uint8Array): Generator<Decoded> {
    yield* this.push(input);
    yield* this.end();
  }

  /** Decodes the next piece of a capture file or of hexadecimal text. Throws as `decode` does. */
  *push(piece: Uint8Array): Generator<Decoded> {
    let octets = piece;
    if (!this.#input) {
      octets = this.#begin.length === 0 ? piece : Buffer.concat([this.#begin, piece]);
      if (octets.length < MAGIC) {
        this.#begin = Uint8Array.from(octets);
        return;
      }
      this.#input = inputOf(octets);
    }
    if (this.#input.type === 'text') yield* this.#blocks(this.#input.reader.push(octets));
    else for (const frame of this.#input.reader.push(octets)) yield* this.#frame(frame.at, this.#dissector.read(frame));
  }

  /** Decodes what is left when the input ends. Throws DecodeError if it ends too early. */
  *end(): Generator<Decoded> {
    this.#input ??= inputOf(this.#begin);
    if (this.#input.type === 'text') {
      if (this.#begin.length > 0 && this.#begin.length < MAGIC)
        yield* this.#blocks(this.#input.reader.push(this.#begin));
      yield* this.#blocks(this.#input.reader.end());
      yield* this.finish();
    } else {
      yield* this.finish();
      this.#input.reader.end();
    }
  }

  /** Decodes what waits for packets that do not come. */
  *finish(): Generator<Decoded> {
    yield* this.#frame(this.#time, this.#dissector.end(this.#time));
    for (const direction of this.#streams.end()) yield* this.#giveUp(direction);
    for (const association of this.#associations.end()) this.#giveUpAssociation(association);
  }

  /** What could not be read, and may contain messages, as text for people. */
  get skipped(): string[] {
    return this.#notes.hidden;
  }

  /** What the capture contains besides, as text for people. */
  get others(): string[] {
    return this.#notes.others;
  }

  message(octets: Uint8Array, packet?: Packet): Decoded {
    const pana = panaOf(octets);
    if (pana) return this.#pana(pana, octets, packet);
    let message: DiameterMessage;
    try {
      message = decodeDiameter(octets);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      const why = octets[0] === 1 ? `as Diameter: ${error.message}` : `as PANA: ${panaProblem(octets)}`;
      return { ok: false, text: at(packet, `${octets.length} octets that are not a message; ${why}`) };
    }
    const seal = this.#seal(() => sealOfDiameter(message, this.#dictionary));
    const text = this.#detail
      ? [...describeDiameter(message, this.#dictionary, this.#flights), ...seal].join('\n')
      : '';
    const repeats = packet && this.#repeats.diameter(packet, message, octets);
    const name = diameterName(message, this.#dictionary);
    const content = { protocol: 'diameter', message } as const;
    return { ok: true, text: at(packet, text, repeats), ...heard(packet, { name, short: name, repeats, content }) };
  }

  #pana(message: PanaMessage, octets: Uint8Array, packet: Packet | undefined): Decoded {
    const relayed = relayedIn(message, this.#vendorId);
    const judged = relayed ?? { message, octets };
    const judgement = this.#keys?.judge(judged.message, judged.octets);
    const opened = this.#detail ? this.#keys?.open(judged.message, this.#vendorId) : undefined;
    const lines = this.#detail ? describePana(message, this.#vendorId, this.#flights, judgement?.text, opened) : [];
    const seal = this.#seal(() => sealOfPana([...judged.message.avps, ...(opened?.avps ?? [])], this.#vendorId));
    const text = [...lines, ...seal].join('\n');
    const repeats = packet && this.#repeats.pana(packet, message, octets);
    const { rfc, paper } = messageName(judged.message);
    const marks = mark(judgement);
    const named = (name: string) => (relayed ? `PRY: ${name}${marks}` : `${name}${marks}`);
    const content = { protocol: 'pana', message, relayed } as const;
    const names = { name: named(rfc === paper ? rfc : `${rfc} / ${paper}`), short: named(rfc) };
    return { ok: true, text: at(packet, text, repeats), ...heard(packet, { ...names, repeats, content }) };
  }

  /** The lines of a sealed assignment, if its key is known. */
  #seal(find: () => Uint8Array | undefined): string[] {
    const value = this.#detail && this.#keys ? find() : undefined;
    const opened = value && this.#keys?.seals.open(value);
    return opened ? describeSeal(opened, this.#vendorId) : [];
  }

  #radius(message: RadiusPacket, packet: Packet): Decoded {
    const seal = this.#seal(() => sealOfRadius(message, this.#vendorId));
    const text = this.#detail ? [...describeRadius(message, this.#vendorId, this.#flights), ...seal].join('\n') : '';
    const repeats = this.#repeats.radius(packet, packet.payload);
    const name = radiusName(message);
    const content = { protocol: 'radius', message } as const;
    return { ok: true, text: at(packet, text, repeats), ...heard(packet, { name, short: name, repeats, content }) };
  }

  *#blocks(blocks: Iterable<Block | BadText>): Generator<Decoded> {
    for (const block of blocks) {
      if ('problem' in block) yield { ok: false, text: `line ${block.line}: ${block.problem}` };
      else if (block.isDump) yield* this.#dump(block.octets);
      else yield this.message(block.octets);
    }
  }

  /** Decodes the octets of a message, of a stream, or of a dumped frame. */
  *#dump(octets: Uint8Array): Generator<Decoded> {
    const first = octets[0] ?? 0;
    if (panaOf(octets)) {
      yield this.message(octets);
    } else if (first === 1) {
      const stream = new DiameterStream(true);
      let found = false;
      for (const framed of stream.push([{ type: 'octets', octets }])) {
        if (framed.type === 'other') continue;
        found = true;
        const decoded = this.#framed(framed, undefined);
        if (decoded) yield decoded;
      }
      if (!found) yield this.message(octets);
    } else {
      const linkType = first >> 4 === 4 || first >> 4 === 6 ? RAW_IP : ETHERNET;
      yield* this.#frame(0, this.#dissector.read({ at: 0, linkType, octets, missing: 0 }));
    }
  }

  *#frame(time: number, contents: readonly (Packet | End)[]): Generator<Decoded> {
    this.#time = time;
    for (const content of contents) {
      if ('end' in content) this.#notes.count(content);
      else if (content.protocol === 'tcp') yield* this.#tcp(content);
      else if (content.protocol === 'udp') yield* this.#udp(content);
      else yield* this.#sctp(content);
    }
  }

  *#udp(packet: Packet): Generator<Decoded> {
    const { payload, cut, from, to } = packet;
    const radius = cut === 0 ? radiusOf(packet) : undefined;
    const expected = from.port === PANA_PORT || to.port === PANA_PORT;
    const header = cut > 0 ? panaHeaderOf(payload, payload.length + cut) : undefined;
    if (cut > 0 && (expected || header)) {
      yield this.#cutPana(packet, header);
    } else if (expected || panaOf(payload)) {
      yield this.message(payload, packet);
    } else if (cut > 0 && isRadiusPort(packet)) {
      yield { ok: false, text: at(packet, `a RADIUS packet, ${cause(packet)}: ${cut} octets are missing`) };
    } else if (radius) {
      yield this.#radius(radius, packet);
    } else {
      this.#notes.count(other(`packets on UDP port ${Math.min(from.port, to.port)}`));
    }
  }

  #cutPana(packet: Packet, header: PanaMessage | undefined): Decoded {
    const { payload, cut } = packet;
    const found = `${payload.length} of ${payload.length + cut} octets were captured`;
    if (!header) return { ok: false, text: at(packet, `a PANA message, ${cause(packet)}: ${found}`) };
    const { rfc } = messageName(header);
    const text = at(packet, `PANA ${rfc}, ${cause(packet)}: ${found}`);
    const name = `${rfc} ? incomplete`;
    const content = { protocol: 'pana', message: header, relayed: undefined } as const;
    return { ok: false, text, ...heard(packet, { name, short: name, repeats: undefined, content }) };
  }

  *#sctp(packet: Extract<Packet, { protocol: 'sctp' }>): Generator<Decoded> {
    const isExpected = isDiameterPort(packet);
    for (const chunk of packet.data) {
      if (chunk.ppid === PPID_DTLS) {
        this.#notes.count(hidden('packets of DTLS over SCTP, which are encrypted'));
        continue;
      }
      const key = `${keyOf(packet)} ${packet.tag} ${chunk.stream}`;
      const messages = this.#associations.get(key, () => new SctpMessages());
      for (const octets of messages.push(chunk)) {
        if (isExpected || isMessage(octets)) yield this.message(octets, packet);
        else this.#notes.count(other(`messages on SCTP port ${Math.min(packet.from.port, packet.to.port)}`));
      }
      for (const old of this.#associations.settle(key)) this.#giveUpAssociation(old);
    }
    if (packet.cut > 0 && isExpected) {
      const text = `an SCTP packet, ${cause(packet)}: ${packet.cut} octets are missing`;
      yield { ok: false, text: at(packet, text) };
    }
  }

  #giveUpAssociation(association: SctpMessages): void {
    const left = association.finish();
    if (left > 0) this.#notes.count(hidden('fragments of SCTP messages of which others are missing'), left);
  }

  *#tcp(packet: Extract<Packet, { protocol: 'tcp' }>): Generator<Decoded> {
    const { acknowledged } = packet;
    if (packet.payload.length + packet.cut === 0 && !packet.syn) {
      if (acknowledged !== undefined) yield* this.#acknowledged(this.#streams.find(backOf(packet)), acknowledged);
      return;
    }
    const key = keyOf(packet);
    const direction = this.#streams.get(key, () => new Direction(packet));
    direction.packet = packet;
    if (acknowledged !== undefined) {
      direction.back ??= this.#streams.find(backOf(packet));
      yield* this.#acknowledged(direction.back, acknowledged);
    }
    yield* this.#pieces(direction, direction.tcp.push(packet));
    for (const old of this.#streams.settle(key)) yield* this.#giveUp(old);
  }

  *#acknowledged(back: Direction | undefined, number: number): Generator<Decoded> {
    if (back && back.tcp.held > 0) yield* this.#pieces(back, back.tcp.acknowledged(number));
  }

  *#pieces(direction: Direction, pieces: readonly Piece[]): Generator<Decoded> {
    if (pieces.length === 0) return;
    for (const framed of direction.diameter.push(pieces)) {
      if (framed.type === 'other') direction.count(framed.octets);
      const decoded = this.#framed(framed, direction.packet);
      if (decoded) yield decoded;
    }
  }

  *#giveUp(direction: Direction): Generator<Decoded> {
    yield* this.#pieces(direction, direction.tcp.finish());
    yield* this.#pieces(direction, direction.rest());
    for (const [end, count] of direction.notes()) this.#notes.count(end, count);
  }

  #framed(framed: Framed, packet: Packet | undefined): Decoded | undefined {
    if (framed.type === 'other') return undefined;
    if (framed.type === 'message') return this.message(framed.octets, packet);
    if (framed.type === 'missing') {
      const text = at(packet, `a segment of ${framed.length} octets was not captured`);
      return { ok: false, text, ...gap(packet, `? ${framed.length} octets missing`) };
    }
    const { octets, length, why } = framed;
    const name = partName(octets);
    const because = why === 'lost' ? 'with a segment missing' : packet ? cause(packet) : 'cut';
    const text = at(packet, `Diameter ${name}, ${because}: ${octets.length} of ${length} octets are present`);
    return { ok: false, text, ...gap(packet, `${name} ? incomplete`) };
  }
}

function inputOf(octets: Uint8Array): Input {
  if (isCapture(octets)) return { type: 'capture', reader: new CaptureReader() };
  if (octets.includes(0)) throw new OperatorError('neither a capture (pcap, pcapng) nor hexadecimal text');
  return { type: 'text', reader: new TextReader() };
}

function keyOf({ from, to }: Pick<Packet, 'from' | 'to'>): string {
  return `${from.address} ${from.port} ${to.address} ${to.port}`;
}

function backOf({ from, to }: Packet): string {
  return keyOf({ from: to, to: from });
}

function isMessage(octets: Uint8Array): boolean {
  return octets[0] === 1 ? decodes(octets) : panaOf(octets) !== undefined;
}

/** Why the end of a packet is missing. */
function cause({ why }: Packet): string {
  return why === 'fragments' ? 'with IP fragments missing' : 'cut by the snapshot length';
}

/** The line with time and addresses above a message of a capture. */
function at(packet: Packet | undefined, text: string, repeats?: number): string {
  if (!packet) return text;
  const { from, to } = packet;
  const again = repeats === undefined ? '' : `  repeat of ${clock(repeats)}`;
  return `${clock(packet.at)}  ${from.address} port ${from.port} → ${to.address} port ${to.port}${again}\n${text}`;
}

function clock(time: number): string {
  return new Date(time).toISOString().slice(-13, -1);
}

function heard(packet: Packet | undefined, message: Omit<Heard, 'at' | 'from' | 'to'>): { heard?: Heard } {
  return packet ? { heard: { at: packet.at, from: packet.from, to: packet.to, ...message } } : {};
}

/** A gap in a stream, in a ladder. */
function gap(packet: Packet | undefined, name: string): { heard?: Heard } {
  const content = { protocol: 'diameter', message: undefined } as const;
  return heard(packet, { name, short: name, repeats: undefined, content });
}

/** The message name according to a Diameter header, if the header is complete. */
function partName(octets: Uint8Array): string {
  if (octets.length < 8) return 'message';
  const code = u24(octets, 5);
  return commandOf(code, ((octets[4] ?? 0) & FLAG.R) !== 0)?.name ?? `command ${code}`;
}

/** A mark beside a message's name in a ladder. */
function mark(judgement: Judgement | undefined): string {
  if (!judgement) return '';
  return judgement.right ? ' ✓' : ' ✗ AUTH';
}
