import type { DiameterMessage } from '../wire/codec.js';
import type { ConnectionId, PeerOutput } from './alphabet.js';
import type { PeerCapabilities } from './capabilities.js';

/** A connection of the peer with a valid CER that has not been answered yet. */
export interface Introduced {
  readonly connection: ConnectionId;
  readonly cer: DiameterMessage;
  readonly address: Uint8Array;
  readonly peer: PeerCapabilities;
}

/** A second connection of a peer that claims to have restarted, while the first one is being checked. */
export interface Contender {
  readonly responded: Introduced;
  /** Hop-by-Hop of the DWR on the first connection. */
  readonly probe: number;
  readonly until: number;
}

export interface Open<Name extends string> {
  readonly name: Name;
  readonly connection: ConnectionId;
  readonly peer: PeerCapabilities;
  readonly contender: Contender | undefined;
}

/** The states of RFC 6733 5.6. `until`: when the state times out. `retryAt`: when this node connects again. */
export type State =
  | { readonly name: 'Closed'; readonly retryAt: number | undefined }
  | { readonly name: 'Wait-Conn-Ack'; readonly until: number }
  | { readonly name: 'Wait-I-CEA'; readonly until: number; readonly initiated: ConnectionId; readonly cer: number }
  | { readonly name: 'Wait-Conn-Ack/Elect'; readonly until: number; readonly responded: Introduced }
  | {
      readonly name: 'Wait-Returns';
      readonly until: number;
      readonly initiated: ConnectionId;
      /** Hop-by-Hop Identifier of the CER. */
      readonly cer: number;
      readonly responded: Introduced;
    }
  | Open<'I-Open'>
  | Open<'R-Open'>
  | {
      readonly name: 'Closing';
      readonly until: number;
      readonly connection: ConnectionId;
      /** Hop-by-Hop Identifier of the DPR; undefined: the peer sent DPR. */
      readonly dpr: number | undefined;
      /** Whether the peer asked not to be reconnected soon. */
      readonly unwanted: boolean;
    };

/** Whether a peer has restarted between two CERs (RFC 6733 8.16). */
export function hasRestarted(before: PeerCapabilities, after: PeerCapabilities): boolean {
  return (after.originStateId ?? 0) > (before.originStateId ?? 0) && (before.originStateId ?? 0) > 0;
}

/** The state if it has an open connection. */
export function openOf(state: State): Open<'I-Open'> | Open<'R-Open'> | undefined {
  return state.name === 'I-Open' || state.name === 'R-Open' ? state : undefined;
}

/** The deadline of a state. `watchdog`: the deadline of the watchdog, which applies while a connection is open. */
export function deadlineOf(state: State, watchdog: number | undefined): number | undefined {
  if (state.name === 'Closed') return state.retryAt;
  if ('until' in state) return state.until;
  const { contender } = state;
  return contender && (watchdog === undefined || contender.until < watchdog) ? contender.until : watchdog;
}

/** Outputs that abandon the attempt and close the connections of a state. */
export function endingOf(state: State): PeerOutput[] {
  const out: PeerOutput[] = [];
  if (state.name === 'Wait-Conn-Ack' || state.name === 'Wait-Conn-Ack/Elect') out.push({ type: 'abort' });
  if ('initiated' in state) out.push({ type: 'disconnect', connection: state.initiated });
  if ('responded' in state) out.push({ type: 'disconnect', connection: state.responded.connection });
  if (state.name === 'Closing') out.push({ type: 'disconnect', connection: state.connection });
  return out;
}
