import { subjectOfLease } from '../../src/protocol/home/duties.js';
import type { BootstrapResult, Lease, Session } from '../../src/protocol/home/records.js';
import { MAX_TRIES } from '../../src/protocol/hooks/alphabet.js';
import type { LogLine } from './machine.js';
import type { ProgramRun } from './programs.js';
import type { Committed } from './shared-store.js';

/** A run of the home agent's hook that a commit requires. */
interface Obligation {
  readonly lease: Lease;
  readonly event: 'up' | 'down';
}

/** What the store contains at one moment. */
export interface StoredDuties {
  /** Subjects of the duties in the store. */
  readonly subjects: ReadonlySet<string>;
  readonly sessions: readonly Session[];
}

/** Operations that release leases, and where the leases are in their results. */
const RELEASED: Readonly<Record<string, (result: unknown) => readonly (Lease | undefined)[]>> = {
  expire: (result) => result as readonly Lease[],
  releaseLease: (result) => [result as Lease],
  removeSubscriber: (result) => [(result as { readonly lease?: Lease }).lease],
  removeHomeAgent: (result) => result as readonly Lease[],
  endSession: (result) => [(result as { readonly released?: Lease }).released],
  bootstrap: (result) => [(result as BootstrapResult).released],
};

/**
 * The hook runs of home agents that follow from commits. Until the hook has run for a lease, or for its end, the store
 * must have a duty for it, because the server that would run it may be killed at any time. The model is built from
 * results of the store and from the programs that ran.
 */
export class Obligations {
  readonly #open = new Map<string, Obligation>();

  committed({ operation, result, isDutiful = false }: Committed): void {
    if (!isDutiful) return;
    for (const lease of RELEASED[operation]?.(result) ?? []) if (lease) this.#oblige('down', lease);
    if (operation !== 'bootstrap') return;
    const bootstrap = result as BootstrapResult;
    if (bootstrap.result === 'home') this.#oblige('up', bootstrap.lease);
  }

  /** Removes the obligations of a `down` that a server has tried as often as it may. */
  logged({ message, fields }: LogLine): void {
    if (message !== 'hook failed' || fields.role !== 'ha' || fields.event !== 'down') return;
    if ((fields.try ?? 0) < (MAX_TRIES.down ?? 0)) return;
    for (const [subject, { event, lease }] of this.#open)
      if (event === 'down' && fields.subject === `ha ${lease.nai}`) this.#open.delete(subject);
  }

  /** Removes the obligation that a successful program of a home agent fulfils. */
  program({ program, event, environment }: ProgramRun): void {
    const { MIP6_HOA: homeAddress, MIP6_MN_ID: nai, MIP6_HA: address } = environment;
    if (program !== 'ha' || homeAddress === undefined || nai === undefined || address === undefined) return;
    const subject = subjectOfLease({ homeAgent: { address } as Lease['homeAgent'], homeAddress, nai });
    const obligation = this.#open.get(subject);
    if ((event === 'down') === (obligation?.event === 'down')) this.#open.delete(subject);
  }

  /** The open obligations for which the store has no duty. */
  forgotten({ subjects, sessions }: StoredDuties): string[] {
    return [...this.#open]
      .filter(
        ([subject, { lease, event }]) => !subjects.has(subject) && (event === 'down' || hasSession(sessions, lease)),
      )
      .map(
        ([, { lease, event }]) =>
          `no duty for hook ${event} of ${lease.homeAddress} of ${lease.nai} on ${lease.homeAgent.name}`,
      );
  }

  #oblige(event: Obligation['event'], lease: Lease): void {
    this.#open.set(subjectOfLease(lease), { lease, event });
  }
}

/** Whether the session of a lease exists. Without it, the lease needs no new key. */
function hasSession(sessions: readonly Session[], { sessionId }: Lease): boolean {
  return sessions.some((session) => session.sessionId === sessionId);
}
