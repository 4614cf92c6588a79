import { DecodeError, type DecodeErrorCode } from '../../bytes/decode-error.js';
import type { Secret } from '../../bytes/secret.js';
import { decodePana, FLAG, MAX_AVPS, type PanaMessage } from '../wire/codec.js';
import { type PanaValues, type PanaViolation, readPana } from '../wire/dictionary.js';
import { openEncapsulation } from '../wire/encryption.js';
import type { Protection } from '../wire/keys.js';

/** Why a datagram was dropped. PANA has no error message for it (RFC 5191 5.5). */
export type DropCode =
  | DecodeErrorCode
  | PanaViolation
  /** The message does not fit the session identifier, phase or state. */
  | 'unknown-session'
  | 'unexpected'
  | 'out-of-sequence'
  /** A PRY of a sender that is not one of the configured relays (RFC 6345 3). */
  | 'unknown-relay'
  /** A required AUTH is missing or wrong. */
  | 'auth'
  /** A start without algorithms, or without an acceptable one (RFC 5191 4.1). */
  | 'no-algorithm'
  /** A start without encryption, which the configuration requires (RFC 6786 2). */
  | 'no-encryption'
  | 'nonce'
  | 'no-mobility'
  /**
   * Limits of PCIs: per address, per network, in total; of starts per address and port in an epoch; of replayed
   * answers; of requested pings.
   */
  | 'pci-of-address'
  | 'pci-of-network'
  | 'pci-in-all'
  | 'starts-of-epoch'
  | 'replays'
  | 'pings'
  /** Limits of half-open sessions: per address, per network, in total; of sessions in total; of invitations. */
  | 'half-open-of-address'
  | 'half-open-of-network'
  | 'half-open-in-all'
  | 'sessions-in-all'
  | 'invitations'
  /** The message to send would exceed its maximum size. */
  | 'too-long'
  /** The source port is 0. */
  | 'source-port'
  /** A PNA without the Echo value of its PNR. */
  | 'echo'
  /** The message was processed, but the sender's new address is not accepted because another session has it. */
  | 'address-held'
  /**
   * RFC 5873 3: one end pre-authenticates and the other does not; the PAA allows no pre-authentication, or not from there.
   */
  | 'pre-authentication'
  /** Limits of sessions that are being pre-authenticated, and of pre-authenticated ones. */
  | 'half-open-pre-authenticated'
  | 'pre-authenticated-in-all'
  /** PAN[S] came from an address to which no PAR[S] was sent, or belongs to a start that has ended. */
  | 'bad-start';

/** The algorithm ids in PAR[S]. */
export interface AlgorithmOffer {
  readonly prf: readonly number[];
  readonly integrity: readonly number[];
  readonly encryption: readonly number[];
}

export interface Dropped {
  readonly type: 'dropped';
  readonly code: DropCode;
  /** What a PAA offered, if that is why the PaC dropped its PAR[S]. */
  readonly offered?: AlgorithmOffer;
}

/** A datagram to send. `retransmission` counts from 0. */
export interface Send {
  readonly type: 'send';
  readonly octets: Uint8Array;
}

/** New keys for a protocol analyser. Copies, which the receiver wipes. */
export interface SessionKey {
  readonly type: 'key';
  readonly sessionId: number;
  readonly keyId: number;
  /** Integrity-Algorithm. */
  readonly integrity: number;
  readonly key: Secret;
  /** PANA_PAC_ENCR_KEY and PANA_PAA_ENCR_KEY with their Encryption-Algorithm, RFC 6786 3. */
  readonly encryption?: { readonly algorithm: number; readonly pac: Secret; readonly paa: Secret };
}

/** Wipes keys that no analyser takes. */
export function wipeKeys({ key, encryption }: SessionKey): void {
  key.wipe();
  encryption?.pac.wipe();
  encryption?.paa.wipe();
}

export interface Received {
  readonly message: PanaMessage;
  readonly values: PanaValues;
  /** The complete datagram as received. The holder of this object owns it. */
  readonly octets: Uint8Array;
}

export function dropped(code: DropCode): Dropped {
  return { type: 'dropped', code };
}

/** The outputs for a repeated request: the stored answer, or the report that the replay limit is exceeded. */
export function replays(octets: Uint8Array | 'replays' | undefined): (Send | Dropped)[] {
  if (octets === 'replays') return [dropped('replays')];
  return octets ? [{ type: 'send', octets }] : [];
}

/**
 * Whether the E flag of a message fits a session that is, or is not, being pre-authenticated (RFC 5873 3). Only before
 * there is a key: from then on AUTH covers the flag, and messages of before the node's arrival may still be in transit.
 */
export function isInPhase({ flags }: PanaMessage, { preAuthenticates, protection }: Phase): boolean {
  return protection !== undefined || ((flags & FLAG.E) !== 0) === preAuthenticates;
}

interface Phase {
  readonly preAuthenticates: boolean;
  readonly protection: Protection | undefined;
}

/** Whether an encoded message is a request: the R flag, RFC 5191 6.2. */
export function isRequest(octets: Uint8Array): boolean {
  return ((octets[4] ?? 0) & 0x80) !== 0;
}

/** The outputs that send the octets returned by a channel. */
export function sends(list: readonly Uint8Array[] | 'too-long'): (Send | Dropped)[] {
  if (list === 'too-long') return [dropped('too-long')];
  return list.map((octets) => ({ type: 'send', octets }));
}

/** Minimum lifetime of a session in milliseconds, whatever the other end requests: 0 would cause a loop. */
export const MIN_LIFETIME = 1000;

/** Decodes a datagram and checks its grammar. Returns why it was dropped if it is invalid. */
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

/**
 * Decrypts the AVPs of a received message. `verified`: the key that verified its AUTH. Without Encryption-Encap the
 * message is returned as it is.
 */
export function open(
  received: Received,
  verified: Pick<Protection, 'encryption'> | undefined,
  vendorId: number,
): Received | Dropped {
  if (received.values['Encryption-Encap'] === undefined) return received;
  // RFC 6786 5: only after an agreement, and with AUTH.
  if (!verified?.encryption) return dropped('avp-not-allowed');
  try {
    const avps = openEncapsulation(received.message, verified.encryption, vendorId);
    if (typeof avps === 'string') return dropped(avps);
    if (avps.length > MAX_AVPS) return dropped('too-many');
    const message = { ...received.message, avps };
    const values = readPana(message, vendorId);
    return typeof values === 'string' ? dropped(values) : { message, values, octets: received.octets };
  } catch (error) {
    if (error instanceof DecodeError) return dropped(error.code);
    throw error;
  }
}
