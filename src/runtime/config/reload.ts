import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { plain } from './options.js';

/**
 * Marks a key, or a whole section with everything in it, as reloadable: a running daemon applies its changes. A marked
 * section may also be added or removed. Apply `default` and `describe` before `reloadable`.
 */
export function reloadable<S extends z.ZodType>(schema: S): S {
  return schema.meta({ reload: true }) as S;
}

/** Marks each key of a section, but not the section itself. */
export function reloadableEach<S extends z.ZodRawShape>(shape: S): S {
  return Object.fromEntries(
    Object.entries(shape).map(([key, schema]) => [key, reloadable(schema as z.ZodType)]),
  ) as unknown as S;
}

/** The reloadable keys, in the form that `adopt` takes. */
export function reloadableKeys(schema: z.ZodObject, path = ''): string[] {
  return Object.entries(schema.shape).flatMap(([key, value]) => {
    const name = `${path}${key}`;
    const section = plain(value as z.ZodType);
    const isSection = section instanceof z.ZodObject;
    if ((value as z.ZodType).meta()?.['reload'] === true) return isSection ? [name, `${name}.*`] : [name];
    return isSection ? reloadableKeys(section, `${name}.`) : [];
  });
}

/** Whether the key with this dotted name is reloadable. */
export function takesKey(schema: z.ZodObject): (name: string) => boolean {
  const keys = reloadableKeys(schema);
  return (name) => covers(keys, name);
}

type Tree = Readonly<Record<string, unknown>>;

/** The part of new options that a running daemon can apply. */
export interface Adopted<O> {
  /** The running options with the reloadable changes applied. */
  readonly options: O;
  /** Keys and sections that changed but need a restart. */
  readonly left: readonly string[];
}

/**
 * Merges the reloadable changes of `fresh` into `running`. `takes`: reloadable keys, or sections that may be added or
 * removed; `section.*` means every key of the section.
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
