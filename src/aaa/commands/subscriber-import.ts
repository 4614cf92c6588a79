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
import { FORMATS, type Format, formatOf, readRows } from './subscriber-file.js';
import { readSubscriber } from './subscriber-policy.js';

/** Rows that go to the store at a time: with the longest names a request of half a megabyte. */
const CHUNK = 500;

/** Problems that are told; the rest is counted. */
const SHOWN = 20;

/** Rows between two lines of progress in a log. */
const LOGGED = 100_000;

/** Adds the subscribers of a file, all or none. Rejects with OperatorError that names lines and what is wrong there. */
export async function importSubscribers(argv: Argument): Promise<void> {
  // yargs makes an empty word of "-".
  const file = String(argv['file']) || '-';
  const format = FORMATS.find((name) => name === argv['format']) ?? formatOf(file);
  if (!format) throw new OperatorError(`${file}: is it CSV or YAML? --format csv or --format yaml says it`);
  const update = argv['update'] === true;
  const isDry = argv['dry-run'] === true;
  await withStore(
    argv,
    async (store) => {
      const importId = randomUUID();
      const source = await openSource(file);
      const progress = new Progress(source.size);
      let done = false;
      try {
        const staged = await stage(store, importId, source, format, progress);
        const problems = [...staged.problems, ...(await store.run('checkImport', { importId, update }))];
        if (problems.length > 0) throw new OperatorError(explain(file, problems, staged.more));
        if (isDry) {
          show(argv, { rows: staged.rows, imported: 0 }, () => `${file} is good: ${count(staged.rows)}.`);
          return;
        }
        progress.say('making them subscribers, all at once …');
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
  /** Octets; undefined: nobody knows. */
  readonly size: number | undefined;
  /** Octets read until now. */
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
  /** Problems beyond those. */
  readonly more: number;
}

/** Reads a file to its end, and gathers its rows beside the subscribers. */
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
    const told = list.slice(0, SHOWN - problems.length);
    problems.push(...told);
    more += list.length - told.length;
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
  const told = problems
    .toSorted((a, b) => a.line - b.line)
    .slice(0, SHOWN)
    .map(({ line, problem }) => `${file}:${line}: ${visible(problem)}`);
  const untold = more + Math.max(0, problems.length - SHOWN);
  const rest = untold > 0 ? [`and ${untold} more`] : [];
  return ['nothing is imported:', ...told, ...rest].join('\n');
}

function count(subscribers: number): string {
  return subscribers === 1 ? '1 subscriber' : `${subscribers} subscribers`;
}

/** On a terminal one line that changes; in a log a line now and then. */
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
