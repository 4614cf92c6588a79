import type { Argv, Options } from 'yargs';

type Build = (cli: Argv) => unknown;

/** A command: its line (`show <nai>`), its description, and the builder of its flags and subcommands. */
export interface OutlineCommand {
  readonly line: string;
  readonly description: string;
  readonly build: Build;
}

/** What the builder of a command defines: subcommands, flags and positional arguments by name, examples, further text. */
export interface Outline {
  readonly commands: ReadonlyMap<string, OutlineCommand>;
  readonly flags: ReadonlyMap<string, Options>;
  readonly positionals: ReadonlyMap<string, Options>;
  readonly examples: readonly (readonly [command: string, what: string])[];
  readonly epilogues: readonly string[];
}

/** Runs a builder and records what it defines, without a parser. */
export function outlineOf(build: Build): Outline {
  const commands = new Map<string, OutlineCommand>();
  const flags = new Map<string, Options>();
  const positionals = new Map<string, Options>();
  const examples: [string, string][] = [];
  const epilogues: string[] = [];
  const known: Readonly<Record<string, (...given: never[]) => void>> = {
    command: (line: string, description: string, inner: Build | undefined) => {
      const build = typeof inner === 'function' ? inner : () => undefined;
      commands.set(line.split(' ', 1)[0] ?? '', { line, description, build });
    },
    option: (name: string, options: Options) => flags.set(name, options),
    positional: (name: string, options: Options) => positionals.set(name, options),
    example: (command: string, what: string) => examples.push([command, what]),
    epilogue: (text: string) => epilogues.push(text),
  };
  const cli: Argv = new Proxy({} as Argv, {
    get:
      (_target, method) =>
      (...given: never[]) => {
        known[String(method)]?.(...given);
        return cli;
      },
  });
  build(cli);
  return { commands, flags, positionals, examples, epilogues };
}
