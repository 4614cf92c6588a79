import { visible, visibleLines } from '../system/terminal.js';

/** Maximum size of a log line in octets, newline included. journald cuts lines at 48 KiB, syslog at 8 KiB or less. */
export const MAX_LINE = 8_192;

/** Maximum size of one value in octets, as JSON. */
export const MAX_VALUE = 1_024;

/** Maximum size of all fields of a line in octets. The rest is for message, name and time. */
const MAX_FIELDS = 6_144;

/** Maximum number of elements of a list or object, and maximum depth. */
const MAX_ELEMENTS = 32;
const MAX_DEPTH = 4;

/** Maximum length of a field name in characters. */
const MAX_NAME = 64;

/** Octets that are reserved for punctuation, for the note that a value was cut, and for a number. */
const PUNCTUATION = 8;
const CUT_NOTE = 32;
const LONGEST_NUMBER = 24;

/** The octets left on a line. */
interface Room {
  left: number;
}

/**
 * Cuts fields so that the line has at most MAX_LINE octets, even if peers send long values. A cut value states its
 * original length.
 */
export function boundFields(fields: Record<string, unknown>): Record<string, unknown> {
  return boundObject(fields, { left: MAX_FIELDS }, 0);
}

/** Cuts the arguments of a logger call in the same way: fields or an error, then the message. */
export function boundArguments(given: readonly unknown[]): unknown[] {
  const [first, ...rest] = given;
  const message = (text: unknown) => (typeof text === 'string' ? visible(boundText(text, { left: MAX_VALUE })) : text);
  if (first instanceof Error) return [{ err: errorFields(first) }, message(rest[0] ?? first.message)];
  return [message(first), ...rest.map(message)];
}

/** A stack has several lines, but the error message in it must not add any. */
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

/** Cuts a text to the octets left, counted as JSON in UTF-8. */
function boundText(text: string, room: Room): string {
  const most = Math.max(0, Math.min(MAX_VALUE, room.left));
  // A UTF-16 unit takes at most six octets, so this text certainly fits.
  if (text.length * 6 <= most) {
    room.left -= Buffer.byteLength(visibleLines(JSON.stringify(text))) + PUNCTUATION;
    return text;
  }
  let octets = 0;
  let end = 0;
  for (const character of text) {
    // Characters beyond ASCII count as escaped, because those that a terminal may interpret are escaped.
    const cost = character > '~' ? 6 * character.length : Buffer.byteLength(JSON.stringify(character)) - 2;
    if (octets + cost > most) break;
    octets += cost;
    end += character.length;
  }
  room.left -= octets + CUT_NOTE;
  return end === text.length ? text : `${text.slice(0, end)}… (${text.length} characters)`;
}
