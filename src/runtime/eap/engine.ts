import type { EapKeys } from '../../protocol/eap/keys.js';
import type { ServerTlsInput } from '../../protocol/eap/tls-authenticator.js';
import type { PeerTlsInput } from '../../protocol/eap/tls-peer.js';
import type { Revocation } from '../tls/certificates/revocation.js';
import type { MasterSecretPolicy } from '../tls/settings.js';

/**
 * The interface between the EAP method and the TLS engine that produces its flights. In production the engine is Node's
 * TLS (tls-peer.ts, tls-server.ts). A simulation passes its own: `PeerCredentials` to EapPeer, a `ServerEngine` as
 * second argument to EapServer.
 * An engine may answer before the call returns, so that a whole bootstrap needs no turn of the event loop. Its flights
 * must be TLS records (type, version 0x0303, length of two octets, content), since the server searches the clients'
 * flights for certificates. Records of type 23 are not parsed. If the engine reports `TLSv1.3`, it must also carry the
 * server's 0x00 octet to the peer.
 */

type Untokened<I> = I extends { readonly token: number } ? Omit<I, 'token'> : never;

/** The engine threw an exception. */
export interface EngineFault {
  readonly type: 'fault';
  readonly error: unknown;
}

export type PeerEngineAnswer = Untokened<Extract<PeerTlsInput, { readonly type: 'flight' | 'failed' }>> | EngineFault;

/** The peer's side of one handshake. */
export interface PeerHandshake {
  /**
   * Processes a flight of the server (empty at the start) and calls `answer` once, unless `destroy` is called first.
   */
  exchange(flight: Uint8Array, answer: (answer: PeerEngineAnswer) => void): void;
  /** Exports the keys and keeps the server's session ticket. The caller owns the keys. Call once, after `secured`. */
  finish(): EapKeys;
  /** Drops the session ticket, because the server refused after the handshake. */
  forget(): void;
  destroy(): void;
}

/** The peer's credentials and the engine that uses them. */
export interface PeerCredentials {
  open(): PeerHandshake;
}

export type ServerEngineAnswer =
  | Untokened<Extract<ServerTlsInput<never>, { readonly type: 'flight' | 'verified' | 'failed' | 'busy' }>>
  | EngineFault;

export type ServerEngineEnd =
  | Untokened<Extract<ServerTlsInput<never>, { readonly type: 'finished' | 'busy' }>>
  | EngineFault;

/** The server's side of one handshake. */
export interface ServerHandshake {
  /**
   * Processes a flight of the client and calls `answer` once, even after `destroy`: the answer ends the engine turn.
   */
  exchange(flight: Uint8Array, answer: (answer: ServerEngineAnswer) => void): void;
  /**
   * Sends the application data after the output held back so far, exports the keys, and frees the handshake. Calls
   * `answer` once; the caller owns the keys. Call once, after `verified`.
   */
  commit(applicationData: Uint8Array, answer: (answer: ServerEngineEnd) => void): void;
  destroy(): void;
}

/** A server's information about revoked certificates. */
export interface ServerJudge {
  /** Undefined: no CRL is configured. */
  readonly revocation: Pick<Revocation, 'inForce' | 'unverified'> | undefined;
  /**
   * Issuers (as Certificate.issuerId) of which every known CA certificate is revoked. `now`: milliseconds since 1970,
   * UTC.
   */
  revokedIssuers(now: number): string[];
}

/** The engine that all conversations of a server share. `O`: its credentials and settings. */
export interface ServerEngine<O> {
  readonly judge: ServerJudge;
  /** Number of its threads that run. Undefined: it has none. */
  readonly running?: number;
  /**
   * Begins a handshake with a client whose first flight is `hello`. The caller passes the same flight to `exchange`.
   * `thread`: which of its threads an engine with several uses. `policy`: in place of that of its settings.
   */
  begin(hello: Uint8Array, thread?: number, policy?: MasterSecretPolicy): ServerHandshake;
  /** Replaces the credentials, or throws and keeps the old ones. */
  reload(options: O): void;
  /**
   * Sets the ticket key (48 octets, copied). Servers that share a store and thus the key accept each other's session
   * tickets.
   */
  setTicketKey(key: Uint8Array): void;
  /** Frees the engine at the end of the server, when no conversation uses it. */
  close(): void;
}
