import { BOOTSTRAP_FUNCTIONS } from './postgres-functions.js';
import { SESSION_FUNCTIONS } from './postgres-session-functions.js';

/** A function of an earlier migration with other parts. */
function replaced(name: string, ...parts: readonly (readonly [from: string, to: string])[]): string {
  const before = [...BOOTSTRAP_FUNCTIONS, ...SESSION_FUNCTIONS].find((text) => text.includes(` ${name}(`));
  if (before === undefined) throw new TypeError(`no function ${name}`);
  return [['CREATE FUNCTION', 'CREATE OR REPLACE FUNCTION'] as const, ...parts].reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new TypeError(`${name} does not contain ${from}`);
    return text.replace(from, () => to);
  }, before);
}

/**
 * The functions of PostgreSQL that know sessions of home agents. Such a session does not count as a second session, nor
 * as one that loses its lease, and ends with the lease of its home address: `ended` of the released lease.
 */
export const HOME_AGENT_SESSION_FUNCTIONS: readonly string[] = [
  `CREATE FUNCTION pana_end_at_home_agent(l leases, q jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    s sessions%ROWTYPE;
    mark text;
    ended jsonb := '[]';
  BEGIN
    FOR s IN SELECT * FROM sessions
      WHERE subscriber_id = l.subscriber_id AND kind = 'ikev2' AND hoa = l.hoa AND id IS DISTINCT FROM q->>'session'
        AND expires_at > (q->>'now')::bigint
      ORDER BY id FOR UPDATE SKIP LOCKED LOOP
      mark := left(md5(random()::text || clock_timestamp()::text || s.id), 16);
      IF q ? 'server' THEN
        PERFORM pana_write_duty('session ' || s.id, mark,
          jsonb_build_object('event', 'disconnect', 'session', pana_session(s)), q);
      ELSE
        mark := NULL;
      END IF;
      ended := ended || jsonb_build_array(jsonb_strip_nulls(pana_session(s) || jsonb_build_object('duty', mark)));
      DELETE FROM sessions WHERE id = s.id;
    END LOOP;
    RETURN ended;
  END $$`,
  replaced(
    'pana_release',
    [
      "lease jsonb := pana_duty('down', pana_lease(l), q, 0);",
      "lease jsonb := pana_duty('down', pana_lease(l), q, 0);\n    ended jsonb;",
    ],
    ['UPDATE lease_history', 'ended := pana_end_at_home_agent(l, q);\n    UPDATE lease_history'],
    ['RETURN lease;', "RETURN CASE WHEN ended = '[]' THEN lease ELSE lease || jsonb_build_object('ended', ended) END;"],
  ),
  replaced('pana_assign', [
    'WHERE id = l.session_id AND expires_at > present;',
    "WHERE id = l.session_id AND expires_at > present AND kind IS DISTINCT FROM 'ikev2';",
  ]),
  replaced('pana_bootstrap', [
    'id <> session AND expires_at >',
    "id <> session AND kind IS DISTINCT FROM 'ikev2' AND expires_at >",
  ]),
];
