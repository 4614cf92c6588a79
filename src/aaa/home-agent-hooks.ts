import type { LeaseKey } from '../protocol/home/alphabet.js';
import { type DutyInput, subjectOfLease } from '../protocol/home/duties.js';
import type { Lease, Session } from '../protocol/home/records.js';
import type { HookEvent } from '../protocol/hooks/contract.js';
import type { HookRunner } from '../runtime/hooks/runner.js';

/** A subscriber with this many pending hook jobs gets access without Mobile IPv6 until they have run. */
export const MAX_BACKLOG = 16;

/** Runs the home agents' hook when a lease starts, is renewed or ends. */
export class HomeAgentHooks {
  readonly #runner: HookRunner;
  readonly #program: string | undefined;
  readonly #record: (input: DutyInput) => void;
  readonly #endSessions: (sessions: readonly Session[]) => void;
  /** Jobs with a duty, by its mark. */
  readonly #jobs = new Map<string, { isLost: boolean }>();

  /**
   * `record`: called when the work on a duty begins and ends. `endSessions`: called for the sessions of a home agent
   * that ended with a lease.
   */
  constructor(
    runner: HookRunner,
    program: string | undefined,
    record: (input: DutyInput) => void,
    endSessions: (sessions: readonly Session[]) => void,
  ) {
    this.#endSessions = endSessions;
    this.#runner = runner;
    this.#program = program;
    this.#record = record;
  }

  /** Whether a subscriber connects and disconnects faster than its hooks run. */
  isBehind(nai: string): boolean {
    return this.#runner.backlog(subjectOf(nai)) >= MAX_BACKLOG;
  }

  /** Cancels the hook of the duty with this mark, because another server has taken the duty. */
  lose(mark: string): void {
    const job = this.#jobs.get(mark);
    if (job) job.isLost = true;
  }

  /** Resolves with true if the first try succeeded, and at once if no hook is configured. */
  async run(event: HookEvent, lease: Lease, key: LeaseKey | undefined): Promise<boolean> {
    const { duty: mark, ended = [], ...plain } = lease;
    if (ended.length > 0) this.#endSessions(ended);
    if (this.#program === undefined) return true;
    const { homeAgent } = lease;
    const [prefix, length] = homeAgent.prefix.split('/');
    const variables = {
      mnId: lease.nai,
      session: lease.sessionId,
      homeAgent: homeAgent.address,
      homeAgentHost: homeAgent.host,
      homeAgentId: homeAgent.name,
      homeAgentTarget: homeAgent.target,
      homeAddress: lease.homeAddress,
      prefix,
      prefixLength: Number(length),
      lifetime: Math.ceil((key?.lifetime ?? 0) / 1000),
      ike: key?.ike ?? homeAgent.ike[0],
      homeAddressBy: key?.byIke === true ? ('ikev2' as const) : undefined,
    };
    const job = {
      program: this.#program,
      role: 'ha' as const,
      event,
      subject: subjectOf(lease.nai),
      psk: key?.psk,
    };
    if (mark === undefined) return (await this.#runner.run({ ...job, variables })).ok;
    const duty = { subject: subjectOfLease(lease), mark };
    this.#record({ type: 'dutyBegun', duty });
    const notified = { event: event === 'down' ? ('down' as const) : ('up' as const), lease: plain };
    const state = { isLost: false };
    this.#jobs.set(mark, state);
    const say = () => (state.isLost ? undefined : { variables });
    return new Promise((resolve) =>
      this.#runner.queue(
        { ...job, variables: say },
        {
          firstResult: ({ ok }) => resolve(ok),
          done: ({ tries, isFinal }) => {
            this.#jobs.delete(mark);
            const ended = { ...duty, over: isFinal, notified: tries > 0 ? notified : undefined };
            this.#record({ type: 'dutyEnded', duty: ended });
          },
        },
      ),
    );
  }
}

function subjectOf(nai: string): string {
  return `ha ${nai}`;
}
