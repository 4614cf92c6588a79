import { createHmac } from 'node:crypto';
import { encodeUtf8 } from '../../bytes/octets.js';
import { type PacEndpoint, placeOf, type Start } from '../session/start.js';
import { encodePana, FLAG, MESSAGE_TYPE, type PanaAvp } from '../wire/codec.js';
import { AVPS } from '../wire/dictionary.js';

/** Duration of an epoch in milliseconds. A PAR[S] remains valid for one to two epochs. */
export const EPOCH = 60_000;

/**
 * Maximum number of starts per epoch for one address and port. A node that restarts more often waits for the next
 * epoch.
 */
export const STARTS_PER_EPOCH = 16;

const EPOCH_BITS = 3;
const VARIANT_BITS = 3;
const SALT_BITS = 4;
const CLEAR_BITS = EPOCH_BITS + VARIANT_BITS + SALT_BITS;

/**
 * Variants of the offer: with all AVPs; only with AVPs that strict peers support; with all AVPs and the first
 * EAP-Request.
 */
export const VARIANT = { FULL: 0, PLAIN: 1, OPTIMISED: 2 } as const;

/** Added to a variant: the same with the E flag (RFC 5873). */
export const PRE_AUTHENTICATION = 3;

/** The variant encoded in a sequence number of this PAA. To a PaC the number looks random. */
function variantOf(sequence: number): number {
  return (sequence >>> SALT_BITS) % (1 << VARIANT_BITS);
}

/** An encoded PAR[S] in which only the numbers are missing; these are at fixed offsets (RFC 5191 6.2). */
interface Form {
  readonly octets: Uint8Array;
  readonly preAuthentication: boolean;
  readonly offersMobility: boolean;
  readonly encryption: readonly number[];
  readonly eapRequest: Uint8Array | undefined;
}

const SESSION_ID_AT = 8;
const SEQUENCE_AT = 12;

/**
 * PAR[S] without state (RFC 5191 4.1, 11.2). Session identifier and sequence number are MACs over the PaC's address, so
 * that a PAN[S] proves that the address is real. The PAR[S], which enters PANA_AUTH_KEY, can be rebuilt exactly. The
 * low bits of the sequence number contain the epoch, the variant of the offer and the salt:
 *
 *   | MAC, 22 bits | epoch, 3 | variant, 3 | salt, 4 |
 */
export class StatelessStart {
  readonly #secret: Uint8Array;
  readonly #forms: readonly Form[];

  /** `variants`: the AVPs of each variant, as VARIANT numbers them. */
  constructor(secret: Uint8Array, variants: readonly (readonly PanaAvp[])[]) {
    if (variants.length > PRE_AUTHENTICATION)
      throw new RangeError(`at most ${PRE_AUTHENTICATION} variants of the offer`);
    this.#secret = secret;
    this.#forms = [0, FLAG.E].flatMap((phase) => variants.map((avps) => formOf(avps, phase)));
  }

  /** The PAR[S] for a PaC. It is the same for equal epochs, variants and salts. */
  offer(peer: PacEndpoint, now: number, variant: number, salt: number): Start {
    return this.#make(peer, Math.floor(now / EPOCH), variant, salt);
  }

  /**
   * The PAR[S] that a PAN[S] with these numbers answers. Undefined: this PAA did not send it there, or it has expired.
   */
  prove(peer: PacEndpoint, sessionId: number, sequence: number, now: number): Start | undefined {
    const current = Math.floor(now / EPOCH);
    for (const epoch of [current, current - 1]) {
      if ((sequence >>> (VARIANT_BITS + SALT_BITS)) % (1 << EPOCH_BITS) !== epoch % (1 << EPOCH_BITS)) continue;
      const variant = variantOf(sequence);
      if (variant >= this.#forms.length) return undefined;
      const start = this.#make(peer, epoch, variant, sequence % (1 << SALT_BITS));
      if (start.sessionId === sessionId && start.sequence === sequence) return start;
    }
    return undefined;
  }

  #make(peer: PacEndpoint, epoch: number, variant: number, salt: number): Start {
    // Each variant is a separate start, so numbers of different variants must not collide.
    const where = `${placeOf(peer)}|${epoch}|${variant}|${salt}`;
    const mac = createHmac('sha256', this.#secret).update(encodeUtf8(where)).digest();
    // RFC 5191 4.1: the identifier 0 is reserved for PCI.
    const sessionId = mac.readUInt32BE(0) || 1;
    const clear = ((epoch % (1 << EPOCH_BITS)) << (VARIANT_BITS + SALT_BITS)) | (variant << SALT_BITS) | salt;
    const sequence = ((mac.readUInt32BE(4) << CLEAR_BITS) | clear) >>> 0;
    const form = this.#forms[variant];
    if (!form) throw new RangeError(`no variant ${variant} of the offer`);
    const iPar = form.octets.slice();
    const header = new DataView(iPar.buffer);
    header.setUint32(SESSION_ID_AT, sessionId);
    header.setUint32(SEQUENCE_AT, sequence);
    const { preAuthentication, offersMobility, encryption, eapRequest } = form;
    return { sessionId, sequence, salt, iPar, preAuthentication, offersMobility, encryption, eapRequest };
  }
}

/** `phase`: the E flag, or 0. */
function formOf(avps: readonly PanaAvp[], phase: number): Form {
  const flags = FLAG.R | FLAG.S | phase;
  return {
    octets: encodePana({ type: MESSAGE_TYPE.AUTH, flags, sessionId: 0, sequence: 0, avps }),
    preAuthentication: phase !== 0,
    offersMobility: avps.some((avp) => avp.code === AVPS['Mobility-Capability'].code),
    encryption: avps.flatMap(({ code, value }) =>
      code === AVPS['Encryption-Algorithm'].code ? [new DataView(value.buffer, value.byteOffset).getUint32(0)] : [],
    ),
    eapRequest: avps.find((avp) => avp.code === AVPS['EAP-Payload'].code)?.value,
  };
}
