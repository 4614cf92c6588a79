import type { Secret } from '../bytes/secret.js';
import type { HookEvent } from '../hooks/contract.js';
import type { MobilityAssignment } from '../mip6/assignment.js';
import {
  type Binding,
  type BindingSource,
  bindingOf,
  isSameBinding,
  openReceived,
  type Privacy,
  pskOf,
  type ReceivedAssignment,
  type RunKeys,
  refusal,
} from './binding.js';

export interface BindingConfig {
  readonly mode: 'off' | 'wanted' | 'required';
  /** The key from which the key for the home agent is derived. */
  readonly root: 'msk' | 'emsk';
  /** How the home address comes. Default: by PANA. */
  readonly homeAddress?: 'pana' | 'ikev2' | undefined;
  readonly privacy: Privacy;
}

/** The location of the node: its session, if any, and its local address. */
export interface Place {
  readonly sessionId: number | undefined;
  readonly careOfAddress: string;
  /** The interface of the care-of address; undefined: unknown. */
  readonly interface?: string | undefined;
}

export type BindingInput =
  /** A session was authorized or re-authenticated. */
  | (ReceivedAssignment & {
      readonly type: 'authorized';
      readonly place: Place;
      /** Undefined: the EAP run produced none. The machine only reads them. */
      readonly keys: RunKeys | undefined;
      /** The PAA requests the node to obtain another IP address (I bit). */
      readonly reconfigure: boolean;
    })
  /** DHCPv6 or DNS names a home agent. One that PANA assigned has precedence. */
  | {
      readonly type: 'found';
      readonly place: Place;
      readonly source: Exclude<BindingSource, 'pana'>;
      readonly assignment: MobilityAssignment;
    }
  /** They do not name it any more. */
  | { readonly type: 'notFound'; readonly place: Place }
  /**
   * The session continues from another address. `settling`: another session is being made, or may be. Its key replaces
   * the present one, with which the home agent may be unreachable from there.
   */
  | { readonly type: 'moved'; readonly place: Place; readonly settling: boolean }
  /** No other session is being made any more, or the present one has proved good. */
  | { readonly type: 'settled' }
  /**
   * The session is lost, and the home agent was not notified. The next session, here or at another PAA, gets the same
   * assignment. Without a next session the binding ends at `until`.
   */
  | { readonly type: 'kept'; readonly place: Place; readonly until: number }
  /** The session has ended, or the node stops. */
  | { readonly type: 'withdrawn'; readonly place: Place; readonly stopping?: boolean }
  | { readonly type: 'tick' };

/** `psk`: set for `up` and `refresh` of a binding by PANA; the receiver wipes it. */
export interface BindingHook {
  readonly type: 'hook';
  readonly event: Extract<HookEvent, 'up' | 'refresh' | 'move' | 'down' | 'reconfigure'>;
  readonly place: Place;
  readonly binding: Binding | undefined;
  readonly psk: Secret | undefined;
}

export type BindingOutput =
  | BindingHook
  | { readonly type: 'completed' | 'refreshed' | 'withdrawn'; readonly binding: Binding }
  | { readonly type: 'unavailable'; readonly reason: string }
  /** The access network saw the assignment, although the node wanted it sealed. */
  | { readonly type: 'unsealed'; readonly binding: Binding };

type State =
  | { readonly name: 'NONE' }
  | { readonly name: 'BOUND'; readonly binding: Binding }
  /** The session is lost. The binding ends at `until` unless a new session begins. */
  | { readonly name: 'KEPT'; readonly binding: Binding; readonly until: number; readonly place: Place };

const NONE: State = { name: 'NONE' };

/** The Mobile IPv6 binding of a node across sessions: the current assignment, and the events for its hooks. */
export class MobileBinding {
  readonly #config: BindingConfig;
  #state: State = NONE;
  /** The place for which the hook ran last for a binding by DHCPv6 or DNS. */
  #foundAt: Place | undefined;
  /** Where the session continues, until it is certain that no other session replaces it. */
  #moved: Place | undefined;

  constructor(config: BindingConfig) {
    this.#config = config;
  }

  get binding(): Binding | undefined {
    return this.#state.name === 'NONE' ? undefined : this.#state.binding;
  }

  get deadline(): number | undefined {
    return this.#state.name === 'KEPT' ? this.#state.until : undefined;
  }

