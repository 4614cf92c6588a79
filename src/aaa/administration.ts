import { mkdir } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import { type OptionFlags, optionsOf, print } from '../runtime/cli.js';
import { callDaemon } from '../runtime/control.js';
import { OperatorError } from '../runtime/failure.js';
import { isPostgresUrl } from '../runtime/store/backend.js';
import type { OperationName } from '../runtime/store/store.js';
import { type AaaOptions, aaaSchema } from './options.js';

export const flags: OptionFlags<typeof aaaSchema> = { prefix: 'PANA_AAA', schema: aaaSchema };

/** The keys that the store's commands need; a whole configuration is not. */
export const places = { ...flags, schema: aaaSchema.pick({ store: true, control: true }) };

export type Argument = Readonly<Record<string, unknown>>;

/**
 * Runs an operation of the store: by the daemon if one runs, so that both never disagree, else on the file itself. Of the
 * configuration only `store` and `control.socket` matter.
 */
export async function administer<T>(argv: Argument, operation: OperationName, given: object): Promise<T> {
  const options = await placesOf(argv);
  try {
    const body = { operation, arguments: given, who: operatorName() };
    return (await callDaemon(options.control.socket, 'POST', '/store', body)) as T;
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
  }
  const { Store } = await import('../runtime/store/store.js');
  if (!isPostgresUrl(options.store)) await mkdir(dirname(options.store), { recursive: true, mode: 0o700 });
  const store = await Store.open(options.store);
  try {
    return (await store.run(operation, given as never, operatorName())) as T;
  } finally {
    await store.close();
  }
}

export function placesOf(argv: Argument): Promise<Pick<AaaOptions, 'store' | 'control'>> {
  const given = argv['config'] ?? process.env[`${flags.prefix}_CONFIG`];
  if (given !== undefined) return optionsOf(argv, flags);
  return optionsOf(argv, places);
}

/** Who types this, for the audit trail; through sudo the one behind it. */
function operatorName(): string {
  const behind = process.env['SUDO_USER'];
  const { username } = userInfo();
  return behind === undefined ? username : `${behind} as ${username}`;
}

export function text(argv: Argument, name: string): string | undefined {
  const value = argv[name];
  return value === undefined ? undefined : String(value);
}

export function show(argv: Argument, rows: readonly object[], lines: () => string): void {
  print(argv['json'] === true ? JSON.stringify(rows) : lines());
}

export const json = { type: 'boolean', description: 'JSON for programs' } as const;
