import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundFields, MAX_LINE, MAX_VALUE } from '../../../src/runtime/log/log-bounds.js';
import { within } from '../../eventually.js';
import { runs } from '../../seed.js';

const octets = (value: unknown) => Buffer.byteLength(JSON.stringify(value));

/** Octets reserved for level, time, name and message. */
const REST = 512;

describe('boundFields', () => {
  it('leaves short fields unchanged', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.string({ maxLength: 20, size: 'max' }),
          fc.oneof(fc.string({ maxLength: 40, size: 'max' }), fc.integer(), fc.boolean(), fc.constant(null)),
          { maxKeys: 10 },
        ),
        (fields) => {
          expect(boundFields(fields)).toEqual(fields);
        },
      ),
    );
  });

  it('keeps any fields within MAX_LINE', () => {
    const long = fc
      .tuple(fc.string({ unit: 'binary', minLength: 1 }), fc.nat(20_000))
      .map(([text, times]) => text.repeat(times));
    const any = fc.oneof(long, fc.object({ values: [long, fc.double()], maxDepth: 6, maxKeys: 60 }), fc.array(long));
    fc.assert(
      fc.property(fc.dictionary(fc.oneof(long, fc.string()), any, { maxKeys: 80 }), (fields) => {
        expect(octets(boundFields(fields))).toBeLessThanOrEqual(MAX_LINE - REST);
      }),
      { numRuns: runs(200) },
    );
  });

  it.each([
    ['letters', 'x'],
    ['control characters', '\u0001'],
    ['quotes', '"'],
    ['three-octet characters', '€'],
    ['lone surrogates', '\ud800'],
  ])('cuts a long value and states its length: %s', (_what, character) => {
    const { value } = boundFields({ value: character.repeat(60_000) });
    expect(value).toMatch(/… \(60000 characters\)$/);
    expect(octets(value)).toBeLessThanOrEqual(MAX_VALUE + 40);
  });

  it('cuts deeply nested lists', () => {
    let nested: unknown = ['x'.repeat(100)];
    for (let i = 0; i < 40; i += 1) nested = Array.from({ length: 40 }, () => nested);
    expect(octets(boundFields({ nested }))).toBeLessThanOrEqual(MAX_LINE - REST);
  });
});

describe.each(['json', 'journal', 'plain', 'pretty'])('openLog with format %s', (format) => {
  it('writes no line longer than MAX_LINE and no secret field', async () => {
    const log = fileURLToPath(new URL('../../../dist/runtime/log/log.js', import.meta.url));
    const program = `
      const { openLog } = await import(${JSON.stringify(log)});
      const log = await openLog('pana-aaa', { level: 'info', format: ${JSON.stringify(format)} });
      log.warn({ session: 'a;1;2', identity: '\\u0001'.repeat(60000), detail: '"'.repeat(60000), msk: 'secret' }, 'refused');
      log.error(new Error('x'.repeat(100000)));`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program]);
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
    await within(once(child, 'close'), 'child closes');
    const lines = out.trimEnd().split('\n');
    expect(lines[0]).toContain('refused');
    expect(out).not.toContain('secret');
    for (const line of lines) expect(Buffer.byteLength(line)).toBeLessThan(MAX_LINE);
  });
});
