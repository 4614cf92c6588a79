import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { toHex } from '../../src/protocol/bytes/octets.js';

/** Octets per read. */
const CHUNK = 4 * 1024 * 1024;

/** Keys are searched in pieces of this length, so that partly overwritten copies are found. */
const PIECE = 16;

/** The number of octets around a match that are kept for the test. */
export const AROUND = 64;

/** A piece of a key in the memory of a process. */
export interface Find {
  readonly key: string;
  /** Raw octets, hex digits of one octet each, or hex digits of two octets each (a string of V8). */
  readonly form: 'raw' | 'hex' | 'hex16';
  readonly address: number;
  /** The kernel's name of the mapping: `[heap]`, `[stack]`, a file, or empty. */
  readonly mapping: string;
  /** The memory from 64 octets before the match to 64 octets after it. */
  readonly around: Buffer;
}

interface Needle {
  readonly key: string;
  readonly form: Find['form'];
  readonly octets: Buffer;
}

/** The reason why this process cannot read another one's memory; undefined: it can. */
export function whyNoMemory(pid: number): string | undefined {
  if (process.platform !== 'linux') return 'it needs /proc/PID/mem of Linux';
  try {
    closeSync(openSync(`/proc/${pid}/mem`, 'r'));
    return undefined;
  } catch (error) {
    return `the memory of another process cannot be read (${(error as NodeJS.ErrnoException).code}; kernel.yama.ptrace_scope?)`;
  }
}

/** All places in the readable memory of a process that hold a piece of one of these keys. */
export function findKeys(pid: number, keys: Readonly<Record<string, Uint8Array>>): Find[] {
  const needles = Object.entries(keys).flatMap(([key, octets]) => needlesOf(key, octets));
  const longest = Math.max(...needles.map(({ octets }) => octets.length));
  const finds: Find[] = [];
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  const buffer = Buffer.alloc(CHUNK + longest);
  try {
    for (const { from, to, mapping } of mappingsOf(pid)) {
      for (let at = from; at < to; at += CHUNK) {
        const chunk = read(memory, buffer, at, Math.min(to - at, CHUNK + longest));
        for (const needle of needles) finds.push(...search(chunk, needle, at, mapping));
      }
    }
  } finally {
    buffer.fill(0);
    closeSync(memory);
  }
  return finds;
}

function* search(chunk: Buffer, { key, form, octets }: Needle, base: number, mapping: string): Generator<Find> {
  for (let i = chunk.indexOf(octets); i >= 0 && i < CHUNK; i = chunk.indexOf(octets, i + 1)) {
    const around = Buffer.from(chunk.subarray(Math.max(0, i - AROUND), i + octets.length + AROUND));
    yield { key, form, address: base + i, mapping, around };
  }
}

function needlesOf(key: string, octets: Uint8Array): Needle[] {
  const needles: Needle[] = [];
  for (let at = 0; at + PIECE <= octets.length; at += PIECE) {
    const piece = octets.subarray(at, at + PIECE);
    needles.push(
      { key, form: 'raw', octets: Buffer.from(piece) },
      { key, form: 'hex', octets: Buffer.from(toHex(piece), 'latin1') },
      { key, form: 'hex16', octets: Buffer.from(toHex(piece), 'utf16le') },
    );
  }
  return needles;
}

/** The readable part; a mapping may disappear while it is read. */
function read(memory: number, buffer: Buffer, at: number, length: number): Buffer {
  try {
    return buffer.subarray(0, readSync(memory, buffer, 0, length, at));
  } catch {
    return buffer.subarray(0, 0);
  }
}

/** Mappings that are or were writable; unmodified files of programs and libraries are left out. */
function mappingsOf(pid: number): { readonly from: number; readonly to: number; readonly mapping: string }[] {
  return readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, from = '', to = '', write = '', mapping = ''] =
        /^([0-9a-f]+)-([0-9a-f]+) r([-w])\S+ \S+ \S+ \S+\s*(.*)$/.exec(line) ?? [];
      if (from === '' || mapping.startsWith('[v') || (write === '-' && mapping.startsWith('/'))) return [];
      return [{ from: Number.parseInt(from, 16), to: Number.parseInt(to, 16), mapping }];
    });
}
