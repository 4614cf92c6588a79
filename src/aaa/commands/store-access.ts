import { existsSync } from 'node:fs';

import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import { type OptionFlags, optionsOf } from '../../runtime/cli/cli.js';
import { callDaemon, NoDaemonError } from '../../runtime/service/control.js';
import { OperatorError } from '../../runtime/system/failure.js';
import { makeFolder } from '../../runtime/system/folder.js';
import { isPostgresUrl, storeName } from '../../store/backend.js';
import type { ArgumentsOf, OperationName, ResultOf } from '../../store/operations.js';
import type { Store } from '../../store/store.js';
import { type AaaOptions, aaaSchema } from '../config/options.js';

export const flags: OptionFlags<typeof aaaSchema> = { prefix: 'PANA_AAA', schema: aaaSchema };

/** The configuration keys that store commands need. They do not need a complete configuration. */
export const places = { ...flags, schema: aaaSchema.pick({ store: true, control: true }) };

export type Argument = Readonly<Record<string, unknown>>;
type Places = Pick<AaaOptions, 'store' | 'control'> & Partial<Pick<AaaOptions, 'hooks'>>;

/** The store and control socket to use, and whether the user named the store explicitly. */
type Given = Places & { readonly isNamed: boolean };

/** Time limit of the running server for a whole import, in milliseconds. */
const LONG = 30 * 60_000;

/**
 * Access to the store for a command: through the server if one runs, so that the server notices the change, otherwise
 * directly.
 */
export class StoreAccess {
  readonly #places: Given;
  readonly #creates: boolean;
  #servers = false;
  #store: Store | undefined;

  private constructor(given: Given, creates: boolean) {
    this.#places = given;
    this.#creates = creates;
  }

  /** Reads only `store` and `control.socket` of the configuration. `creates`: creates a missing store file. */
  static async open(argv: Argument, creates = false): Promise<StoreAccess> {
    const isNamed = [
      argv['store'],
      argv['config'],
      process.env[`${flags.prefix}_STORE`],
      process.env[`${flags.prefix}_CONFIG`],
    ];
    return new StoreAccess(
      { ...(await placesOf(argv)), isNamed: isNamed.some((given) => given !== undefined) },
      creates,
    );
  }

  /** Whether a running server carried out the last `run`. */
  get throughServer(): boolean {
    return this.#servers;
  }

  /** Rejects with StoreError, ControlError, DatabaseError or OperatorError. */
  async run<N extends OperationName>(operation: N, given: ArgumentsOf<N>): Promise<ResultOf<N>> {
    const who = operatorName();
    if (this.#store) return this.#store.run(operation, given, who);
    try {
      const { isNamed, store } = this.#places;
      // Naming the store makes a server refuse the request if it uses another store than the user named.
      const body = { operation, arguments: given, who, ...(isNamed ? { store: storeName(store) } : {}) };
      const result = await callDaemon(this.#places.control.socket, 'POST', '/store', body, LONG);
      this.#servers = true;
      return result as ResultOf<N>;
    } catch (error) {
      if (!(error instanceof NoDaemonError) || this.#servers) throw error;
    }
    this.#store = await this.#open();
    return this.#store.run(operation, given, who);
  }

  async close(): Promise<void> {
    await this.#store?.close();
  }

  async #open(): Promise<Store> {
    const { store, control, hooks } = this.#places;
    if (!isPostgresUrl(store)) {
      if (!this.#creates && !existsSync(store)) {
        throw new OperatorError(
          `there is no store ${store}, and no server at ${control.socket}: name the store with --store or -c, or create one with "subscriber add" or "home-agent add"`,
        );
      }
      await makeFolder(dirname(store), 0o700);
    }
    const { Store } = await import('../../store/store.js');
    // This command runs no hooks. The resulting duties are taken by a server that shares the store or starts later.
    const holder = { server: '', run: 0, hooks: hooks?.ha !== undefined };
    return Store.open(store, { holder });
  }
}

/** Opens the store, runs an action on it, and closes it. */
export async function withStore<T>(
  argv: Argument,
  work: (store: StoreAccess) => Promise<T>,
  creates = false,
): Promise<T> {
  const store = await StoreAccess.open(argv, creates);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** Runs one store operation and closes the store. */
export function administer<N extends OperationName>(
  argv: Argument,
  operation: N,
  given: ArgumentsOf<N>,
  creates = false,
): Promise<ResultOf<N>> {
  return withStore(argv, (store) => store.run(operation, given), creates);
}

export function placesOf(argv: Argument): Promise<Places> {
  const given = argv['config'] ?? process.env[`${flags.prefix}_CONFIG`];
  if (given !== undefined) return optionsOf(argv, flags);
  return optionsOf(argv, places);
}

/** Name of the calling user for the audit trail; under sudo, the user who called sudo. */
export function operatorName(): string {
  const behind = process.env['SUDO_USER'];
  const { username } = userInfo();
  return behind === undefined ? username : `${behind} as ${username}`;
}
