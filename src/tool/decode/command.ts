import { readFile } from 'node:fs/promises';
import { DecodeError } from '../../protocol/bytes/decode-error.js';
import { print } from '../../runtime/cli.js';
import { OperatorError } from '../../runtime/failure.js';
import { captureLadder } from './capture-ladder.js';
import { type Decoded, Decoder } from './decoder.js';
import { SessionKeys } from './keys.js';

/** Prints every message; the exit status is 1 if one of them is none. */
export async function decodeCommand(argv: {
  readonly file?: string | undefined;
  readonly 'vendor-id': number;
  readonly keys?: string | undefined;
  readonly ladder: boolean;
  readonly messages: boolean;
}): Promise<void> {
  const input = argv.file === undefined ? await standardInput() : await fileInput(argv.file);
  const keys = argv.keys === undefined ? undefined : await readKeys(argv.keys);
  const decoder = new Decoder(argv['vendor-id'], keys);
  const messages: Decoded[] = [];
  try {
    for (const message of decoder.decode(input)) {
      if (argv.messages) print(messages.length > 0 ? `\n${message.text}` : message.text);
      messages.push(message);
      if (!message.ok) process.exitCode = 1;
    }
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new OperatorError(`${argv.file ?? 'standard input'}: ${error.message}`);
  }
  const ladder = argv.ladder ? captureLadder(messages) : undefined;
  if (ladder !== undefined) print(argv.messages ? `\n${ladder}` : ladder);
  if (messages.length === 0)
    throw new OperatorError(`${argv.file ?? 'standard input'}: no PANA or Diameter message in it`);
}

async function readKeys(path: string): Promise<SessionKeys> {
  return SessionKeys.read(Buffer.from(await fileInput(path)).toString('utf8'), path);
}

async function standardInput(): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  for await (const part of process.stdin as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
}

function fileInput(path: string): Promise<Uint8Array> {
  return readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new OperatorError(`cannot read ${path}: ${error.code ?? error.message}`);
  });
}
