import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FileRow, formatOf, readRows, writeRows } from '../../src/aaa/commands/subscriber-file.js';
import type { Format } from '../../src/aaa/commands/subscriber-policy.js';
import { readSubscriber } from '../../src/aaa/commands/subscriber-policy.js';
import { plainSubscriber, type Subscriber } from '../../src/protocol/home/records.js';

async function rowsOf(text: string, format: Format): Promise<FileRow[]> {
  const rows: FileRow[] = [];
  // Split into pieces of 7 octets, as a stream may deliver it.
  const whole = Buffer.from(text);
  const pieces = Array.from({ length: Math.ceil(whole.length / 7) }, (_, i) => whole.subarray(7 * i, 7 * i + 7));
  for await (const row of readRows(Readable.from(pieces), format)) rows.push(row);
  return rows;
}

/** The subscribers read from a file, or problems as `line: problem`. */
async function read(text: string, format: Format): Promise<(object | string)[]> {
  return (await rowsOf(text, format)).map((row) => {
    const read = 'problem' in row ? row : readSubscriber(row.values);
    return 'problem' in read ? `${row.line}: ${read.problem}` : read.subscriber;
  });
}

const optional = <T>(given: fc.Arbitrary<T>) => fc.option(given, { nil: undefined });

/** A name that a certificate may contain, including characters that CSV and YAML treat specially. */
const name = fc
  .string({ minLength: 1, maxLength: 40, unit: 'grapheme', size: 'max' })
  .filter((text) => text === text.trim() && ![...text].some((character) => character < ' ' || character === '\x7f'));

const subscriber: fc.Arbitrary<Subscriber> = fc.record({
  nai: fc.stringMatching(/^[a-z0-9][a-z0-9_+-]{0,20}@[a-z]{1,10}\.example$/),
  enabled: fc.boolean(),
  mip6: fc.boolean(),
  localHomeAgent: fc.boolean(),
  ikev2HomeAddress: fc.boolean(),
  pskRoot: optional(fc.constantFrom('msk', 'emsk')),
  homeAgent: optional(fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,20}$/)),
  homeAddress: optional(fc.constantFrom('2001:db8:1::7', '::1', '2001:db8::')),
  sessionLifetime: optional(fc.integer({ min: 1, max: 0xffff_fffe })),
  certificateName: optional(name),
  certificateSha256: optional(fc.stringMatching(/^[0-9a-f]{64}$/)),
  sessions: fc.constantFrom('one', 'replace'),
  privacy: fc.constantFrom('optional', 'required'),
  services: fc.constantFrom('none', 'mip4', 'hip', 'mip4,hip'),
  takeovers: fc.constant(0),
});

describe('A subscriber file', () => {
  it.each(['csv', 'yaml'] as const)('in %s is read back exactly as it was written', async (format) => {
    await fc.assert(
      fc.asyncProperty(fc.array(subscriber, { minLength: 1, maxLength: 5 }), async (subscribers) => {
        // Exports are written page by page.
        const text = writeRows(subscribers.slice(0, 1), format, true) + writeRows(subscribers.slice(1), format, false);
        expect(await read(text, format)).toEqual(subscribers);
      }),
    );
  });

  it('may use the usual spellings of yes and no; omitted values get their defaults', async () => {
    const text = 'mip6,nai,enabled\nYes,a@home.example,0\n, b@home.example ,TRUE\n\noff,c@home.example,\n';
    expect(await read(text, 'csv')).toEqual([
      { ...plainSubscriber('a@home.example'), enabled: false },
      plainSubscriber('b@home.example'),
      { ...plainSubscriber('c@home.example'), mip6: false },
    ]);
    expect(await read('- {nai: a@home.example, lifetime: 30m}\n- nai: b@home.example\n  mip6: no\n', 'yaml')).toEqual([
      { ...plainSubscriber('a@home.example'), sessionLifetime: 1800 },
      { ...plainSubscriber('b@home.example'), mip6: false },
    ]);
  });

  it.each([
    ['csv', '', ['1: the file is empty: the first line must name the columns']],
    [
      'csv',
      'nai,customer\n',
      [
        '1: unknown "customer"; known are nai, enabled, mip6, local-home-agent, ikev2-home-address, home-agent, home-address, psk-root, lifetime, certificate-name, certificate-sha256, sessions, privacy, services',
      ],
    ],
    ['csv', 'nai,mipv6\n', ['1: unknown "mipv6"; did you mean "mip6"?']],
    ['csv', 'mip6\nyes\n', ['1: the first line must name the columns, and lacks "nai"']],
    ['csv', 'nai,mip6,nai\n', ['1: duplicate column "nai"']],
    ['csv', 'nai,mip6\n,yes\nb@home.example,maybe\n', ['2: nai is missing', '3: mip6: "maybe" is not yes or no']],
    [
      'csv',
      'nai,sessions,psk-root\na,two,key\n',
      ['2: psk-root: "key" is not msk or emsk; sessions: "two" is not one or replace'],
    ],
    ['csv', 'nai,lifetime\na,5x\n', ['2: lifetime: "5x" is not a duration such as 500ms, 30s, 5m or 2h']],
    ['csv', 'nai\na,b\n', ['2: Invalid Record Length: expect 1, got 2 on line 2']],
    ['yaml', '', ['1: the YAML file must be a list of subscribers: "- nai: mn@home.example"']],
    ['yaml', 'nai: a\n', ['1: the YAML file must be a list of subscribers: "- nai: mn@home.example"']],
    [
      'yaml',
      '- nai: a@home.example\n- 7\n',
      [plainSubscriber('a@home.example'), '2: a subscriber must be a map, such as "- nai: mn@home.example"'],
    ],
    ['yaml', '- nai: a@home.example\n  mip: no\n', ['1: unknown "mip"; did you mean "mip6"?']],
    [
      'yaml',
      '- nai: &a a@home.example\n  psk-root: &root emsk\n- {nai: b@home.example, psk-root: *root}\n- nai: *none\n',
      [
        { ...plainSubscriber('a@home.example'), pskRoot: 'emsk' },
        { ...plainSubscriber('b@home.example'), pskRoot: 'emsk' },
        expect.stringMatching(/^4: not YAML: .*none/),
      ],
    ],
    ['yaml', '- nai: [\n', [expect.stringMatching(/^2: not YAML: /)]],
  ] as const)('in %s with content %j yields its problems with line numbers', async (format, text, problems) => {
    expect(await read(text, format)).toEqual(problems);
  });

  it('in YAML is rejected if it is larger than 16 MiB', async () => {
    const long = Readable.from(Array.from({ length: 17 }, () => Buffer.alloc(1024 * 1024, '#')));
    const rows: FileRow[] = [];
    for await (const row of readRows(long, 'yaml')) rows.push(row);
    expect(rows).toEqual([
      { line: 1, problem: 'the YAML file is larger than 16 MiB: use CSV, which has no size limit' },
    ]);
  });

  it('has the format that its file name extension implies; other extensions imply none', () => {
    expect(['a.csv', 'a.CSV', 'b.yaml', 'b.yml', 'c.txt', '-'].map(formatOf)).toEqual([
      'csv',
      'csv',
      'yaml',
      'yaml',
      undefined,
      undefined,
    ]);
  });
});
