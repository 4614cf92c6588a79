import type { AddressSet } from '../../bytes/address-set.js';
import type { PaaSessionConfig, PaaSessionInput, PaaSessionOutput } from '../session/paa-interface.js';
import type { PaaState } from '../session/paa-state.js';
import type { Dropped } from '../session/session.js';
import type { PacEndpoint } from '../session/start.js';

export interface PaaLimits {
  /** Maximum number of PCIs answered per second: per address, per network (/64, IPv4 /24), and in total. */
  readonly pciPerAddress: number;
  readonly pciPerNetwork: number;
  readonly pciInAll: number;
  /** Maximum number of half-open sessions: per address, per network (/64, IPv4 /24), and in total. */
  readonly halfOpenPerAddress: number;
  readonly halfOpenPerNetwork: number;
  readonly halfOpen: number;
  readonly sessions: number;
}

/** RFC 5873: PaCs of other networks may authenticate before they come. */
export interface PreAuthenticationConfig {
  /** Addresses from which they may. */
  readonly networks: 'any' | Pick<AddressSet, 'has'>;
  /** Maximum number of sessions whose PaC has not come yet. */
  readonly sessions: number;
}

export interface PaaConfig extends PaaSessionConfig {
  readonly limits: PaaLimits;
  /** Undefined: there is no pre-authentication. */
  readonly preAuthentication?: PreAuthenticationConfig | undefined;
  /** OPTIMIZED_INIT of RFC 5609 8: the EAP-Request in PAR[S]; undefined: PAR[S] carries none. */
  readonly firstRequest: Uint8Array | undefined;
  /** Addresses of the relays (RFC 6345) whose messages are accepted; undefined: none. */
  readonly relays?: readonly string[];
}

export type PaaInput =
  /** PAC_FOUND of RFC 5609 8: invite the PaC at this address and port. */
  | { readonly type: 'invite'; readonly peer: PacEndpoint }
  /** Applies to new sessions; existing sessions keep their settings. The Vendor-Id must not change. */
  | { readonly type: 'configure'; readonly config: PaaConfig }
  /** The machine takes ownership of the octets. */
  | { readonly type: 'datagram'; readonly octets: Uint8Array; readonly from: PacEndpoint }
  | { readonly type: 'tick' }
  | {
      readonly type: 'session';
      readonly sessionId: number;
      readonly input: Exclude<PaaSessionInput, { type: 'message' }>;
    };

/** The machine of a session threw an exception. This session has ended; the others are not affected. */
export interface SessionFault {
  readonly type: 'fault';
  readonly error: unknown;
}

type SessionEvent = Exclude<PaaSessionOutput, { type: 'send' | 'dropped' | 'heard' | 'arriving' | 'reached' }>;

export type PaaOutput =
  | { readonly type: 'send'; readonly octets: Uint8Array; readonly to: PacEndpoint }
  | (Dropped & { readonly from: PacEndpoint | undefined })
  | (SessionFault & { readonly sessionId: number })
  | { readonly type: 'session'; readonly sessionId: number; readonly peer: PacEndpoint; readonly event: SessionEvent }
  | { readonly type: 'moved'; readonly sessionId: number; readonly from: PacEndpoint; readonly peer: PacEndpoint }
  /** The invitation was not answered. */
  | { readonly type: 'uninvited'; readonly peer: PacEndpoint };

/** A session, for display. */
export interface PaaSessionView {
  readonly sessionId: number;
  readonly peer: PacEndpoint;
  readonly state: PaaState['name'];
  /** Whether the PaC has not been let into this network yet (RFC 5873). */
  readonly preAuthenticated: boolean;
  /** The algorithm that encrypts AVPs (RFC 6786); undefined: none. */
  readonly encryption: string | undefined;
  /** Milliseconds. */
  readonly remaining: number | undefined;
}
