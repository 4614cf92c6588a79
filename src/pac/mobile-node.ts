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

/** Subject of the hook runner: there is one mobile node here. */
const NODE = 'mn';

/** How long hooks may take when the daemon ends, in milliseconds. */
const HOOKS_AT_END = 5_000;

/** The place from which hooks are run: session and care-of address. */
type Place = Pick<Attempt, 'sessionId' | 'careOfAddress'>;

/** What the node has of Mobile IPv6, from session to session, and its hooks. */
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

  /** The assignment of a session against the one before it. */
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
   * The session is lost, but the home agent knows nothing of that: the next session, here or at another PAA, is given the
   * same. Without one it ends with the lifetime.
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

  /** Runs the hook `down` if there is something to take down, and waits for it. */
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
