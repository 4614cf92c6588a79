import type { BootstrapRequest, BootstrapResult, Lease, LocalProposal } from '../protocol/home/records.js';
import type { Stored } from './operation.js';
import { dutyArguments } from './postgres-sessions.js';

/** The argument of pana_bootstrap. */
interface Asked {
  /** Lower case. */
  readonly nai: string;
  readonly session: string;
  readonly origin: string;
  readonly originRealm: string | undefined;
  readonly originState: number | undefined;
  readonly certificate: string | undefined;
  readonly wish: BootstrapRequest['wish'];
  readonly local: boolean;
  readonly localHomeAgent: string | undefined;
  readonly localHomeAddress: string | undefined;
  /** Milliseconds since 1970, UTC. */
  readonly now: number;
  readonly sessionExpires: number;
  readonly leaseExpires: number;
  /** Marks of the duties `down` and `up`, and their holder. Without marks no duties are stored. */
  readonly marks: readonly string[];
  readonly server: string | undefined;
  readonly run: number | undefined;
  readonly heldUntil: number | undefined;
}

/** The answer of pana_bootstrap: a result without what it does not say. */
type Answer = BootstrapResult | { readonly result: 'local'; readonly local?: undefined; readonly released?: Lease };

/** The operation `bootstrap` by pana_bootstrap. */
export const storedBootstrap: Stored<BootstrapRequest, BootstrapResult> = {
  function: 'pana_bootstrap',
  request(given, context): Asked {
    const now = given.now ?? context.now();
    // Lifetimes count from the request, so that waiting for the transaction does not extend the lease.
    const asked = given.now ?? context.asked();
    return {
      nai: given.nai.toLowerCase(),
      session: given.sessionId,
      origin: given.origin,
      originRealm: given.originRealm,
      originState: given.originState,
      certificate: given.certificate,
      wish: given.wish,
      local: given.local !== undefined,
      localHomeAgent: given.local?.homeAgent,
      localHomeAddress: given.local?.homeAddress,
      now,
      sessionExpires: asked + given.sessionLifetime,
      leaseExpires: asked + given.leaseLifetime,
      ...dutyArguments(context, now, 2),
    };
  },
  result(answer, { local }) {
    const { released, ...rest } = answer as Answer & { readonly released?: Lease };
    if (rest.result === 'local') return { result: 'local', local: local as LocalProposal, released };
    return { takenFrom: undefined, ...rest, released } as BootstrapResult;
  },
};
