import type { Argv, Options } from 'yargs';
import type { z } from 'zod';
import { defaultInFlag, type KeyDoc, keyDocs } from '../config/key-docs.js';
import { environmentName } from '../config/options.js';
import { wrapped } from './key-help.js';
import { type Outline, outlineOf } from './outline.js';

/** The argument with which install.sh calls a program for a page of the manual; the section of the page follows. */
export const MANUAL = '--manual';

/** The date of all pages: that of the last change of a command. */
const DATE = '2026-11-26';

/** What the pages of a program tell. */
export interface ManualSource {
  /** `pana-pac` */
  readonly name: string;
  readonly description: string;
  readonly epilogue: string;
  readonly examples: readonly (readonly [command: string, what: string])[];
  readonly commands: (cli: Argv) => unknown;
  /** Undefined: the program has no configuration. */
  readonly configuration?: { readonly prefix: string; readonly schema: z.ZodObject } | undefined;
}

/** The page of a program in a section of the manual, for man(1): 1 and 8 for the command, 5 for its file. */
export function manualPage(source: ManualSource, section: '1' | '5' | '8'): string {
  const blocks = section === '5' ? filePage(source) : commandPage(source, section);
  const lines = blocks.flatMap((block) => block.split('\n')).filter((line) => line !== '');
  // A paragraph begins after a heading without a macro.
  return `${lines.filter((line, index) => line !== '.PP' || !/^\.S[HS] /.test(lines[index - 1] ?? '')).join('\n')}\n`;
}

const PROGRAMS = ['pana-aaa(8)', 'pana-mip6(1)', 'pana-paa(8)', 'pana-pac(8)', 'pana-pre(8)'];
const FILES = ['pana-aaa.yaml(5)', 'pana-paa.yaml(5)', 'pana-pac.yaml(5)', 'pana-pre.yaml(5)'];

function commandPage(
  { name, description, epilogue, examples, commands, configuration }: ManualSource,
  section: string,
) {
  const [summary = '', ...more] = description.split(/: (.*)/s);
  const top = outlineOf(commands);
  return [
    header(name, section),
    '.SH NAME',
    `${roff(name)} \\- ${roff(summary.replace(/\.$/, ''))}`,
    '.SH SYNOPSIS',
    ...[...top.commands.values()]
      .flatMap(({ line }) => [`.B ${roff(name)}`, `${roff(line)}`, '.RI [ options ]', '.br'])
      .slice(0, -1),
    '.SH DESCRIPTION',
    prose(more.join('') === '' ? description : capital(more.join(''))),
    '.PP',
    prose(epilogue),
    '.SH COMMANDS',
    ...commandBlocks(name, top, configuration !== undefined),
    ...(configuration
      ? [
          '.SH FILES',
          '.TP',
          `.I /etc/pana-mip6/${roff(name)}.yaml`,
          `The configuration, see ${pageName(`${name}.yaml(5)`)}.`,
        ]
      : []),
    ...(configuration ? ['.TP', `.I /var/run/${roff(name)}/control.sock`, 'The control socket.'] : []),
    '.SH EXIT STATUS',
    ...['0', '1', '2'].flatMap((status) => ['.TP', `.B ${status}`, STATUS[status] ?? '']),
    ...(configuration ? ['.SH SIGNALS', ...SIGNALS] : []),
    '.SH EXAMPLES',
    ...exampleBlocks(examples),
    '.SH SEE ALSO',
    references([...PROGRAMS, ...FILES].filter((page) => page !== `${name}(${section})`)),
  ];
}

const STATUS: Readonly<Record<string, string>> = {
  '0': 'Success.',
  '1': 'The request failed, or the daemon cannot start now; a later start may succeed.',
  '2': 'The command line or the configuration is wrong.\nThe reason is on standard error.',
};

const SIGNALS = [
  '.TP',
  '.B SIGHUP',
  'Read the configuration again, and apply the keys that a reload applies.',
  '.TP',
  '.BR SIGTERM ", " SIGINT',
  'Terminate the sessions, and stop within 10 seconds,\nor later if hooks of pana-pac are slow. A second signal ends the daemon at once.',
];

/** All commands with subcommands, each with its arguments, flags and examples. */
function commandBlocks(path: string, { commands }: Outline, isDaemon: boolean): string[] {
  return [...commands.values()].flatMap(({ line, description, build }) => {
    const inner = outlineOf(build);
    const name = `${path} ${line}`;
    const own = [`.SS "${roff(name)}"`, prose(`${description}.`)];
    if (inner.commands.size > 0) {
      return [...own, ...commandBlocks(`${path} ${line.split(' ', 1)[0]}`, inner, isDaemon)];
    }
    const positionals = [...inner.positionals].map(([word, options]) => parameter(word.toUpperCase(), options));
    const flags = [...inner.flags]
      .filter(([, { hidden }]) => hidden !== true)
      .map(([flag, options]) => parameter(`--${flag}`, options));
    const hasKeys = [...inner.flags.values()].some(({ hidden }) => hidden === true);
    return [
      ...own,
      ...positionals.flat(),
      ...flags.flat(),
      ...(hasKeys ? ['.PP', 'Configuration keys are flags too.'] : []),
      ...inner.epilogues.flatMap((text) => ['.PP', prose(text)]),
      ...exampleBlocks(inner.examples),
    ];
  });
}

