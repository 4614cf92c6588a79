import { isIP } from 'node:net';
import { formatAddress } from '../protocol/bytes/address.js';
import type { NasCommand, NasInput, NasSessionView } from '../protocol/nas/alphabet.js';
import type { Nas } from '../protocol/nas/nas.js';
import { sessionText } from '../runtime/log/pana-fields.js';
import { ControlError, type ControlRoutes } from '../runtime/service/control.js';
import { controlRoutes } from '../runtime/service/control-api.js';
import { PAA_API, type SessionRequest, type StartRequest } from './control-api.js';

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
  return controlRoutes(PAA_API, {
    'GET /status': () => actions.status(),
    'GET /sessions': () => sessionsOf(actions.nas, actions.now()),
    'POST /session/start': ({ body }) => invite(actions, body),
    'POST /session/end': ({ body }) => commandSession(actions, body, 'terminate'),
    'POST /session/reauth': ({ body }) => commandSession(actions, body, 'reauthenticate'),
    'POST /session/ping': ({ body }) => commandSession(actions, body, 'ping'),
  });
}

/** All sessions, for status output. */
export function sessionsOf(nas: Nas, now: number): object[] {
  return [...nas.list(now)].map(describeSession);
}

/** A session, for display. */
export function describeSession(view: NasSessionView) {
  const { sessionId, peer, encryption = 'none', remaining, nai, assignment, diameterSession } = view;
  return {
    session: sessionText(sessionId),
    address: peer.address,
    port: peer.port,
    relay: peer.relay?.address,
    state: view.preAuthenticated && view.state === 'OPEN' ? 'PRE_AUTHENTICATED' : view.state,
    encryption,
    remainingSeconds: remaining === undefined ? undefined : Math.round(remaining / 1000),
    nai,
    homeAgent: assignment && formatAddress(assignment.homeAgent),
    homeAddress: assignment?.homeAddress && formatAddress(assignment.homeAddress),
    diameterSession,
  };
}

/** Starts a session from the PAA (RFC 5191 4.1) with a PaC that listens on a port. */
function invite({ feed, socketOf }: OperatorActions, { address, port }: StartRequest): object {
  const family = isIP(address.split('%', 1)[0] ?? '');
  const local = socketOf(family);
  if (local === undefined) throw new ControlError(`this PAA does not listen on an IPv${family} address`);
  feed({ type: 'invite', peer: { address, port, local } });
  return { invited: `${address} port ${port}` };
}

/** Carries out an operator's command on a session. */
export function commandSession(
  { nas, feed }: Pick<OperatorActions, 'nas' | 'feed'>,
  { session }: SessionRequest,
  what: NasCommand,
): object {
  const sessionId = Number.parseInt(session, 16);
  if (!nas.has(sessionId)) throw new ControlError(`no session ${session}: "session list" lists the sessions`);
  feed({ type: 'command', sessionId, command: what });
  return { asked: what };
}
