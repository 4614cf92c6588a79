import { readFileSync } from 'node:fs';
import { fromHex } from '../../../../src/protocol/bytes/octets.js';
import { AVP_FLAG, type Avp, type DiameterMessage, FLAG } from '../../../../src/protocol/diameter/wire/codec.js';

export interface DiameterVector {
  readonly message: string;
  readonly flags: string;
  readonly app: number;
  readonly hex: string;
  readonly avps: readonly {
    readonly code: number;
    readonly flags: string;
    readonly vendor: number;
    readonly data: string;
  }[];
}

interface Exchange {
  readonly name: string;
  readonly messages: readonly DiameterVector[];
}

const url = new URL('../../../vectors/diameter-freediameter.json', import.meta.url);

/** Exchanges recorded from freeDiameter. */
export const EXCHANGES = (JSON.parse(readFileSync(url, 'utf8')) as { exchanges: Exchange[] }).exchanges;

export const VECTORS: readonly DiameterVector[] = EXCHANGES.flatMap(({ messages }) => messages);

export const OCTETS: readonly Uint8Array[] = VECTORS.map(({ hex }) => fromHex(hex));

/** The first recorded message of a command. */
export function vector(name: string): Uint8Array {
  const found = VECTORS.find(({ message }) => message === name);
  if (!found) throw new Error(`no ${name} in the vectors`);
  return fromHex(found.hex);
}

/** An AVP that is in no dictionary. */
export function unknownAvp(mandatory: boolean, vendorId?: number): Avp {
  return { code: 65_000, flags: mandatory ? AVP_FLAG.M : 0, vendorId, data: Uint8Array.of(1, 2, 3) };
}

export function isRequest(message: DiameterMessage): boolean {
  return (message.flags & FLAG.R) !== 0;
}
