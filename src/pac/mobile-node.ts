import { resolve } from 'node:path';
import type { Binding, BindingSource } from '../protocol/attachment/binding.js';
import type { FoundAgent } from '../protocol/attachment/found-agents.js';
import {
  type BindingHook,
  type BindingInput,
  type BindingOutput,
  MobileBinding,
  type Place,
} from '../protocol/attachment/mobile-binding.js';
import { formatAddress, parseAddress } from '../protocol/bytes/address.js';
import type { HookVariables } from '../protocol/hooks/contract.js';
import { CAPABILITY, capabilityNames } from '../protocol/mip6/assignment.js';
import type { HookRunner, HookView } from '../runtime/hooks/runner.js';
import type { LogFields, Logger } from '../runtime/log/events.js';
import { sessionText } from '../runtime/log/pana-fields.js';
import type { Guard } from '../runtime/service/barrier.js';
import { Driver } from '../runtime/system/driver.js';
import type { Host } from '../runtime/system/host.js';
import type { Attempt } from './attempt.js';
import { NodeServices } from './node-services.js';
import { type PacOptions, pskRootOf } from './options.js';

/** Subject of the node's hooks: this host is the only mobile node. */
const NODE = 'mn';

/** MIP6_INTERFACE if the PAA is on this host and `pana.interface` is not set. */
const DEFAULT_INTERFACE = 'eth0';

/** Maximum number of home addresses that are remembered. */
const MAX_HOME_ADDRESSES = 16;

/** Drives the machine that keeps the Mobile IPv6 binding across sessions: logs its decisions and runs its hooks. */
export class MobileNode {
  readonly #options: PacOptions;
  readonly #log: Logger;
  readonly #hooks: HookRunner;
  readonly #machine: MobileBinding;
  readonly #driver: Driver<BindingInput, BindingOutput>;
  readonly #homeAddresses = new Set<string>();
  readonly #services: NodeServices;
  /** Called when the node has a session, has none any more, or was answered by a PAA that gave it none. */
  onSession: (change: 'attached' | 'detached' | 'heard') => void = () => undefined;

