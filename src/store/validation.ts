import type { z } from 'zod';
import { type OperationName, operations } from './operations.js';
import { StoreError } from './records.js';

/** Maximum number of problems in one error message. */
const MAX_PROBLEMS = 5;

const schemas = new Map<OperationName, z.ZodType>();

/** Returns the administrative operation of this name. Throws StoreError if it does not exist. */
export function administrativeOperation(name: string): OperationName {
  const known = name as OperationName;
  if (Object.hasOwn(operations, name) && operations[known].administrative) return known;
  throw new StoreError('ERR_STORE_OPERATION', `unknown operation ${name}`);
}

/**
 * Validates arguments from outside for an administrative operation. The first call loads the schema library. Rejects
 * with StoreError that lists the problems.
 */
export async function validated(operation: OperationName, given: unknown): Promise<unknown> {
  const parsed = (await schemaOf(operation)).safeParse(given);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'arguments'}: ${message}`);
  throw new StoreError('ERR_STORE_VALUE', `${operation}: ${problems.slice(0, MAX_PROBLEMS).join('; ')}`);
}

async function schemaOf(operation: OperationName): Promise<z.ZodType> {
  const known = schemas.get(operation);
  if (known) return known;
  const { z } = await import('zod');
  const schema = operations[operation].input?.(z) ?? z.never();
  schemas.set(operation, schema);
  return schema;
}
