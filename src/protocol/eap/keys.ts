import type { Secret } from '../bytes/secret.js';

/** The keys that a method exports (RFC 3748 7.10). MSK and EMSK have 64 octets each. */
export interface EapKeys {
  readonly msk: Secret;
  readonly emsk: Secret;
  /** The EAP Session-Id of 65 octets (RFC 5216 2.3, RFC 9190 2.3). It is not secret. */
  readonly sessionId: Uint8Array;
}

export function wipeKeys({ msk, emsk }: Pick<EapKeys, 'msk' | 'emsk'>): void {
  msk.wipe();
  emsk.wipe();
}
