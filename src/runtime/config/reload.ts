import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { optionKeys, plain } from './options.js';

/**
 * Marks a key, or a whole section with everything in it, as one that a running daemon takes. A section that is marked may also
 * come and go. What gives the schema a default or a description belongs inside.
 */
export function reloadable<S extends z.ZodType>(schema: S): S {
  return schema.meta({ reload: true }) as S;
}

/** The same for each key of a section, but not for the section. */
export function reloadableEach<S extends z.ZodRawShape>(shape: S): S {
  return Object.fromEntries(
    Object.entries(shape).map(([key, schema]) => [key, reloadable(schema as z.ZodType)]),
  ) as unknown as S;
}

/** Keys that a running daemon takes, as `adopt` has them. */
export function reloadableKeys(schema: z.ZodObject, path = ''): string[] {
  return Object.entries(schema.shape).flatMap(([key, value]) => {
    const name = `${path}${key}`;
    const section = plain(value as z.ZodType);
    const isSection = section instanceof z.ZodObject;
    if ((value as z.ZodType).meta()?.['reload'] === true) return isSection ? [name, `${name}.*`] : [name];
    return isSection ? reloadableKeys(section, `${name}.`) : [];
  });
}

/** The same as people read them: sections as `tls.*`, keys of one section as `pana.{paa, discovery-file}`. */
export function reloadableText(schema: z.ZodObject): string {
  const keys = reloadableKeys(schema);
  const sections = new Set(keys.filter((key) => key.endsWith('.*')).map((key) => key.slice(0, -2)));
  const groups = new Map<string, string[]>();
  for (const key of keys) {
    if (sections.has(key)) continue;
    const dot = key.lastIndexOf('.');
    const group = key.endsWith('.*') ? key : key.slice(0, dot);
    groups.set(group, [...(groups.get(group) ?? []), key.slice(dot + 1)]);
  }
  return [...groups]
    .map(([group, names]) => {
      if (group.endsWith('.*')) return `\`${group}\``;
      return names.length === 1 ? `\`${group}.${names[0]}\`` : `\`${group}.{${names.join(', ')}}\``;
    })
    .join(', ');
}

/** Whether a running daemon takes a key, by its dotted name. */
export function takesKey(schema: z.ZodObject): (name: string) => boolean {
  const keys = reloadableKeys(schema);
  return (name) => covers(keys, name);
}

/** Each key by itself that a running daemon takes. */
export function eachReloadable(schema: z.ZodObject): string[] {
  const takes = takesKey(schema);
  return optionKeys(schema).flatMap(({ name }) => (takes(name) ? [name] : []));
}

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
