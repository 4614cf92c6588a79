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
function mayBeAny(terms: ServerTerms, command: keyof typeof SESSION_BINDING): boolean {
  return ((terms['Session-Binding'] ?? 0) & SESSION_BINDING[command]) !== 0;
}

/** Whether another server may be asked if the one of the session is gone. */
function mayTryAgain(terms: ServerTerms): boolean {
  return TRY_AGAIN.includes(terms['Session-Server-Failover'] ?? 0);
}

/** The AAA server of one session over its runs of EAP: where the next DER goes (RFC 4072 2.2, RFC 6733 8.17, 8.18). */
export class Binding {
  #server: string | undefined;
  #realm: string | undefined;
  /** The last success; its terms hold for later runs. */
  #terms: ServerTerms | undefined;
  /** No answer has come in this run. */
  #firstOfRun = true;
  /** The bound server is gone, and another one may be asked. */
  #isFree = false;

  /** Origin-Host of the last answer. */
  get server(): string | undefined {
    return this.#server;
  }

  /** The realm whose servers share the session (Session-Binding); undefined: it is of `server` alone. */
  get sharedRealm(): string | undefined {
    return this.#terms && mayBeAny(this.#terms, 'STR') ? this.#realm : undefined;
  }

  /** Destination-Host of the next DER. A conversation stays on the server that has begun it; undefined: any of the realm. */
  get destination(): string | undefined {
    if (!this.#firstOfRun) return this.#server;
    if (!this.#terms || this.#isFree || mayBeAny(this.#terms, 'RE_AUTH')) return undefined;
    return this.#terms['Origin-Host'];
  }

  /** A run of EAP begins. */
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

  /** The server of the first DER of a run did not answer. Whether another one is asked instead. */
  letGo(): boolean {
    if (this.destination === undefined || !this.#firstOfRun || !this.#terms || !mayTryAgain(this.#terms)) return false;
    this.#isFree = true;
    return true;
  }
}

/** Whether routing may send requests for this realm to this peer; no routes: every peer serves every realm. */
export function isOnRoute(routes: readonly Route[], realm: string, peer: string): boolean {
  if (routes.length === 0) return true;
  const named = (wanted: string) => routes.findLast((route) => route.realm.toLowerCase() === wanted);
  const { peers = [] } = named(realm.toLowerCase()) ?? named('*') ?? {};
  return peers.some((host) => host.toLowerCase() === peer.toLowerCase());
}
