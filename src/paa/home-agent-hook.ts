import { formatAddress } from '../protocol/bytes/address.js';
import type { LocalHomeAgentConfig, LocalHomeAgentOutput } from '../protocol/nas/local-home-agent.js';
import type { HookRunner } from '../runtime/hooks/runner.js';
import type { LeaseFile } from './lease-file.js';

type HomeAgentEvent = Extract<LocalHomeAgentOutput, { type: 'homeAgent' }>;

/** Runs the local home agent's hook as the NAS decides. */
export class HomeAgentHook {
  readonly #program: string | undefined;
  readonly #runner: HookRunner;

  /** `program` undefined: no hook is configured. */
  constructor(program: string | undefined, runner: HookRunner) {
    this.#program = program;
    this.#runner = runner;
  }

  /** Runs the hook for one event and wipes the key. */
  run({ event, homeAgent, mnId, homeAddress, lifetime, psk }: HomeAgentEvent): void {
    if (this.#program !== undefined) {
      void this.#runner.run({
        program: this.#program,
        role: 'ha',
        event,
        subject: `ha ${mnId}`,
        variables: {
          mnId,
          homeAgent: homeAgent.address,
          homeAgentHost: homeAgent.host,
          homeAgentId: 'local',
          homeAddress,
          prefix: formatAddress(homeAgent.prefix),
          prefixLength: 64,
          lifetime: lifetime === undefined ? undefined : Math.ceil(lifetime / 1000),
          ike: homeAgent.ike,
        },
        psk,
      });
    }
    // The runner keeps its own copy.
    psk?.wipe();
  }

  /** Runs the hook `down` for the home addresses of an earlier run of the PAA, whose sessions are lost. */
  async takeDownLeftovers(homeAgent: LocalHomeAgentConfig | undefined, leases: LeaseFile): Promise<void> {
    if (!homeAgent) return;
    for (const lease of await leases.read()) {
      this.run({ type: 'homeAgent', event: 'down', homeAgent, lifetime: undefined, psk: undefined, ...lease });
    }
  }
}
