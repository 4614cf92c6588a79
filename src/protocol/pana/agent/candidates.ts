import type { DropCode } from '../session/session.js';
import type { PreAuthenticationConfig } from './paa-interface.js';

/** The share of the half-open sessions that those of pre-authenticating PaCs may take, which can be anywhere (RFC 5873 6). */
const HALF_OPEN_SHARE = 0.25;

/** A session of a PaC that pre-authenticates; `admitted`: it is pre-authenticated. */
export interface CandidateMember {
  readonly session: { readonly admitted: boolean };
}

/** Whether PaCs may pre-authenticate from this address (RFC 5873 6). */
export function mayPreAuthenticate(config: PreAuthenticationConfig | undefined, address: string): boolean {
  return config !== undefined && (config.networks === 'any' || config.networks.has(address));
}

/** The sessions of PaCs that are, or are being, pre-authenticated. Each count is the size of a set. */
export class CandidateSessions<M extends CandidateMember> {
  readonly #halfOpen = new Set<M>();
  readonly #authenticated = new Set<M>();

  /** Number of pre-authenticated sessions. */
  get size(): number {
    return this.#authenticated.size;
  }

  /** Why no further session can begin; undefined: it can. */
  refusal({ sessions }: PreAuthenticationConfig, halfOpen: number): DropCode | undefined {
    if (this.#authenticated.size >= sessions) return 'pre-authenticated-in-all';
    const most = Math.max(1, Math.floor(halfOpen * HALF_OPEN_SHARE));
    return this.#halfOpen.size >= most ? 'half-open-pre-authenticated' : undefined;
  }

  add(member: M): void {
    this.#halfOpen.add(member);
  }

  /** Records that the first authentication of a session is complete. */
  admit(member: M): void {
    if (this.#halfOpen.delete(member)) this.#authenticated.add(member);
  }

  /** Removes a session that has ended, or whose PaC has arrived. */
  delete(member: M): void {
    this.#halfOpen.delete(member);
    this.#authenticated.delete(member);
  }
}
