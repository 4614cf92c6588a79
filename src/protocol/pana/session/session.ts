import { DecodeError, type DecodeErrorCode } from '../../bytes/decode-error.js';
import type { Secret } from '../../bytes/secret.js';
import { decodePana, type PanaMessage } from '../wire/codec.js';
import { type PanaValues, type PanaViolation, readPana } from '../wire/dictionary.js';

/** Why a datagram changed nothing; PANA has no error message to answer it with (RFC 5191 5.5). */
export type DropCode =
  | DecodeErrorCode
  | PanaViolation
  /** The session id, phase or state does not fit. */
  | 'unknown-session'
  | 'unexpected'
  | 'out-of-sequence'
  /** AUTH is missing or wrong where it is needed. */
  | 'auth'
  /** A start without algorithms, or without an acceptable one (RFC 5191 4.1). */
  | 'no-algorithm'
  | 'nonce'
  | 'no-mobility'
  /** Limits: PCIs of an address, of a network, in all; starts of a place in an epoch, answers replayed, pings asked for. */
  | 'pci-of-address'
  | 'pci-of-network'
  | 'pci-in-all'
  | 'starts-of-epoch'
  | 'replays'
  | 'pings'
  /** Limits: half-open sessions of an address, of a network, in all; sessions in all; invitations. */
  | 'half-open-of-address'
  | 'half-open-of-network'
  | 'half-open-in-all'
  | 'sessions-in-all'
  | 'invitations'
  /** What would have to be sent does not fit a message. */
  | 'too-long'
  /** From a port that nothing can be sent to. */
  | 'source-port'
  /** A PNA without the octets that its PNR asked to be sent back. */
  | 'echo'
  /** The message counts, but its sender is not taken to be at an address that another session holds. */
  | 'address-held'
  /** From an address that did not get the PAR[S], or to a start that is over. */
  | 'bad-start';

export interface Dropped {
  readonly type: 'dropped';
  readonly code: DropCode;
}

/** A datagram to send. `retransmission` counts from 0. */
export interface Send {
  readonly type: 'send';
  readonly octets: Uint8Array;
}

/** A PANA_AUTH_KEY that has come into force, for analysers; a copy, which its receiver wipes. */
export interface SessionKey {
  readonly type: 'key';
  readonly sessionId: number;
  readonly keyId: number;
  /** Integrity-Algorithm. */
  readonly integrity: number;
  readonly key: Secret;
}

export interface Received {
  readonly message: PanaMessage;
  readonly values: PanaValues;
  /** The whole datagram as received; owned by whoever holds this. */
  readonly octets: Uint8Array;
}

export function dropped(code: DropCode): Dropped {
  return { type: 'dropped', code };
}

/** Sends again what was kept, or says that it is asked for too often. */
export function replays(octets: Uint8Array | 'replays' | undefined): (Send | Dropped)[] {
  if (octets === 'replays') return [dropped('replays')];
  return octets ? [{ type: 'send', octets }] : [];
}

/** Whether a message that was sent is a request: the R flag, RFC 5191 6.2. */
export function isRequest(octets: Uint8Array): boolean {
  return ((octets[4] ?? 0) & 0x80) !== 0;
}

/** What a channel gave to send, or that it does not fit. */
export function sends(list: readonly Uint8Array[] | 'too-long'): (Send | Dropped)[] {
  if (list === 'too-long') return [dropped('too-long')];
  return list.map((octets) => ({ type: 'send', octets }));
}

/** The shortest lifetime that a session is given, whatever the other end says, in milliseconds: 0 would be a loop. */
export const MIN_LIFETIME = 1000;

/** A datagram decoded and held against its grammar, or why not. */
export function receive(octets: Uint8Array, vendorId: number): Received | Dropped {
  try {
    const message = decodePana(octets);
    const values = readPana(message, vendorId);
    return typeof values === 'string' ? dropped(values) : { message, values, octets };
  } catch (error) {
    if (error instanceof DecodeError) return dropped(error.code);
    throw error;
  }
}
