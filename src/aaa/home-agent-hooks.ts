import type { Secret } from '../protocol/bytes/secret.js';
import type { Ike, Lease } from '../protocol/home/records.js';
import type { HookEvent } from '../protocol/hooks/contract.js';
import type { HookRunner } from '../runtime/hooks/runner.js';

/** A subscriber with this many pending hook jobs gets access without Mobile IPv6 until they have run. */
export const MAX_BACKLOG = 16;

/** The key of a lease, and the remaining lifetime of the lease in milliseconds. */
interface LeaseKey {
  readonly psk: Secret;
  readonly ike: Ike;
  readonly lifetime: number;
}

/** Runs the home agents' hook when a lease starts, is renewed or ends. */
export class HomeAgentHooks {
  readonly #runner: HookRunner;
  readonly #program: string | undefined;

  constructor(runner: HookRunner, program: string | undefined) {
    this.#runner = runner;
    this.#program = program;
  }

  /** Whether a subscriber connects and disconnects faster than its hooks run. */
  isBehind(nai: string): boolean {
    return this.#runner.backlog(subjectOf(nai)) >= MAX_BACKLOG;
  }

  /** Resolves with whether the first try succeeded; at once if no hook is configured. */
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
