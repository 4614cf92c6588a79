import type { DiameterMessage } from '../wire/codec.js';

/**
 * Identifies a request. Node and application each number their own requests and do not reuse a number that is in use.
 */
export type Token = number;

/** Destination of a request. */
export interface Target {
  /** Peers to try, in order; undefined: routing decides. */
  readonly peers?: readonly string[] | undefined;
  /** For routing; undefined: the message's own Destination-Host and Destination-Realm. */
  readonly destinationHost?: string | undefined;
  readonly realm?: string | undefined;
}

/** Why a request failed. */
export type RequestFailure =
  /** No peer that serves the realm is connected, or the node is stopping. */
  | 'no-peer'
  | 'timeout'
  /** The connection was lost, and no other peer can serve the request. */
  | 'peer-lost'
  /** Too many requests are unanswered. */
  | 'busy'
  | 'too-long';

/** Inputs from an application to its node. */
export type ApplicationInput =
  /**
   * Send this request; the node sets its identifiers. One output, `answered` or `failed`, follows with the token within
   * `timeout` milliseconds.
   */
  | {
      readonly type: 'request';
      readonly token: Token;
      readonly message: DiameterMessage;
      readonly target: Target;
      readonly timeout: number;
    }
  /** Answers `serve`. The answer is sent unchanged. The node takes ownership and wipes its keys after it was sent. */
  | { readonly type: 'answer'; readonly token: Token; readonly message: DiameterMessage }
  /** Answers `serve` after an internal error: the peer gets UNABLE_TO_COMPLY. */
  | { readonly type: 'unserved'; readonly token: Token }
  /** The session has ended: drop stored answers that hold its keys. */
  | { readonly type: 'forgetKeys'; readonly sessionId: string }
  /** All sessions of this Origin-Host have ended. */
  | { readonly type: 'forgetKeysOf'; readonly origin: string };

/** Outputs from a node to its application. */
export type ApplicationOutput =
  /** An answer with any Result-Code. The application takes ownership, including keys. */
  | { readonly type: 'answered'; readonly token: Token; readonly message: DiameterMessage }
  | { readonly type: 'failed'; readonly token: Token; readonly code: RequestFailure; readonly text: string }
  /** A request from this peer. Answered by `answer` or `unserved`. */
  | { readonly type: 'serve'; readonly token: Token; readonly peer: string; readonly message: DiameterMessage };
