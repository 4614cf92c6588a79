import { type PartyPath, pathKey } from '../fairness/party.js';

/** Addresses that one certificate makes familiar, the latest ones: a certificate is no key to a whole network. */
export const MAX_ADDRESSES = 4;

/** Certificates that are kept; the one that was proven longest ago goes first. */
const MAX_CERTIFICATES = 50_000;

/** How long an address stays familiar, in milliseconds. */
export const FAMILIAR_TIME = 24 * 3_600_000;

interface Familiar {
  readonly certificate: string;
  readonly until: number;
}

/** Addresses at which a certificate was proven lately: a client at such an address is no stranger. */
export class FamiliarAddresses {
  readonly #addresses = new Map<string, Familiar>();
  readonly #certificates = new Map<string, string[]>();

  /** `certificate`: its fingerprint; `now` in milliseconds, monotonic. */
  remember(certificate: string, path: PartyPath, now: number): void {
    const key = pathKey(path);
    const known = this.#certificates.get(certificate) ?? [];
    const kept = known.filter((each) => each !== key);
    while (kept.length >= MAX_ADDRESSES) this.#forget(kept.shift() ?? '', certificate);
    this.#certificates.delete(certificate);
    if (this.#certificates.size >= MAX_CERTIFICATES) this.#forgetOldest();
    this.#certificates.set(certificate, [...kept, key]);
    this.#addresses.set(key, { certificate, until: now + FAMILIAR_TIME });
  }

  has(path: PartyPath, now: number): boolean {
    const familiar = this.#addresses.get(pathKey(path));
    return familiar !== undefined && familiar.until > now;
  }

  #forgetOldest(): void {
    for (const [certificate, keys] of this.#certificates) {
      for (const key of keys) this.#forget(key, certificate);
      this.#certificates.delete(certificate);
      return;
    }
  }

  /** Unless another certificate has made it familiar since. */
  #forget(key: string, certificate: string): void {
    if (this.#addresses.get(key)?.certificate === certificate) this.#addresses.delete(key);
  }
}
