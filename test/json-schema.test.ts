import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { aaaSchema } from '../src/aaa/config/options.js';
import { paaSchema } from '../src/paa/options.js';
import { pacSchema } from '../src/pac/options.js';
import { preSchema } from '../src/pre/options.js';
import { configurationSchema } from '../src/runtime/config/json-schema.js';

const CONFIGURATIONS = [
  { name: 'pana-pac', schema: pacSchema, section: 'eap' },
  { name: 'pana-paa', schema: paaSchema, section: 'pana' },
  { name: 'pana-aaa', schema: aaaSchema, section: 'diameter' },
  { name: 'pana-pre', schema: preSchema, section: 'relay' },
] as const;

describe.each(CONFIGURATIONS)('The JSON Schema of $name', ({ name, schema, section }) => {
  const json = configurationSchema(name, schema);
  const validator = z.fromJSONSchema(json as Parameters<typeof z.fromJSONSchema>[0]);
  const sample = async () => readFile(`scripts/config/${name}.example.yaml`, 'utf8');

  it('is the one in scripts/schema (write it with vitest -u)', async () => {
    await expect(`${JSON.stringify(json, undefined, 2)}\n`).toMatchFileSnapshot(`../scripts/schema/${name}.json`);
  });

  it('accepts the sample, which names it in its first line', async () => {
    const text = await sample();
    expect(text.split('\n', 1)).toEqual([
      `# yaml-language-server: $schema=/usr/local/share/pana-mip6/schema/${name}.json`,
    ]);
    expect(validator.safeParse(parse(text)).error?.issues ?? []).toEqual([]);
  });

  it('refuses an unknown key, a value of another type, and a missing key', async () => {
    const tree = parse(await sample()) as { log: object };
    const refused = (changed: object) => !validator.safeParse(changed).success;
    expect(refused({ ...tree, lgo: {} })).toBe(true);
    expect(refused({ ...tree, log: { ...tree.log, levle: 'info' } })).toBe(true);
    expect(refused({ ...tree, log: { level: 'loud' } })).toBe(true);
    expect(refused({ ...tree, [section]: {} })).toBe(true);
    expect(refused(tree)).toBe(false);
  });
});
