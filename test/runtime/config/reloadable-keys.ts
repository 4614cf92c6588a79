import type { z } from 'zod';
import { optionKeys } from '../../../src/runtime/config/options.js';
import { reloadableKeys, takesKey } from '../../../src/runtime/config/reload.js';

/** The reloadable keys for people: sections as `tls.*`, keys of one section as `pana.{paa, discovery-file}`. */
export function reloadableText(schema: z.ZodObject): string {
  const keys = reloadableKeys(schema);
  const sections = new Set(keys.filter((key) => key.endsWith('.*')).map((key) => key.slice(0, -2)));
  const groups = new Map<string, string[]>();
  for (const key of keys) {
    if (sections.has(key)) continue;
    const dot = key.lastIndexOf('.');
    const group = key.endsWith('.*') ? key : key.slice(0, dot);
    groups.set(group, [...(groups.get(group) ?? []), key.slice(dot + 1)]);
  }
  return [...groups]
    .map(([group, names]) => {
      if (group.endsWith('.*')) return `\`${group}\``;
      return names.length === 1 ? `\`${group}.${names[0]}\`` : `\`${group}.{${names.join(', ')}}\``;
    })
    .join(', ');
}

/** Every reloadable key by its dotted name. */
export function eachReloadable(schema: z.ZodObject): string[] {
  const takes = takesKey(schema);
  return optionKeys(schema).flatMap(({ name }) => (takes(name) ? [name] : []));
}
