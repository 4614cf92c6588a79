import type { EapKeys } from '../../protocol/eap/keys.js';
import type { ServerTlsInput } from '../../protocol/eap/tls-authenticator.js';
import type { PeerTlsInput } from '../../protocol/eap/tls-peer.js';
import type { Revocation } from '../tls/certificates/revocation.js';

/**
 * The border between the EAP method and the engine that makes its flights. Node's TLS is behind it in production
 * (tls-peer.ts, tls-server.ts). A simulation passes engines of its own: `PeerCredentials` to EapPeer, a `ServerEngine`
 * as second argument to EapServer. An engine may answer before the call returns, so that a whole bootstrap needs no
 * turn of the event loop. Its flights have to be TLS records (type, version 0x0303, length of two octets, content),
 * since the server looks for certificates in the clients' flights; records of type 23 are not looked into. Where it
 * says that the version is `TLSv1.3` it also has to carry the 0x00 octet of the server to the peer.
 */
type Untokened<I> = I extends { readonly token: number } ? Omit<I, 'token'> : never;

/** The engine threw: a fault of ours. */
export interface EngineFault {
  readonly type: 'fault';
  readonly error: unknown;
}

export type PeerEngineAnswer = Untokened<Extract<PeerTlsInput, { readonly type: 'flight' | 'failed' }>> | EngineFault;

/** The peer's end of one handshake. */
export interface PeerHandshake {
  /** Takes a flight of the server, none at the start, and calls `answer` once; not any more after `destroy`. */
  exchange(flight: Uint8Array, answer: (answer: PeerEngineAnswer) => void): void;
  /** Exports the keys, which the caller takes over, and keeps the server's ticket. Once, after `secured`. */
  finish(): EapKeys;
  /** The server has refused after all: drops its ticket. */
  forget(): void;
  destroy(): void;
}

/** What a peer proves itself with, and the engine that does it. */
export interface PeerCredentials {
  open(): PeerHandshake;
}

export type ServerEngineAnswer =
  | Untokened<Extract<ServerTlsInput<never>, { readonly type: 'flight' | 'verified' | 'failed' }>>
  | EngineFault;

export type ServerEngineEnd = Untokened<Extract<ServerTlsInput<never>, { readonly type: 'finished' }>> | EngineFault;

/** The server's end of one handshake. */
export interface ServerHandshake {
  /** Takes a flight of the client and calls `answer` once, after `destroy` too: that ends the turn of the flight. */
  exchange(flight: Uint8Array, answer: (answer: ServerEngineAnswer) => void): void;
  /**
   * Writes the application data after what was kept back, exports the keys, which the caller takes over, and frees the
   * handshake. Calls `answer` once. Once, after `verified`.
   */
  commit(applicationData: Uint8Array, answer: (answer: ServerEngineEnd) => void): void;
  destroy(): void;
}

/** What a server knows of revoked certificates. */
export interface ServerJudge {
  /** Undefined: there is no CRL. */
  readonly revocation: Pick<Revocation, 'inForce' | 'unverified'> | undefined;
  /** Known issuers all of whose certificates are revoked, as Certificate.issuerId. `now`: milliseconds since 1970, UTC. */
  revokedIssuers(now: number): string[];
}

/** The engine of all conversations of a server. `O`: certificates and settings. */
export interface ServerEngine<O> {
  readonly judge: ServerJudge;
  /** Begins the handshake of the client whose first flight this is; the flight follows by `exchange`. */
  begin(hello: Uint8Array): ServerHandshake;
  /** Takes other certificates, or throws and keeps the old ones. */
  reload(options: O): void;
  /** Servers that share a store accept each other's session tickets: 48 octets, which the engine copies. */
  setTicketKey(key: Uint8Array): void;
}
