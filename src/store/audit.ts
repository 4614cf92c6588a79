import type { AuditEntry } from './records.js';
import type { Context, Db } from './rows.js';

/** Writes an administrative change to the audit trail, in the commit of the change. */
export async function writeAudit(db: Db, entry: Omit<AuditEntry, 'at'>, context: Context): Promise<void> {
  await db
    .insertInto('audit')
    .values({ at: context.now(), ...entry })
    .execute();
}
