import { StoreError } from './records.js';

/** Maximum length of a text in characters. A Session-Id may be long. */
export const MAX_TEXT = 4_096;

/** PostgreSQL cannot store NUL in a text, and UTF-8 cannot encode an unpaired surrogate. */
const UNFIT = /\0|\p{Surrogate}/u;

/** The reason for refusing a text that cannot be stored. */
export const UNSTORABLE = 'a text must not contain NUL or unpaired surrogates';

/** Whether a database cannot store a text. */
export function isUnstorable(value: string): boolean {
  return UNFIT.test(value);
}

/**
 * Refuses arguments with a text that a database cannot store. The compiler checks their types, but a peer may have
 * chosen the texts. Throws StoreError.
 */
export function checkTexts(operation: string, given: unknown): void {
  const problem = problemOf(given, '');
  if (problem !== undefined) throw new StoreError('ERR_STORE_VALUE', `${operation}: ${problem}`);
}

function problemOf(value: unknown, path: string): string | undefined {
  if (typeof value === 'string') {
    if (value.length > MAX_TEXT) return `${path || 'arguments'}: a text must not exceed ${MAX_TEXT} characters`;
    return UNFIT.test(value) ? `${path || 'arguments'}: ${UNSTORABLE}` : undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  for (const key of Object.keys(value)) {
    const problem = problemOf((value as Readonly<Record<string, unknown>>)[key], path === '' ? key : `${path}.${key}`);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
