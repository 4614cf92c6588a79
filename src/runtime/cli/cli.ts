import type { Argv } from 'yargs';
import type { z } from 'zod';
import { loadOptions, optionKeys } from '../config/options.js';
import { EXIT_OPERATOR, explainFailure, OperatorError, StartError } from '../system/failure.js';
import { isJournal, STDERR } from '../system/journal.js';
import { endProcess } from '../system/process-end.js';
import { visible, visibleLines } from '../system/terminal.js';
import { COMPLETE, completionScript, completions, type Names, SHELLS } from './completion.js';
import { keyHelp } from './key-help.js';
import { MANUAL, manualPage } from './manual.js';

/** Maximum width of help texts in columns. */
const WIDTH = 110;

/** How the parser reads a command line. */
export const PARSING = { 'dot-notation': false, 'camel-case-expansion': false, 'duplicate-arguments-array': false };

export interface Program {
  /** `pana-pac` */
  readonly name: string;
  readonly description: string;
  readonly epilogue: string;
  /** Example command lines with descriptions, for `--help`. */
  readonly examples: readonly [command: string, what: string][];
  readonly commands: (cli: Argv) => Argv;
  /** Its configuration file, for the manual. */
  readonly configuration?: OptionFlags<z.ZodObject> | undefined;
  /** Names that complete its command lines. */
  readonly names?: Names | undefined;
  /** The action of a command line that needs no parser. Undefined: it needs one. */
  readonly shortcut?: ((given: readonly string[]) => (() => Promise<void>) | undefined) | undefined;
}

/** Exits without an error if the reader of standard output closes the pipe early, as `head` does. */
function ignoreClosedPipe(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
}

/**
 * Runs the command line. Wrong usage and operator errors print one message and exit with status 2; a start that may
 * succeed later exits with status 1.
 */
export async function runProgram(program: Program): Promise<void> {
  ignoreClosedPipe();
  const given = process.argv.slice(2);
  if (given[0] === COMPLETE) {
    const words = await completions((cli) => commandsOf(program, cli), given.slice(1), program.names);
    if (words.length > 0) print(words.join('\n'));
    return;
  }
  if (given[0] === MANUAL) {
    const section = given[1] === '5' || given[1] === '8' ? given[1] : '1';
    process.stdout.write(manualPage({ ...program, commands: (cli) => commandsOf(program, cli) }, section));
    return;
  }
  try {
    const action = program.shortcut?.(given) ?? (await parsed(program, given));
    await action();
  } catch (error) {
    const text = explainFailure(error);
    printError(text === undefined ? String((error as Error).stack ?? error) : `${program.name}: ${text}`);
    // Handles opened before the error must not keep the process alive.
    await endProcess(text === undefined || error instanceof StartError ? 1 : EXIT_OPERATOR);
  }
}

async function parsed(program: Program, given: readonly string[]): Promise<() => Promise<void>> {
  const { unknownWord } = await import('./unknown-word.js');
  const cli = (await cliOf(program, given)).fail((message: string | null, error: Error | undefined) => {
    if (error) throw error;
    const unknown = /^Unknown /.test(message ?? '')
      ? unknownWord(program.name, (top) => commandsOf(program, top), given)
      : undefined;
    throw new OperatorError(`${unknown ?? message ?? 'wrong usage'}\nTry ${program.name} --help.`);
  });
  return async () => {
    await cli.parseAsync();
  };
}

/** Prints an error to standard error, with the priority of an error in the journal. */
function printError(text: string): void {
  const prefix = isJournal(STDERR, process.env) ? '<3>' : '';
  process.stderr.write(`${visibleLines(text).replaceAll(/^/gm, prefix)}\n`);
}

async function cliOf(program: Program, given: readonly string[]): Promise<Argv> {
  const { default: yargs } = await import('yargs');
  const cli = yargs(given)
    .scriptName(program.name)
    .usage(`$0 <command>\n\n${program.description}`)
    .parserConfiguration(PARSING)
    .epilogue(program.epilogue)
    .example(program.examples)
    .wrap(helpWidth())
    .strict()
    .demandCommand(1, 'Name a command (see --help).')
    .help()
    .alias('help', 'h');
  return commandsOf(program, cli);
}

