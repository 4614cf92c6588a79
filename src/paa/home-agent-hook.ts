import { formatAddress } from '../protocol/bytes/address.js';
import type { LocalHomeAgentConfig, LocalHomeAgentOutput } from '../protocol/nas/local-home-agent.js';
import type { HookJob } from '../runtime/hooks/runner.js';

type Told = Extract<LocalHomeAgentOutput, { type: 'homeAgent' }>;

/** The run of the local home agent's hook for what the NAS decided. */
export function homeAgentJob(program: string, { event, homeAgent, mnId, homeAddress, lifetime, psk }: Told): HookJob {
  return {
    program,
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
  };
}

/** What takes a home address down that an earlier run of the PAA gave out. */
export function takeDown(homeAgent: LocalHomeAgentConfig, lease: { homeAddress: string; mnId: string }): Told {
  return { type: 'homeAgent', event: 'down', homeAgent, lifetime: undefined, psk: undefined, ...lease };
}
