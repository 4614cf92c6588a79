import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { OperatorError } from '../../runtime/system/failure.js';

/** Size of the pieces that are read from a file, in octets. */
const PIECE = 1024 * 1024;

/** A compressed file of this decompressed size in octets must be plausible: compressed by less than MAX_RATIO. */
const MAX_TRUSTED = 2 ** 30;
const MAX_RATIO = 200;

/** How long the end of the input is awaited after an interrupt, in milliseconds. */
const LAST_WAIT = 1000;

/** First octets of files in other compression formats, in hexadecimal. */
const COMPRESSED: readonly (readonly [begin: string, name: string])[] = [
  ['28b52ffd', 'zstd'],
  ['fd377a585a00', 'xz'],
  ['425a68', 'bzip2'],
  ['04224d18', 'lz4'],
];

const GZIP = '1f8b';
const MAGIC = 6;

/** A file, or what a program writes. */
export interface Input {
  readonly name: string;
  /** Whether the input may go on for long: it is no regular file. */
  readonly isLive: boolean;
  /** The decompressed octets in pieces. Throws OperatorError. */
  readonly pieces: AsyncIterable<Uint8Array>;
}

/** Opens a file; undefined: standard input. Throws OperatorError. */
export async function openInput(file: string | undefined): Promise<Input> {
  const isStandard = file === undefined;
  const name = isStandard ? 'standard input' : file;
  const path = isStandard ? '/dev/stdin' : file;
  const isLive = !(await stat(path).then(
    (found) => found.isFile(),
    () => false,
  ));
  const source = isStandard ? process.stdin : await fileInput(file);
  return { name, isLive, pieces: decompressed(isLive ? interruptible(source) : source, name) };
}

async function fileInput(path: string): Promise<Readable> {
  const failed = (error: NodeJS.ErrnoException) => {
    throw new OperatorError(`cannot read ${path}: ${error.code ?? error.message}`);
  };
  const handle = await open(path, 'r').catch(failed);
  const found = await handle.stat();
  if (found.isDirectory()) {
    await handle.close();
    throw new OperatorError(`cannot read ${path}: EISDIR`);
  }
  return createReadStream(path, { fd: handle, highWaterMark: PIECE });
}

/**
 * Reads a pipe. An interrupt goes to both programs of a pipeline, and the other one writes what it has left and ends: the
 * input ends then, or soon. A second interrupt ends this program.
 */
async function* interruptible(source: Readable): AsyncGenerator<Uint8Array> {
  let isInterrupted = false;
  const interrupted = () => {
    isInterrupted = true;
    setTimeout(() => source.destroy(), LAST_WAIT).unref();
  };
  process.once('SIGINT', interrupted);
  try {
    yield* source as AsyncIterable<Uint8Array>;
  } catch (error) {
    if (!isInterrupted) throw error;
  } finally {
    process.off('SIGINT', interrupted);
  }
}

async function* decompressed(source: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  const pieces = source[Symbol.asyncIterator]();
  let begin: Uint8Array = new Uint8Array(0);
  while (begin.length < MAGIC) {
    const { value, done } = await pieces.next();
    if (done) break;
    begin = begin.length === 0 ? value : Buffer.concat([begin, value]);
    // A capture is known by its first octets; its first packets may be late.
    if (begin.length >= 2 && !isMaybeCompressed(begin)) break;
  }
  const magic = Buffer.from(begin.subarray(0, MAGIC)).toString('hex');
  const other = COMPRESSED.find(([first]) => magic.startsWith(first))?.[1];
  if (other !== undefined) throw new OperatorError(`${name}: it is compressed: decompress it first, with ${other}`);
  const all = prepended(begin, pieces);
  if (magic.startsWith(GZIP)) yield* gunzipped(all, name);
  else yield* all;
}

function isMaybeCompressed(begin: Uint8Array): boolean {
  const first = Buffer.from(begin.subarray(0, 2)).toString('hex');
  return COMPRESSED.some(([magic]) => magic.startsWith(first));
}

async function* prepended(begin: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (begin.length > 0) yield begin;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}

/** Decompresses gzip in pieces, so that memory does not grow with the size. */
async function* gunzipped(source: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip({ chunkSize: PIECE });
  let compressed = 0;
  const counted = async function* () {
    for await (const piece of source) {
      compressed += piece.length;
      yield piece;
    }
  };
  // The loop below reports the error.
  pipeline(Readable.from(counted(), { objectMode: false }), gunzip).catch(() => undefined);
  let size = 0;
  try {
    for await (const piece of gunzip as AsyncIterable<Uint8Array>) {
      size += piece.length;
      if (size > MAX_TRUSTED && size > compressed * MAX_RATIO) {
        throw new OperatorError(
          `${name}: gzip: more than ${Math.floor(size / 2 ** 30)} GiB out of ${compressed} octets, which is no capture`,
        );
      }
      yield piece;
    }
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    throw new OperatorError(`${name}: gzip: ${(error as Error).message}`);
  }
}