function commandsOf(program: Program, cli: Argv): Argv {
  return program.commands(cli).command(
    'completion <shell>',
    'Print a shell script that completes commands, flags and names',
    (completion) =>
      completion
        .positional('shell', { choices: SHELLS, demandOption: true, description: 'which shell' })
        .example(`source <(${program.name} completion bash)`, 'in ~/.bashrc')
        .example(`source <(${program.name} completion zsh)`, 'in ~/.zshrc, after compinit')
        .example(`${program.name} completion fish | source`, 'in ~/.config/fish/config.fish'),
    (argv) => print(completionScript(program.name, argv.shell)),
  );
}

/** The options of a daemon for yargs: `--config`, and one flag for each key. */
export interface OptionFlags<S extends z.ZodObject> {
  /** `PANA_PAC`: the environment variable of `pana.port` is `PANA_PAC_PANA_PORT`. */
  readonly prefix: string;
  readonly schema: S;
}

/** Columns of help texts. */
function helpWidth(): number {
  return Math.min(WIDTH, process.stdout.columns ?? WIDTH);
}

/** Adds a flag for each key of the configuration. Their help, which yargs would cram into two columns, is an epilogue. */
export function withOptions<S extends z.ZodObject>(cli: Argv, { prefix, schema }: OptionFlags<S>): Argv {
  cli.option('config', { alias: 'c', type: 'string', description: `YAML file [${prefix}_CONFIG]` });
  for (const { name } of optionKeys(schema)) cli.option(name, { type: 'string', hidden: true });
  // Takes as long as the check of a configuration.
  const asksForHelp = process.argv.some((word) => word === '--help' || word === '-h');
  return asksForHelp ? cli.epilogue(keyHelp(schema, prefix, helpWidth())) : cli;
}

/**
 * Reads a command line of a command and flags of the configuration, each with a value, as a service manager gives it. Its
 * result is that of the parser. Undefined: only the parser can read it.
 */
export function plainFlags<S extends z.ZodObject>(
  given: readonly string[],
  command: string,
  { schema }: OptionFlags<S>,
): Readonly<Record<string, string>> | undefined {
  if (given[0] !== command || given.length % 2 === 0) return undefined;
  const names = new Set(['config', ...optionKeys(schema).map(({ name }) => name)]);
  const flags: Record<string, string> = {};
  for (let i = 1; i < given.length; i += 2) {
    const [flag = '', value = ''] = given.slice(i);
    const name = flag === '-c' ? 'config' : flag.slice(2);
    const isFlag = flag === '-c' || (flag.startsWith('--') && names.has(name));
    // The parser removes quotes, and takes what begins with a hyphen for a flag.
    if (!isFlag || name in flags || !/^[^-'"]/.test(value)) return undefined;
    flags[name] = value;
  }
  return flags;
}

/** Reads the options of a command line. Throws OperatorError. */
export function optionsOf<S extends z.ZodObject>(
  argv: Readonly<Record<string, unknown>>,
  { prefix, schema }: OptionFlags<S>,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<z.output<S>> {
  const flags: Record<string, string> = {};
  for (const { name } of optionKeys(schema)) {
    const value = argv[name];
    if (typeof value === 'string') flags[name] = value;
  }
  const given = argv['config'];
  const file = typeof given === 'string' ? given : environment[`${prefix}_CONFIG`];
  return loadOptions(schema, { flags, environment, prefix, file });
}

/** Prints lines to standard output. Values in them must already be escaped. */
export function print(text: string): void {
  process.stdout.write(`${visibleLines(text)}\n`);
}

/** Prints a warning to standard error. */
export function warn(text: string): void {
  process.stderr.write(`warning: ${visibleLines(text)}\n`);
}

/** Formats a table; each column is as wide as its widest cell. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows.map((row) => row.map(visible))];
  const widths = header.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return all.map(line).join('\n');
}
