import { closest, distance } from 'fastest-levenshtein';
import type { Argv } from 'yargs';
import { nameOf, takesValue } from './completion.js';
import { type Outline, outlineOf } from './outline.js';

/** Other words for a command. */
const SYNONYMS: Readonly<Record<string, readonly string[]>> = {
  remove: ['delete', 'del', 'rm', 'erase', 'drop', 'purge'],
  release: ['delete', 'del', 'remove', 'rm', 'free'],
  disconnect: ['delete', 'remove', 'rm', 'kill', 'terminate', 'stop', 'end', 'logout'],
  end: ['delete', 'remove', 'rm', 'kill', 'terminate', 'stop', 'disconnect'],
  revoke: ['delete', 'del', 'remove', 'rm'],
  add: ['create', 'new', 'insert'],
  issue: ['create', 'new', 'add', 'sign'],
  set: ['change', 'edit', 'modify', 'update'],
  list: ['ls', 'all'],
  show: ['get', 'info', 'view', 'display'],
  'check-config': ['configtest', 'check', 'test', 'verify', 'validate'],
  reauth: ['reauthenticate', 're-authenticate', 'renew'],
  pki: ['cert', 'certificate', 'certificates', 'ca'],
};

/** What the service manager does with a daemon. */
const OF_SERVICES = new Set(['start', 'stop', 'restart', 'reload', 'enable', 'disable']);

/** Flags that every command has. */
const COMMON_FLAGS = ['help', 'version'];

/**
 * Explains a command line that has a command or flag that does not exist: who lacks it, and which one was probably meant.
 * Undefined: nothing like that was found in it.
 */
export function unknownWord(
  program: string,
  build: (cli: Argv) => unknown,
  words: readonly string[],
): string | undefined {
  let spot = outlineOf(build);
  const path: string[] = [];
  const flags: string[] = [];
  for (let i = 0; i < words.length; i += 1) {
    const word = words[i] ?? '';
    if (word === '--') break;
    const inner = spot.commands.get(word);
    if (/^--?[^-]/.test(word)) {
      const [name = '', value] = word.replace(/^--?/, '').split('=', 2);
      flags.push(word.startsWith('--') ? name : '');
      if (value === undefined && takesValue(spot, nameOf(spot, name), words[i + 1])) i += 1;
    } else if (inner) {
      spot = outlineOf(inner.build);
      path.push(word);
    } else if (spot.commands.size > 0) {
      const lacking = path.length === 0 ? 'there is no' : `${path.join(' ')} has no`;
      return `${lacking} command "${word}"; ${meantCommand(word, program, spot)}`;
    }
  }
  return unknownFlag(flags, path.join(' '), spot);
}

function meantCommand(word: string, program: string, { commands }: Outline): string {
  const known = [...commands.keys()];
  if (commands.has('run') && OF_SERVICES.has(word)) {
    const service =
      process.platform === 'freebsd'
        ? `service ${program.replaceAll('-', '_')} ${word}`
        : `systemctl ${word} ${program}`;
    return `the service manager does that: ${service}`;
  }
  const meant = known.find((command) => SYNONYMS[command]?.includes(word.toLowerCase())) ?? near(word, known);
  return meant === undefined ? `it has ${known.join(', ')}` : `did you mean "${meant}"?`;
}

function unknownFlag(given: readonly string[], path: string, { flags }: Outline): string | undefined {
  const known = [...flags.keys(), ...COMMON_FLAGS];
  const wrong = given.find((name) => name !== '' && !known.includes(name.replace(/^no-/, '')) && !known.includes(name));
  if (wrong === undefined) return undefined;
  const meant = near(wrong, known);
  return `${path === '' ? 'there is no' : `${path} has no`} flag --${wrong}${meant === undefined ? '' : `; did you mean --${meant}?`}`;
}

function near(word: string, known: readonly string[]): string | undefined {
  const found = closest(word.toLowerCase(), known);
  const apart = distance(word.toLowerCase(), found);
  return apart <= Math.max(2, word.length / 3) && apart < word.length - 1 ? found : undefined;
}
