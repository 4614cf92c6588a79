import { pipeline, type Readable } from 'node:stream';
import { CsvError, parse as parseCsv } from 'csv-parse';
import { stringify as stringifyCsv } from 'csv-stringify/sync';
import {
  type Document,
  isMap,
  isSeq,
  LineCounter,
  parseDocument,
  stringify as stringifyYaml,
  type YAMLMap,
} from 'yaml';
import type { Subscriber } from '../../protocol/home/records.js';
import { type Format, POLICY_KEYS, policyOf, unknownKey } from './subscriber-policy.js';

/** Size limit of a YAML file in octets: YAML is read as a whole. CSV is read row by row and has no limit. */
const MAX_YAML = 16 * 1024 * 1024;

/** A row of a file with its line number, or the error that ends reading. */
export type FileRow = { readonly line: number } & (
  | { readonly values: Readonly<Record<string, unknown>> }
  | { readonly problem: string }
);

/** The format that the file name implies. */
export function formatOf(file: string): Format | undefined {
  if (/\.csv$/i.test(file)) return 'csv';
  return /\.ya?ml$/i.test(file) ? 'yaml' : undefined;
}

/** Reads the rows of a file, up to and including the first one with a problem. Rejects with the system's error. */
export function readRows(source: Readable, format: Format): AsyncGenerator<FileRow> {
  return format === 'csv' ? csvRows(source) : yamlRows(source);
}

async function* csvRows(source: Readable): AsyncGenerator<FileRow> {
  let broken: Error | undefined;
  const parser = parseCsv({ bom: true, info: true, skip_empty_lines: true, trim: true });
  const rows = pipeline(source, parser, (error) => {
    broken = error ?? undefined;
  });
  let columns: readonly string[] | undefined;
  try {
    for await (const row of rows) {
      const { record, info } = row as { readonly record: readonly string[]; readonly info: { readonly lines: number } };
      if (columns) {
        yield { line: info.lines, values: Object.fromEntries(columns.map((name, i) => [name, record[i]])) };
        continue;
      }
      columns = record;
      const problem = headerProblem(columns);
      if (problem !== undefined) {
        yield { line: info.lines, problem };
        return;
      }
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw broken ?? error;
    yield { line: Number(error['lines'] ?? 1), problem: error.message };
    return;
  }
  if (!columns) yield { line: 1, problem: 'the file is empty: the first line must name the columns' };
}

function headerProblem(columns: readonly string[]): string | undefined {
  const unknown = columns.find((name) => !POLICY_KEYS.some((key) => key === name));
  if (unknown !== undefined) return unknownKey(unknown);
  const twice = columns.find((name, i) => columns.indexOf(name) !== i);
  if (twice !== undefined) return `duplicate column "${twice}"`;
  return columns.includes('nai') ? undefined : 'the first line must name the columns, and lacks "nai"';
}

async function* yamlRows(source: Readable): AsyncGenerator<FileRow> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of source as AsyncIterable<Buffer>) {
    parts.push(part);
    length += part.length;
    if (length > MAX_YAML) {
      yield {
        line: 1,
        problem: `the YAML file is larger than ${MAX_YAML / 2 ** 20} MiB: use CSV, which has no size limit`,
      };
      return;
    }
  }
  const lines = new LineCounter();
  const document = parseDocument(Buffer.concat(parts).toString('utf8'), { lineCounter: lines, prettyErrors: false });
  const lineOf = (offset: number | undefined) => lines.linePos(offset ?? 0).line;
  const [error] = document.errors;
  if (error) {
    yield { line: lineOf(error.pos[0]), problem: `not YAML: ${error.message}` };
    return;
  }
  const { contents } = document;
  if (!isSeq(contents)) {
    yield { line: 1, problem: 'the YAML file must be a list of subscribers: "- nai: mn@home.example"' };
    return;
  }
  for (const item of contents.items) {
    const line = lineOf((item as { range?: readonly [number, number, number] }).range?.[0]);
    if (!isMap(item)) {
      yield { line, problem: 'a subscriber must be a map, such as "- nai: mn@home.example"' };
      return;
    }
    yield rowOf(item, document, line);
  }
}

function rowOf(item: YAMLMap, document: Document, line: number): FileRow {
  try {
    return { line, values: item.toJS(document) as Record<string, unknown> };
  } catch (error) {
    // The parser throws, for example for an alias without an anchor.
    return { line, problem: `not YAML: ${(error as Error).message}` };
  }
}

/** Formats subscribers as lines of a file; the first one includes the header. */
export function writeRows(subscribers: readonly Subscriber[], format: Format, first: boolean): string {
  const rows = subscribers.map(policyOf);
  if (format === 'yaml') return rows.length === 0 ? '' : stringifyYaml(rows);
  return stringifyCsv(rows, { columns: POLICY_KEYS, header: first });
}
