import { MAX_ATTEMPTS } from '../protocol/mip6/home-address.js';
import { CLOCKS_APART } from './store-clock.js';

/** Key of the advisory lock of the writing server: "PANA". */
export const WRITER = 0x50414e41;

/** The home agents that may get a new lease, in pana_new_lease: `s` is the subscriber, `tried` are those that had no address. */
const ELIGIBLE = `state = 'up' AND failed_by IS NULL AND leases < capacity AND id <> ALL (tried)
          AND (s.home_agent_id IS NULL OR id = s.home_agent_id)
          AND (s.hoa IS NULL OR (s.hoa <> address AND s.hoa::inet << prefix::inet))`;

/** The share of its room that a home agent has given away. */
const LOAD = 'leases::float8 / (capacity::float8 * weight)';

/** A home agent with up to this many times the lowest load, and one lease, is as good as the one with the lowest. */
const NEARLY = 1.02;

/**
 * The operation `bootstrap` as functions of PostgreSQL: one round trip and one commit, instead of a dozen round trips
 * under the lock of the only writer. They do what the operation in assignment.ts does; the same tests run on both.
 *
 * Bootstraps run at the same time as each other: they share the writer's lock, which all other writes take alone, and
 * take a lock of their subscriber. The number of leases of a home agent is changed by conditional updates, and a home
 * address is taken by the insertion that finds it free. Of the home agents with nearly the lowest load, those that
 * another bootstrap is changing come last, so that bootstraps seldom wait for each other.
 *
 * `q` has the fields of `Asked`; the answer is a BootstrapResult without `local`, or null if the server has missed a
 * step of the clock: nothing was changed then.
 */
