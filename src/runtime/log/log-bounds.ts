import { visible, visibleLines } from '../system/terminal.js';

/** Octets of the longest line of the log, with its newline: journald cuts lines at 48 KiB, syslog at 8 KiB or less. */
export const MAX_LINE = 8_192;

/** Octets of one value in it, as JSON writes it. */
export const MAX_VALUE = 1_024;

/** Octets of all fields of a line; the rest is for its message, name and time. */
const MAX_FIELDS = 6_144;

/** Elements of a list or an object, and how deep they may be. */
const MAX_ELEMENTS = 32;
const MAX_DEPTH = 4;

/** Characters of a name. */
const MAX_NAME = 64;

/** Octets beside a value, of what says that it was cut, and of a number. */
const PUNCTUATION = 8;
const CUT_NOTE = 32;
const LONGEST_NUMBER = 24;

/** What a line still has room for. */
interface Room {
  left: number;
}

/**
 * The fields of a log line, cut so that the line has at most MAX_LINE octets, however long a value is that somebody from outside
 * has given. What was cut says how long it was.
 */
export function boundFields(fields: Record<string, unknown>): Record<string, unknown> {
  return boundObject(fields, { left: MAX_FIELDS }, 0);
}

/** What a call of the logger is given, in the same way: fields or an error, then the message. */
export function boundArguments(given: readonly unknown[]): unknown[] {
  const [first, ...rest] = given;
  const message = (text: unknown) => (typeof text === 'string' ? visible(boundText(text, { left: MAX_VALUE })) : text);
  if (first instanceof Error) return [{ err: errorFields(first) }, message(rest[0] ?? first.message)];
  return [message(first), ...rest.map(message)];
}

/** A stack has lines, of which its message may not be more than one. */
function errorFields({ name, message, stack = '' }: Error): Record<string, unknown> {
  return { type: name, message, stack: visibleLines(stack.replace(message, () => visible(message))) };
}

function boundObject(object: object, room: Room, depth: number): Record<string, unknown> {
  const entries = Object.entries(object);
  const out: [string, unknown][] = [];
  for (const [name, value] of entries) {
    if (out.length >= MAX_ELEMENTS || room.left <= 0) break;
    const short = name.length > MAX_NAME ? `${name.slice(0, MAX_NAME)}…` : name;
    room.left -= Buffer.byteLength(JSON.stringify(short)) + PUNCTUATION;
    out.push([short, bound(value, room, depth)]);
  }
  if (entries.length > out.length) out.push(['more', entries.length - out.length]);
  return Object.fromEntries(out);
}

function boundArray(array: readonly unknown[], room: Room, depth: number): unknown[] {
  const out: unknown[] = [];
  for (const element of array) {
    if (out.length >= MAX_ELEMENTS || room.left <= 0) break;
    out.push(bound(element, room, depth));
  }
  if (array.length > out.length) out.push(`… and ${array.length - out.length} more`);
  return out;
}

function bound(value: unknown, room: Room, depth: number): unknown {
  if (typeof value === 'string') return boundText(value, room);
  if (typeof value !== 'object' || value === null) {
    room.left -= LONGEST_NUMBER;
    return value;
  }
  room.left -= PUNCTUATION;
  if (depth >= MAX_DEPTH) return '…';
  if (value instanceof Error) return boundObject(errorFields(value), room, depth + 1);
  if ('toJSON' in value && typeof value.toJSON === 'function') return bound(value.toJSON(), room, depth + 1);
  return Array.isArray(value) ? boundArray(value, room, depth + 1) : boundObject(value, room, depth + 1);
}

/** A text within what is left, counted as JSON and UTF-8 write it. */
function boundText(text: string, room: Room): string {
  const most = Math.max(0, Math.min(MAX_VALUE, room.left));
  // No character takes less than one octet, and none more than six.
  if (text.length * 6 <= most) {
    room.left -= Buffer.byteLength(visibleLines(JSON.stringify(text))) + PUNCTUATION;
    return text;
  }
  let octets = 0;
  let end = 0;
  for (const character of text) {
    // Beyond ASCII as if it were escaped: what a terminal may take for something else is, where a person reads.
    const cost = character > '~' ? 6 * character.length : Buffer.byteLength(JSON.stringify(character)) - 2;
    if (octets + cost > most) break;
    octets += cost;
    end += character.length;
  }
  room.left -= octets + CUT_NOTE;
  return end === text.length ? text : `${text.slice(0, end)}… (${text.length} characters)`;
}
