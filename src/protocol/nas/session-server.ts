import type { Route } from '../diameter/node/routing.js';
import type { DEA } from '../diameter/wire/commands.js';
import { AUTH_SESSION_STATE, SESSION_BINDING, SESSION_SERVER_FAILOVER } from '../diameter/wire/dictionary.js';
import type { Message } from '../diameter/wire/grammar.js';

/** Values of Session-Server-Failover with which another server may be tried (RFC 6733 8.18). */
const TRY_AGAIN: readonly number[] = [
  SESSION_SERVER_FAILOVER.TRY_AGAIN,
  SESSION_SERVER_FAILOVER.TRY_AGAIN_ALLOW_SERVICE,
];

/** The AVPs of a success that describe how the server keeps the session. */
export type ServerTerms = Pick<
  Message<typeof DEA>,
  'Origin-Host' | 'Session-Binding' | 'Session-Server-Failover' | 'Auth-Session-State'
>;

/** Destination of the STR of a session. */
export interface SessionServer {
  /** Destination-Host of STR; undefined: any server of the realm. */
  readonly host: string | undefined;
  /** Whether the STR may go to another server if this one cannot be reached. */
  readonly tryAgain: boolean;
}

/** Destination of the STR for the session that this success starts; undefined: its server keeps no state. */
export function serverOf(terms: ServerTerms): SessionServer | undefined {
  // RFC 6733 8.11: the NAS sends no STR.
  if (terms['Auth-Session-State'] === AUTH_SESSION_STATE.NO_STATE_MAINTAINED) return undefined;
  return { host: mayBeAny(terms, 'STR') ? undefined : terms['Origin-Host'], tryAgain: mayTryAgain(terms) };
}

/** Whether a command for the session may go to any server of the realm. */
function mayBeAny(terms: ServerTerms, command: keyof typeof SESSION_BINDING): boolean {
  return ((terms['Session-Binding'] ?? 0) & SESSION_BINDING[command]) !== 0;
}

/** Whether another server may be tried if the session's server cannot be reached. */
function mayTryAgain(terms: ServerTerms): boolean {
  return TRY_AGAIN.includes(terms['Session-Server-Failover'] ?? 0);
}

/**
 * The AAA server of one session over all its authentications: selects the destination of the next DER (RFC 4072 2.2,
 * RFC 6733 8.17, 8.18).
 */
export class ServerBinding {
  #server: string | undefined;
  #realm: string | undefined;
  /** The last success. Its terms apply to later authentications. */
  #terms: ServerTerms | undefined;
  /** Whether the first DER of the current authentication is still unanswered. */
  #firstOfRun = true;
  /** Whether the session's server cannot be reached and another one may be tried. */
  #isFree = false;

  /** Origin-Host of the last answer. */
  get server(): string | undefined {
    return this.#server;
  }

  /** The realm whose servers share the session (Session-Binding); undefined: only `server` has it. */
  get sharedRealm(): string | undefined {
    return this.#terms && mayBeAny(this.#terms, 'STR') ? this.#realm : undefined;
  }

  /**
   * Destination-Host of the next DER; undefined: any server of the realm. All messages of a conversation go to the
   * server that started it.
   */
  get destination(): string | undefined {
    if (!this.#firstOfRun) return this.#server;
    if (!this.#terms || this.#isFree || mayBeAny(this.#terms, 'RE_AUTH')) return undefined;
    return this.#terms['Origin-Host'];
  }

  begin(): void {
    this.#firstOfRun = true;
  }

  answered(host: string, realm: string | undefined): void {
    this.#server = host;
    this.#realm = realm;
    this.#firstOfRun = false;
  }

  granted(terms: ServerTerms): void {
    this.#terms = terms;
    this.#isFree = false;
  }

  /** The server did not answer the first DER of an authentication. Returns whether another server is tried. */
  letGo(): boolean {
    if (this.destination === undefined || !this.#firstOfRun || !this.#terms || !mayTryAgain(this.#terms)) return false;
    this.#isFree = true;
    return true;
  }
}

/** Whether routing may send requests for this realm to this peer. Without routes every peer serves every realm. */
export function isOnRoute(routes: readonly Route[], realm: string, peer: string): boolean {
  if (routes.length === 0) return true;
  const named = (wanted: string) => routes.findLast((route) => route.realm.toLowerCase() === wanted);
  const { peers = [] } = named(realm.toLowerCase()) ?? named('*') ?? {};
  return peers.some((host) => host.toLowerCase() === peer.toLowerCase());
}
