import { BoundedMap } from '../bytes/bounded-map.js';
import { type PartyPath, pathKey } from '../fairness/party-path.js';

/**
 * Maximum number of addresses that one certificate makes familiar. Otherwise one certificate could make a whole network
 * familiar.
 */
export const MAX_ADDRESSES = 4;

/** Maximum number of certificates; the one that was proven longest ago is dropped first. */
const MAX_CERTIFICATES = 50_000;

/** How long an address remains familiar, in milliseconds. */
export const FAMILIAR_TIME = 24 * 3_600_000;

interface Familiar {
  readonly certificate: string;
  readonly until: number;
}

/** Addresses from which a certificate was recently proven. A client at such an address is not a stranger. */
export class FamiliarAddresses {
  readonly #addresses = new Map<string, Familiar>();
  readonly #certificates = new BoundedMap<string, readonly string[]>(MAX_CERTIFICATES);

  /** Records that a certificate was proven from an address. `certificate`: its fingerprint. `now` is monotonic. */
  remember(certificate: string, path: PartyPath, now: number): void {
    const key = pathKey(path);
    const known = this.#certificates.get(certificate) ?? [];
    const kept = known.filter((each) => each !== key);
    while (kept.length >= MAX_ADDRESSES) this.#forget(kept.shift() ?? '', certificate);
    const [oldest = '', itsKeys = []] = this.#certificates.set(certificate, [...kept, key]) ?? [];
    for (const each of itsKeys) this.#forget(each, oldest);
    this.#addresses.set(key, { certificate, until: now + FAMILIAR_TIME });
  }

  has(path: PartyPath, now: number): boolean {
    const familiar = this.#addresses.get(pathKey(path));
    return familiar !== undefined && familiar.until > now;
  }

  /** Removes an address, unless another certificate has made it familiar since. */
  #forget(key: string, certificate: string): void {
    if (this.#addresses.get(key)?.certificate === certificate) this.#addresses.delete(key);
  }
}
