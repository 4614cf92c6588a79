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

/** Parses hexadecimal text: messages separated by empty lines, or dumps with offsets. */
export function* blocksOf(text: string): Generator<Block | BadText> {
  const lines = text.split(/\r?\n/);
  yield* lines.some((line) => offsetOf(line) === 0) ? dumps(lines) : messages(lines);
}

function* messages(lines: readonly string[]): Generator<Block | BadText> {
  let begin = 0;
  let digits = '';
  for (const [i, given] of [...lines, ''].entries()) {
    const line = given.replace(/#.*/, '').trim();
    if (line !== '') {
      if (digits === '') begin = i;
      digits += `${line.replace(/^0x/, '')}\n`;
    } else if (digits !== '') {
      yield octetsOf(digits, begin + 1, false);
      digits = '';
    }
  }
}

/** Other lines between the lines of a dump, such as tcpdump's packet summary, are ignored. */
function* dumps(lines: readonly string[]): Generator<Block | BadText> {
  let begin = 0;
  let length = 0;
  let digits = '';
  for (const [i, line] of [...lines, '0000  00'].entries()) {
    const offset = offsetOf(line);
    if (offset === undefined) continue;
    const found = DUMP_LINE.exec(line)?.[2]?.replaceAll(/\s/g, '') ?? '';
    if (offset === 0) {
      if (digits !== '') yield octetsOf(digits, begin + 1, true);
      begin = i;
      length = 0;
      digits = '';
    }
    if (offset !== length) {
      yield { line: i + 1, problem: `offset ${offset} after ${length} octets` };
      return;
    }
    digits += found;
    length += found.length / 2;
  }
}

function offsetOf(line: string): number | undefined {
  const offset = DUMP_LINE.exec(line)?.[1];
  return offset === undefined ? undefined : Number.parseInt(offset, 16);
}

function octetsOf(digits: string, line: number, isDump: boolean): Block | BadText {
  try {
    return { line, octets: fromHex(digits), isDump };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return { line, problem: `not hexadecimal: ${error.message}` };
  }
}
