import { readFile } from 'node:fs/promises';
import { DecodeError } from '../../protocol/bytes/decode-error.js';
import { print } from '../../runtime/cli/cli.js';
import { OperatorError } from '../../runtime/system/failure.js';
import { CaptureLadder } from './capture-ladder.js';
import { type Decoded, Decoder } from './decoder.js';
import { type Input, openInput } from './input.js';
import { SessionKeys } from './keys.js';

/** Columns of a ladder, if the output is no terminal. */
const WIDTH = 80;

interface Arguments {
  readonly file?: string | undefined;
  readonly 'vendor-id': number;
  readonly keys?: string | undefined;
  readonly ladder: boolean;
  readonly messages: boolean;
  readonly width?: number | undefined;
}

/**
 * Prints every message as it arrives, and a ladder when the input ends; without messages, the ladder of a pipe grows. The
 * exit status is 1 if a part could not be decoded.
 */
export async function decodeCommand(argv: Arguments): Promise<void> {
  const keys = argv.keys === undefined ? undefined : await readKeys(argv.keys);
  // The parser turns the positional argument `-` into an empty one.
  const isDash = argv.file === '' && process.argv.includes('-');
  const input = await openInput(isDash ? undefined : argv.file);
  const decoder = new Decoder(argv['vendor-id'], keys, argv.messages);
  const output = new Output(argv, input.isLive);
  const problem = await decodeAll(input, decoder, output);
  const { name } = input;
  if (output.count === 0) {
    const found = problem ?? 'it contains no PANA, Diameter or RADIUS message';
    throw new OperatorError([`${name}: ${found}`, ...decoder.skipped, ...decoder.others].join('; '));
  }
  output.finish();
  if (decoder.skipped.length > 0) note(`${name}: not read: ${decoder.skipped.join('; ')}`);
  if (problem !== undefined) {
    note(`${name}: ${problem}`);
    process.exitCode = 1;
  }
}

/** Returns why the input could not be read to its end; what was before is decoded. */
async function decodeAll(input: Input, decoder: Decoder, output: Output): Promise<string | undefined> {
  try {
    for await (const piece of input.pieces) output.show(decoder.push(piece));
    output.show(decoder.end());
    return undefined;
  } catch (error) {
    if (!(error instanceof DecodeError || error instanceof OperatorError)) throw error;
    output.show(decoder.finish());
    // The name is before every message of this command.
    return error.message.startsWith(`${input.name}: `) ? error.message.slice(input.name.length + 2) : error.message;
  }
}

/** Prints messages and the ladder. */
class Output {
  readonly #messages: boolean;
  readonly #ladder: CaptureLadder | undefined;
  readonly #grows: boolean;
  count = 0;

  constructor({ messages, ladder, width }: Arguments, isLive: boolean) {
    this.#messages = messages;
    this.#ladder = ladder ? new CaptureLadder(width ?? process.stdout.columns ?? WIDTH) : undefined;
    this.#grows = isLive && !messages;
  }

  show(decoded: Iterable<Decoded>): void {
    let lines: string[] = [];
    const flush = () => {
      if (lines.length > 0) print(lines.join('\n'));
      lines = [];
    };
    try {
      for (const { ok, text, heard } of decoded) {
        if (this.#messages) lines.push(this.count > 0 ? `\n${text}` : text);
        this.count += 1;
        if (!ok) process.exitCode = 1;
        if (heard) this.#ladder?.add(heard);
        if (this.#grows) lines.push(...(this.#ladder?.next() ?? []));
        if (lines.length >= MAX_LINES) flush();
      }
    } finally {
      flush();
    }
  }

  finish(): void {
    const ladder = this.#grows ? undefined : this.#ladder?.draw();
    if (ladder !== undefined) print(this.#messages ? `\n${ladder}` : ladder);
  }
}

/** Limit of the messages that are printed together. */
const MAX_LINES = 256;

function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function readKeys(path: string): Promise<SessionKeys> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new OperatorError(`cannot read ${path}: ${error.code ?? error.message}`);
  });
  return SessionKeys.read(text, path);
}
