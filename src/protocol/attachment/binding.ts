import { equalOctets } from '../bytes/octets.js';
import type { Secret } from '../bytes/secret.js';
import { derivePsk, fingerprint } from '../keys/kdf.js';
import { CAPABILITY, type MobilityAssignment } from '../mip6/assignment.js';
import type { ReceivedSeal } from '../pana/session/pac-interface.js';
import { openAssignment } from '../pana/wire/sealed-assignment.js';

/** What named the home agent of a node. Only PANA authenticates it, and brings a key. */
export type BindingSource = 'pana' | 'dhcpv6' | 'dns';

/** The home agent, home address and key that the node uses now. */
export interface Binding {
  readonly assignment: MobilityAssignment;
  readonly source: BindingSource;
  /** First hex digits of the key's hash, for display. Undefined: there is no key. */
  readonly fingerprint: string | undefined;
}

/** The keys of one EAP run. Their owner wipes them once the session is authorized. */
export interface RunKeys {
  readonly msk: Secret;
  readonly emsk: Secret;
  /** The EAP Session-Id. */
  readonly sessionId: Uint8Array;
}

/** Whether the node wants the assignment sealed, so that the access network does not learn it. */
export type Privacy = 'off' | 'wanted' | 'required';

/** What a PAR[C] says about the assignment. `problem`: why it cannot be used. */
export interface ReceivedAssignment {
  readonly assignment: MobilityAssignment | undefined;
  readonly sealed: ReceivedSeal | undefined;
  readonly problem: string | undefined;
}

/** Opens a sealed assignment, and refuses one that is not sealed although it has to be. */
export function openReceived(
  { assignment, sealed, problem }: ReceivedAssignment,
  keys: RunKeys | undefined,
  privacy: Privacy,
): Omit<ReceivedAssignment, 'sealed'> {
  if (sealed && keys) {
    const opened = openAssignment(sealed.value, { ...keys, wish: sealed.wish });
    return typeof opened === 'string'
      ? { assignment: undefined, problem: opened }
      : { assignment: opened, problem: undefined };
  }
  if (assignment && privacy === 'required') {
    return { assignment: undefined, problem: 'it is not sealed, which mobility.privacy requires' };
  }
  return { assignment, problem };
}

/**
 * Why an assignment is refused; undefined if it is accepted. The node and the AAA server configure the root of the key,
 * and the way of the home address, independently and may disagree.
 */
export function refusal(
  assignment: MobilityAssignment,
  root: 'msk' | 'emsk',
  homeAddress: 'pana' | 'ikev2' = 'pana',
): string | undefined {
  if (homeAddress === 'ikev2' && assignment.homeAddress)
    return 'its home address came by PANA, but mobility.home-address is ikev2';
  const fromEmsk = (assignment.capability & CAPABILITY.PSK_FROM_EMSK) !== 0;
  if (root === 'emsk' && !fromEmsk) return 'its key comes from the MSK, which the access network has';
  if (root === 'msk' && fromEmsk) return 'its key comes from the EMSK, but mobility.psk-root is msk';
  return undefined;
}

export function pskOf(assignment: MobilityAssignment, keys: RunKeys, root: 'msk' | 'emsk'): Secret {
  return derivePsk(keys[root], assignment.homeAgent, assignment.homeAddress);
}

export function bindingOf(assignment: MobilityAssignment, psk: Secret): Binding {
  return { assignment, source: 'pana', fingerprint: fingerprint(psk) };
}

/** Whether a re-authentication assigned the same home agent and home address. */
export function isSameBinding(a: MobilityAssignment, b: MobilityAssignment): boolean {
  const home = a.homeAddress ?? new Uint8Array(0);
  return equalOctets(a.homeAgent, b.homeAgent) && equalOctets(home, b.homeAddress ?? new Uint8Array(0));
}
