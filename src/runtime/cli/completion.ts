import type { Argv } from 'yargs';
import { type Outline, outlineOf } from './outline.js';

/** The argument with which a completion script calls its program; the words of the command line follow. */
export const COMPLETE = '--complete';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** The completion script of a shell. It calls the program, which prints one candidate per line. */
export function completionScript(program: string, shell: (typeof SHELLS)[number]): string {
  const name = `_${program.replaceAll('-', '_')}`;
  return { bash, zsh, fish }[shell](program, name);
}

/**
 * bash splits words at "@" and ":", which names and addresses contain. The script therefore splits the line itself, and
 * removes from each candidate the part that bash counts as earlier words.
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

/** The function has the name of the file that zsh loads it from, which runs the whole script at the first completion. */
function zsh(program: string): string {
  const name = `_${program}`;
  return `#compdef ${program}
${name}() {
  local -a found
  found=("\${(@f)$("\${words[1]}" ${COMPLETE} "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n $found[1] ]]; then compadd -a found; else _files; fi
}
if [[ $funcstack[1] == ${name} ]]; then ${name} "$@"; else compdef ${name} ${program}; fi`;
}

function fish(program: string, name: string): string {
  return `function _${name}
  set -l words (commandline --cut-at-cursor --tokenize --current-process)
  set -l found ($words[1] ${COMPLETE} $words[2..-1] (commandline --cut-at-cursor --current-token) 2>/dev/null)
  if set -q found[1]
    printf '%s\\n' $found
  else
    __fish_complete_path (commandline --cut-at-cursor --current-token)
  end
end
complete --command ${program} --no-files --arguments '(_${name})'`;
}

/** The position at the end of a command line. */
export interface Gap {
  /** `['subscriber', 'show']` */
  readonly commands: readonly string[];
  /** Positional arguments so far. */
  readonly positionals: readonly string[];
  /** Flags so far that have values. */
  readonly flags: Readonly<Record<string, string>>;
  /** The flag whose value comes next; undefined: a positional argument comes next. */
  readonly flag: string | undefined;
  /** The part of the word that was typed. */
  readonly last: string;
}

/** Returns the names that fit at this position. */
export type Names = (gap: Gap) => Promise<readonly string[]>;

/**
 * The candidates for the last of these words: commands, flags, choices and names. The completion of yargs handles only
 * top-level commands if subcommands are required, so the builders are run here.
 */
export async function completions(
  build: (cli: Argv) => unknown,
  words: readonly string[],
  names: Names = () => Promise.resolve([]),
): Promise<string[]> {
  let spot = outlineOf(build);
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
      spot = outlineOf(inner.build);
    } else {
      positionals.push(word);
    }
  }
  const last = words.at(-1) ?? '';
  const fits = (found: readonly string[]) => [...new Set(found)].filter((word) => word.startsWith(last));
  if (flag === undefined && last.startsWith('-')) return fits(flagsOf(spot));
  const given = flag === undefined ? [...spot.positionals.values()][positionals.length] : spot.flags.get(flag);
  const known = flag === undefined && positionals.length === 0 ? [...spot.commands.keys()] : [];
  const choices = (given?.choices ?? []).map(String).filter((choice) => choice !== '');
  return fits([...known, ...choices, ...(await names({ commands, positionals, flags, flag, last }))]);
}

/** The name of a flag that was given by its name or alias. */
export function nameOf({ flags }: Outline, given: string): string {
  for (const [name, { alias }] of flags) if (alias === given) return name;
  return given;
}

/**
 * Whether the word after a flag is its value. The flag may belong to a subcommand that follows; if the next word is a
 * command, it is not the value.
 */
export function takesValue({ flags, commands }: Outline, name: string, next: string | undefined): boolean {
  const options = flags.get(name);
  if (options) return options.type !== 'boolean';
  return next !== undefined && !next.startsWith('-') && !commands.has(next);
}

function flagsOf({ flags }: Outline): string[] {
  return [['help', { type: 'boolean' }] as const, ...flags].flatMap(([name, { type }]) =>
    type === 'boolean' ? [`--${name}`, `--no-${name}`] : [`--${name}`],
  );
}
