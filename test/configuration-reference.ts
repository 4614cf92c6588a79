import type { z } from 'zod';
import { defaultInYaml, inYaml, type KeyDoc, keyDocs } from '../src/runtime/config/key-docs.js';

/** The tables of all keys of a schema, one for each section. Each row has name, values, default, example and description. */
export function referenceOf(schema: z.ZodObject): string {
  const sections = new Map<string, KeyDoc[]>();
  for (const doc of keyDocs(schema, (word) => `\`${word}\``)) {
    const section = doc.name.includes('.') ? doc.name.replace(/\..*/, '') : 'Keys without a section';
    sections.set(section, [...(sections.get(section) ?? []), doc]);
  }
  return [...sections]
    .map(([section, docs]) => {
      const lines = docs.map((doc) => {
        const applied = doc.isReloadable ? 'reload' : 'restart';
        const description = doc.description.replaceAll('|', '\\|');
        return `| \`${doc.name}\` | ${doc.values} | ${defaultOf(doc)} | \`${inYaml(doc.example)}\` | ${applied} | ${description} |`;
      });
      const head = '| key | values | default | example | applied by | |\n|---|---|---|---|---|---|';
      return `### ${section}\n\n${head}\n${lines.join('\n')}\n`;
    })
    .join('\n');
}

function defaultOf(doc: KeyDoc): string {
  if (doc.default !== undefined) return `\`${defaultInYaml(doc)}\``;
  if (doc.required === 'no') return 'none';
  return doc.required === 'yes' ? 'required' : `required in ${doc.required.in}`;
}
