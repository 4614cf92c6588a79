import { stringify } from 'yaml';
import { z } from 'zod';
import { isDuration, plain, written } from './options.js';
import { takesKey } from './reload.js';

/** What a reader needs to know of one key; the keys of list items have names such as `diameter.peers[].host`. */
export interface KeyDoc {
  readonly name: string;
  readonly description: string;
  /** The values that it takes, in words: `duration`, `list: sha256, sha1`. Each word that is to be typed is quoted. */
  readonly values: string;
  /** The value that it has if it is not set; undefined: none. */
  readonly default: unknown;
  /** A value as it is written in the file; undefined: none is known. */
  readonly example: unknown;
  readonly schema: z.ZodType;
  readonly isDuration: boolean;
  /** `required in`: required if its section or list item is there. */
  readonly required: 'no' | 'yes' | { readonly in: string };
  /** Whether a running daemon applies a change. */
  readonly isReloadable: boolean;
}

/** All keys of a configuration in the order of its schema. `quote`: marks a word that is to be typed. */
export function keyDocs(schema: z.ZodObject, quote: (word: string) => string = (word) => word): KeyDoc[] {
  const takes = takesKey(schema);
  const rows = (section: z.ZodObject, path: string, required: KeyDoc['required']): KeyDoc[] =>
    Object.entries(section.shape).flatMap(([key, value]) => {
      const type = value as z.ZodType;
      const name = `${path}${key}`;
      const inner = plain(type);
      if (inner instanceof z.ZodObject) {
        return rows(inner, `${name}.`, type instanceof z.ZodOptional ? { in: name } : required);
      }
      const items = inner instanceof z.ZodArray ? plain(inner.element as z.ZodType) : undefined;
      const ofItems = items instanceof z.ZodObject ? rows(items, `${name}[].`, { in: 'each item' }) : [];
      const doc = {
        name,
        description: type.description ?? '',
        values: valuesOf(type, quote),
        default: defaultOf(type),
        example: exampleOf(type),
        schema: type,
        isDuration: isDuration(written(type)),
        required: isOptional(type) ? 'no' : required,
        isReloadable: takes(name.replace(/\[\].*/, '')),
      } as const;
      return [doc, ...ofItems];
    });
  return rows(schema, '', 'yes');
}

/** A default as the YAML file has it: `[sha256, sha1]`, `30s`. */
export function defaultInYaml({ default: value, isDuration: isTime }: KeyDoc): string {
  return isTime ? durationText(Number(value)) : inYaml(value);
}

/** A value as the YAML file has it. */
export function inYaml(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0 })
    .trim()
    .replace(/^"(.*)"$/, '$1')
    .replaceAll('[ ', '[')
    .replaceAll(' ]', ']');
}

/** A default as a flag has it: `sha256,sha1`. */
export function defaultInFlag(doc: KeyDoc): string {
  return Array.isArray(doc.default) ? doc.default.join(',') : defaultInYaml(doc);
}

function valuesOf(type: z.ZodType, quote: (word: string) => string): string {
  const inner = written(type);
  if (isDuration(inner)) return 'duration';
  if (inner instanceof z.ZodEnum) return inner.options.map((value) => quote(String(value))).join(', ');
  if (inner instanceof z.ZodArray) {
    const element = plain(inner.element as z.ZodType);
    return element instanceof z.ZodObject ? 'list of maps' : `list: ${valuesOf(element, quote)}`;
  }
  if (inner instanceof z.ZodBoolean) return `${quote('true')}, ${quote('false')}`;
  if (inner instanceof z.ZodNumber) return rangeOf(inner);
  if (inner instanceof z.ZodUnion)
    return inner.options.map((option) => valuesOf(option as z.ZodType, quote)).join(' or ');
  return 'text';
}

function rangeOf({ minValue, maxValue }: z.ZodNumber): string {
  const least = minValue === null || minValue < -1e9 ? undefined : minValue;
  const most = maxValue === null || maxValue > 2 ** 52 ? undefined : maxValue;
  if (least !== undefined && most !== undefined) return `number, ${least} to ${most}`;
  return least === undefined ? 'number' : `number, at least ${least}`;
}

function isOptional(type: z.ZodType): boolean {
  if (type instanceof z.ZodOptional || type instanceof z.ZodDefault) return true;
  return type instanceof z.ZodPipe && isOptional(type.in as z.ZodType);
}

function defaultOf(type: z.ZodType): unknown {
  if (type instanceof z.ZodDefault) return type.def.defaultValue;
  return type instanceof z.ZodPipe ? defaultOf(type.in as z.ZodType) : undefined;
}

/**
 * An example of what is written: the one in the metadata of the schema, else a value that is not the default if there
 * are few, else the default.
 */
function exampleOf(type: z.ZodType): unknown {
  const [given] = examplesOf(type);
  if (given !== undefined) return given;
  const inner = written(type);
  const usual = defaultOf(type);
  if (isDuration(inner)) return typeof usual === 'number' && usual > 0 ? durationText(usual) : '30s';
  if (inner instanceof z.ZodEnum) return inner.options.find((value) => value !== usual);
  if (inner instanceof z.ZodBoolean) return usual !== true;
  if (usual !== undefined && !(Array.isArray(usual) && usual.length === 0)) return usual;
  if (inner instanceof z.ZodArray) {
    const item = exampleOf(inner.element as z.ZodType);
    return item === undefined ? undefined : [item];
  }
  return inner instanceof z.ZodUnion ? exampleOf(inner.options[0] as z.ZodType) : undefined;
}

/** The examples in the metadata of a schema, or of the one that it wraps. */
function examplesOf(type: z.ZodType): readonly unknown[] {
  const own = type.meta()?.['examples'];
  if (Array.isArray(own)) return own;
  const inner = plain(type);
  if (inner !== type) return examplesOf(inner);
  return inner instanceof z.ZodPipe ? examplesOf(inner.in as z.ZodType) : [];
}

/** Milliseconds in the largest unit of the configuration that expresses them as a whole number. */
function durationText(milliseconds: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
  ] as const;
  if (milliseconds === 0) return '0';
  const [unit, size] = units.find(([, length]) => milliseconds % length === 0) ?? ['ms', 1];
  return `${milliseconds / size}${unit}`;
}
