import type { DiameterMessage } from '../wire/codec.js';

/** Names a request. Each side of the node gives its own requests numbers; one that is in use is not given again. */
export type Token = number;

/** Where a request goes. */
export interface Target {
  /** Peers to try, the best first; undefined: routing decides. */
  readonly peers?: readonly string[] | undefined;
  /** For routing; undefined: the message's own Destination-Host and Destination-Realm. */
  readonly destinationHost?: string | undefined;
  readonly realm?: string | undefined;
}

/** Why a request got no answer. */
export type RequestFailure =
  /** No peer that serves the realm is connected, or the node stops. */
  | 'no-peer'
  | 'timeout'
  /** The connection was lost, and no other peer can be asked. */
  | 'peer-lost'
  /** Too many requests wait for answers already. */
  | 'busy'
  | 'too-long';

/** What an application tells its node. */
export type ApplicationInput =
  /**
   * Send this request; the node gives it its identifiers. One output, `answered` or `failed`, follows with the token, at the
   * latest after `timeout` milliseconds.
   */
  | {
      readonly type: 'request';
      readonly token: Token;
      readonly message: DiameterMessage;
      readonly target: Target;
      readonly timeout: number;
    }
  /** The answer to `serve`, sent as it is. The node takes it over: its keys are overwritten once it is sent. */
  | { readonly type: 'answer'; readonly token: Token; readonly message: DiameterMessage }
  /** `serve` has no answer, since something of ours failed: the peer gets UNABLE_TO_COMPLY. */
  | { readonly type: 'unserved'; readonly token: Token }
  /** The session is over: answers that are kept for repeated requests hold its keys no longer. */
  | { readonly type: 'forgetKeys'; readonly sessionId: string }
  /** All sessions of this Origin-Host are over. */
  | { readonly type: 'forgetKeysOf'; readonly origin: string };

/** What a node tells its application. */
export type ApplicationOutput =
  /** An answer, whatever its Result-Code. The application takes it over, with the keys that it may hold. */
  | { readonly type: 'answered'; readonly token: Token; readonly message: DiameterMessage }
  | { readonly type: 'failed'; readonly token: Token; readonly code: RequestFailure; readonly text: string }
  /** A request of this peer for an application of ours; `answer` or `unserved` is due. */
  | { readonly type: 'serve'; readonly token: Token; readonly peer: string; readonly message: DiameterMessage };
