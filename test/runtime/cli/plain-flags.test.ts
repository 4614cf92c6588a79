import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import yargs from 'yargs';
import { z } from 'zod';
import { pacSchema } from '../../../src/pac/options.js';
import { PARSING, plainFlags, withOptions } from '../../../src/runtime/cli/cli.js';
import { optionKeys } from '../../../src/runtime/config/options.js';
import { runs } from '../../seed.js';

// A few keys are enough, because the parser also formats its help text.
const { log, control } = pacSchema.shape;
const FLAGS = { prefix: 'PANA_PAC', schema: z.strictObject({ log, control }) };
const NAMES = ['config', ...optionKeys(FLAGS.schema).map(({ name }) => name)];

/** What the parser reads; undefined: it refuses the command line. */
async function parsed(given: readonly string[]): Promise<Readonly<Record<string, unknown>> | undefined> {
  let read: Readonly<Record<string, unknown>> | undefined;
  const cli = yargs([...given])
    .parserConfiguration(PARSING)
    .strict()
    .demandCommand(1)
    .help()
    .exitProcess(false)
    .fail((message: string | null, error: Error | undefined) => {
      throw error ?? new Error(message ?? 'wrong usage');
    })
    .command(
      'run',
      'Run',
      (run) => withOptions(run, FLAGS),
      (argv) => {
        read = argv;
      },
    );
  await Promise.resolve(cli.parseAsync()).catch(() => undefined);
  const known = Object.entries(read ?? {}).filter(([name]) => NAMES.includes(name));
  return read && Object.fromEntries(known);
}

describe('plainFlags', () => {
  it.each([
    [['run'], {}],
    [['run', '-c', '/etc/pana-pac.yaml'], { config: '/etc/pana-pac.yaml' }],
    [['run', '--config', 'a b', '--log.format', 'plain'], { config: 'a b', 'log.format': 'plain' }],
    [['run', '--log.level', '1', '--control.socket', '/a=b'], { 'log.level': '1', 'control.socket': '/a=b' }],
  ])('reads %j', (given, flags) => {
    expect(plainFlags(given, 'run', FLAGS)).toEqual(flags);
  });

  it.each([
    [[]],
    [['status']],
    [['run', '--help']],
    [['run', '-c']],
    [['run', '-c', '']],
    [['run', '-c', '--log.level']],
    [['run', '-c', "'quoted'"]],
    [['run', '-c', 'a', '--config', 'b']],
    [['run', '--config=a']],
    [['run', '--nonsense', 'a']],
    [['run', 'a', 'b']],
    [['run', '--config', 'a', 'b']],
    [['run', 'log.level', 'debug']],
  ])('leaves %j to the parser', (given) => {
    expect(plainFlags(given, 'run', FLAGS)).toBeUndefined();
  });

  it('reads no command line differently from the parser', async () => {
    const word = fc.oneof(
      fc.constantFrom('run', '-c', '--config', '--', '-', '--help', '--no-config', 'a', '', '1', 'true', '"a"', "a'"),
      fc.constantFrom(...NAMES).map((name) => `--${name}`),
      fc.string({ maxLength: 6 }),
    );
    const pair = fc.tuple(fc.constantFrom('-c', ...NAMES.map((name) => `--${name}`)), word);
    const line = fc.oneof(
      fc.array(pair, { maxLength: 3 }).map((pairs) => ['run', ...pairs.flat()]),
      fc.array(word, { maxLength: 5 }),
    );
    const compare = async (given: readonly string[]) => {
      const flags = plainFlags(given, 'run', FLAGS);
      if (flags) expect(await parsed(given)).toEqual(flags);
    };
    await fc.assert(fc.asyncProperty(line, compare), { numRuns: runs(100) });
  });
});
