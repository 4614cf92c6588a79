import { earliest } from '../bytes/deadline-queue.js';
import type { Drbg } from '../bytes/drbg.js';
import { waitAfter } from './attachment-state.js';
import { isSameAddress } from './care-of-address.js';

/** Maximum number of candidates, configured and named ones each. A further named one takes the place of the oldest. */
export const MAX_CANDIDATES = 8;

export interface CandidatesConfig {
  /** The configured candidates. */
  readonly paas: readonly string[];
  /** Wait before the first retry. It doubles with each failure up to the maximum. Milliseconds. */
  readonly first: number;
  readonly longest: number;
}

export type CandidatesInput =
  | { readonly type: 'configure'; readonly config: CandidatesConfig }
  /** The node may move to this PAA. */
  | { readonly type: 'named'; readonly paa: string }
  /** The node has a session with this PAA, through which it reaches the others. */
  | { readonly type: 'served'; readonly paa: string }
  /** Reports from a session: it is pre-authenticated; it has ended. */
  | { readonly type: 'authenticated'; readonly session: number }
  | { readonly type: 'closed'; readonly session: number }
  /** The node goes to this PAA, so its session is no candidate's any more. */
  | { readonly type: 'taken'; readonly session: number }
  | { readonly type: 'tick' };

export type CandidatesOutput =
  /** Pre-authenticate with this PAA. */
  | { readonly type: 'open'; readonly session: number; readonly paa: string }
  /** Terminate the session. */
  | { readonly type: 'close'; readonly session: number };

/** A PAA to which the node may move. */
interface Candidate {
  readonly paa: string;
  session: number | undefined;
  isAuthenticated: boolean;
  failures: number;
  retryAt: number | undefined;
}

export interface CandidateView {
  readonly paa: string;
  readonly session: number | undefined;
  readonly isAuthenticated: boolean;
}

/**
 * The PAAs to which a node may move, and with which it therefore authenticates before (RFC 5873). It does so as soon as it
 * has a session where it is, and again after each failure and each move.
 */
export class Candidates {
  readonly #drbg: Pick<Drbg, 'unit'>;
  #config: CandidatesConfig;
  #named: string[] = [];
  #served: string | undefined;
  readonly #all = new Map<string, Candidate>();
  #lastSession = 0;

  constructor(config: CandidatesConfig, drbg: Pick<Drbg, 'unit'>) {
    this.#config = config;
    this.#drbg = drbg;
  }

  get deadline(): number | undefined {
    return this.#served === undefined ? undefined : earliest([...this.#all.values()].map(({ retryAt }) => retryAt));
  }

  *list(): Generator<CandidateView> {
    yield* this.#all.values();
  }

  /** The pre-authenticated session with this PAA. */
  ready(paa: string): number | undefined {
    const found = [...this.#all.values()].find((candidate) => isSameAddress(candidate.paa, paa));
    return found?.isAuthenticated ? found.session : undefined;
  }

  handle(input: CandidatesInput, now: number): CandidatesOutput[] {
    switch (input.type) {
      case 'configure':
        this.#config = input.config;
        return this.#fill(now);
      case 'named':
        this.#named = [...this.#named.filter((paa) => !isSameAddress(paa, input.paa)), input.paa].slice(
          -MAX_CANDIDATES,
        );
        this.#retry(input.paa);
        return this.#fill(now);
      case 'served':
        if (this.#served !== input.paa) for (const { paa } of this.#all.values()) this.#retry(paa);
        this.#served = input.paa;
        return this.#fill(now);
      case 'authenticated': {
        const candidate = this.#of(input.session);
        if (candidate) Object.assign(candidate, { isAuthenticated: true, failures: 0 });
        return [];
      }
      case 'closed': {
        const candidate = this.#of(input.session);
        if (!candidate) return [];
        const retryAt = now + waitAfter(candidate.failures, this.#config, this.#drbg.unit());
        const failures = candidate.failures + 1;
        Object.assign(candidate, { session: undefined, isAuthenticated: false, failures, retryAt });
        return [];
      }
      case 'taken': {
        const candidate = this.#of(input.session);
        if (candidate) this.#all.delete(candidate.paa);
        // Where the node goes, it is being served.
        if (candidate) this.#served = candidate.paa;
        return [];
      }
      case 'tick':
        return this.#fill(now);
    }
  }

  #of(session: number): Candidate | undefined {
    return [...this.#all.values()].find((candidate) => candidate.session === session);
  }

  /** Forgets earlier failures: the node is somewhere else, or somebody knows better. */
  #retry(paa: string): void {
    const found = [...this.#all.values()].find((candidate) => isSameAddress(candidate.paa, paa));
    if (found) Object.assign(found, { failures: 0, retryAt: undefined });
  }

  /** Opens the sessions that are missing, and closes those that are not wanted. */
  #fill(now: number): CandidatesOutput[] {
    if (this.#served === undefined) return [];
    const out: CandidatesOutput[] = [];
    const wanted = [...new Set([...this.#config.paas.slice(0, MAX_CANDIDATES), ...this.#named])].filter(
      (paa) => !isSameAddress(paa, this.#served ?? ''),
    );
    for (const [paa, { session }] of this.#all) {
      if (wanted.includes(paa)) continue;
      this.#all.delete(paa);
      if (session !== undefined) out.push({ type: 'close', session });
    }
    for (const paa of wanted) {
      const candidate = this.#all.get(paa) ?? none(paa);
      this.#all.set(paa, candidate);
      if (candidate.session !== undefined || (candidate.retryAt ?? now) > now) continue;
      this.#lastSession += 1;
      Object.assign(candidate, { session: this.#lastSession, retryAt: undefined });
      out.push({ type: 'open', session: this.#lastSession, paa });
    }
    return out;
  }
}

function none(paa: string): Candidate {
  return { paa, session: undefined, isAuthenticated: false, failures: 0, retryAt: undefined };
}
