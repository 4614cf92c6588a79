import { z } from 'zod';

/**
 * The JSON Schema of a configuration file, for editors. It describes what is written, before defaults apply; rules that
 * concern several keys are left to `check-config`.
 */
export function configurationSchema(name: string, schema: z.ZodObject): object {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return { $schema, title: `Configuration of ${name}`, ...rest };
}
