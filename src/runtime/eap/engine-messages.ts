import type { ServerTlsInput } from '../../protocol/eap/tls-authenticator.js';
import { readCrl } from '../../protocol/x509/crl.js';
import { Revocation, type RevocationPolicy } from '../tls/certificates/revocation.js';
import type { MasterSecretPolicy } from '../tls/settings.js';
import type { TlsServerOptions } from './tls-server.js';

/**
 * Messages between the main thread and an engine thread. They carry flights as they are on the wire. Secrets in them are
 * the server's key, the ticket key and the keys of a completed handshake; the latter two move with their memory, so that
 * the sender keeps no copy.
 */

/** Identifies a handshake in its thread. */
export type HandshakeId = number;

/** TlsServerOptions without functions. CRLs are read and verified again in each thread. */
export interface EngineSettings extends Omit<TlsServerOptions, 'revocation' | 'onLearned' | 'guard' | 'host'> {
  readonly lists: readonly { readonly der: Uint8Array; readonly path: string }[] | undefined;
  readonly revocationPolicy: RevocationPolicy | undefined;
}

/** Start parameters of an engine thread. */
export interface EngineStart {
  readonly settings: EngineSettings;
}

export type ToEngineThread =
  /** A flight of a client. `begins`: the first flight of a handshake. `policy`: in place of that of the settings. */
  | {
      readonly type: 'exchange';
      readonly id: HandshakeId;
      readonly begins: boolean;
      readonly policy: MasterSecretPolicy | undefined;
      readonly flight: Uint8Array;
    }
  | { readonly type: 'commit'; readonly id: HandshakeId; readonly applicationData: Uint8Array }
  | { readonly type: 'destroy'; readonly id: HandshakeId }
  | { readonly type: 'reload'; readonly settings: EngineSettings }
  | { readonly type: 'ticketKey'; readonly key: Uint8Array }
  /** CAs of paths that another thread has verified, as DER. */
  | { readonly type: 'learned'; readonly authorities: readonly Uint8Array[] };

/** An exception in a thread. */
export interface ThrownError {
  readonly message: string;
  readonly stack: string | undefined;
}

type Untokened<I> = I extends { readonly token: number } ? Omit<I, 'token'> : never;

export type ThreadAnswer =
  | Untokened<Extract<ServerTlsInput<never>, { readonly type: 'flight' | 'verified' | 'failed' | 'busy' }>>
  /** The keys have memory of their own. */
  | {
      readonly type: 'finished';
      readonly flight: Uint8Array;
      readonly msk: Uint8Array;
      readonly emsk: Uint8Array;
      readonly sessionId: Uint8Array;
    }
  | { readonly type: 'fault'; readonly error: ThrownError };

export type FromEngineThread =
  | { readonly type: 'ready' }
  | { readonly type: 'answer'; readonly id: HandshakeId; readonly answer: ThreadAnswer }
  /** The CAs of a verified path, as DER; one of them was new. */
  | { readonly type: 'learned'; readonly authorities: readonly Uint8Array[] }
  /** An exception that belongs to no answer. */
  | { readonly type: 'fault'; readonly error: ThrownError };

/**
 * Octets with memory of their own. A Buffer may share its memory with others, and a message copies all of it.
 */
export function own(octets: Uint8Array): Uint8Array {
  return Uint8Array.from(octets);
}

export function settingsOf(options: TlsServerOptions): EngineSettings {
  const { caPem, certificatePem, keyPem, revocation, minVersion, maxVersion, ciphers, ecdhCurve } = options;
  const { certificatePolicy, extendedMasterSecret } = options;
  return {
    caPem,
    certificatePem,
    keyPem,
    ...(minVersion === undefined ? {} : { minVersion }),
    ...(maxVersion === undefined ? {} : { maxVersion }),
    ciphers,
    ecdhCurve,
    certificatePolicy,
    extendedMasterSecret,
    lists: revocation?.lists.map(({ list, path }) => ({ der: own(list.der), path })),
    revocationPolicy: revocation?.policy,
  };
}

export function optionsOf({ lists, revocationPolicy, ...rest }: EngineSettings): TlsServerOptions {
  if (!lists || !revocationPolicy) return rest;
  const read = lists.map(({ der, path }) => ({ list: readCrl(der), path }));
  return { ...rest, revocation: new Revocation(read, revocationPolicy) };
}

export function thrown(error: unknown): ThrownError {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  return { message, stack };
}

/** The exception of another thread, with its stack. */
export function errorOf({ message, stack }: ThrownError): Error {
  const error = new Error(message);
  if (stack !== undefined) error.stack = stack;
  return error;
}
