import { formatAddress, parseAddress } from '../protocol/bytes/address.js';
import type { Secret } from '../protocol/bytes/secret.js';
import type { HookEvent } from '../protocol/hooks/contract.js';
import { capabilityNames } from '../protocol/mip6/assignment.js';
import type { HookRunner } from '../runtime/hooks/runner.js';
import type { LogFields, Logger } from '../runtime/log/events.js';
import { sessionText } from '../runtime/log/pana-fields.js';
import type { Guard } from '../runtime/service/barrier.js';
import type { CancelTimer, Host } from '../runtime/system/host.js';
import type { Attempt } from './attempt.js';
import { type Binding, bindingOf, hookVariables, isSameBinding, pskOf, refusal } from './binding.js';
import type { PacOptions } from './options.js';

/** Subject of the node's hooks: this host is the only mobile node. */
const NODE = 'mn';

/** Time limit of hooks when the daemon stops, in milliseconds. */
const HOOKS_AT_END = 5_000;

/** What hooks are told about the node's location: session and care-of address. */
type Place = Pick<Attempt, 'sessionId' | 'careOfAddress'>;

/** Keeps the node's Mobile IPv6 state across sessions, and runs its hooks. */
export class MobileNode {
  readonly #options: PacOptions;
  readonly #log: Logger;
  readonly #hooks: HookRunner;
  readonly #guard: Guard;
  #binding: Binding | undefined;
  readonly #host: Host;
  #expiry: CancelTimer | undefined;

  constructor(options: PacOptions, log: Logger, hooks: HookRunner, guard: Guard, host: Host) {
    this.#host = host;
    this.#guard = guard;
    this.#options = options;
    this.#log = log;
    this.#hooks = hooks;
  }

  status(): { readonly binding: object | undefined; readonly hooks: object } {
    const { ikeIdentity: identity, ...binding } = this.#binding ? fieldsOf(this.#binding) : {};
    return { binding: this.#binding && { ...binding, identity }, hooks: this.#hooks.status() };
  }

  /** Compares the assignment of a new session with the current one. */
  authorized(attempt: Attempt): void {
    const { event } = attempt.authorized ?? {};
    if (!event) return;
    this.#expiry?.();
    const { 'psk-root': root, mode } = this.#options.mobility;
    const { assignment } = event;
    const before = this.#binding;
    const why = event.mobilityProblem ?? (assignment && refusal(assignment, root));
    if (!assignment || !attempt.keys || why !== undefined) {
      if (mode !== 'off') this.#log.warn({ reason: why ?? 'none was assigned' }, 'Mobile IPv6 unavailable');
      this.withdraw(attempt);
    } else {
      const psk = pskOf(assignment, attempt.keys, root);
      const binding = bindingOf(assignment, psk);
      const isSame = before !== undefined && isSameBinding(before.assignment, assignment);
      if (!isSame) this.withdraw(attempt);
      this.#binding = binding;
      this.#log.info(fieldsOf(binding), isSame ? 'bootstrap refreshed' : 'bootstrap completed');
      this.#hook(isSame ? 'refresh' : 'up', attempt, binding, psk);
      psk.wipe();
    }
    if (event.reconfigure) this.#hook('reconfigure', attempt, this.#binding, undefined);
  }

  moved(attempt: Attempt): void {
    if (this.#binding) this.#hook('move', attempt, this.#binding, undefined);
  }

  /**
   * Keeps the binding after the session was lost: the home agent does not know that, and the next session, here or at
   * another PAA, gets the same assignment. Without a next session the binding ends with its lifetime.
   */
  keepFor(milliseconds: number | undefined, place: Place): void {
    this.#expiry?.();
    if (!this.#binding || milliseconds === undefined) return;
    const { careOfAddress, sessionId } = place;
    const withdraw = () => this.#guard.run('timer', () => this.withdraw({ careOfAddress, sessionId }));
    this.#expiry = this.#host.after(milliseconds, withdraw);
  }

  withdraw(place: Place): void {
    this.#expiry?.();
    const before = this.#binding;
    this.#binding = undefined;
    if (!before) return;
    this.#log.info(fieldsOf(before), 'bootstrap withdrawn');
    this.#hook('down', place, before, undefined);
  }

  /** Runs the hook `down` if there is a binding, and waits for it. */
  async stop(place: Place | undefined): Promise<void> {
    this.withdraw(place ?? { careOfAddress: '', sessionId: undefined });
    await this.#hooks.stop(HOOKS_AT_END);
  }

  #hook(event: HookEvent, place: Place, binding: Binding | undefined, psk: Secret | undefined): void {
    const { hooks, pana } = this.#options;
    if (hooks.mn === undefined) return;
    const [address = '', scope] = place.careOfAddress.split('%');
    const local = parseAddress(address);
    void this.#hooks.run({
      program: hooks.mn,
      role: 'mn',
      event,
      subject: NODE,
      variables: {
        ...(binding ? hookVariables(binding.assignment) : {}),
        session: place.sessionId === undefined ? undefined : sessionText(place.sessionId),
        careOfAddress: local && formatAddress(local) + (scope === undefined ? '' : `%${scope}`),
        interface: pana.interface,
      },
      psk,
    });
  }
}

function fieldsOf({ assignment, fingerprint: shown }: Binding): LogFields {
  return {
    homeAgent: formatAddress(assignment.homeAgent),
    homeAgentHost: assignment.host,
    homeAddress: assignment.homeAddress && formatAddress(assignment.homeAddress),
    ikeIdentity: assignment.ikeIdentity,
    lifetime: assignment.lifetime,
    capability: capabilityNames(assignment.capability).join(' '),
    fingerprint: shown,
  };
}
