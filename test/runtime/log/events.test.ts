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

/** A call of a log, or the literal that a function returns as fields. */
const CALL = /\blog(?:\.(?:trace|debug|info|warn|error|fatal)|\[[^\]]+\])\(/gi;
const FIELDS = /\): LogFields \{/g;

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
}

/** From an opening bracket to the one that closes it. */
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

/** Names of properties in object literals: `name: …`, `name,`, `name }`, and those that the type of a computed one has. */
function properties(block: string): string[] {
  const literals = block.replace(/'[^']*'/g, "''").replace(/const (\{[^}]*\}|\[[^\]]*\]) =/g, '');
  return [...literals.matchAll(/[{,]\s*(\w+)\s*(?=:|,|\})/g)].map(([, name]) => String(name));
}

/** What the constants hold that a call takes its fields from: `...name`, or `name` as its first argument. */
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

describe('the log of the daemons', () => {
  it('is found in the sources', () => {
    expect(calls.length).toBeGreaterThan(90);
    expect(literals.length).toBeGreaterThan(5);
    expect([events.size > 80, fields.size > 50]).toEqual([true, true]);
  });

  it('has no field but those of the list', () => {
    const unknown = logged.flatMap(({ name, block }) =>
      properties(block)
        .filter((property) => !fields.has(property))
        .map((property) => `${name}: ${property} in ${block}`),
    );
    expect(unknown).toEqual([]);
  });

  it('says nothing whose type is open, which would take any field', () => {
    const open = files.filter(({ text }) => /import type \{[^}]*\bLogger\b[^}]*\} from 'pino'/.test(text));
    expect(open.map(({ name }) => name)).toEqual([]);
    expect(logged.filter(({ block }) => /\bas (any|never|unknown)\b/.test(block))).toEqual([]);
  });

  it('has no event that nothing logs', () => {
    const all = files.map(({ text }) => text).join('\n');
    expect([...events].filter((event) => !all.includes(`'${event}'`))).toEqual([]);
  });

  it('has no field that nothing logs', () => {
    const used = new Set(logged.flatMap(({ block }) => properties(block)));
    expect([...fields].filter((field) => !used.has(field))).toEqual([]);
  });
});
