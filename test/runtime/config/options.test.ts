import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { control } from '../../../src/runtime/config/control-section.js';
import { loadOptions } from '../../../src/runtime/config/options.js';
import { address, algorithms, duration } from '../../../src/runtime/config/sections.js';

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

  it('splits a list whose schema transforms it, from a flag and from the environment', async () => {
    const schema = z.strictObject({ pana: z.strictObject({ prf: algorithms.prf }) });
    const sources = { flags: {}, environment: {}, prefix: 'X', file: undefined };
    const both = { pana: { prf: [2, 5] } };
    expect(await loadOptions(schema, { ...sources, flags: { 'pana.prf': 'sha1,sha256' } })).toEqual(both);
    expect(await loadOptions(schema, { ...sources, environment: { X_PANA_PRF: 'sha1,sha256' } })).toEqual(both);
  });

  it('reads a list of numbers in brackets', async () => {
    expect(await load({ ports: '[1, 2]' })).toMatchObject({ ports: [1, 2] });
  });

  it('prefers flags to environment variables', async () => {
    const environment = { X_INNER_NAME: 'environment', X_NAMES: 'e' };
    expect(await load({ 'inner.name': 'flag' }, environment)).toMatchObject({ inner: { name: 'flag' }, names: ['e'] });
  });
});

/** The error message for a file with this text, without the path of its folder; '' if it is accepted. */
async function refusal(schema: z.ZodObject, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'options-'));
  const file = join(folder, 'x.yaml');
  try {
    await writeFile(file, text);
    await loadOptions(schema, { flags: {}, environment: {}, prefix: 'X', file });
    return '';
  } catch (error) {
    expect(error).toMatchObject({ name: 'OperatorError' });
    return (error as Error).message.replaceAll(`${folder}/`, '');
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe('loadOptions with a file', () => {
  it('names the line of an alias without an anchor', async () => {
    expect(await refusal(SCHEMA, 'names: &a [b]\n')).toBe('');
    expect(await refusal(SCHEMA, 'inner:\n  name: n\nnames: *none\n')).toBe(
      'x.yaml:3: not YAML: the alias *none has no anchor',
    );
  });

  it('refuses aliases that expand to too many nodes', async () => {
    const lists = Array.from({ length: 12 }, (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i},`.repeat(9)}]\n`);
    expect(await refusal(SCHEMA, `l0: &l0 [x]\n${lists.join('')}`)).toMatch(/^x\.yaml:1: not YAML: /);
  });
});

describe('An error in the configuration', () => {
  const schema = z.strictObject({
    host: z.string().describe('the name of this node'),
    port: z.number().optional().describe('its port'),
    inner: z.strictObject({ name: z.string(), size: z.number().optional() }).optional(),
    peers: z.array(z.string()).optional(),
  });

  it.each([
    ['host: a\ninner: b', 'x.yaml:2: inner: expected a section with keys, received string'],
    ['host: a\npeers:\n  b: c', 'x.yaml:2: peers: expected a list, whose items begin with "- ", received object'],
    [
      'host: a\npeers: [@b]',
      'x.yaml:2: not YAML: Plain value cannot start with reserved character @: put the value in quotes',
    ],
    ['', 'x.yaml: host is missing: the name of this node'],
    ['port: 1', 'x.yaml: host is missing: the name of this node'],
    ['host: a\ninner:\n  size: 1', 'x.yaml:2: inner.name is missing: it is required'],
    ['port: 1\nhost: 2', 'x.yaml:2: host: expected string, received number (the name of this node)'],
    ['host: a\ninner:\n  name: [b]', 'x.yaml:3: inner.name: expected string, received array'],
    ['host: a\nprot: 1', 'x.yaml:2: prot: unknown key; did you mean "port"?'],
    ['host: a\ninner: {name: b, colour: c}', 'x.yaml:2: inner.colour: unknown key; known keys: name, size'],
    [
      'port: a',
      'x.yaml: host is missing: the name of this node\nx.yaml:1: port: expected number, received string (its port)',
    ],
  ])('of %j is reported with its place and what is expected', async (text, message) => {
    expect(await refusal(schema, text)).toBe(message);
  });

  it('is reported with the name of the flag or variable that has the value', async () => {
    const given = { flags: { port: 'a' }, environment: { X_INNER_SIZE: 'b' }, prefix: 'X', file: undefined };
    await expect(loadOptions(schema, given)).rejects.toThrow(
      [
        'configuration: host is missing: the name of this node',
        '--port: expected number, received string (its port)',
        'configuration: inner.name is missing: it is required',
        'X_INNER_SIZE: inner.size: expected number, received string',
      ].join('\n'),
    );
  });

  it('is followed by how to give a file, if nothing at all was given', async () => {
    await expect(loadOptions(schema, { flags: {}, environment: {}, prefix: 'X', file: undefined })).rejects.toThrow(
      /\nno configuration file was given: -c FILE, or X_CONFIG in the environment$/,
    );
  });
});

describe('A duration', () => {
  it.each([
    ['0', 0],
    ['1.5s', 1500],
    ['2h', 7_200_000],
    ['4294967295s', 4_294_967_295_000],
  ])('%s is accepted', (text, milliseconds) => {
    expect(duration().parse(text)).toBe(milliseconds);
  });

  it.each(['49711d', '4294967296', `${'9'.repeat(400)}d`])('%s is too long for 32 bits of seconds', (text) => {
    expect(duration().safeParse(text).error?.issues[0]?.message).toMatch(/is too long: at most 4294967295s$/);
  });

  it('may have a minimum', () => {
    expect(duration(6).parse('6s')).toBe(6000);
    expect(duration(6).safeParse('5999ms').error?.issues[0]?.message).toBe('"5999ms" is too short: at least 6s');
  });
});

describe('An address', () => {
  it.each(['2001:db8::1', 'fe80::1%eth0', '192.0.2.1'])('%s is accepted', (text) => {
    expect(address().parse(text)).toBe(text);
  });

  it.each(['::1%', 'fe80::1%', 'fe80::1%a%b', 'fe80::g%eth0', ''])('%j is refused', (text) => {
    expect(address().safeParse(text).error?.issues[0]?.message).toMatch(/ is not an IP address such as /);
  });

  it.each(['fe80::1', 'FEBF::1'])('%s is refused without its interface', (text) => {
    expect(address().safeParse(text).error?.issues[0]?.message).toMatch(/ is link-local and needs its interface, /);
  });

  it.each([
    ['2001:DB8:0:0::1', '2001:db8::1'],
    ['FE80::1%eth1', 'fe80::1%eth1'],
    ['192.0.2.7', '192.0.2.7'],
  ])('is compared in its canonical form: %s', (text, canonical) => expect(address().parse(text)).toBe(canonical));
});

it('control.metrics is an address and a port', () => {
  const metrics = (text: string) => control('x').safeParse({ metrics: text }).success;
  expect(['127.0.0.1:0', '[::1]:65535', 'localhost:9108'].map(metrics)).toEqual([true, true, true]);
  expect(['127.0.0.1:65536', '127.0.0.1:99999', '127.0.0.1', ':9108'].map(metrics)).toEqual(Array(4).fill(false));
});
