import { visible } from '../system/terminal.js';
import { durationText } from './duration-text.js';

/** Keys whose name alone would mislead. */
const LABELS: Readonly<Record<string, string>> = { hooks: 'unfinished hooks' };

/** Keys of times in seconds; the unit is printed with the value instead. */
const SECONDS = /Seconds$|^lifetime$/;

/** Formats a value as indented lines. Each object of a list begins with a dash. */
export function readable(value: unknown, indent = ''): string {
  if (value === null || typeof value !== 'object') return `${indent}${visible(String(value))}`;
  if (Array.isArray(value)) {
    return value.map((item) => `${indent}- ${readable(item, `${indent}  `).trimStart()}`).join('\n');
  }
  const entries = Object.entries(value as Record<string, unknown>)
    .filter(([, inner]) => inner !== undefined)
    .map(([key, inner]) => {
      const isTime = typeof inner === 'number' && SECONDS.test(key);
      const label = LABELS[key] ?? (isTime ? key.replace(/Seconds$/, '') : key);
      return [visible(label), isTime ? durationText(inner * 1000) : inner] as const;
    });
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
