import type { Argv } from 'yargs';
import { print, table } from '../../runtime/cli/cli.js';
import { OperatorError } from '../../runtime/system/failure.js';
import { visible, visibleLines } from '../../runtime/system/terminal.js';
import { MAX_PAGE, type Page } from '../../store/records.js';
import type { Argument } from './store-access.js';

/** Default number of rows of a list. */
const ROWS = 100;

export const json = { type: 'boolean', description: 'print JSON' } as const;

/** Prints `{"items": […], "next": …}`, or text for people. */
export function show(argv: Argument, value: unknown, lines: () => string): void {
  print(argv['json'] === true ? JSON.stringify(value ?? null) : lines());
}

/** Options of every list, besides its filters. */
export function withPaging(cli: Argv): Argv {
  return cli
    .option('limit', { type: 'number', default: ROWS, description: 'maximum number of rows' })
    .option('from', { type: 'string', description: 'continue a list from the value that it printed last' })
    .option('all', { type: 'boolean', description: 'print all rows' })
    .option('json', { ...json, description: 'print JSON: {"items": […], "next": …}' });
}

export interface Listing<T> {
  readonly header: readonly string[];
  readonly row: (item: T) => readonly string[];
  /** Message for an empty list without filters. */
  readonly none: string;
  /** Names of the filter arguments. */
  readonly filters: readonly string[];
  readonly page: (range: { readonly from: string | undefined; readonly limit: number }) => Promise<Page<T>>;
}

/** Prints a list page by page, so that memory use does not depend on its length. */
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
  else if (printed === 0) print(filters.some((name) => argv[name] !== undefined) ? 'No match.' : none);
  else if (next !== undefined) process.stderr.write(`More: --from '${visible(next)}', or --all.\n`);
}

/** Waits until standard output can take more. */
function write(lines: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(visibleLines(lines), () => resolve()));
}

/** Formats names and values in two columns; leaves out undefined values. */
export function details(rows: readonly (readonly [name: string, value: string | undefined])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name.padEnd(width)}  ${visible(value)}`]))
    .join('\n');
}

/** Formats a time of the store: UTC, to the second. */
export function time(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}

export function text(argv: Argument, name: string): string | undefined {
  const value = argv[name];
  return value === undefined ? undefined : String(value);
}

/** Parses an option that is a whole number. Throws OperatorError. */
export function wholeNumber(argv: Argument, name: string, least: number): number {
  const value = Number(argv[name]);
  if (Number.isInteger(value) && value >= least) return value;
  throw new OperatorError(`--${name}: must be a whole number of at least ${least}`);
}

export function yesNo(value: boolean): string {
  return value ? 'yes' : 'no';
}
