import { isDeepStrictEqual } from 'node:util';

type Tree = Readonly<Record<string, unknown>>;

/** What a running daemon can take of other options. */
export interface Adopted<O> {
  /** Those that it ran with, but for what it takes. */
  readonly options: O;
  /** Keys and whole sections that differ, and stay as they are until a restart. */
  readonly left: readonly string[];
}

/**
 * The options of a daemon that ran with `running` and is given `fresh`. `takes`: keys, or sections that may come and go;
 * `section.*` is everything below.
 */
export function adopt<O extends object>(running: O, fresh: O, takes: readonly string[]): Adopted<O> {
  const left: string[] = [];
  const merge = (before: Tree, after: Tree, path: string): Tree => {
    const merged: Record<string, unknown> = { ...before };
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      const name = `${path}${key}`;
      const [old, young] = [before[key], after[key]];
      if (isTree(old) && isTree(young)) merged[key] = merge(old, young, `${name}.`);
      else if (isDeepStrictEqual(old, young)) continue;
      else if (covers(takes, name)) merged[key] = young;
      else left.push(name);
    }
    return merged;
  };
  return { options: merge(running as Tree, fresh as Tree, '') as O, left };
}

function covers(takes: readonly string[], name: string): boolean {
  return takes.some((one) => one === name || (one.endsWith('.*') && name.startsWith(one.slice(0, -1))));
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
