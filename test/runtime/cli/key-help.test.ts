import { describe, expect, it } from 'vitest';
import { aaaSchema } from '../../../src/aaa/config/options.js';
import { paaSchema } from '../../../src/paa/options.js';
import { pacSchema } from '../../../src/pac/options.js';
import { preSchema } from '../../../src/pre/options.js';
import { keyHelp } from '../../../src/runtime/cli/key-help.js';
import { optionKeys } from '../../../src/runtime/config/options.js';

const PROGRAMS = [
  ['pana-pac', pacSchema],
  ['pana-pre', preSchema],
  ['pana-paa', paaSchema],
  ['pana-aaa', aaaSchema],
] as const;

describe.each(PROGRAMS)('The help of the keys of %s', (_, schema) => {
  it.each([80, 120])('has every key, and no line of more than %i columns', (width) => {
    const lines = keyHelp(schema, 'X', width).split('\n');
    expect(lines.filter((line) => line.length > width)).toEqual([]);
    for (const { name } of optionKeys(schema))
      expect(lines.filter((line) => line.startsWith(`  --${name} `))).toHaveLength(1);
  });
});

describe('The help of a key', () => {
  const help = keyHelp(pacSchema, 'PANA_PAC', 120);

  it('shows its values, its default as a flag, and whether a reload applies it', () => {
    expect(help).toContain('\n  --pana.prf <list: sha256, sha1> [default: sha256,sha1]\n        PRF algorithms');
    expect(help).toContain('\n  --retry.first <duration> [default: 2s] [reload]\n');
    expect(help).toContain('\n  --tls.server-name <text> [required] [reload]\n');
    expect(help).toContain('\n  --pana.paa <list: text> [reload]\n');
    expect(help).toContain('PANA_PAC_LOG_LEVEL');
  });

  it('explains lists of maps only where there are some', () => {
    expect(help).not.toContain('list of maps');
    expect(keyHelp(paaSchema, 'X', 200)).toContain("--pana.relays '[{…}, {…}]'");
  });
});
