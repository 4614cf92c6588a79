import { fromHex, toHex } from '../../protocol/bytes/octets.js';
import { Secret } from '../../protocol/bytes/secret.js';
import type { DiameterMessage } from '../../protocol/diameter/wire/codec.js';
import type { Dictionary } from '../../protocol/diameter/wire/dictionary.js';
import type { PanaAvp } from '../../protocol/pana/wire/codec.js';
import { avpName } from '../../protocol/pana/wire/dictionary.js';
import { openSeal, type SealKey, sealName } from '../../protocol/pana/wire/sealed-assignment.js';
import { MOBILITY_SUBTYPE } from '../../protocol/radius/mip6/mobility.js';
import { readVendor } from '../../protocol/radius/wire/attributes.js';
import type { RadiusPacket } from '../../protocol/radius/wire/codec.js';
import { SEALING_LINE } from '../../runtime/tls/key-log.js';

const NAME = 'MIP6-Sealed-Assignment';
const LINE = new RegExp(`^${SEALING_LINE} ([0-9a-f]{16}) ([0-9a-f]{8}) ([0-9a-f]{64})$`);

/** The result of opening a seal; a string: why it does not open. */
export interface OpenedSeal {
  readonly name: string;
  readonly avps: readonly PanaAvp[] | string;
}

/** The keys of sealed assignments of a key file, by EMSKname. */
export class SealKeys {
  readonly #keys = new Map<string, SealKey>();

  /** Takes a line of a key file. Returns whether it is one for a sealed assignment. */
  take(line: string): boolean {
    const [, name, wish, key] = LINE.exec(line) ?? [];
    if (!name || !wish || !key) return false;
    this.#keys.set(name, { key: Secret.take(fromHex(key)), wish: Number.parseInt(wish, 16) });
    return true;
  }

  /** Opens a sealed assignment; undefined: its key is not known, or it is none. */
  open(value: Uint8Array): OpenedSeal | undefined {
    const octets = sealName(value);
    const name = octets && toHex(octets);
    const key = name === undefined ? undefined : this.#keys.get(name);
    return name === undefined || !key ? undefined : { name, avps: openSeal(value, key) };
  }
}

/** The sealed assignment of a PANA message, among these AVPs. */
export function sealOfPana(avps: readonly PanaAvp[], vendorId: number): Uint8Array | undefined {
  return avps.find((avp) => avpName(avp, vendorId) === NAME)?.value;
}

export function sealOfDiameter({ avps }: DiameterMessage, dictionary: Dictionary): Uint8Array | undefined {
  return avps.find(({ code, vendorId }) => dictionary.nameOf(code, vendorId) === NAME)?.data;
}

/** The parts of the sealed assignment of a packet together. */
export function sealOfRadius({ attributes }: RadiusPacket, vendorId: number): Uint8Array | undefined {
  const parts = attributes
    .flatMap(readVendor)
    .filter((sub) => sub.vendorId === vendorId && sub.type === MOBILITY_SUBTYPE.SEALED_ASSIGNMENT);
  return parts.length === 0 ? undefined : Buffer.concat(parts.map(({ value }) => value));
}
