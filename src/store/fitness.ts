import { StoreError } from './records.js';

/** Characters of one text at most: a Session-Id may be long, an address or a name is not. */
export const MAX_TEXT = 4_096;

/** PostgreSQL has no NUL in a text, and UTF-8 has no half of a surrogate pair. */
const UNFIT = /\0|\p{Surrogate}/u;

/** Why such a text is refused. */
export const UNFIT_TEXT = 'a text has no NUL and no half characters';

/** Whether a database cannot keep a text. */
export function unfitText(value: string): boolean {
  return UNFIT.test(value);
}

/**
 * Refuses arguments with a text that a database cannot keep. Their shape is the compiler's concern, but a peer may have chosen
 * the texts in them. Throws StoreError.
 */
export function checkFitness(operation: string, given: unknown): void {
  const problem = problemOf(given, '');
  if (problem !== undefined) throw new StoreError('ERR_STORE_VALUE', `${operation}: ${problem}`);
}

function problemOf(value: unknown, path: string): string | undefined {
  if (typeof value === 'string') {
    if (value.length > MAX_TEXT) return `${path || 'arguments'}: a text has at most ${MAX_TEXT} characters`;
    return UNFIT.test(value) ? `${path || 'arguments'}: ${UNFIT_TEXT}` : undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  for (const key of Object.keys(value)) {
    const problem = problemOf((value as Readonly<Record<string, unknown>>)[key], path === '' ? key : `${path}.${key}`);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
