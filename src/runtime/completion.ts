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
