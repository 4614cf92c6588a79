import { readFile } from 'node:fs/promises';
import { DecodeError } from '../../protocol/bytes/decode-error.js';
import { print } from '../../runtime/cli.js';
import { OperatorError } from '../../runtime/failure.js';
import { Decoder } from './decoder.js';

/** Prints every message; the exit status is 1 if one of them is none. */
export async function decodeCommand(argv: {
  readonly file?: string | undefined;
  readonly 'vendor-id': number;
}): Promise<void> {
  const input = argv.file === undefined ? await standardInput() : await fileInput(argv.file);
  const decoder = new Decoder(argv['vendor-id']);
  let messages = 0;
  try {
    for (const { ok, text } of decoder.decode(input)) {
      if (messages > 0) print('');
      print(text);
      messages += 1;
      if (!ok) process.exitCode = 1;
    }
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new OperatorError(`${argv.file ?? 'standard input'}: ${error.message}`);
  }
  if (messages === 0) throw new OperatorError(`${argv.file ?? 'standard input'}: no PANA or Diameter message in it`);
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
