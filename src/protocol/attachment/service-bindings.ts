import type { Secret } from '../bytes/secret.js';
import { deriveHipToken, deriveMip4Key, fingerprint } from '../keys/kdf.js';
import { isSameService, type Service, type ServiceAssignment } from '../mip6/services.js';
import type { ReceivedServices } from '../pana/wire/mobility.js';
import type { RunKeys } from './binding.js';
import type { Place } from './mobile-binding.js';

export interface ServiceBindingsConfig {
  /** The services that the node wants. */
  readonly services: readonly Service[];
  /** The key from which the keys of services are derived. */
  readonly root: 'msk' | 'emsk';
}

/** A service that the node has. */
export interface ServiceBinding {
  readonly assignment: ServiceAssignment;
  /** First hex digits of the hash of its key, for display. */
  readonly fingerprint: string;
}

export type ServiceInput =
  /** A session was authorized or re-authenticated. The machine only reads the keys. */
  | {
      readonly type: 'authorized';
      readonly place: Place;
      readonly services: ReceivedServices;
      readonly keys: RunKeys | undefined;
    }
  /** The session continues from another address. */
  | { readonly type: 'moved'; readonly place: Place }
  /** The session is lost; without a next session, the services end at `until`. */
  | { readonly type: 'kept'; readonly place: Place; readonly until: number }
  | { readonly type: 'withdrawn'; readonly place: Place }
  | { readonly type: 'tick' };

/** `key`: set for `up` and `refresh`; the receiver wipes it. */
export interface ServiceHook {
  readonly type: 'hook';
  readonly event: 'up' | 'refresh' | 'move' | 'down';
  readonly place: Place;
  readonly binding: ServiceBinding;
  readonly key: Secret | undefined;
}

export type ServiceOutput =
  | ServiceHook
  | { readonly type: 'completed' | 'refreshed' | 'withdrawn'; readonly binding: ServiceBinding }
  | { readonly type: 'unavailable'; readonly service: Service; readonly reason: string };

/** The services besides Mobile IPv6 that a node has across sessions, and the events for their hook. */
export class ServiceBindings {
  readonly #config: ServiceBindingsConfig;
  readonly #bindings = new Map<Service, ServiceBinding>();
  #kept: { readonly until: number; readonly place: Place } | undefined;

  constructor(config: ServiceBindingsConfig) {
    this.#config = config;
  }

  get bindings(): readonly ServiceBinding[] {
    return [...this.#bindings.values()];
  }

  get deadline(): number | undefined {
    return this.#kept?.until;
  }

  handle(input: ServiceInput, now: number): ServiceOutput[] {
    switch (input.type) {
      case 'authorized':
        this.#kept = undefined;
        return this.#config.services.flatMap((service) => this.#authorized(service, input));
      case 'moved':
        return this.bindings.map((binding) => hookOf('move', input.place, binding));
      case 'kept':
        if (this.#bindings.size > 0) this.#kept = { until: input.until, place: input.place };
        return [];
      case 'withdrawn':
        return this.#withdrawAll(input.place);
      case 'tick':
        return this.#kept && this.#kept.until <= now ? this.#withdrawAll(this.#kept.place) : [];
    }
  }

  #authorized(service: Service, { place, services, keys }: Extract<ServiceInput, { type: 'authorized' }>) {
    const assignment = services[service];
    const before = this.#bindings.get(service);
    const made = assignment === undefined ? 'none was assigned' : this.#made(assignment, keys);
    if (typeof made === 'string') {
      return [...this.#withdraw(service, place), { type: 'unavailable', service, reason: made } as const];
    }
    const { binding, key } = made;
    const isSame = before !== undefined && isSameService(before.assignment, binding.assignment);
    const out: ServiceOutput[] = isSame ? [] : this.#withdraw(service, place);
    this.#bindings.set(service, binding);
    out.push({ type: isSame ? 'refreshed' : 'completed', binding });
    out.push({ type: 'hook', event: isSame ? 'refresh' : 'up', place, binding, key });
    return out;
  }

  /** A binding with its key; a string: why the assignment cannot be used. */
  #made(assignment: ServiceAssignment | string, keys: RunKeys | undefined) {
    if (typeof assignment === 'string') return assignment;
    if (!keys) return 'the authentication gave no key';
    const root = keys[this.#config.root];
    const { key, number } =
      assignment.service === 'mip4'
        ? deriveMip4Key(root, assignment.homeAgent, assignment.homeAddress)
        : deriveHipToken(root, assignment.hit, assignment.rendezvous);
    if (number !== (assignment.service === 'mip4' ? assignment.spi : assignment.tokenId)) {
      key.wipe();
      return `its key is not derived from the ${this.#config.root.toUpperCase()} of this authentication`;
    }
    return { binding: { assignment, fingerprint: fingerprint(key) }, key };
  }

  #withdrawAll(place: Place): ServiceOutput[] {
    this.#kept = undefined;
    return [...this.#bindings.keys()].flatMap((service) => this.#withdraw(service, place));
  }

  #withdraw(service: Service, place: Place): ServiceOutput[] {
    const binding = this.#bindings.get(service);
    if (!binding) return [];
    this.#bindings.delete(service);
    return [{ type: 'withdrawn', binding }, hookOf('down', place, binding)];
  }
}

function hookOf(event: 'move' | 'down', place: Place, binding: ServiceBinding): ServiceHook {
  return { type: 'hook', event, place, binding, key: undefined };
}
