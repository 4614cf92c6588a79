import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const SOURCE = fileURLToPath(new URL('../../../src', import.meta.url));
const EVENTS = join(SOURCE, 'runtime', 'log', 'events.ts');

const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && join(SOURCE, name) !== EVENTS)
  .map((name) => ({ name, text: withoutComments(readFileSync(join(SOURCE, name), 'utf8')) }));

const declared = readFileSync(EVENTS, 'utf8');
const events = new Set([...declared.matchAll(/^ {2}\| '(.+)'/gm)].map(([, event]) => String(event)));
const fields = new Set([...declared.matchAll(/^ {2}readonly (\w+): (?!LogCall)/gm)].map(([, field]) => String(field)));

/** A log call, or an object literal that a function returns as fields; those of a service serve hooks as well. */
const CALL = /\blog(?:\.(?:trace|debug|info|warn|error|fatal)|\[[^\]]+\])\(/gi;
const FIELDS = /\): LogFields \{|function serviceFields\([^)]*\) \{/g;

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
}

/** The text from an opening bracket to the matching closing one. */
function bracketed(text: string, start: number): string {
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    if ('([{'.includes(text[at] ?? '')) depth += 1;
    if (')]}'.includes(text[at] ?? '')) depth -= 1;
    if (depth === 0) return text.slice(start, at + 1);
  }
  return text.slice(start);
}

function blocks(text: string, start: RegExp): string[] {
  return [...text.matchAll(start)].map((found) => bracketed(text, found.index + found[0].length - 1));
}

/** Property names in object literals: `name: …`, `name,`, `name }`. The type of a computed property has its names. */
function properties(block: string): string[] {
  const literals = block.replace(/'[^']*'/g, "''").replace(/const (\{[^}]*\}|\[[^\]]*\]) =/g, '');
  return [...literals.matchAll(/[{,]\s*(\w+)\s*(?=:|,|\})/g)].map(([, name]) => String(name));
}

/** The constants from which a call takes its fields: `...name`, or `name` as its first argument. */
function constants(text: string, call: string): string[] {
  const names = [...call.matchAll(/\.\.\.\(?(\w+)\b(?![(.])|^\((\w+),/g)].map(([, spread, first]) => spread ?? first);
  return names.flatMap((name) => text.match(new RegExp(`const ${name}\\b[\\s\\S]*? = [\\s\\S]*?;\\n`, 'g')) ?? []);
}

interface Block {
  readonly name: string;
  readonly block: string;
}

const calls: Block[] = files.flatMap(({ name, text }) => blocks(text, CALL).map((block) => ({ name, block })));
const literals: Block[] = files.flatMap(({ name, text }) => [
  ...blocks(text, FIELDS).map((block) => ({ name, block })),
  ...blocks(text, CALL).flatMap((call) => constants(text, call).map((block) => ({ name, block }))),
]);
const logged = [...calls, ...literals];

describe('The log calls of the sources', () => {
  it('are found by this scan', () => {
    expect(calls.length).toBeGreaterThan(90);
    expect(literals.length).toBeGreaterThan(5);
    expect([events.size > 80, fields.size > 50]).toEqual([true, true]);
  });

  it('use only declared fields', () => {
    const unknown = logged.flatMap(({ name, block }) =>
      properties(block)
        .filter((property) => !fields.has(property))
        .map((property) => `${name}: ${property} in ${block}`),
    );
    expect(unknown).toEqual([]);
  });

  it('use no type that would accept any field', () => {
    const open = files.filter(({ text }) => /import type \{[^}]*\bLogger\b[^}]*\} from 'pino'/.test(text));
    expect(open.map(({ name }) => name)).toEqual([]);
    expect(logged.filter(({ block }) => /\bas (any|never|unknown)\b/.test(block))).toEqual([]);
  });

  it('use every declared event', () => {
    const all = files.map(({ text }) => text).join('\n');
    expect([...events].filter((event) => !all.includes(`'${event}'`))).toEqual([]);
  });

  it('use every declared field', () => {
    const used = new Set(logged.flatMap(({ block }) => properties(block)));
    expect([...fields].filter((field) => !used.has(field))).toEqual([]);
  });
});
