import { join } from 'node:path';
import { formatAddress } from '../protocol/bytes/address.js';
import type { Secret } from '../protocol/bytes/secret.js';
import { derivePsk, fingerprint } from '../protocol/keys/kdf.js';
import { capabilityNames, type MobilityAssignment } from '../protocol/mip6/assignment.js';
import type { HookEvent } from '../runtime/hooks/environment.js';
import type { HookRunner } from '../runtime/hooks/runner.js';
import type { Logger } from '../runtime/log/log.js';
import { OperatorError } from '../runtime/system/failure.js';
import type { Host } from '../runtime/system/host.js';
import type { Client } from './clients.js';
import { LocalHomeAgent } from './local-home-agent.js';
import type { PaaOptions } from './options.js';

/** What a log says of an assignment. */
export function assignmentFields({ homeAgent, homeAddress, capability }: MobilityAssignment): Record<string, unknown> {
  return {
    homeAgent: formatAddress(homeAgent),
    homeAddress: homeAddress && formatAddress(homeAddress),
    capability: capabilityNames(capability).join(' '),
  };
}

/**
 * The visited network's own home agent for its clients (RFC 5447 4.2.5): what is proposed to the AAA server, and the runs of
 * the home agent's hook. The PAA derives the key, since it has the MSK.
 */
export class LocalMobility {
  readonly #hooks: HookRunner;
  readonly #log: Logger;
  #program: string | undefined;
  #agent: LocalHomeAgent | undefined;

  readonly #host: Host;

  constructor(options: PaaOptions, hooks: HookRunner, log: Logger, host: Host) {
    this.#host = host;
    this.#hooks = hooks;
    this.#log = log;
    this.#program = options.hooks.ha;
    this.#agent = homeAgentOf(options, host);
  }

  /** Home addresses that are proposed or given out; undefined without a home agent. */
  get used(): number | undefined {
    return this.#agent?.used;
  }

  /**
   * Other options: resolves with what puts them into force. Throws OperatorError where the home agent before has nodes that
   * know it only.
   */
  plan(options: PaaOptions): () => Promise<void> {
    const local = options['local-home-agent'];
    const current = this.#agent;
    const isAnother = local !== undefined && !current?.isAt(local);
    if (isAnother && current && current.used > 0) {
      throw new OperatorError(
        `local-home-agent: ${current.used} nodes have a home address of ${current.options.address}: end their sessions before`,
      );
    }
    return async () => {
      this.#program = options.hooks.ha;
      if (!isAnother) {
        current?.reconfigure(local);
        return;
      }
      this.#agent = homeAgentOf(options, this.#host);
      await this.takeDownLeftovers();
    };
  }

  /** What an earlier run of the PAA has left at the home agent: its sessions are lost. */
  async takeDownLeftovers(): Promise<void> {
    for (const { homeAddress, mnId } of (await this.#agent?.leftovers()) ?? []) {
      this.#run('down', { mnId, homeAddress });
    }
  }

  /** Sets what is proposed for a client; with a wish that nothing here fits: nothing. */
  propose(client: Client, wish: number): void {
    client.local ??= this.#agent?.propose(wish);
  }

  /** The AAA server has agreed to what was proposed. */
  bringUp(client: Client, mnId: string, assignment: MobilityAssignment, msk: Secret): void {
    const { homeAgent } = assignment;
    const psk = derivePsk(msk, homeAgent, assignment.homeAddress);
    const fields = { ...assignmentFields(assignment), user: mnId, fingerprint: fingerprint(psk) };
    this.#log.info(fields, client.localUp ? 'local home agent refreshed' : 'local home agent granted');
    const homeAddress = assignment.homeAddress && formatAddress(assignment.homeAddress);
    if (homeAddress !== undefined) this.#written(this.#agent?.take(homeAddress, mnId));
    const lifetime = client.granted?.grant.lifetime;
    this.#run(client.localUp ? 'refresh' : 'up', { mnId, homeAddress, lifetime, psk });
    client.localUp = true;
    psk.wipe();
  }

  /** The client has gone, or has another home agent. */
  takeDown(client: Client): void {
    const homeAddress = client.local?.homeAddress && formatAddress(client.local.homeAddress);
    if (client.localUp) {
      client.localUp = false;
      this.#run('down', { mnId: client.granted?.userName ?? '', homeAddress });
    }
    if (homeAddress !== undefined) this.#written(this.#agent?.release(homeAddress));
    client.local = undefined;
  }

  /** A disk that is full costs only what a restart would have to take down. */
  #written(writing: Promise<void> | undefined): void {
    writing?.catch((error: Error) => this.#log.error({ reason: error.message }, 'local leases cannot be written'));
  }

  /** `lifetime`: milliseconds. */
  #run(
    event: HookEvent,
    {
      mnId,
      homeAddress,
      lifetime,
      psk,
    }: {
      readonly mnId: string;
      readonly homeAddress: string | undefined;
      readonly lifetime?: number | undefined;
      readonly psk?: Secret;
    },
  ): void {
    const agent = this.#agent?.options;
    if (this.#program === undefined || !agent) return;
    void this.#hooks.run({
      program: this.#program,
      role: 'ha',
      event,
      subject: `ha ${mnId}`,
      variables: {
        mnId,
        homeAgent: agent.address,
        homeAgentHost: agent.host,
        homeAgentId: 'local',
        homeAddress,
        prefix: formatAddress(agent.prefix),
        prefixLength: 64,
        lifetime: lifetime === undefined ? undefined : Math.ceil(lifetime / 1000),
        ike: agent.ike,
      },
      psk,
    });
  }
}

function homeAgentOf(
  { 'local-home-agent': local, diameter, hooks }: PaaOptions,
  host: Host,
): LocalHomeAgent | undefined {
  return local && new LocalHomeAgent(local, diameter.realm, join(hooks['state-dir'], 'local-leases.json'), host);
}
