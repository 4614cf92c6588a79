import { createHmac } from 'node:crypto';
import { encodeUtf8 } from '../../bytes/octets.js';
import { type PacEndpoint, placeOf, type Start } from '../session/start.js';
import { encodePana, FLAG, MESSAGE_TYPE, type PanaAvp } from '../wire/codec.js';
import { AVPS } from '../wire/dictionary.js';

/** A PAR[S] stays answerable for one to two of these. */
export const EPOCH = 60_000;

/** Starts that one address and port can have in an epoch: a node that reboots more often waits for the next. */
export const STARTS_PER_EPOCH = 16;

const EPOCH_BITS = 3;
const VARIANT_BITS = 3;
const SALT_BITS = 4;
const CLEAR_BITS = EPOCH_BITS + VARIANT_BITS + SALT_BITS;

/**
 * Forms of the offer: with everything, with nothing that a strict peer does not know, and with the first EAP-Request
 * beside everything.
 */
export const VARIANT = { FULL: 0, PLAIN: 1, OPTIMISED: 2 } as const;

/** The variant that a sequence number of this PAA shows. A PaC sees a random number. */
function variantOf(sequence: number): number {
  return (sequence >>> SALT_BITS) % (1 << VARIANT_BITS);
}

/** A PAR[S] but for its numbers, which stand at fixed places (RFC 5191 6.2). */
interface Form {
  readonly octets: Uint8Array;
  readonly offersMobility: boolean;
  readonly eapRequest: Uint8Array | undefined;
}

const SESSION_ID_AT = 8;
const SEQUENCE_AT = 12;

/**
 * PAR[S] without state (RFC 5191 4.1, 11.2): session id and sequence number are MACs over the PaC's address, so that a
 * PAN[S] proves that the address is real, and the PAR[S], which enters PANA_AUTH_KEY, is rebuilt to the bit. The
 * sequence number shows in its low bits the epoch, the variant of the offer and the salt:
 *
 *   | MAC, 22 bits | epoch, 3 | variant, 3 | salt, 4 |
 */
export class StatelessStart {
  readonly #secret: Uint8Array;
  readonly #forms: readonly Form[];

  /** `variants`: the AVPs of each form of the offer, at most 8. */
  constructor(secret: Uint8Array, variants: readonly (readonly PanaAvp[])[]) {
    if (variants.length > 1 << VARIANT_BITS) throw new RangeError('at most 8 variants of the offer');
    this.#secret = secret;
    this.#forms = variants.map((avps) => ({
      octets: encodePana({ type: MESSAGE_TYPE.AUTH, flags: FLAG.R | FLAG.S, sessionId: 0, sequence: 0, avps }),
      offersMobility: avps.some((avp) => avp.code === AVPS['Mobility-Capability'].code),
      eapRequest: avps.find((avp) => avp.code === AVPS['EAP-Payload'].code)?.value,
    }));
  }

  /** The PAR[S] for a PaC; the same within an epoch, variant and salt. */
  offer(peer: PacEndpoint, now: number, variant: number, salt: number): Start {
    return this.#make(peer, Math.floor(now / EPOCH), variant, salt);
  }

  /** The start that a PAN[S] with these numbers answers; undefined if this PAA never offered it there, or long ago. */
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
    // Each form is a start of its own: numbers of one never run into those of another.
    const where = `${placeOf(peer)}|${epoch}|${variant}|${salt}`;
    const mac = createHmac('sha256', this.#secret).update(encodeUtf8(where)).digest();
    // 0 is what a PCI carries (RFC 5191 4.1).
    const sessionId = mac.readUInt32BE(0) || 1;
    const clear = ((epoch % (1 << EPOCH_BITS)) << (VARIANT_BITS + SALT_BITS)) | (variant << SALT_BITS) | salt;
    const sequence = ((mac.readUInt32BE(4) << CLEAR_BITS) | clear) >>> 0;
    const form = this.#forms[variant];
    if (!form) throw new RangeError(`no form ${variant} of the offer`);
    const iPar = form.octets.slice();
    const header = new DataView(iPar.buffer);
    header.setUint32(SESSION_ID_AT, sessionId);
    header.setUint32(SEQUENCE_AT, sequence);
    const { offersMobility, eapRequest } = form;
    return { sessionId, sequence, salt, iPar, offersMobility, eapRequest };
  }
}
