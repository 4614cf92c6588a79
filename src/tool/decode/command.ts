import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { DecodeError } from '../../protocol/bytes/decode-error.js';
import { print } from '../../runtime/cli/cli.js';
import { OperatorError } from '../../runtime/system/failure.js';
import { captureLadder } from './capture-ladder.js';
import { type Decoded, Decoder } from './decoder.js';
import { SessionKeys } from './keys.js';

/** Prints every message. The exit status is 1 if one of them could not be decoded. */
export async function decodeCommand(argv: {
  readonly file?: string | undefined;
  readonly 'vendor-id': number;
  readonly keys?: string | undefined;
  readonly ladder: boolean;
  readonly messages: boolean;
}): Promise<void> {
  const name = argv.file ?? 'standard input';
  const input = decompress(argv.file === undefined ? await standardInput() : await fileInput(argv.file), name);
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
    if (!(error instanceof DecodeError || error instanceof OperatorError)) throw error;
    throw new OperatorError(`${name}: ${error.message}`);
  }
  const ladder = argv.ladder ? captureLadder(messages) : undefined;
  if (ladder !== undefined) print(argv.messages ? `\n${ladder}` : ladder);
  const { skipped } = decoder;
  if (messages.length === 0) {
    throw new OperatorError([`${name}: it contains no PANA or Diameter message`, ...skipped].join('; '));
  }
  if (skipped.length > 0) process.stderr.write(`${name}: not read: ${skipped.join('; ')}\n`);
}

/** Maximum size of a decompressed file in octets. */
const MAX_DECOMPRESSED = 2 ** 30;

/** First octets of files in other compression formats, in hexadecimal. */
const COMPRESSED: readonly (readonly [begin: string, name: string])[] = [
  ['28b52ffd', 'zstd'],
  ['fd377a585a00', 'xz'],
  ['425a68', 'bzip2'],
  ['04224d18', 'lz4'],
];

/** Decompresses gzip. Throws OperatorError. */
function decompress(input: Uint8Array, name: string): Uint8Array {
  const begin = Buffer.from(input.subarray(0, 6)).toString('hex');
  const other = COMPRESSED.find(([magic]) => begin.startsWith(magic))?.[1];
  if (other !== undefined) throw new OperatorError(`${name} is compressed: decompress it first, with ${other}`);
  if (!begin.startsWith('1f8b')) return input;
  try {
    return gunzipSync(input, { maxOutputLength: MAX_DECOMPRESSED });
  } catch (error) {
    throw new OperatorError(`${name}: gzip: ${(error as Error).message}`);
  }
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