  //   State       Input                          | Outputs                    | Next
  //   any         authorized, same binding       | refreshed, hook refresh    | BOUND
  //   any         authorized, another binding    | as withdrawn; completed, hook up | BOUND
  //   any         authorized, nothing usable     | unavailable; as withdrawn, unless by DHCPv6 | NONE
  //   any         found, same binding            | hook move if the address is another one | unchanged
  //   any         found, a binding by PANA       |                            | unchanged
  //   any         found, another binding         | as withdrawn; completed, hook up | BOUND
  //   BOUND       notFound, unless by PANA       | withdrawn, hook down       | NONE
  //   BOUND KEPT  moved                          | hook move; none if settling | unchanged
  //   BOUND KEPT  settled, after moved           | hook move, unless authorized meanwhile | unchanged
  //   BOUND KEPT  kept                           |                            | KEPT
  //   BOUND KEPT  withdrawn                      | withdrawn, hook down       | NONE
  //   KEPT        tick at `until`                | withdrawn, hook down       | NONE
  handle(input: BindingInput, now: number): BindingOutput[] {
    const { binding } = this;
    switch (input.type) {
      case 'authorized':
        return this.#authorized(input);
      case 'found':
        return this.#found(input);
      case 'notFound':
        return binding && binding.source !== 'pana' ? this.#withdraw(input.place) : [];
      case 'moved':
        this.#moved = binding && input.place;
        return input.settling ? [] : this.#move();
      case 'settled':
        return this.#move();
      case 'kept': {
        const { until, place } = input;
        if (binding?.source === 'pana') this.#state = { name: 'KEPT', binding, until, place };
        return [];
      }
      case 'withdrawn':
        // Without a session, too, the node keeps what DHCPv6 or DNS names.
        return input.stopping || binding?.source === 'pana' ? this.#withdraw(input.place) : [];
      case 'tick':
        return this.#state.name === 'KEPT' && now >= this.#state.until ? this.#withdraw(this.#state.place) : [];
    }
  }

  #move(): BindingOutput[] {
    const { binding } = this;
    const place = this.#moved;
    this.#moved = undefined;
    return binding && place ? [{ type: 'hook', event: 'move', place, binding, psk: undefined }] : [];
  }

  #authorized(input: Extract<BindingInput, { type: 'authorized' }>) {
    const { place, sealed, keys, reconfigure } = input;
    const { mode, root, privacy, homeAddress } = this.#config;
    const { assignment, problem } = openReceived(input, keys, privacy);
    const out: BindingOutput[] = [];
    // The hook of this session finds the care-of address itself.
    this.#moved = undefined;
    const reason = problem ?? (assignment && refusal(assignment, root, homeAddress));
    if (!assignment || !keys || reason !== undefined) {
      if (mode !== 'off') out.push({ type: 'unavailable', reason: reason ?? 'none was assigned' });
      if (this.binding?.source !== 'dhcpv6') out.push(...this.#withdraw(place));
    } else {
      const psk = pskOf(assignment, keys, root);
      const binding = bindingOf(assignment, psk);
      const before = this.binding;
      const isSame = before?.source === 'pana' && isSameBinding(before.assignment, assignment);
      if (!isSame) out.push(...this.#withdraw(place));
      this.#state = { name: 'BOUND', binding };
      out.push({ type: isSame ? 'refreshed' : 'completed', binding });
      if (!sealed && privacy !== 'off') out.push({ type: 'unsealed', binding });
      out.push({ type: 'hook', event: isSame ? 'refresh' : 'up', place, binding, psk });
    }
    if (reconfigure) out.push({ type: 'hook', event: 'reconfigure', place, binding: this.binding, psk: undefined });
    return out;
  }

  #found({ place, source, assignment }: Extract<BindingInput, { type: 'found' }>): BindingOutput[] {
    const before = this.binding;
    const isSame = before?.source === source && isSameBinding(before.assignment, assignment);
    if (this.#config.mode === 'off' || before?.source === 'pana') return [];
    const isThere = this.#foundAt?.careOfAddress === place.careOfAddress;
    if (isSame) this.#foundAt = place;
    if (isSame) return isThere ? [] : [{ type: 'hook', event: 'move', place, binding: before, psk: undefined }];
    const binding: Binding = { assignment, source, fingerprint: undefined };
    const out = this.#withdraw(place);
    this.#state = { name: 'BOUND', binding };
    this.#foundAt = place;
    return [...out, { type: 'completed', binding }, { type: 'hook', event: 'up', place, binding, psk: undefined }];
  }

  #withdraw(place: Place): BindingOutput[] {
    const { binding } = this;
    this.#state = NONE;
    this.#moved = undefined;
    if (!binding) return [];
    return [
      { type: 'withdrawn', binding },
      { type: 'hook', event: 'down', place, binding, psk: undefined },
    ];
  }
}
