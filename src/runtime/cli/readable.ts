import { visible } from '../system/terminal.js';

/** Keys whose name alone would mislead. */
const LABELS: Readonly<Record<string, string>> = { hooks: 'unfinished hooks' };

/** Formats a value as indented lines. Each object of a list begins with a dash. */
export function readable(value: unknown, indent = ''): string {
  if (value === null || typeof value !== 'object') return `${indent}${visible(String(value))}`;
  if (Array.isArray(value)) {
    return value.map((item) => `${indent}- ${readable(item, `${indent}  `).trimStart()}`).join('\n');
  }
  const entries = Object.entries(value as Record<string, unknown>)
    .filter(([, inner]) => inner !== undefined)
    .map(([key, inner]) => [visible(LABELS[key] ?? key), inner] as const);
  const width = Math.max(0, ...entries.map(([key]) => key.length));
  return entries
    .map(([key, inner]) => {
      const isTree = typeof inner === 'object' && inner !== null;
      if (Array.isArray(inner) && inner.length > 0 && inner.every((item) => typeof item !== 'object')) {
        return `${indent}${key.padEnd(width)}  ${visible(inner.join(', '))}`;
      }
      if (!isTree) return `${indent}${key.padEnd(width)}  ${visible(String(inner))}`;
      const empty = Object.keys(inner).length === 0;
      return empty ? `${indent}${key.padEnd(width)}  none` : `${indent}${key}\n${readable(inner, `${indent}  `)}`;
    })
    .join('\n');
}
