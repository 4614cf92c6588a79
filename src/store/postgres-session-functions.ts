import { WRITER } from './postgres-functions.js';

/**
 * The operations `endSession` and `expire` as functions of PostgreSQL, which run at the same time as each other and as
 * bootstraps. They do what the operations in session-operations.ts and lease-operations.ts do. `q` has the fields that
 * their requests have.
 *
 * Locks are taken in one order: writer, subscriber, session, lease, duty, home agent. `expire` skips rows that others
 * have locked; its next run finds them. Duties are locked in the order of their subjects. A home agent's row comes last, because bootstraps wait for it, and before the
 * deletion of the lease, because a bootstrap that has the home agent must not wait for one that deletes its address.
 */
export const SESSION_FUNCTIONS: readonly string[] = [
  // A session as in protocol/home/records.ts.
  `CREATE FUNCTION pana_session(s sessions) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object(
      'sessionId', s.id, 'nai', u.nai, 'origin', s.origin, 'originRealm', s.origin_realm, 'kind', s.kind,
      'homeAgent', s.ha, 'homeAddress', s.hoa, 'serial', substr(s.serial, strpos(s.serial, ':') + 1),
      'startedAt', s.started_at, 'expiresAt', s.expires_at))
    FROM subscribers u WHERE u.id = s.subscriber_id
  $$`,
  `CREATE FUNCTION pana_end_session(q jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    session text := q->>'session';
    s sessions%ROWTYPE;
    l leases%ROWTYPE;
    released jsonb;
    mark text := q->>'mark';
  BEGIN
    IF NOT pana_begin(q) THEN RETURN NULL; END IF;
    PERFORM pg_advisory_xact_lock(${WRITER + 1}, hashtext(session));
    SELECT * INTO s FROM sessions WHERE id = session;
    IF q ? 'origin' AND (s.id IS NULL OR lower(s.origin) <> q->>'origin') THEN
      RETURN jsonb_build_object('known', false, 'foreign', s.id IS NOT NULL);
    END IF;
    IF mark IS NOT NULL AND s.id IS NOT NULL THEN
      PERFORM pana_write_duty('session ' || session, mark,
        jsonb_build_object('event', 'disconnect', 'session', pana_session(s)), q);
    END IF;
    SELECT * INTO l FROM leases WHERE session_id = session FOR UPDATE;
    IF FOUND THEN released := pana_release(l, q); END IF;
    DELETE FROM sessions WHERE id = session;
    RETURN jsonb_strip_nulls(jsonb_build_object('known', FOUND, 'released', released));
  END $$`,
  `CREATE FUNCTION pana_expire(q jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    present bigint := (q->>'now')::bigint;
    batch integer := (q->>'limit')::integer;
    held leases[];
    l leases;
    released jsonb := '[]';
    agent record;
  BEGIN
    IF NOT pana_begin(q) THEN RETURN NULL; END IF;
    held := ARRAY(SELECT leases FROM leases WHERE expires_at <= present ORDER BY expires_at LIMIT batch
      FOR UPDATE SKIP LOCKED);
    FOR l IN SELECT lease.* FROM unnest(held) AS lease
      JOIN home_agents a ON a.id = lease.home_agent_id JOIN subscribers s ON s.id = lease.subscriber_id
      ORDER BY concat_ws(' ', a.address, lease.hoa, s.nai) COLLATE "C" LOOP
      released := released || jsonb_build_array(pana_duty('down', pana_lease(l), q, jsonb_array_length(released)));
      UPDATE lease_history SET ended_at = greatest(l.expires_at, l.acquired_at)
        WHERE hoa = l.hoa AND ended_at IS NULL;
    END LOOP;
    FOR agent IN SELECT home_agent_id AS id, count(*) AS n FROM unnest(held) GROUP BY 1 ORDER BY 1 LOOP
      UPDATE home_agents SET leases = leases - agent.n WHERE id = agent.id;
    END LOOP;
    DELETE FROM leases WHERE hoa IN (SELECT hoa FROM unnest(held));
    DELETE FROM sessions WHERE id = ANY(ARRAY(SELECT id FROM sessions WHERE expires_at <= present LIMIT batch
      FOR UPDATE SKIP LOCKED));
    RETURN released;
  END $$`,
];

/** pana_session of the schema that has the column `nas`. */
export const SESSION_WITH_NAS = `CREATE OR REPLACE FUNCTION pana_session(s sessions) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object(
      'sessionId', s.id, 'nai', u.nai, 'origin', s.origin, 'originRealm', s.origin_realm, 'kind', s.kind,
      'homeAgent', s.ha, 'homeAddress', s.hoa, 'serial', substr(s.serial, strpos(s.serial, ':') + 1),
      'startedAt', s.started_at, 'expiresAt', s.expires_at, 'nas', s.nas))
    FROM subscribers u WHERE u.id = s.subscriber_id
  $$`;