  constructor(options: PacOptions, log: Logger, hooks: HookRunner, guard: Guard, host: Host) {
    this.#options = options;
    this.#log = log;
    this.#hooks = hooks;
    this.#services = new NodeServices(options, log, hooks, guard, host);
    const { mode, privacy, 'home-address': homeAddress } = options.mobility;
    this.#machine = new MobileBinding({ mode, privacy, root: pskRootOf(options.mobility), homeAddress });
    this.#driver = new Driver<BindingInput, BindingOutput>(
      this.#machine,
      (output) => this.#perform(output),
      host,
      (error, input) => guard.fault(input.type === 'tick' ? 'timer' : 'datagram', error),
    );
  }

  /** The home address of the binding and those of earlier ones, which a hook may still be about to remove. */
  get homeAddresses(): ReadonlySet<string> {
    return this.#homeAddresses;
  }

  status(): {
    readonly binding: object | undefined;
    readonly services: readonly object[] | undefined;
    readonly hooks: readonly HookView[];
  } {
    const { binding: current } = this.#machine;
    const { ikeIdentity: identity, ...binding } = current ? fieldsOf(current) : {};
    const services = this.#options.mobility.services.length === 0 ? undefined : this.#services.status();
    return { binding: current && { ...binding, identity }, services, hooks: this.#hooks.status() };
  }

  /** Compares the assignment of a new session with the current one. */
  authorized(attempt: Attempt): void {
    const { event } = attempt.authorized ?? {};
    if (!event) return;
    const { assignment, sealed, mobilityProblem: problem, reconfigure } = event;
    const { keys } = attempt;
    this.onSession('attached');
    const received = { assignment, sealed, problem, keys, reconfigure };
    this.#driver.feed({ type: 'authorized', place: placeOf(attempt), ...received });
    this.#services.feed({ type: 'authorized', place: placeOf(attempt), services: event.services, keys });
  }

  /** `settling`: another session is being made, or may be: the hook runs with `move` only if it does not come about. */
  moved(attempt: Attempt, settling: boolean): void {
    this.#driver.feed({ type: 'moved', place: placeOf(attempt), settling });
    this.#services.feed({ type: 'moved', place: placeOf(attempt) });
  }

  settled(): void {
    this.#driver.feed({ type: 'settled' });
  }

  /** Keeps the binding after the session was lost. `until`: time limit, milliseconds, monotonic. */
  keepUntil(until: number, place: Place): void {
    this.#driver.feed({ type: 'kept', until, place: placeOf(place) });
    this.#services.feed({ type: 'kept', until, place: placeOf(place) });
    this.onSession('detached');
  }

  withdraw(place: Place): void {
    this.#driver.feed({ type: 'withdrawn', place: placeOf(place) });
    this.#services.feed({ type: 'withdrawn', place: placeOf(place) });
    this.onSession('detached');
  }

  /** A PAA has answered, but gave no session. */
  heard(): void {
    this.onSession('heard');
  }

  /** DHCPv6 or DNS names a home agent. `identity`: the name of the node there. */
  found(agent: FoundAgent, source: Exclude<BindingSource, 'pana'>, place: Place, identity: string | undefined): void {
    const { address: homeAgent, host, prefix } = agent;
    // IKEv2 assigns the home address.
    const capability = CAPABILITY.MIP6 | CAPABILITY.HOME_HA | CAPABILITY.IKEV2_PSK;
    const assignment = {
      capability,
      homeAgent,
      homeAddress: undefined,
      prefix,
      host,
      ikeIdentity: identity,
      lifetime: undefined,
    };
    this.#driver.feed({ type: 'found', place: placeOf(place), source, assignment });
  }

  /** They do not name one any more. */
  notFound(place: Place): void {
    this.#driver.feed({ type: 'notFound', place: placeOf(place) });
  }

  /** How long the hook `down` may take when the daemon stops, in milliseconds: `usual`, or more if hooks were slow lately. */
  stopTime(usual: number): number {
    return this.#hooks.stopTime(usual);
  }

  /** Runs the hook `down` if there is a binding, and waits for it at most `within` milliseconds. */
  async stop(place: Place | undefined, within: number): Promise<void> {
    const last = placeOf(place ?? { careOfAddress: '', sessionId: undefined });
    this.#driver.feed({ type: 'withdrawn', place: last, stopping: true });
    this.#driver.stop();
    this.#services.feed({ type: 'withdrawn', place: last });
    this.#services.stop();
    await this.#hooks.stop(within);
  }

  #perform(output: BindingOutput): void {
    switch (output.type) {
      case 'completed':
        this.#remember(output.binding);
        this.#log.info(fieldsOf(output.binding), 'bootstrap completed');
        break;
      case 'refreshed':
        this.#log.info(fieldsOf(output.binding), 'bootstrap refreshed');
        break;
      case 'withdrawn':
        this.#log.info(fieldsOf(output.binding), 'bootstrap withdrawn');
        break;
      case 'unavailable':
        this.#log.warn({ reason: output.reason }, 'Mobile IPv6 unavailable');
        break;
      case 'unsealed':
        this.#log.warn(fieldsOf(output.binding), 'assignment not sealed');
        break;
      case 'hook':
        this.#hook(output);
        output.psk?.wipe();
    }
  }

  #remember({ assignment: { homeAddress } }: Binding): void {
    if (!homeAddress) return;
    const text = formatAddress(homeAddress);
    this.#homeAddresses.delete(text);
    this.#homeAddresses.add(text);
    const [oldest = ''] = this.#homeAddresses;
    if (this.#homeAddresses.size > MAX_HOME_ADDRESSES) this.#homeAddresses.delete(oldest);
  }

  #hook({ event, place, binding, psk }: BindingHook): void {
    const { hooks, pana, mobility } = this.#options;
    if (hooks.mn === undefined) return;
    const [address = '', scope] = place.careOfAddress.split('%');
    const local = parseAddress(address);
    // Only PANA gives a key.
    const byEap = mobility['home-address'] === 'ikev2' || (binding !== undefined && binding.source !== 'pana');
    void this.#hooks.run({
      program: hooks.mn,
      role: 'mn',
      event,
      subject: NODE,
      variables: {
        ...(binding ? hookVariables(binding) : {}),
        session: place.sessionId === undefined ? undefined : sessionText(place.sessionId),
        careOfAddress: local && formatAddress(local) + (scope === undefined ? '' : `%${scope}`),
        interface: pana.interface ?? place.interface ?? DEFAULT_INTERFACE,
        ...(byEap ? eapVariables(this.#options) : {}),
      },
      psk,
    });
  }
}

/** Copies the place of an attempt, because it changes when the attempt moves. */
function placeOf({ sessionId, careOfAddress, interface: access }: Place): Place {
  return { sessionId, careOfAddress, interface: access };
}

/** What the hook needs to authenticate to the home agent by EAP-TLS: the same certificate as to the AAA server. */
export function eapVariables({ tls }: Pick<PacOptions, 'tls'>): HookVariables {
  const { certificate, key, ca, 'server-name': server } = tls;
  const files = { certificateFile: resolve(certificate), keyFile: resolve(key), caFile: resolve(ca) };
  return { homeAddressBy: 'ikev2', serverName: server, ...files };
}

/** The hook variables of a binding. */
function hookVariables({ assignment, source }: Binding): HookVariables {
  const { homeAgent, homeAddress, prefix, host, ikeIdentity, lifetime, capability } = assignment;
  return {
    mnId: ikeIdentity,
    homeAgent: formatAddress(homeAgent),
    homeAgentHost: host,
    homeAddress: homeAddress && formatAddress(homeAddress),
    prefix: prefix && formatAddress(prefix.octets),
    prefixLength: prefix?.length,
    lifetime,
    ike: capability & CAPABILITY.IKEV2_PSK ? 'ikev2' : 'ikev1',
    source,
  };
}

function fieldsOf({ assignment, source, fingerprint: shown }: Binding): LogFields {
  return {
    ...(source === 'pana' ? {} : { source }),
    homeAgent: formatAddress(assignment.homeAgent),
    homeAgentHost: assignment.host,
    homeAddress: assignment.homeAddress && formatAddress(assignment.homeAddress),
    ikeIdentity: assignment.ikeIdentity,
    lifetime: assignment.lifetime,
    capability: capabilityNames(assignment.capability).join(' '),
    fingerprint: shown,
  };
}
