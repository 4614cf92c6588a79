import { toHex } from '../protocol/bytes/octets.js';
import type { Host } from '../runtime/system/host.js';
import type { Db } from './rows.js';

/** Size of the secret behind home addresses in octets. */
const LENGTH = 32;

export function freshSecret(random: Host['random']): string {
  return toHex(random(LENGTH));
}

/** Creates the secret behind home addresses, once per store. */
export async function ensureSecret(db: Db, random: Host['random']): Promise<void> {
  await db
    .insertInto('meta')
    .values({ key: 'secret', value: freshSecret(random) })
    .onConflict((conflict) => conflict.column('key').doNothing())
    .execute();
}

/** Writes the unchanged secret, to test whether the database has room. */
export async function rewriteSecret(db: Db): Promise<void> {
  await db
    .updateTable('meta')
    .set(({ ref }) => ({ value: ref('value') }))
    .where('key', '=', 'secret')
    .execute();
}
