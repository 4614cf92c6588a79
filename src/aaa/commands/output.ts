import type { Argv } from 'yargs';
import { print, table } from '../../runtime/cli/cli.js';
import { OperatorError } from '../../runtime/system/failure.js';
import { visible, visibleLines } from '../../runtime/system/terminal.js';
import { MAX_PAGE, type Page } from '../../store/records.js';
import type { Argument } from './store-access.js';

/** Rows of a list, unless more are asked for. */
const ROWS = 100;

export const json = { type: 'boolean', description: 'JSON for programs' } as const;

/** `{"items": […], "next": …}` or a sentence or table. */
export function show(argv: Argument, value: unknown, lines: () => string): void {
  print(argv['json'] === true ? JSON.stringify(value ?? null) : lines());
}

/** What a list can be asked for besides its filters. */
export function withPaging(cli: Argv): Argv {
  return cli
    .option('limit', { type: 'number', default: ROWS, description: 'rows at most' })
    .option('from', { type: 'string', description: 'continue a list: the value that it printed last' })
    .option('all', { type: 'boolean', description: 'every row, however many' })
    .option('json', { ...json, description: 'JSON for programs: {"items": […], "next": …}' });
}

export interface Listing<T> {
  readonly header: readonly string[];
  readonly row: (item: T) => readonly string[];
  /** What is said of an empty list, unless something was filtered. */
  readonly none: string;
  /** Arguments that filter. */
  readonly filters: readonly string[];
  readonly page: (range: { readonly from: string | undefined; readonly limit: number }) => Promise<Page<T>>;
}

/** Prints a list page by page: a million rows need no more memory than a few thousand. */
export async function list<T>(argv: Argument, { header, row, none, filters, page }: Listing<T>): Promise<void> {
  const asJson = argv['json'] === true;
  const all = argv['all'] === true;
  let left = all ? Number.POSITIVE_INFINITY : wholeNumber(argv, 'limit', 1);
  let from = text(argv, 'from');
  let printed = 0;
  let next: string | undefined;
  if (asJson) process.stdout.write('{"items":[');
  do {
    const found = await page({ from, limit: Math.min(left, MAX_PAGE) });
    if (asJson) {
      const rows = found.items.map((item) => JSON.stringify(item)).join(',\n');
      await write(printed > 0 && rows !== '' ? `,\n${rows}` : rows);
    } else if (found.items.length > 0) {
      const lines = table(header, found.items.map(row));
      await write(`${printed > 0 ? lines.slice(lines.indexOf('\n') + 1) : lines}\n`);
    }
    printed += found.items.length;
    left -= found.items.length;
    next = found.next ?? undefined;
    from = next;
  } while (next !== undefined && left > 0);
  if (asJson) print(`],"next":${JSON.stringify(next ?? null)}}`);
  else if (printed === 0 && text(argv, 'from') !== undefined) print('No more.');
  else if (printed === 0) print(filters.some((name) => argv[name] !== undefined) ? 'None like that.' : none);
  else if (next !== undefined) process.stderr.write(`More: --from '${visible(next)}', or --all.\n`);
}

/** Waits for a reader that is slower than the store. */
function write(lines: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(visibleLines(lines), () => resolve()));
}

/** Names and values in two columns, without what is undefined. */
export function details(rows: readonly (readonly [name: string, value: string | undefined])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name.padEnd(width)}  ${visible(value)}`]))
    .join('\n');
}

/** A time of the store for people: UTC, to the second. */
export function time(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}

export function text(argv: Argument, name: string): string | undefined {
  const value = argv[name];
  return value === undefined ? undefined : String(value);
}

/** Throws OperatorError. */
export function wholeNumber(argv: Argument, name: string, least: number): number {
  const value = Number(argv[name]);
  if (Number.isInteger(value) && value >= least) return value;
  throw new OperatorError(`--${name}: a whole number from ${least} is wanted`);
}

export function yesNo(value: boolean): string {
  return value ? 'yes' : 'no';
}
