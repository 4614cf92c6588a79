import type { Route } from '../diameter/node/routing.js';
import type { DEA } from '../diameter/wire/commands.js';
import type { Message } from '../diameter/wire/grammar.js';

/** Bits of Session-Binding, RFC 6733 8.17: the command may go to any server of the realm. */
export const SESSION_BINDING = { RE_AUTH: 1, STR: 2 } as const;

/** Session-Server-Failover, RFC 6733 8.18: with TRY_AGAIN (1) and TRY_AGAIN_ALLOW_SERVICE (3) another server is asked. */
const TRY_AGAIN: readonly number[] = [1, 3];

/** Auth-Session-State NO_STATE_MAINTAINED, RFC 6733 8.11: no STR. */
const NO_STATE_MAINTAINED = 1;

/** The AVPs of a success that say how its server keeps the session. */
export type ServerTerms = Pick<
  Message<typeof DEA>,
  'Origin-Host' | 'Session-Binding' | 'Session-Server-Failover' | 'Auth-Session-State'
>;

/** Where the STR of a session goes. */
export interface SessionServer {
  /** Destination-Host of STR; undefined: any server of the realm. */
  readonly host: string | undefined;
  /** If this server is gone, another one may be told. */
  readonly tryAgain: boolean;
}

/** Where the STR of the session goes that a success begins; undefined: its server keeps no state. */
export function serverOf(terms: ServerTerms): SessionServer | undefined {
  if (terms['Auth-Session-State'] === NO_STATE_MAINTAINED) return undefined;
  return { host: mayBeAny(terms, 'STR') ? undefined : terms['Origin-Host'], tryAgain: mayTryAgain(terms) };
}

/** Whether a command of the session may go to any server of the realm. */
export function mayBeAny(terms: ServerTerms, command: keyof typeof SESSION_BINDING): boolean {
  return ((terms['Session-Binding'] ?? 0) & SESSION_BINDING[command]) !== 0;
}

/** Whether another server may be asked if the one of the session is gone. */
export function mayTryAgain(terms: ServerTerms): boolean {
  return TRY_AGAIN.includes(terms['Session-Server-Failover'] ?? 0);
}

/** Whether routing may send requests for this realm to this peer; no routes: every peer serves every realm. */
export function isOnRoute(routes: readonly Route[], realm: string, peer: string): boolean {
  if (routes.length === 0) return true;
  const named = (wanted: string) => routes.findLast((route) => route.realm.toLowerCase() === wanted);
  const { peers = [] } = named(realm.toLowerCase()) ?? named('*') ?? {};
  return peers.some((host) => host.toLowerCase() === peer.toLowerCase());
}
