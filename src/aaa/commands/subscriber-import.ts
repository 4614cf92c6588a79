import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Readable } from 'node:stream';
import { OperatorError } from '../../runtime/system/failure.js';
import { visible } from '../../runtime/system/terminal.js';
import type { ImportProblem, ImportRow } from '../../store/import-operations.js';
import { show } from './output.js';
import { type Argument, type StoreAccess, withStore } from './store-access.js';
import { formatOf, readRows } from './subscriber-file.js';
import { FORMATS, type Format, readSubscriber } from './subscriber-policy.js';

/** Rows per request to the store. With names of maximum length a request has half a megabyte. */
const CHUNK = 500;

/** Largest number of problems that are printed; the others are counted. */
const SHOWN = 20;

/** Number of rows between two progress lines in a log. */
const LOGGED = 100_000;

/** Imports all subscribers of a file or none. Rejects with OperatorError that lists the lines in error. */
export async function importSubscribers(argv: Argument): Promise<void> {
  // yargs turns "-" into an empty string.
  const file = String(argv['file']) || '-';
  const format = FORMATS.find((name) => name === argv['format']) ?? formatOf(file);
  if (!format) throw new OperatorError(`${file}: unknown format: give --format csv or --format yaml`);
  const update = argv['update'] === true;
  const isDry = argv['dry-run'] === true;
  await withStore(
    argv,
    async (store) => {
      // Commands use the system's randomness; only daemons get theirs from a Host.
      const importId = randomUUID();
      const source = await openSource(file);
      const progress = new Progress(source.size);
      let done = false;
      try {
        const staged = await stage(store, importId, source, format, progress);
        const problems = [...staged.problems, ...(await store.run('checkImport', { importId, update }))];
        if (problems.length > 0) throw new OperatorError(explain(file, problems, staged.more));
        if (isDry) {
          show(argv, { rows: staged.rows, imported: 0 }, () => `${file} is valid: ${count(staged.rows)}.`);
          return;
        }
        progress.say('committing …');
        const imported = await store.run('finishImport', { importId, update, source: basename(file) });
        done = true;
        progress.end();
        show(argv, { rows: staged.rows, imported }, () => `Imported ${count(imported)} from ${file}.`);
      } finally {
        progress.end();
        if (!done) await store.run('abandonImport', { importId });
      }
    },
    true,
  );
}

interface Source {
  readonly stream: Readable;
  /** Octets; undefined if unknown. */
  readonly size: number | undefined;
  /** Octets read so far. */
  readonly read: () => number;
}

async function openSource(file: string): Promise<Source> {
  if (file === '-') return { stream: process.stdin, size: undefined, read: () => 0 };
  const { size } = await stat(file);
  const stream = createReadStream(file);
  return { stream, size, read: () => stream.bytesRead };
}

interface Staged {
  readonly rows: number;
  readonly problems: readonly ImportProblem[];
  /** Number of further problems. */
  readonly more: number;
}

/** Reads a whole file and stages its rows in the store. */
async function stage(
  store: StoreAccess,
  importId: string,
  source: Source,
  format: Format,
  progress: Progress,
): Promise<Staged> {
  const problems: ImportProblem[] = [];
  let rows = 0;
  let more = 0;
  let chunk: ImportRow[] = [];
  const found = (list: readonly ImportProblem[]) => {
    const shown = list.slice(0, SHOWN - problems.length);
    problems.push(...shown);
    more += list.length - shown.length;
  };
  const flush = async () => {
    if (chunk.length === 0) return;
    found(await store.run('stageImport', { importId, rows: chunk }));
    chunk = [];
    progress.rows(rows, source.read());
  };
  for await (const row of readRows(source.stream, format)) {
    const read = 'problem' in row ? row : readSubscriber(row.values);
    if ('problem' in read) {
      found([{ line: row.line, problem: read.problem }]);
      continue;
    }
    rows += 1;
    chunk.push({ line: row.line, subscriber: read.subscriber });
    if (chunk.length >= CHUNK) await flush();
  }
  await flush();
  return { rows, problems, more };
}

function explain(file: string, problems: readonly ImportProblem[], more: number): string {
  const shown = problems
    .toSorted((a, b) => a.line - b.line)
    .slice(0, SHOWN)
    .map(({ line, problem }) => `${file}:${line}: ${visible(problem)}`);
  const hidden = more + Math.max(0, problems.length - SHOWN);
  const rest = hidden > 0 ? [`and ${hidden} more`] : [];
  return ['nothing was imported:', ...shown, ...rest].join('\n');
}

function count(subscribers: number): string {
  return subscribers === 1 ? '1 subscriber' : `${subscribers} subscribers`;
}

/** Shows progress: one updated line on a terminal, a line from time to time in a log. */
class Progress {
  readonly #size: number | undefined;
  #logged = 0;
  #open = false;

  constructor(size: number | undefined) {
    this.#size = size;
  }

  rows(rows: number, read: number): void {
    const part = this.#size ? ` (${Math.min(100, Math.floor((read / this.#size) * 100))} %)` : '';
    if (process.stderr.isTTY) {
      this.say(`${rows} rows read${part}`);
    } else if (rows - this.#logged >= LOGGED) {
      this.#logged = rows;
      process.stderr.write(`${rows} rows read${part}\n`);
    }
  }

  say(what: string): void {
    if (!process.stderr.isTTY) return;
    this.#open = true;
    process.stderr.write(`\r\x1b[K${what}`);
  }

  end(): void {
    if (this.#open) process.stderr.write('\r\x1b[K');
    this.#open = false;
  }
}
