import yargs, { type Argv } from 'yargs';
import { hideBin } from 'yargs/helpers';
import type { z } from 'zod';
import { EXIT_OPERATOR, explainFailure, OperatorError } from './failure.js';
import { environmentName, loadOptions, optionKeys } from './options.js';

/** Width of help texts; a wider terminal does not make them easier to read. */
const WIDTH = 110;

export interface Program {
  /** `pana-pac` */
  readonly name: string;
  readonly description: string;
  readonly epilogue: string;
  /** Command lines and what they do, for `--help`. */
  readonly examples: readonly [command: string, what: string][];
  readonly commands: (cli: Argv) => Argv;
}

/** Runs the command line. Bad usage and errors for the operator end with one message and status 2. */
export async function runProgram(program: Program): Promise<void> {
  const cli = yargs(hideBin(process.argv))
    .scriptName(program.name)
    .usage(`$0 <command>\n\n${program.description}`)
    .parserConfiguration({ 'dot-notation': false, 'camel-case-expansion': false, 'duplicate-arguments-array': false })
    .epilogue(program.epilogue)
    .example(program.examples)
    .wrap(Math.min(WIDTH, process.stdout.columns ?? WIDTH))
    .strict()
    .recommendCommands()
    .demandCommand(1, 'Which command? --help lists them.')
    .help()
    .alias('help', 'h')
    .fail((message: string | null, error: Error | undefined) => {
      throw error ?? new OperatorError(`${message ?? 'wrong usage'}\nTry ${program.name} --help.`);
    });
  try {
    await program.commands(cli).parseAsync();
  } catch (error) {
    const text = explainFailure(error);
    process.stderr.write(text === undefined ? `${(error as Error).stack ?? error}\n` : `${program.name}: ${text}\n`);
    process.exitCode = text === undefined ? 1 : EXIT_OPERATOR;
  }
}

/** A daemon's options as yargs sees them: `--config` and one flag a key. */
export interface OptionFlags<S extends z.ZodObject> {
  /** `PANA_PAC`: the environment variable of `pana.port` is `PANA_PAC_PANA_PORT`. */
  readonly prefix: string;
  readonly schema: S;
}

/** Adds a flag for each key of the configuration. */
export function withOptions<S extends z.ZodObject>(cli: Argv, { prefix, schema }: OptionFlags<S>): Argv {
  cli.option('config', {
    alias: 'c',
    type: 'string',
    group: 'Configuration (flags over environment over file over defaults):',
    description: `YAML file [${prefix}_CONFIG]`,
  });
  for (const { name, description } of optionKeys(schema)) {
    cli.option(name, {
      type: 'string',
      group: 'Configuration (flags over environment over file over defaults):',
      description: `${description} [${environmentName(prefix, name)}]`,
    });
  }
  return cli;
}

/** The options that a command line stands for. Throws OperatorError. */
export function optionsOf<S extends z.ZodObject>(
  argv: Readonly<Record<string, unknown>>,
  { prefix, schema }: OptionFlags<S>,
): Promise<z.output<S>> {
  const flags: Record<string, string> = {};
  for (const { name } of optionKeys(schema)) {
    const value = argv[name];
    if (typeof value === 'string') flags[name] = value;
  }
  const given = argv['config'];
  const file = typeof given === 'string' ? given : process.env[`${prefix}_CONFIG`];
  return loadOptions(schema, { flags, environment: process.env, prefix, file });
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Columns as wide as their widest cell. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return all.map(line).join('\n');
}
