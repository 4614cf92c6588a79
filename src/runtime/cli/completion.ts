import type { Argv, Options } from 'yargs';

/** What a completion script calls its program with, before the words of the command line. */
export const COMPLETE = '--complete';

export const SHELLS = ['bash', 'zsh'] as const;

/** A script for a shell that asks the program itself for what may come next, a line each. */
export function completionScript(program: string, shell: (typeof SHELLS)[number]): string {
  const name = `_${program.replaceAll('-', '_')}`;
  return shell === 'bash' ? bash(program, name) : zsh(program, name);
}

/**
 * bash breaks words at "@" and ":", which names and addresses have in them: the words are taken from the line itself, and what
 * bash takes for words before the last break is cut off again.
 */
function bash(program: string, name: string): string {
  return `${name}() {
  local line=\${COMP_LINE:0:COMP_POINT} words last
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  last=\${words[-1]}
  mapfile -t COMPREPLY < <("\${words[0]}" ${COMPLETE} "\${words[@]:1}" 2>/dev/null)
  COMPREPLY=("\${COMPREPLY[@]#"\${last%"$2"}"}")
}
complete -o bashdefault -o default -F ${name} ${program}`;
}

function zsh(program: string, name: string): string {
  return `#compdef ${program}
${name}() {
  local -a found
  found=("\${(@f)$("\${words[1]}" ${COMPLETE} "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n $found[1] ]]; then compadd -a found; else _files; fi
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then ${name} "$@"; else compdef ${name} ${program}; fi`;
}

/** Where a command line stops. */
export interface Gap {
  /** `['subscriber', 'show']` */
  readonly commands: readonly string[];
  /** Positional arguments before it. */
  readonly positionals: readonly string[];
  /** Flags before it that have values. */
  readonly flags: Readonly<Record<string, string>>;
  /** The flag whose value is missing; undefined: it is a positional argument. */
  readonly flag: string | undefined;
  /** What is there of the word. */
  readonly last: string;
}

/** Names that fit into a gap. */
export type Names = (gap: Gap) => Promise<readonly string[]>;

/** What one command takes. */
interface Spot {
  readonly commands: Map<string, (cli: Argv) => unknown>;
  readonly flags: Map<string, Options>;
  readonly positionals: Options[];
}

/**
 * What may stand in the place of the last of these words: commands, flags, choices and names. yargs completes top commands
 * only as long as inner ones demand theirs, so its builders are read here.
 */
export async function completions(
  build: (cli: Argv) => unknown,
  words: readonly string[],
  names: Names = () => Promise.resolve([]),
): Promise<string[]> {
  let spot = read(build);
  const commands: string[] = [];
  const positionals: string[] = [];
  const flags: Record<string, string> = {};
  let flag: string | undefined;
  for (const [i, word] of words.slice(0, -1).entries()) {
    const inner = spot.commands.get(word);
    if (flag !== undefined) {
      flags[flag] = word;
      flag = undefined;
    } else if (word.startsWith('-')) {
      const [, name = '', value] = /^--?([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
      const key = nameOf(spot, name);
      if (value !== undefined) flags[key] = value;
      else if (takesValue(spot, key, words[i + 1])) flag = key;
    } else if (inner) {
      commands.push(word);
      spot = read(inner);
    } else {
      positionals.push(word);
    }
  }
  const last = words.at(-1) ?? '';
  const fits = (found: readonly string[]) => [...new Set(found)].filter((word) => word.startsWith(last));
  if (flag === undefined && last.startsWith('-')) return fits(flagsOf(spot));
  const given = flag === undefined ? spot.positionals[positionals.length] : spot.flags.get(flag);
  const known = flag === undefined && positionals.length === 0 ? [...spot.commands.keys()] : [];
  const choices = (given?.choices ?? []).map(String).filter((choice) => choice !== '');
  return fits([...known, ...choices, ...(await names({ commands, positionals, flags, flag, last }))]);
}

/** Runs a builder to see what it builds. */
function read(build: (cli: Argv) => unknown): Spot {
  const spot: Spot = { commands: new Map(), flags: new Map([['help', { type: 'boolean' }]]), positionals: [] };
  const known: Readonly<Record<string, (...given: never[]) => void>> = {
    command: (line: string, _description: string, inner: (cli: Argv) => unknown) =>
      spot.commands.set(line.split(' ', 1)[0] ?? '', typeof inner === 'function' ? inner : () => undefined),
    option: (name: string, options: Options) => spot.flags.set(name, options),
    positional: (_name: string, options: Options) => spot.positionals.push(options),
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
  return spot;
}

function nameOf({ flags }: Spot, given: string): string {
  for (const [name, { alias }] of flags) if (alias === given) return name;
  return given;
}

/** A flag of an inner command may stand before it: then what follows is its value, unless it is a command. */
function takesValue({ flags, commands }: Spot, name: string, next: string | undefined): boolean {
  const options = flags.get(name);
  if (options) return options.type !== 'boolean';
  return next !== undefined && !next.startsWith('-') && !commands.has(next);
}

function flagsOf({ flags }: Spot): string[] {
  return [...flags].flatMap(([name, { type }]) => (type === 'boolean' ? [`--${name}`, `--no-${name}`] : [`--${name}`]));
}
