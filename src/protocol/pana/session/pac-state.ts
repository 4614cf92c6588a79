import type { Drbg } from '../../bytes/drbg.js';
import type { Secret } from '../../bytes/secret.js';
import type { Channel } from './channel.js';
import type { Agreement, Run } from './key-agreement.js';
import type { Liveness } from './liveness.js';
import type { PacClosed, PacConfig, PacOutput } from './pac-interface.js';
import type { Offers } from './pac-offers.js';
import type { PciTimer } from './pci-timer.js';
import type { Received } from './session.js';
import type { Step } from './step.js';

/** Data common to all states of a PaC. */
export interface PacContext {
  readonly config: PacConfig;
  readonly drbg: Drbg;
  /** The same for all starts, because its numbers must continue if a start is resumed. */
  readonly firstSequence: number;
  readonly offers: Offers;
  readonly liveness: Liveness;
}

/** The MSK of the current authentication, until PANA_AUTH_KEY is active. */
export interface AuthenticationMsk {
  readonly msk: Secret;
  /**
   * Whether the EAP server has sent a protected success indication: the octet 0x00 of EAP-TLS with TLS 1.3 (RFC 9190
   * 2.5).
   */
  readonly confirmed: boolean;
}

/** The result of the exchange of PAR[S] and PAN[S], and the current authentication. */
export interface Session extends Agreement {
  readonly channel: Channel;
  /** Mobility-Capability of PAN[S]; 0: none. */
  readonly wish: number;
  run: Run;
  keys: AuthenticationMsk | undefined;
  /** A PAR without S was accepted: PAR[S] is no longer valid (RFC 5191 5.5). */
  begun: boolean;
  /** The PAA does not answer a request, and this was reported. */
  silent: boolean;
  /** Whether the node has come to the network of the PAA, which has not confirmed it yet (RFC 5873 3). */
  arriving: boolean;
  /** Whether to report the answer to the outstanding request, because it proves that the PAA still has the session. */
  awaited: boolean;
}

/** End of the session, and when to reauthenticate; undefined: never. */
export interface Life {
  readonly until: number | undefined;
  readonly reauthenticateAt: number | undefined;
}

/** A PAR[S] that is kept until a time limit. */
interface Kept {
  readonly par: Received;
  readonly until: number;
}

/**
 * State of the offers in INITIAL: none; EAP is processing the EAP-Request of one; or one is kept in case no better one
 * arrives.
 */
export type Offered =
  | { readonly name: 'none' }
  | ({ readonly name: 'eap' } & Kept)
  /** An unsolicited offer: it is accepted if no better one arrives. */
  | ({ readonly name: 'plain' } & Kept);

export interface Initial {
  readonly name: 'INITIAL';
  /** Undefined: the PaC sends no PCI; the PAA has to start. */
  readonly pci: PciTimer | undefined;
  readonly offered: Offered;
  /** Number of plain offers that were not accepted. */
  readonly plainOffers: number;
}

export interface WaitPaa {
  readonly name: 'WAIT_PAA';
  readonly session: Session;
  /** PCI is repeated until the first PAR without S. Undefined: this PAR has arrived, or PCI was never sent. */
  readonly pci: PciTimer | undefined;
  readonly until: number;
}

export interface WaitEapMsg {
  readonly name: 'WAIT_EAP_MSG';
  readonly session: Session;
  /** As in WAIT_PAA: PCI is also repeated after an optimised start. */
  readonly pci: PciTimer | undefined;
  /** When PAN is sent without an EAP response; undefined: it was sent. */
  readonly replyBy: number | undefined;
  readonly until: number;
}

export interface WaitEapResult {
  readonly name: 'WAIT_EAP_RESULT' | 'WAIT_EAP_RESULT_CLOSE';
  readonly session: Session;
  /** PAR[C], which has not been answered yet. */
  readonly par: Received;
  readonly until: number;
}

/** The node has access. */
export interface Open {
  readonly name: 'OPEN' | 'WAIT_PNA_PING' | 'WAIT_PNA_REAUTH';
  readonly session: Session;
  readonly life: Life;
}

interface SessTerm {
  readonly name: 'SESS_TERM';
  readonly session: Session;
}

/** A state of RFC 5609 7.5 in which there is a session. */
export type Begun = WaitPaa | WaitEapMsg | WaitEapResult | Open | SessTerm;

/** The states of RFC 5609 7.5. */
export type PacState = Initial | Begun | { readonly name: 'CLOSED' };

export type PacStep = Step<PacState, PacOutput>;

export const NOTHING_OFFERED: Offered = { name: 'none' };

export function initial(pci: PciTimer | undefined, offered: Offered): Initial {
  return { name: 'INITIAL', pci, offered, plainOffers: 0 };
}

/** Whether an authentication is in progress. */
export function isAuthenticating(state: PacState): boolean {
  return (
    state.name === 'WAIT_PAA' ||
    state.name === 'WAIT_EAP_MSG' ||
    state.name === 'WAIT_EAP_RESULT' ||
    state.name === 'WAIT_EAP_RESULT_CLOSE'
  );
}

/** Replaces the MSK and wipes the previous one. */
export function setKeys(session: Session, keys: AuthenticationMsk | undefined): void {
  session.keys?.msk.wipe();
  session.keys = keys;
}

/** Wipes the keys of an ended session. */
export function forget(session: Session): void {
  setKeys(session, undefined);
  session.channel.destroy();
}

/** Ends the session without a message. */
export function close(state: PacState, cause: PacClosed): PacStep {
  const session = 'session' in state ? state.session : undefined;
  if (session) forget(session);
  return { state: { name: 'CLOSED' }, out: [{ type: 'closed', cause, sessionId: session?.channel.sessionId }] };
}
