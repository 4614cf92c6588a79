// The words of the Attachment machine: its configuration, inputs, outputs and events.

/** All times in milliseconds. */
export interface AttachmentConfig {
  /** Whether the node starts a new session when one ends. If false, it finishes. */
  readonly stay: boolean;
  /** Wait before the first retry. It doubles with each failure up to the maximum. */
  readonly first: number;
  readonly longest: number;
}

/**
 * The kind of a network change. `none`: addresses or routes have changed, without a sign of another link. `neighbours`:
 * a new router or prefix appeared. `link`: the link came up, or the host woke from sleep; earlier attempts are obsolete. After the
 * last two, the PAA, or another host with its address, may not have the session.
 */
export type MoveSign = 'none' | 'neighbours' | 'link';

export type AttachmentInput =
  | { readonly type: 'start' }
  /** Applies from the next wait on. The next attempt uses the first PAA. */
  | { readonly type: 'configure'; readonly config: AttachmentConfig }
  /** Answers `discover` with the PAAs in the order in which to try them, or with the failure of the discovery. */
  | { readonly type: 'found'; readonly token: number; readonly paas: readonly string[] }
  | { readonly type: 'notFound'; readonly token: number; readonly reason: string }
  /** Answers to `open`. */
  | { readonly type: 'opened'; readonly attempt: number }
  | { readonly type: 'unreachable'; readonly attempt: number; readonly reason: string }
  /** Reports from an attempt. `heard`: the session accepted at least one message of its PAA. */
  | { readonly type: 'authorized'; readonly attempt: number }
  | { readonly type: 'closed'; readonly attempt: number; readonly cause: string; readonly heard: boolean }
  | { readonly type: 'silent'; readonly attempt: number }
  /** `besideHeard`: the attempt beside it has accepted at least one message of its PAA. */
  | { readonly type: 'answered'; readonly attempt: number; readonly besideHeard: boolean }
  /** The session of this attempt continues from another address, and has sent a request from there. */
  | { readonly type: 'moved'; readonly attempt: number }
  | { readonly type: 'networkChanged'; readonly sign: MoveSign }
  /**
   * Answers `locate` with the PAAs of the current network. `from`: the node reaches its PAA from the same address, from
   * another one, or from none. `moved`: if the session is authorized, the input `moved` was given before. `outdated`:
   * the attempt beside it that uses a care-of address which the node would not choose any more.
   */
  | {
      readonly type: 'located';
      readonly attempt: number;
      readonly paas: readonly string[];
      readonly from: 'same' | 'moved' | 'nowhere';
      readonly outdated?: number | undefined;
    }
  | { readonly type: 'stop' }
  | { readonly type: 'tick' };

export type AttachmentOutput =
  | { readonly type: 'discover'; readonly token: number }
  /**
   * Open a socket for a session with this PAA. `beside`: the current session continues and keeps the configured port.
   * `limit`: time limit of the attempt; `short`: in the first round after a move.
   */
  | {
      readonly type: 'open';
      readonly attempt: number;
      readonly paa: string;
      readonly beside: boolean;
      readonly limit: 'none' | 'usual' | 'short';
    }
  /** Start the session of this attempt. */
  | { readonly type: 'begin'; readonly attempt: number }
  /** Terminate the session with PTR. */
  | { readonly type: 'terminate'; readonly attempt: number }
  /** Free all resources of the attempt and send nothing. */
  | { readonly type: 'close'; readonly attempt: number }
  /** Another session replaces this one: send PTR and free all resources when PTA arrives. */
  | { readonly type: 'retire'; readonly attempt: number; readonly by: number }
  /**
   * Continue from another local address if the route to the PAA now has one, and report the PAAs of the current
   * network.
   */
  | { readonly type: 'locate'; readonly attempt: number }
  /** Send a request of the session now. When it is answered, report `answered`. */
  | { readonly type: 'probe'; readonly attempt: number }
  /** The node no longer has a session. `kept`: home agent and home address remain until the end of their lifetime. */
  | { readonly type: 'detached'; readonly attempt: number; readonly cause: string; readonly kept: boolean }
  /**
   * No other session is being made any more, or the PAA has proved that it has the session of the node. Not after
   * `authorized`.
   */
  | { readonly type: 'settled' }
  | { readonly type: 'event'; readonly event: AttachmentEvent }
  /** The session has ended and the node does not start again. `authorized`: the session had been authorized. */
  | { readonly type: 'finished'; readonly authorized: boolean }
  | { readonly type: 'stopped' };

export type AttachmentEvent =
  | { readonly type: 'no-paa' }
  | { readonly type: 'no-way'; readonly paa: string | undefined; readonly reason: string }
  | { readonly type: 'waiting'; readonly milliseconds: number }
  | { readonly type: 'silent' | 'answers-again'; readonly paa: string }
  | {
      readonly type: 'ended';
      readonly attempt: number;
      readonly paa: string;
      readonly cause: string;
      readonly authorized: boolean;
    };
