import type { Drbg } from '../../bytes/drbg.js';
import { FLAG } from '../wire/codec.js';
import type { Channel, Draft } from './channel.js';
import type { Agreement, Run } from './key-agreement.js';
import type { Liveness } from './liveness.js';
import type { Grant, PaaClosed, PaaSessionConfig, PaaSessionOutput } from './paa-interface.js';
import { dropped, sends } from './session.js';
import { type Step, stay } from './step.js';

/** The authorization that was announced to the PaC. */
export interface AnnouncedLifetime {
  /** End of the announced lifetime plus its grace time; undefined: no limit. */
  readonly until: number | undefined;
}

/** State until the PaC has answered a PAR. Until then, a PCI from the same address and port belongs to this start. */
export interface Starting {
  /** The EAP response that the PaC sent in its own PAR. */
  readonly response: Uint8Array | undefined;
}

/** Data common to all states of a session. */
export interface PaaContext extends Agreement {
  readonly config: PaaSessionConfig;
  readonly drbg: Drbg;
  readonly channel: Channel;
  readonly liveness: Liveness;
  /** Mobility-Capability of PAN[S], sent to the AAA server in each authentication. */
  readonly wish: number | undefined;
  /** Whether the PaC supports Echo. */
  readonly echoes: boolean;
  run: Run;
  /** Key-Id of the latest key. */
  keyId: number;
  /** Whether the AAA server has authorized this session, in this authentication or an earlier one. */
  granted: boolean;
  /** Undefined before the first authentication is complete. */
  admission: AnnouncedLifetime | undefined;
  /** Undefined after the PaC has received a PAR without S: a further PCI is a new start. */
  starting: Starting | undefined;
  /** Number of consecutive authentications without a decision of the AAA server. */
  postponed: number;
  /**
   * RFC 5873: `candidate` while the PaC is pre-authenticated, or being so; `arriving` after its PNR[P] without E, which is
   * answered when it has been let in; `serving` otherwise.
   */
  role: 'candidate' | 'arriving' | 'serving';
  /** The Echo value that was sent last. */
  proof: Uint8Array | undefined;
}

export interface WaitEapMsg {
  readonly name: 'WAIT_EAP_MSG';
  readonly until: number;
  /** When EAP restarts, because the last try had no decision; undefined: EAP is in progress. */
  readonly retryAt: number | undefined;
}

export interface WaitSuccPan {
  readonly name: 'WAIT_SUCC_PAN';
  readonly grant: Grant;
  /** Whether the PaC has requested a re-authentication, which starts after PAN[C]. */
  readonly again: boolean;
}

export interface Open {
  readonly name: 'OPEN' | 'WAIT_PNA_PING';
  readonly until: number | undefined;
  readonly reauthenticateAt: number | undefined;
}

/** The states of RFC 5609 8.5, except INITIAL: before PAN[S] the PAA keeps no state. */
export type PaaState =
  | WaitEapMsg
  | { readonly name: 'WAIT_PAN_OR_PAR' | 'WAIT_FAIL_PAN'; readonly until: number }
  | WaitSuccPan
  | Open
  | { readonly name: 'SESS_TERM'; readonly cause: PaaClosed }
  | { readonly name: 'CLOSED' };

export type PaaStep = Step<PaaState, PaaSessionOutput>;

/** Whether a re-authentication may start. */
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
 * Whether the first authentication is complete, so that PTR, PNR and PTA are valid (RFC 5191 5.5). Not RFC: a protected
 * one before PAN[C] is also accepted. Only a PaC that has accepted PAR[C] has the key, and it may have moved since.
 */
export function isEstablished({ run, channel }: PaaContext, state: PaaState): boolean {
  return !run.first || !isAuthenticating(state) || (state.name === 'WAIT_SUCC_PAN' && channel.protection !== undefined);
}

/** The time at which a phase ends if it makes no progress after `now`. */
export function progressLimit({ config }: PaaContext, now: number): number {
  return now + config.failedSessionTimeout;
}

/** The I bit if it must be set; only PARs of the first authentication have it (RFC 5191 6.2). */
export function reconfigure({ config, run }: PaaContext): number {
  return config.reconfigure && run.first ? FLAG.I : 0;
}

/**
 * When the authentication times out. A re-authentication that makes progress may exceed the lifetime for a limited
 * time; one that waits for a retry may not.
 */
export function runUntil({ admission, config, run }: PaaContext, state: PaaState): number | undefined {
  if (admission?.until === undefined || run.first || !isAuthenticating(state)) return undefined;
  const isWaiting = state.name === 'WAIT_EAP_MSG' && state.retryAt !== undefined;
  return isWaiting ? admission.until : admission.until + config.failedSessionTimeout;
}

/**
 * Reports the source of a message. Only protected messages may change the PaC's location (RFC 5191 5.6). `askedAt`:
 * when the answered request was first sent.
 */
export function heardFrom({ channel }: PaaContext, askedAt: number | undefined): PaaSessionOutput[] {
  return channel.protection ? [{ type: 'heard', askedAt }] : [];
}

/**
 * Goes to `next` and sends a request that EAP needs. If the request exceeds the maximum message size, the session ends.
 */
export function ask(context: PaaContext, next: PaaState, draft: Draft, now: number): PaaStep {
  const sent = context.channel.request(draft, now);
  if (sent !== 'too-long') return stay(next, sends(sent));
  const { state, out } = close(context, 'no-progress');
  return stay(state, [dropped(sent), ...out]);
}

/** Ends the session without a message. */
export function close({ channel, granted }: PaaContext, cause: PaaClosed): PaaStep {
  channel.destroy();
  return { state: { name: 'CLOSED' }, out: [{ type: 'closed', cause, granted }] };
}
