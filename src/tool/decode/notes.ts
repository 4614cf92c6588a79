import type { End } from './layer.js';

/** Limit of the kinds that are counted by name. */
const MAX_KINDS = 1024;

/** Limit of the kinds that are printed, the most frequent first. */
const SHOWN = 10;

/** Counts what a capture contains besides messages. */
export class Notes {
  readonly #hidden = new Map<string, number>();
  readonly #others = new Map<string, number>();

  count({ end, hides }: End, by = 1): void {
    const map = hides ? this.#hidden : this.#others;
    const kind = map.has(end) || map.size < MAX_KINDS ? end : 'packets of other kinds';
    map.set(kind, (map.get(kind) ?? 0) + by);
  }

  /** What could not be read, and may contain PANA or Diameter. */
  get hidden(): string[] {
    return listed(this.#hidden);
  }

  /** What contains neither. */
  get others(): string[] {
    return listed(this.#others);
  }
}

function listed(map: ReadonlyMap<string, number>): string[] {
  const all = [...map].sort(([, a], [, b]) => b - a);
  const rest = all.slice(SHOWN);
  const lines = all.slice(0, SHOWN).map(([kind, count]) => `${count} ${count === 1 ? singular(kind) : kind}`);
  return rest.length === 0
    ? lines
    : [...lines, `${rest.reduce((sum, [, count]) => sum + count, 0)} of ${rest.length} other kinds`];
}

/** `frames of EtherType 0x1234, which is not supported` in the singular. */
function singular(kind: string): string {
  const one = kind.replace(/\b(frame|packet|fragment|segment|message)s\b/, '$1');
  return one.replace(/, which are /, ', which is ').replace(/ that (end|begin|contain) /, ' that $1s ');
}
