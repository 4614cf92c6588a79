import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { aaaSchema } from '../../src/aaa/config/options.js';
import { paaSchema } from '../../src/paa/options.js';
import { pacSchema } from '../../src/pac/options.js';
import { preSchema } from '../../src/pre/options.js';
import { loadOptions, optionKeys } from '../../src/runtime/config/options.js';

const SAMPLES = [
  { name: 'pana-pac', schema: pacSchema },
  { name: 'pana-pre', schema: preSchema },
  { name: 'pana-paa', schema: paaSchema },
  { name: 'pana-aaa', schema: aaaSchema },
] as const;

describe.each(SAMPLES)('Sample configuration of $name', ({ name, schema }) => {
  const path = new URL(`../../scripts/config/${name}.example.yaml`, import.meta.url).pathname;
  const sources = { flags: {}, environment: {}, prefix: 'X' };

  it('is accepted by the daemon', async () => {
    await expect(loadOptions(schema, { ...sources, file: path })).resolves.toBeDefined();
  });

  it('is valid with every commented-out key set', async () => {
    // A line "  # key: value  # why" is an example of a key that is not set.
    const [, text = ''] = readFileSync(path, 'utf8').split(/\n\n(.*)/s);
    const all = text.replaceAll(/^( *)# ?((?: *(?:- )?[a-z-]+:| {2,})[^#\n]*).*$/gm, '$1$2');
    const tree = parse(all) as Record<string, unknown>;
    const result = schema.safeParse(tree);
    expect(result.error?.issues ?? []).toEqual([]);
  });

  it('has a description for every key of the schema', () => {
    for (const { name: key, description } of optionKeys(schema)) expect(`${key}: ${description}`).toMatch(/: .{8,}/);
  });
});
