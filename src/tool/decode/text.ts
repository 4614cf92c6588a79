import { StringDecoder } from 'node:string_decoder';
import { DecodeError } from '../../protocol/bytes/decode-error.js';
import { fromHex } from '../../protocol/bytes/octets.js';

/** The octets of hexadecimal text, with the line where they begin. */
export interface Block {
  readonly line: number;
  readonly octets: Uint8Array;
  /**
   * Whether the lines begin with offsets, as printed by tcpdump -x, tshark -x and Wireshark. The octets may then be a
   * frame or a stream.
   */
  readonly isDump: boolean;
}

/** The error in the text, which begins at this line. */
export interface BadText {
  readonly line: number;
  readonly problem: string;
}

/** A dump line: offset, octets, and the octets as characters. */
const DUMP_LINE =
  /^\s*(?:0x)?([0-9a-f]{4,8})(?::\s+|\s{2,})((?:[0-9a-f]{2}){1,4}(?: (?:[0-9a-f]{2}){1,4})*(?: {2}[0-9a-f]{2}(?: [0-9a-f]{2})*)?)(?:\s{2,}.*|\s*)$/i;

/** The heading of a dump by tshark that is not a frame: octets that were in the frames before. */
const OTHER_HEADING = /^(?!Frame|Packet)\S.* \(\d+ bytes?\):$/;

/** Maximum length of a line and of the digits of a message in characters, and of the octets of a dump. */
const MAX_LINE = 4 * 1024 * 1024;
const MAX_DUMP = 1024 * 1024;

/** Maximum length of a dump line in characters; those of all programs are shorter. */
const MAX_DUMP_LINE = 1000;

/** Lines after which the text is messages, unless a dump line was among them. */
const MAX_UNDECIDED = 1000;

type Mode =
  /** The lines so far, and how many blank lines end a block of digits. */
  | { readonly type: 'undecided'; readonly lines: string[] }
  | { readonly type: 'messages'; begin: number; digits: string[]; length: number }
  | { readonly type: 'dumps'; begin: number; digits: string[]; length: number; isOther: boolean };

/** Parses hexadecimal text that arrives in pieces: messages separated by empty lines, or dumps with offsets. */
export class TextReader {
  readonly #decoder = new StringDecoder('utf8');
  #mode: Mode = { type: 'undecided', lines: [] };
  #rest = '';
  /** The number of the last complete line. */
  #line = 0;
  #ended = false;

  *push(piece: Uint8Array): Generator<Block | BadText> {
    if (this.#ended) return;
    const lines = (this.#rest + this.#decoder.write(piece as Buffer)).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      yield* this.#add(line.replace(/\r$/, ''));
      if (this.#ended) return;
    }
    if (this.#rest.length > MAX_LINE) yield this.#fail(`a line of more than ${MAX_LINE} characters`);
  }

  *end(): Generator<Block | BadText> {
    if (this.#ended) return;
    yield* this.#add(this.#rest + this.#decoder.end());
    if (this.#mode.type === 'undecided') yield* this.#decide('messages');
    yield* this.#flush();
  }

  *#add(line: string): Generator<Block | BadText> {
    this.#line += 1;
    if (this.#mode.type === 'messages') return yield* this.#message(line, this.#line);
    if (this.#mode.type === 'dumps') return yield* this.#dump(line);
    this.#mode.lines.push(line);
    if (dumpOf(line)?.offset === 0) yield* this.#decide('dumps');
    else if (isBlank(line) ? areDigits(this.#mode.lines) : this.#mode.lines.length > MAX_UNDECIDED) {
      yield* this.#decide('messages');
    }
  }

  /** Reads the lines so far again. */
  *#decide(type: 'messages' | 'dumps'): Generator<Block | BadText> {
    const lines = this.#mode.type === 'undecided' ? this.#mode.lines : [];
    this.#line -= lines.length;
    this.#mode =
      type === 'messages'
        ? { type, begin: 0, digits: [], length: 0 }
        : { type, begin: 0, digits: [], length: 0, isOther: false };
    for (const line of lines) {
      yield* this.#add(line);
      if (this.#ended) return;
    }
  }

  *#message(given: string, number: number): Generator<Block | BadText> {
    if (this.#mode.type !== 'messages') return;
    const line = given.replace(/#.*/, '').trim();
    if (line === '') return yield* this.#flush();
    if (this.#mode.digits.length === 0) this.#mode.begin = number;
    this.#mode.digits.push(line.replace(/^0x/, ''));
    this.#mode.length += line.length;
    if (this.#mode.length > MAX_LINE) yield this.#fail(`a message of more than ${MAX_LINE} characters`);
  }

  /** Other lines between dumps, such as tcpdump's packet summary, end a dump. */
  *#dump(line: string): Generator<Block | BadText> {
    const mode = this.#mode;
    if (mode.type !== 'dumps') return;
    const found = dumpOf(line);
    if (!found) {
      yield* this.#flush();
      if (!isBlank(line)) mode.isOther = OTHER_HEADING.test(line.slice(0, MAX_DUMP_LINE));
      return;
    }
    const { offset, digits } = found;
    if (offset === 0) {
      yield* this.#flush();
      mode.begin = this.#line;
    } else if (offset !== mode.length) {
      yield this.#fail(`offset ${offset} after ${mode.length} octets`);
      return;
    }
    mode.digits.push(digits);
    mode.length += digits.length / 2;
    if (mode.length > MAX_DUMP) yield this.#fail(`a dump of more than ${MAX_DUMP} octets`);
  }

  *#flush(): Generator<Block | BadText> {
    const mode = this.#mode;
    if (mode.type === 'undecided' || mode.digits.length === 0) return;
    const digits = mode.digits.join('\n');
    mode.digits = [];
    mode.length = 0;
    const isOther = mode.type === 'dumps' && mode.isOther;
    if (mode.type === 'dumps') mode.isOther = false;
    if (!isOther) yield octetsOf(digits, mode.begin, mode.type === 'dumps');
  }

  #fail(problem: string): BadText {
    this.#ended = true;
    return { line: this.#line, problem };
  }
}

function isBlank(line: string): boolean {
  return line.replace(/#.*/, '').trim() === '';
}

/** Whether the lines are digits, besides comments. */
function areDigits(lines: readonly string[]): boolean {
  const digits = lines.filter((line) => !isBlank(line));
  return digits.length > 0 && digits.every((line) => /^\s*(?:0x)?[0-9a-f:\s]+(?:#.*)?$/i.test(line));
}

function dumpOf(line: string): { readonly offset: number; readonly digits: string } | undefined {
  if (line.length > MAX_DUMP_LINE) return undefined;
  const [, offset, digits] = DUMP_LINE.exec(line) ?? [];
  if (offset === undefined || digits === undefined) return undefined;
  return { offset: Number.parseInt(offset, 16), digits: digits.replaceAll(/\s/g, '') };
}

function octetsOf(digits: string, line: number, isDump: boolean): Block | BadText {
  try {
    return { line, octets: fromHex(digits), isDump };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return { line, problem: `not hexadecimal: ${error.message}` };
  }
}
