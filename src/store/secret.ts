import { randomBytes } from 'node:crypto';
import type { Db } from './rows.js';

/** The secret behind home addresses, made once for a store. */
export async function ensureSecret(db: Db): Promise<void> {
  await db
    .insertInto('meta')
    .values({ key: 'secret', value: randomBytes(32).toString('hex') })
    .onConflict((conflict) => conflict.column('key').doNothing())
    .execute();
}

/** Writes the secret as it is: whether the database has room for what is written. */
export async function rewriteSecret(db: Db): Promise<void> {
  await db
    .updateTable('meta')
    .set(({ ref }) => ({ value: ref('value') }))
    .where('key', '=', 'secret')
    .execute();
}