export const BOOTSTRAP_FUNCTIONS: readonly string[] = [
  // A lease as in protocol/home/records.ts.
  `CREATE FUNCTION pana_lease(l leases) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object(
      'homeAddress', l.hoa, 'nai', s.nai, 'sessionId', l.session_id,
      'acquiredAt', l.acquired_at, 'expiresAt', l.expires_at,
      'homeAgent', jsonb_build_object(
        'id', a.id, 'name', a.name, 'address', a.address, 'host', a.host, 'prefix', a.prefix, 'capacity', a.capacity,
        'weight', a.weight, 'leases', a.leases, 'state', a.state, 'failedBy', a.failed_by, 'target', a.target,
        'ike', (SELECT coalesce(jsonb_agg(version ORDER BY place), '[]')
          FROM unnest(string_to_array(a.ike, ',')) WITH ORDINALITY AS ike (version, place)
          WHERE version IN ('ikev1', 'ikev2')))))
    FROM home_agents a, subscribers s WHERE a.id = l.home_agent_id AND s.id = l.subscriber_id
  $$`,
  // Locks out the writers that take the lock alone. Whether the server knows all steps of the clock. Each statement
  // after this one sees what was committed before the lock was granted.
  `CREATE FUNCTION pana_begin(q jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
  BEGIN
    PERFORM pg_advisory_xact_lock_shared(${WRITER});
    RETURN coalesce((SELECT (value::jsonb->>'moved')::bigint FROM meta WHERE key = 'clock_step'), 0)
      = (q->>'moved')::bigint;
  END $$`,
  `CREATE FUNCTION pana_write_duty(subject text, mark text, content jsonb, q jsonb)
    RETURNS void LANGUAGE sql AS $$
    INSERT INTO duties (subject, mark, content, server, run, held_until)
      VALUES ($1, $2, $3::text, q->>'server', (q->>'run')::bigint, (q->>'heldUntil')::bigint)
      ON CONFLICT (subject) DO UPDATE SET mark = excluded.mark, content = excluded.content, server = excluded.server,
        run = excluded.run, held_until = excluded.held_until
  $$`,
  // The lease, with the mark of its duty if the server has duties to run hooks. \`n\`: number of the mark.
  `CREATE FUNCTION pana_duty(event text, lease jsonb, q jsonb, n integer) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    mark text := q->'marks'->>n;
  BEGIN
    IF mark IS NULL THEN RETURN lease; END IF;
    PERFORM pana_write_duty(
      format('lease %s %s %s', lease->'homeAgent'->>'address', lease->>'homeAddress', lower(lease->>'nai')),
      mark, jsonb_build_object('event', event, 'lease', lease), q);
    RETURN lease || jsonb_build_object('duty', mark);
  END $$`,
  // The caller has locked the lease's row. The home agent's row comes late, because bootstraps wait for it.
  `CREATE FUNCTION pana_release(l leases, q jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    lease jsonb := pana_duty('down', pana_lease(l), q, 0);
  BEGIN
    UPDATE lease_history SET ended_at = greatest((q->>'now')::bigint, l.acquired_at)
      WHERE hoa = l.hoa AND ended_at IS NULL;
    UPDATE home_agents SET leases = leases - 1 WHERE id = l.home_agent_id;
    DELETE FROM leases WHERE hoa = l.hoa;
    RETURN lease;
  END $$`,
  // HMAC-SHA-256 (RFC 2104) with a key of 32 octets.
  `CREATE FUNCTION pana_hmac(secret bytea, message bytea) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
  DECLARE
    inner_pad bytea := decode(repeat('36', 64), 'hex');
    outer_pad bytea := decode(repeat('5c', 64), 'hex');
  BEGIN
    FOR i IN 0..31 LOOP
      inner_pad := set_byte(inner_pad, i, get_byte(secret, i) # 54);
      outer_pad := set_byte(outer_pad, i, get_byte(secret, i) # 92);
    END LOOP;
    RETURN sha256(outer_pad || sha256(inner_pad || message));
  END $$`,
  // The home address of an attempt, see protocol/mip6/home-address.ts; null: its identifier is reserved (RFC 5453).
  `CREATE FUNCTION pana_home_address(secret bytea, nai text, prefix text, attempt integer)
    RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
  DECLARE
    network bytea := substring(inet_send(prefix::inet) FROM 5);
    identifier text := encode(substring(
      pana_hmac(secret, convert_to(nai, 'UTF8') || network || decode(lpad(to_hex(attempt), 2, '0'), 'hex'))
      FROM 1 FOR 8), 'hex');
    hex text;
  BEGIN
    IF identifier COLLATE "C" = '0000000000000000'
      OR identifier COLLATE "C" BETWEEN '02005efffe000000' AND '02005efffeffffff'
      OR identifier COLLATE "C" BETWEEN 'fdffffffffffff80' AND 'fdffffffffffffff' THEN RETURN NULL; END IF;
    hex := encode(substring(network FROM 1 FOR 8), 'hex') || identifier;
    RETURN host((SELECT string_agg(substr(hex, place, 4), ':' ORDER BY place)
      FROM generate_series(1, 29, 4) AS place)::inet);
  END $$`,
  // A new lease as JSON, or the reason why there is none as a JSON string.
  `CREATE FUNCTION pana_new_lease(s subscribers, q jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    present bigint := (q->>'now')::bigint;
    secret bytea := (SELECT decode(value, 'hex') FROM meta WHERE key = 'secret');
    a home_agents%ROWTYPE;
    l leases%ROWTYPE;
    tried integer[] := '{}';
    lowest float8;
    waited boolean := false;
    reason text := 'no-home-agent';
  BEGIN
    LOOP
      SELECT min(${LOAD}) INTO lowest FROM home_agents WHERE ${ELIGIBLE};
      IF lowest IS NULL THEN RETURN to_jsonb(reason); END IF;
      SELECT * INTO a FROM home_agents
        WHERE ${ELIGIBLE} AND (leases - 1)::float8 / (capacity::float8 * weight) <= lowest * ${NEARLY}
        ORDER BY ${LOAD}, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
      IF NOT FOUND THEN
        -- Other bootstraps are changing all of these: wait for one, and look again, because others may be better then.
        -- The second time take any that is free, because two that wait for what the other holds would not end.
        SELECT * INTO a FROM home_agents
          WHERE ${ELIGIBLE} AND waited ORDER BY ${LOAD}, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
          PERFORM FROM home_agents WHERE ${ELIGIBLE} ORDER BY ${LOAD}, id LIMIT 1 FOR NO KEY UPDATE;
          waited := true;
          CONTINUE;
        END IF;
      END IF;
      tried := tried || a.id;
      FOR attempt IN 0..${MAX_ATTEMPTS - 1} LOOP
        l.hoa := coalesce(s.hoa, pana_home_address(secret, s.nai, a.prefix, attempt));
        CONTINUE WHEN l.hoa IS NULL OR l.hoa = a.address;
        -- Not before the previous holder's lease ended, whichever server's clock recorded that.
        l.acquired_at := coalesce((SELECT max(ended_at) FROM lease_history
          WHERE hoa = l.hoa AND ended_at > present AND ended_at < present + ${CLOCKS_APART}), present);
        l.subscriber_id := s.id;
        l.home_agent_id := a.id;
        l.session_id := q->>'session';
        l.expires_at := (q->>'leaseExpires')::bigint;
        INSERT INTO leases (hoa, subscriber_id, home_agent_id, session_id, acquired_at, expires_at)
          VALUES (l.hoa, l.subscriber_id, l.home_agent_id, l.session_id, l.acquired_at, l.expires_at)
          ON CONFLICT DO NOTHING;
        IF FOUND THEN
          UPDATE home_agents SET leases = leases + 1 WHERE id = a.id;
          INSERT INTO lease_history (hoa, acquired_at, nai, home_agent, ended_at)
            VALUES (l.hoa, l.acquired_at, s.nai, a.name, NULL);
          RETURN pana_lease(l);
        END IF;
        EXIT WHEN s.hoa IS NOT NULL;
      END LOOP;
      reason := 'prefix-full';
    END LOOP;
  END $$`,
  `CREATE FUNCTION pana_assign(s subscribers, q jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    present bigint := (q->>'now')::bigint;
    wish text := q->>'wish';
    may_be_local boolean := (q->>'local')::boolean AND s.local_ha = 1 AND wish <> 'home';
    has boolean;
    keeps boolean;
    l leases%ROWTYPE;
    taken_from text;
    released jsonb;
    given jsonb;
  BEGIN
    -- Its session may end, or it may expire, at the same time.
    SELECT * INTO l FROM leases WHERE subscriber_id = s.id FOR UPDATE;
    has := FOUND;
    IF wish IS NULL OR s.mip6 = 0 THEN
      -- A session that no longer requests a home agent releases its lease. Leases of other sessions are not changed.
      IF has AND l.session_id = q->>'session' THEN released := pana_release(l, q); END IF;
      RETURN jsonb_build_object('result', 'none', 'released', released,
        'reason', CASE WHEN wish IS NULL THEN 'not-wanted' ELSE 'not-granted' END);
    END IF;
    IF may_be_local AND wish = 'local' THEN
      IF has THEN released := pana_release(l, q); END IF;
      RETURN jsonb_build_object('result', 'local', 'released', released);
    END IF;
    keeps := has AND l.expires_at > present
      AND (s.home_agent_id IS NULL OR s.home_agent_id = l.home_agent_id) AND (s.hoa IS NULL OR s.hoa = l.hoa)
      AND EXISTS (SELECT FROM home_agents WHERE id = l.home_agent_id AND state <> 'down' AND failed_by IS NULL);
    IF keeps THEN
      IF l.session_id <> q->>'session' THEN
        SELECT id INTO taken_from FROM sessions WHERE id = l.session_id AND expires_at > present;
        -- An import may have changed the row and commit in a minute; the count is not worth that wait.
        IF FOUND THEN UPDATE subscribers SET takeovers = takeovers + 1
          WHERE id = (SELECT id FROM subscribers WHERE id = s.id FOR NO KEY UPDATE SKIP LOCKED); END IF;
      END IF;
      UPDATE leases SET session_id = q->>'session', expires_at = (q->>'leaseExpires')::bigint
        WHERE hoa = l.hoa RETURNING * INTO l;
      RETURN jsonb_build_object('result', 'home', 'renewed', true, 'takenFrom', taken_from,
        'lease', pana_duty('up', pana_lease(l), q, 1));
    END IF;
    IF has THEN released := pana_release(l, q); END IF;
    given := pana_new_lease(s, q);
    IF jsonb_typeof(given) = 'object' THEN
      RETURN jsonb_build_object('result', 'home', 'renewed', false, 'released', released,
        'lease', pana_duty('up', given, q, 1));
    END IF;
    IF may_be_local THEN RETURN jsonb_build_object('result', 'local', 'released', released); END IF;
    RETURN jsonb_build_object('result', 'none', 'reason', given, 'released', released);
  END $$`,
  `CREATE FUNCTION pana_bootstrap(q jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    session text := q->>'session';
    s subscribers%ROWTYPE;
    answer jsonb;
    refused text;
  BEGIN
    IF NOT pana_begin(q) THEN RETURN NULL; END IF;
    -- Not the subscriber's row: an import may have changed it and commit in a minute.
    SELECT id INTO s.id FROM subscribers WHERE nai = q->>'nai';
    PERFORM pg_advisory_xact_lock(${WRITER}, s.id);
    SELECT * INTO s FROM subscribers WHERE id = s.id;
    -- Two subscribers could use the same Session-Id at the same time.
    PERFORM pg_advisory_xact_lock(${WRITER + 1}, hashtext(session));
    refused := CASE
      WHEN s.id IS NULL THEN 'no-subscriber'
      WHEN s.enabled = 0 THEN 'disabled'
      WHEN EXISTS (SELECT FROM sessions WHERE id = session AND subscriber_id <> s.id) THEN 'other-subscriber'
      WHEN s.sessions = 'one' AND EXISTS (SELECT FROM sessions
        WHERE subscriber_id = s.id AND id <> session AND expires_at > (q->>'now')::bigint) THEN 'second-session'
    END;
    IF refused IS NOT NULL THEN RETURN jsonb_build_object('result', 'refused', 'reason', refused); END IF;
    answer := pana_assign(s, q);
    INSERT INTO sessions (id, subscriber_id, started_at, origin, origin_realm, origin_state, serial, expires_at,
        kind, ha, hoa)
      VALUES (session, s.id, (q->>'now')::bigint, q->>'origin', q->>'originRealm', (q->>'originState')::bigint,
        q->>'certificate', (q->>'sessionExpires')::bigint,
        CASE answer->>'result' WHEN 'home' THEN 'home' WHEN 'local' THEN 'local' END,
        CASE answer->>'result' WHEN 'home' THEN answer->'lease'->'homeAgent'->>'address'
          WHEN 'local' THEN q->>'localHomeAgent' END,
        CASE answer->>'result' WHEN 'home' THEN answer->'lease'->>'homeAddress'
          WHEN 'local' THEN q->>'localHomeAddress' END)
      ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, ha = excluded.ha, hoa = excluded.hoa,
        origin = excluded.origin, origin_realm = excluded.origin_realm, origin_state = excluded.origin_state,
        serial = excluded.serial, expires_at = excluded.expires_at;
    RETURN jsonb_strip_nulls(answer);
  END $$`,
];
