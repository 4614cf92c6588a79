import type { Avp } from './codec.js';
import { AVPS } from './dictionary.js';

/** Whether these AVPs contain a key (RFC 4072 4.1.3). */
export function holdsKey(avps: readonly Avp[]): boolean {
  return avps.some(isKey);
}

/** Overwrites the keys in the AVPs of a message that is no longer needed. */
export function wipeKeys(avps: readonly Avp[]): void {
  for (const avp of avps) if (isKey(avp)) avp.data.fill(0);
}

function isKey({ code, vendorId }: Avp): boolean {
  return code === AVPS['EAP-Master-Session-Key'].code && vendorId === undefined;
}
