import type { PaaSessionConfig, PaaSessionInput, PaaSessionOutput } from '../session/paa-interface.js';
import type { PaaState } from '../session/paa-state.js';
import type { Dropped } from '../session/session.js';
import type { PacEndpoint } from '../session/start.js';

export interface PaaLimits {
  /** PCIs answered in a second: from one address, from one network (/64, /24 of IPv4), and in all. */
  readonly pciPerAddress: number;
  readonly pciPerNetwork: number;
  readonly pciInAll: number;
  /** Sessions whose first authentication is not over: of one address, of one network (/64, /24 of IPv4), and in all. */
  readonly halfOpenPerAddress: number;
  readonly halfOpenPerNetwork: number;
  readonly halfOpen: number;
  readonly sessions: number;
}

export interface PaaConfig extends PaaSessionConfig {
  readonly limits: PaaLimits;
  /** OPTIMIZED_INIT of RFC 5609 8: the EAP-Request that PAR[S] carries; undefined: PAR[S] has none. */
  readonly firstRequest: Uint8Array | undefined;
}

export type PaaInput =
  /** PAC_FOUND of RFC 5609 8: invite the PaC at this place. */
  | { readonly type: 'invite'; readonly peer: PacEndpoint }
  /** For sessions from now on; those that there are keep what they began with. The vendor id must not change. */
  | { readonly type: 'configure'; readonly config: PaaConfig }
  /** The machine keeps the octets. */
  | { readonly type: 'datagram'; readonly octets: Uint8Array; readonly from: PacEndpoint }
  | { readonly type: 'tick' }
  | {
      readonly type: 'session';
      readonly sessionId: number;
      readonly input: Exclude<PaaSessionInput, { type: 'message' }>;
    };

/** A session's machine threw: the session is over, the others are not touched. */
export interface SessionFault {
  readonly type: 'fault';
  readonly error: unknown;
}

type SessionEvent = Exclude<PaaSessionOutput, { type: 'send' | 'dropped' | 'heard' | 'reached' }>;

export type PaaOutput =
  | { readonly type: 'send'; readonly octets: Uint8Array; readonly to: PacEndpoint }
  | (Dropped & { readonly from: PacEndpoint | undefined })
  | (SessionFault & { readonly sessionId: number })
  | { readonly type: 'session'; readonly sessionId: number; readonly peer: PacEndpoint; readonly event: SessionEvent }
  | { readonly type: 'moved'; readonly sessionId: number; readonly from: PacEndpoint; readonly peer: PacEndpoint }
  /** Nobody at this place answered. */
  | { readonly type: 'uninvited'; readonly peer: PacEndpoint };

/** What a PAA shows of a session. */
export interface PaaSessionView {
  readonly sessionId: number;
  readonly peer: PacEndpoint;
  readonly state: PaaState['name'];
  /** Milliseconds. */
  readonly remaining: number | undefined;
}
