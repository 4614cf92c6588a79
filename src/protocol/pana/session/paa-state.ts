import type { Drbg } from '../../bytes/drbg.js';
import { FLAG } from '../wire/codec.js';
import type { Channel, Draft } from './channel.js';
import type { Agreement, Run } from './key-agreement.js';
import type { Liveness } from './liveness.js';
import type { Grant, PaaClosed, PaaSessionConfig, PaaSessionOutput } from './paa-interface.js';
import { dropped, sends } from './session.js';
import { type Step, stay } from './step.js';

/** What the PaC was told when it was let in. */
export interface Admission {
  /** When the lifetime that it was told is over, with its grace; undefined: never. */
  readonly until: number | undefined;
}

/** The first authentication until the PaC has answered a PAR: its PCI from the same place belongs to this start. */
export interface Starting {
  /** The EAP response that the PaC sent in a PAR of its own. */
  readonly response: Uint8Array | undefined;
}

/** What every state of one session shares. */
export interface PaaContext extends Agreement {
  readonly config: PaaSessionConfig;
  readonly drbg: Drbg;
  readonly channel: Channel;
  readonly liveness: Liveness;
  /** Mobility-Capability of PAN[S], sent to the AAA server in every run. */
  readonly wish: number | undefined;
  /** The PaC sends an Echo back. */
  readonly echoes: boolean;
  run: Run;
  /** Key-Id of the last key made. */
  keyId: number;
  /** The AAA server has authorised this session, in this run or an earlier one. */
  granted: boolean;
  /** Undefined: the first authentication is not over. */
  admission: Admission | undefined;
  /** Undefined: the PaC has seen a PAR without S, and its PCI is a new start. */
  starting: Starting | undefined;
  /** How often in a row the AAA server gave no verdict. */
  postponed: number;
  /** The Echo that was asked for last. */
  proof: Uint8Array | undefined;
}

export interface WaitEapMsg {
  readonly name: 'WAIT_EAP_MSG';
  readonly until: number;
  /** EAP begins again then, since the last try got no verdict; undefined: EAP is under way. */
  readonly retryAt: number | undefined;
}

export interface WaitSuccPan {
  readonly name: 'WAIT_SUCC_PAN';
  readonly grant: Grant;
  /** The PaC has asked for another run, which begins when PAN[C] has come. */
  readonly again: boolean;
}

export interface Open {
  readonly name: 'OPEN' | 'WAIT_PNA_PING';
  readonly until: number | undefined;
  readonly reauthenticateAt: number | undefined;
}

/** The states of RFC 5609 8.5; INITIAL needs none. */
export type PaaState =
  | WaitEapMsg
  | { readonly name: 'WAIT_PAN_OR_PAR' | 'WAIT_FAIL_PAN'; readonly until: number }
  | WaitSuccPan
  | Open
  | { readonly name: 'SESS_TERM'; readonly cause: PaaClosed }
  | { readonly name: 'CLOSED' };

export type PaaStep = Step<PaaState, PaaSessionOutput>;

/** Another run of EAP may begin. */
export function isIdle(state: PaaState): state is Open {
  return state.name === 'OPEN' || state.name === 'WAIT_PNA_PING';
}

export function isAuthenticating(state: PaaState): boolean {
  return (
    state.name === 'WAIT_EAP_MSG' ||
    state.name === 'WAIT_PAN_OR_PAR' ||
    state.name === 'WAIT_SUCC_PAN' ||
    state.name === 'WAIT_FAIL_PAN'
  );
}

/**
 * The first authentication is over: PTR, PNR and PTA are meaningful (RFC 5191 5.5). Not RFC: also when a protected one
 * comes before PAN[C], since only a PaC that has taken PAR[C] has the key; it may have moved since.
 */
export function isEstablished({ run, channel }: PaaContext, state: PaaState): boolean {
  return !run.first || !isAuthenticating(state) || (state.name === 'WAIT_SUCC_PAN' && channel.protection !== undefined);
}

/** When a phase that makes no progress from `now` on ends. */
export function progressLimit({ config }: PaaContext, now: number): number {
  return now + config.failedSessionTimeout;
}

/** RFC 5191 6.2: the I bit is for PARs of the first run. */
export function reconfigure({ config, run }: PaaContext): number {
  return config.reconfigure && run.first ? FLAG.I : 0;
}

/** A re-authentication may go on past the lifetime while it makes progress, but not for long; one that waits may not. */
export function runUntil({ admission, config, run }: PaaContext, state: PaaState): number | undefined {
  if (admission?.until === undefined || run.first || !isAuthenticating(state)) return undefined;
  const isWaiting = state.name === 'WAIT_EAP_MSG' && state.retryAt !== undefined;
  return isWaiting ? admission.until : admission.until + config.failedSessionTimeout;
}

/** Only what a key protects may move the PaC (RFC 5191 5.6). `askedAt`: when the request that was answered was sent first. */
export function heardFrom({ channel }: PaaContext, askedAt: number | undefined): PaaSessionOutput[] {
  return channel.protection ? [{ type: 'heard', askedAt }] : [];
}

/** The step to `next` with a request that EAP cannot go on without: if it does not fit a message, the session is over. */
export function ask(context: PaaContext, next: PaaState, draft: Draft, now: number): PaaStep {
  const sent = context.channel.request(draft, now);
  if (sent !== 'too-long') return stay(next, sends(sent));
  const { state, out } = close(context, 'no-progress');
  return stay(state, [dropped(sent), ...out]);
}

/** Ends the session without a word. */
export function close({ channel, granted }: PaaContext, cause: PaaClosed): PaaStep {
  channel.destroy();
  return { state: { name: 'CLOSED' }, out: [{ type: 'closed', cause, granted }] };
}
