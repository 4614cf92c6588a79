import type { z } from 'zod';
import { defaultInFlag, type KeyDoc, keyDocs } from '../config/key-docs.js';
import { environmentName } from '../config/options.js';

/** Indentation of descriptions under their flags. */
const INDENT = '        ';

/** The flags of a configuration: a group for each section, with values, defaults and descriptions. */
export function keyHelp(schema: z.ZodObject, prefix: string, width: number): string {
  const groups = new Map<string, string[]>();
  const docs = keyDocs(schema).filter(({ name }) => !name.includes('[]'));
  for (const doc of docs) {
    const section = doc.name.includes('.') ? doc.name.replace(/\..*/, '') : 'Other keys';
    groups.set(section, [...(groups.get(section) ?? []), flagHelp(doc, width)]);
  }
  const sections = [...groups].map(([section, flags]) => `${section}:\n${flags.join('\n')}`);
  return [wrapped(introduction(docs, prefix), '', width), ...sections].join('\n\n');
}

/** How flags are written; only for kinds of values that these keys have. */
function introduction(docs: readonly KeyDoc[], prefix: string): string {
  const { name = '' } = docs[0] ?? {};
  const list = docs.find(({ values }) => /^list: \w+, /.test(values));
  const maps = docs.find(({ values }) => values === 'list of maps');
  return [
    `Every key of the configuration is also a flag and an environment variable: ${name} is --${name} and`,
    `${environmentName(prefix, name)}. Flags take precedence over the environment, the environment over the file, and the`,
    'file over the default.',
    ...(list
      ? [`Lists are separated by commas: --${list.name} ${list.values.replace('list: ', '').replaceAll(' ', '')}.`]
      : []),
    ...(maps ? [`A list of maps is written in brackets, as YAML in one line: --${maps.name} '[{…}, {…}]'.`] : []),
    ...(docs.some(({ isDuration }) => isDuration)
      ? ['A duration is 500ms, 30s, 5m, 2h, 1d, or a number of seconds.']
      : []),
    ...(docs.some(({ isReloadable }) => isReloadable)
      ? ['A running daemon applies changes of keys marked [reload] on SIGHUP.']
      : []),
  ].join(' ');
}

/** `--pana.port <number, 1 to 65535>`, default and reload on one line if they fit; below it the description. */
function flagHelp(doc: KeyDoc, width: number): string {
  const { name, values, description, isReloadable, required } = doc;
  const state = [];
  if (doc.default !== undefined && !(Array.isArray(doc.default) && doc.default.length === 0)) {
    state.push(`[default: ${defaultInFlag(doc)}]`);
  }
  if (required !== 'no') state.push(required === 'yes' ? '[required]' : `[required in ${required.in}]`);
  if (isReloadable) state.push('[reload]');
  const head = wrapped([`--${name} <${values}>`, ...state].join(' '), '  ', width, INDENT);
  return `${head}\n${wrapped(description, INDENT, width)}`;
}

/** Breaks text between words into lines of at most `width` columns. `further`: the indentation of further lines. */
export function wrapped(text: string, indent: string, width: number, further = indent): string {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(' ')) {
    const isEmpty = line.trim() === '';
    if (!isEmpty && line.length + 1 + word.length > width) {
      lines.push(line);
      line = further + word;
    } else {
      line += isEmpty ? word : ` ${word}`;
    }
  }
  return [...lines, line].join('\n');
}
