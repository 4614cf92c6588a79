import { isIP } from 'node:net';
import { formatAddress } from '../protocol/bytes/address.js';
import type { NasCommand, NasInput, NasSessionView } from '../protocol/nas/alphabet.js';
import type { Nas } from '../protocol/nas/nas.js';
import { PANA_PORT } from '../protocol/pana/wire/ports.js';
import { sessionText } from '../runtime/log/pana-fields.js';
import { ControlError, type ControlRoutes } from '../runtime/service/control.js';

/** The parts of a PAA that operator requests use. */
export interface OperatorActions {
  readonly nas: Nas;
  readonly feed: (input: NasInput) => void;
  /** Label of a socket of this family, 4 or 6; undefined: the PAA listens on none. */
  readonly socketOf: (family: number) => string | undefined;
  readonly now: () => number;
  readonly status: () => Promise<object>;
}

/** The routes of the control socket. */
export function paaRoutes(actions: OperatorActions): ControlRoutes {
  return {
    'GET /status': () => actions.status(),
    'GET /sessions': () => sessionsOf(actions.nas, actions.now()),
    'POST /session/start': ({ body }) => invite(actions, body),
    'POST /session/end': ({ body }) => command(actions, body, 'terminate'),
    'POST /session/reauth': ({ body }) => command(actions, body, 'reauthenticate'),
    'POST /session/ping': ({ body }) => command(actions, body, 'ping'),
  };
}

/** All sessions, for status output. */
export function sessionsOf(nas: Nas, now: number): object[] {
  return [...nas.list(now)].map(describe);
}

function describe(view: NasSessionView): object {
  const { sessionId, peer, state, remaining, nai, assignment, diameterSession } = view;
  return {
    session: sessionText(sessionId),
    address: peer.address,
    port: peer.port,
    state,
    remainingSeconds: remaining === undefined ? undefined : Math.round(remaining / 1000),
    nai,
    homeAgent: assignment && formatAddress(assignment.homeAgent),
    homeAddress: assignment?.homeAddress && formatAddress(assignment.homeAddress),
    diameterSession,
  };
}

/** Starts a session from the PAA (RFC 5191 4.1) with a PaC that listens on a port. */
function invite({ feed, socketOf }: OperatorActions, body: unknown): object {
  const { address, port = PANA_PORT } = (body ?? {}) as { address?: unknown; port?: unknown };
  const family = typeof address === 'string' ? isIP(address.split('%', 1)[0] ?? '') : 0;
  if (typeof address !== 'string' || family === 0) throw new ControlError(`${String(address)} is not an IP address`);
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new ControlError(`${String(port)} is not a port`);
  }
  const local = socketOf(family);
  if (local === undefined) throw new ControlError(`this PAA does not listen on an IPv${family} address`);
  feed({ type: 'invite', peer: { address, port, local } });
  return { invited: `${address} port ${port}` };
}

function command({ nas, feed }: OperatorActions, body: unknown, what: NasCommand): object {
  const wanted = (body as { session?: unknown } | undefined)?.session;
  const sessionId = typeof wanted === 'string' && /^[0-9a-f]{1,8}$/i.test(wanted) ? Number.parseInt(wanted, 16) : -1;
  if (!nas.has(sessionId)) throw new ControlError(`no session ${String(wanted)}: "session list" lists the sessions`);
  feed({ type: 'command', sessionId, command: what });
  return { asked: what };
}
