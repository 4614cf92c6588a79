import type { AdmittedClient } from './enforcement-alphabet.js';

/** A client that may pass. */
export interface HeldClient extends AdmittedClient {
  /** When it no longer may, in milliseconds; undefined: no limit. */
  readonly until: number | undefined;
}

/** A client's change of address. */
export interface Move {
  /** The address that was last reported to the hook before the move. */
  readonly former: string;
  readonly address: string;
  /** Whether a permit or start may have reported the new address to the hook. */
  permitted: boolean;
  /** Whether the move was reported to the hook. */
  reported: boolean;
  /** Whether a later move includes this one. */
  superseded: boolean;
}

/** What a run of the hook reports. */
export type Report =
  | { readonly event: 'start' | 'check' | 'stop' }
  | { readonly event: 'permit'; readonly session: string; readonly address: string }
  | { readonly event: 'move'; readonly session: string; readonly move: Move }
  | {
      readonly event: 'revoke';
      readonly session: string;
      readonly userName: string | undefined;
      readonly address: string;
      /**
       * Whether the event is independent of the session's other events: it revokes an address that the session has left
       * and that the hook may still permit.
       */
      readonly alone: boolean;
    };

/** A report for the hook, queued or waiting for `start`. */
export interface PendingReport {
  readonly report: Report;
  /** Addresses whose events must reach the hook in order. */
  readonly addresses: readonly string[];
  /** The request that waits for the first result. */
  token: number | undefined;
  /** The address that the last run of the hook was to revoke. */
  revoked?: string | undefined;
  /** Whether the hook has run for it. */
  hasRun?: boolean;
}