function parameter(name: string, { alias, description = '', choices, default: value, type }: Options): string[] {
  const short = typeof alias === 'string' ? `, \\-${alias}` : '';
  const values =
    choices?.map(String).join(' | ') ?? (type === 'boolean' || !name.startsWith('-') ? '' : (type ?? 'text'));
  const shown = value === undefined || value === false ? '' : ` [default: ${String(value)}]`;
  const head = `.B "${roff(name)}${short}"`;
  return [
    '.TP',
    values === '' ? head : `.BI "${roff(name)}${short} " "${roff(values)}"`,
    prose(`${capital(description)}${shown}.`),
  ];
}

function filePage({ name, configuration }: ManualSource): string[] {
  if (!configuration) throw new Error(`${name} has no configuration`);
  const { prefix, schema } = configuration;
  const sections = new Map<string, KeyDoc[]>();
  for (const doc of keyDocs(schema)) {
    const section = doc.name.includes('.') ? doc.name.replace(/\..*/, '') : 'Keys without a section';
    sections.set(section, [...(sections.get(section) ?? []), doc]);
  }
  return [
    header(`${name}.yaml`, '5'),
    '.SH NAME',
    `${roff(`${name}.yaml`)} \\- configuration of ${roff(name)}`,
    '.SH SYNOPSIS',
    `.I /etc/pana-mip6/${roff(name)}.yaml`,
    '.SH DESCRIPTION',
    prose(
      'The file is YAML: a map of sections, each of which is a map of keys. A key is named here with its section, so',
    ),
    '.B log.level',
    'is the key',
    '.B level',
    'of the section',
    '.BR log .',
    prose(
      `Every key is also a flag (--log.level) and an environment variable (${environmentName(prefix, 'log.level')}). ` +
        'Flags take precedence over the environment, the environment over the file, and the file over the default.',
    ),
    '.PP',
    prose('A duration is a number with a unit (500ms, 30s, 5m, 2h, 1d), or a number of seconds.'),
    'A running daemon applies a changed key marked',
    '.B reload',
    'on SIGHUP; any other needs a restart.',
    '.SH KEYS',
    ...[...sections].flatMap(([section, docs]) => [`.SS "${roff(section)}"`, ...docs.flatMap(keyBlock)]),
    '.SH SEE ALSO',
    references([`${name}(8)`, ...FILES.filter((page) => page !== `${name}.yaml(5)`)]),
  ];
}

function keyBlock(doc: KeyDoc): string[] {
  const { name, values, description, required, isReloadable } = doc;
  const notes = [
    ...(required === 'no' ? [] : [required === 'yes' ? 'required' : `required in ${required.in}`]),
    ...(doc.default === undefined ? [] : [`default: ${defaultInFlag(doc) || 'none'}`]),
    ...(isReloadable ? ['reload'] : []),
  ];
  return [
    '.TP',
    `.BI "${roff(name)}: " "${roff(values)}"`,
    prose(`${capital(description)}${notes.length === 0 ? '' : ` [${notes.join('; ')}]`}.`),
  ];
}

function header(name: string, section: string): string {
  return `.TH ${roff(name.toUpperCase())} ${section} ${DATE} "pana-mip6" "pana-mip6 Manual"`;
}

function exampleBlocks(examples: Outline['examples']): string[] {
  return examples.flatMap(([command, what]) => [
    '.PP',
    what === '' ? 'Example:' : prose(`Example, ${what}:`),
    '.PP',
    '.nf',
    `.RS 4`,
    roff(command),
    '.RE',
    '.fi',
  ]);
}

function references(pages: readonly string[]): string {
  return pages.map((page, index) => `${pageName(page)}${index === pages.length - 1 ? '' : ','}`).join('\n');
}

/** `pana-pac(8)` as a reference. */
function pageName(page: string): string {
  return roff(page);
}

/** A description as a sentence; names such as clientAuth stay as they are. */
function capital(text: string): string {
  return /^[a-z]+\b(?![-:=])/.test(text) && !/^[a-z]+[A-Z0-9]/.test(text)
    ? text.slice(0, 1).toUpperCase() + text.slice(1)
    : text;
}

/** Longest line of text before escaping, so that escaped lines have at most 80 octets. */
const TEXT_WIDTH = 66;

/** A paragraph: lines of text. */
function prose(text: string): string {
  return text
    .split('\n')
    .flatMap((line) => wrapped(line, '', TEXT_WIDTH).split('\n'))
    .map(roff)
    .join('\n');
}

/** Text of one line with the characters escaped that roff would interpret. */
function roff(text: string): string {
  return (
    text
      .replaceAll('\\', '\\e')
      .replaceAll('-', '\\-')
      .replaceAll('"', '\\(dq')
      .replaceAll('…', '...')
      // troff reads ASCII.
      .replaceAll(
        /[^\p{ASCII}]/gu,
        (character) => `\\[u${character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}]`,
      )
      .replace(/^(?=[.'])/gm, '\\&')
  );
}
