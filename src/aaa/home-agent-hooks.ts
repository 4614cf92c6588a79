import type { Secret } from '../protocol/bytes/secret.js';
import type { Ike, Lease } from '../protocol/home/records.js';
import type { HookEvent } from '../protocol/hooks/contract.js';
import type { HookRunner } from '../runtime/hooks/runner.js';

/** A subscriber with so many jobs that wait gets access without Mobile IPv6 until they are over. */
export const MAX_BACKLOG = 16;

/** What a lease has until its end: its key, and how many milliseconds it lives. */
interface LeaseKey {
  readonly psk: Secret;
  readonly ike: Ike;
  readonly lifetime: number;
}

/** Runs the home agents' hook for leases that come, stay and go. */
export class HomeAgentHooks {
  readonly #runner: HookRunner;
  readonly #program: string | undefined;

  constructor(runner: HookRunner, program: string | undefined) {
    this.#runner = runner;
    this.#program = program;
  }

  /** Whether so many jobs of a subscriber wait that more would only make it worse: it comes and goes faster than hooks run. */
  isBehind(nai: string): boolean {
    return this.#runner.backlog(subjectOf(nai)) >= MAX_BACKLOG;
  }

  /** Resolves with whether the first try worked; at once if there is no hook. */
  async run(event: HookEvent, lease: Lease, key: LeaseKey | undefined): Promise<boolean> {
    if (this.#program === undefined) return true;
    const { homeAgent } = lease;
    const [prefix, length] = homeAgent.prefix.split('/');
    const { ok } = await this.#runner.run({
      program: this.#program,
      role: 'ha',
      event,
      subject: subjectOf(lease.nai),
      variables: {
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
      },
      psk: key?.psk,
    });
    return ok;
  }
}

function subjectOf(nai: string): string {
  return `ha ${nai}`;
}
