import type { Selectable } from 'kysely';
import type { Session } from '../protocol/home/records.js';
import type { Schema } from './schema.js';

/** Converts a row of a session, with the NAI of its subscriber. */
export function toSession(row: Selectable<Schema['sessions']> & { readonly nai: string }): Session {
  return {
    sessionId: row.id,
    nai: row.nai,
    origin: row.origin,
    originRealm: row.origin_realm ?? undefined,
    kind: row.kind === 'home' || row.kind === 'local' || row.kind === 'ikev2' ? row.kind : undefined,
    homeAgent: row.ha ?? undefined,
    homeAddress: row.hoa ?? undefined,
    serial: row.serial === null ? undefined : serialOf(row.serial),
    startedAt: row.started_at,
    expiresAt: row.expires_at,
    nas: row.nas ?? undefined,
    reported:
      row.reported_at === null
        ? undefined
        : { at: row.reported_at, octetsIn: row.octets_in ?? 0, octetsOut: row.octets_out ?? 0 },
  };
}

/** The serial number of a stored certificate: after the issuer's identifier, or alone in old rows. */
export function serialOf(certificate: string): string {
  return certificate.slice(certificate.indexOf(':') + 1);
}
