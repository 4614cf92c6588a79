import { stringify } from 'yaml';
import { z } from 'zod';
import { plain } from '../src/runtime/config/options.js';
import { takesKey } from '../src/runtime/config/reload.js';

/** One key of a configuration; the keys of list items have names such as `diameter.peers[].host`. */
interface Row {
  readonly name: string;
  readonly values: string;
  readonly default: string;
  readonly description: string;
}

/** The tables of all keys of a schema, one for each section. Each row has name, values, default and description. */
export function referenceOf(schema: z.ZodObject): string {
  const takes = takesKey(schema);
  const sections = new Map<string, Row[]>();
  for (const row of rowsOf(schema, '', 'required')) {
    const section = row.name.includes('.') ? row.name.replace(/\..*/, '') : 'Keys without a section';
    sections.set(section, [...(sections.get(section) ?? []), row]);
  }
  return [...sections]
    .map(([section, rows]) => {
      const lines = rows.map((row) => {
        const applied = takes(row.name.replace(/\[\].*/, '')) ? 'reload' : 'restart';
        return `| \`${row.name}\` | ${row.values} | ${row.default} | ${applied} | ${row.description} |`;
      });
      const head = '| key | values | default | applied by | |\n|---|---|---|---|---|';
      return `### ${section}\n\n${head}\n${lines.join('\n')}\n`;
    })
    .join('\n');
}

/** `required`: the text for keys that must be given. */
function rowsOf(schema: z.ZodObject, path: string, required: string): Row[] {
  return Object.entries(schema.shape).flatMap(([key, value]) => {
    const type = value as z.ZodType;
    const name = `${path}${key}`;
    const inner = plain(type);
    if (inner instanceof z.ZodObject) {
      return rowsOf(inner, `${name}.`, type instanceof z.ZodOptional ? `required in ${name}` : required);
    }
    const description = (type.description ?? '').replaceAll('|', '\\|');
    const items = inner instanceof z.ZodArray ? plain(inner.element as z.ZodType) : undefined;
    const rows = items instanceof z.ZodObject ? rowsOf(items, `${name}[].`, 'required in each item') : [];
    return [{ name, values: valuesOf(type), default: defaultOf(type, required), description }, ...rows];
  });
}

/** The values that a key takes, in words. */
function valuesOf(type: z.ZodType): string {
  const inner = plain(type);
  if (inner instanceof z.ZodPipe) {
    if (isDuration(inner)) return 'duration';
    const [from, to] = [inner.in as z.ZodType, inner.out as z.ZodType];
    return valuesOf(from instanceof z.ZodTransform ? to : from);
  }
  if (inner instanceof z.ZodEnum) return inner.options.map((value) => `\`${value}\``).join(', ');
  if (inner instanceof z.ZodArray) {
    const element = plain(inner.element as z.ZodType);
    return element instanceof z.ZodObject ? 'list of maps' : `list: ${valuesOf(element)}`;
  }
  if (inner instanceof z.ZodBoolean) return '`true`, `false`';
  if (inner instanceof z.ZodNumber) return rangeOf(inner);
  if (inner instanceof z.ZodUnion) return inner.options.map((option) => valuesOf(option as z.ZodType)).join(' or ');
  return 'text';
}

function rangeOf({ minValue, maxValue }: z.ZodNumber): string {
  const least = minValue === null || minValue < -1e9 ? undefined : minValue;
  const most = maxValue === null || maxValue > 2 ** 52 ? undefined : maxValue;
  if (least !== undefined && most !== undefined) return `number, ${least} to ${most}`;
  return least === undefined ? 'number' : `number, at least ${least}`;
}

/** Durations are written as text or as a number of seconds. */
function isDuration(type: z.ZodType): boolean {
  return type instanceof z.ZodPipe && type.in instanceof z.ZodUnion;
}

function defaultOf(type: z.ZodType, required: string): string {
  if (type instanceof z.ZodOptional) return 'none';
  if (type instanceof z.ZodDefault) {
    const value: unknown = type.def.defaultValue;
    const text = isDuration(plain(type))
      ? durationOf(Number(value))
      : stringify(value, { collectionStyle: 'flow' }).trim();
    return `\`${text
      .replace(/^"(.*)"$/, '$1')
      .replaceAll('[ ', '[')
      .replaceAll(' ]', ']')}\``;
  }
  if (type instanceof z.ZodPipe && type.in instanceof z.ZodDefault) return defaultOf(type.in, required);
  return required;
}

/** Milliseconds in the largest unit of the configuration that expresses them as a whole number. */
function durationOf(milliseconds: number): string {
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
