import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { loadOptions } from '../../../src/runtime/config/options.js';

const SCHEMA = z.strictObject({
  names: z.array(z.string().regex(/^\S+$/)).default([]),
  ports: z.array(z.number()).default([]),
  inner: z.strictObject({ name: z.string().optional() }).default({}),
});

const load = (flags: Record<string, string>, environment: Record<string, string> = {}) =>
  loadOptions(SCHEMA, { flags, environment, prefix: 'X', file: undefined });

describe('loadOptions with flags', () => {
  it.each(['a,b', 'a, b', ' a ,\tb', '[a, b]'])('splits a plain list: %j', async (names) => {
    expect(await load({ names })).toMatchObject({ names: ['a', 'b'] });
  });

  it('reads a list of numbers in brackets', async () => {
    expect(await load({ ports: '[1, 2]' })).toMatchObject({ ports: [1, 2] });
  });

  it('prefers flags to environment variables', async () => {
    const environment = { X_INNER_NAME: 'environment', X_NAMES: 'e' };
    expect(await load({ 'inner.name': 'flag' }, environment)).toMatchObject({ inner: { name: 'flag' }, names: ['e'] });
  });
});
