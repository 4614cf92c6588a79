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

/** What every state of one PaC shares. */
export interface PacContext {
  readonly config: PacConfig;
  readonly drbg: Drbg;
  /** The same for every start: a start that is taken up again must go on with the numbers that it began with. */
  readonly firstSequence: number;
  readonly offers: Offers;
  readonly liveness: Liveness;
}

/** The MSK of the run under way, until PANA_AUTH_KEY is in force. */
export interface RunKeys {
  readonly msk: Secret;
  /** Whether the EAP server has said under protection that it lets the PaC in: the 0x00 of EAP-TLS 1.3 (RFC 9190 2.5). */
  readonly confirmed: boolean;
}

/** What stays of the S exchange for the whole session, and the run of EAP under way. */
export interface Session extends Agreement {
  readonly channel: Channel;
  run: Run;
  keys: RunKeys | undefined;
  /** A PAR without S was taken: PAR[S] is invalid from now on (RFC 5191 5.5). */
  begun: boolean;
  /** The PAA leaves a request of ours unanswered, and that has been said. */
  silent: boolean;
}

/** End of the session and when to do something about it; undefined: never. */
export interface Life {
  readonly until: number | undefined;
  readonly reauthenticateAt: number | undefined;
}

/** A PAR[S] that is kept until the time says otherwise. */
interface Kept {
  readonly par: Received;
  readonly until: number;
}

/** What an INITIAL PaC does about the offers that it has: none yet; EAP is asked about one; or one waits for a better one. */
export type Offered =
  | { readonly name: 'none' }
  | ({ readonly name: 'eap' } & Kept)
  /** Nobody asked for it: it is taken when no better one comes. */
  | ({ readonly name: 'plain' } & Kept);

export interface Initial {
  readonly name: 'INITIAL';
  /** Undefined: PCI is not sent, the PAA has to begin. */
  readonly pci: PciTimer | undefined;
  readonly offered: Offered;
  /** Plain offers that were not taken. */
  readonly plainOffers: number;
}

export interface WaitPaa {
  readonly name: 'WAIT_PAA';
  readonly session: Session;
  /** PCI is repeated until the first PAR without S; undefined: that has come, or PCI was never sent. */
  readonly pci: PciTimer | undefined;
  readonly until: number;
}

export interface WaitEapMsg {
  readonly name: 'WAIT_EAP_MSG';
  readonly session: Session;
  /** As in WAIT_PAA: PCI is also repeated after an optimised start. */
  readonly pci: PciTimer | undefined;
  /** When PAN goes out without an EAP response; undefined: it has gone. */
  readonly replyBy: number | undefined;
  readonly until: number;
}

export interface WaitEapResult {
  readonly name: 'WAIT_EAP_RESULT' | 'WAIT_EAP_RESULT_CLOSE';
  readonly session: Session;
  /** PAR[C], which has no answer yet. */
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

/** Whether an authentication is under way, the first one or another. */
export function isAuthenticating(state: PacState): boolean {
  return (
    state.name === 'WAIT_PAA' ||
    state.name === 'WAIT_EAP_MSG' ||
    state.name === 'WAIT_EAP_RESULT' ||
    state.name === 'WAIT_EAP_RESULT_CLOSE'
  );
}

/** Puts the MSK of a run in the place of the one before, which is wiped. */
export function setKeys(session: Session, keys: RunKeys | undefined): void {
  session.keys?.msk.wipe();
  session.keys = keys;
}

/** Wipes the keys of a session that is over. */
export function forget(session: Session): void {
  setKeys(session, undefined);
  session.channel.destroy();
}

/** Ends the session without a word. */
export function close(state: PacState, cause: PacClosed): PacStep {
  const session = 'session' in state ? state.session : undefined;
  if (session) forget(session);
  return { state: { name: 'CLOSED' }, out: [{ type: 'closed', cause, sessionId: session?.channel.sessionId }] };
}
