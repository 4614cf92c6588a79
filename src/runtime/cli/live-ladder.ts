import type { FeedEvent } from '../log/feed.js';
import { visible } from '../system/terminal.js';
import { drawLadder, type Rung } from './ladder.js';

/** Columns of a line that the time takes, and the narrowest column of the ladder. */
const TIME = 11;
const NARROWEST = 20;

/** Where the messages of a daemon go. */
export interface LadderColumns {
  readonly names: readonly string[];
  /** The columns of the client, if there is one, of this daemon, and of the Diameter peers. */
  readonly client?: number;
  readonly own: number;
  readonly peers: number;
}

/** The messages among the events of one daemon as a ladder that fits the width of the terminal. */
export function liveLadder(events: readonly FeedEvent[], columns: LadderColumns, width: number): string[] {
  const rungs = events.flatMap((event): Rung[] => {
    const { msg, message, peer, address, at } = event;
    const isOut = msg === 'message sent';
    if ((!isOut && msg !== 'message received') || message === undefined) return [];
    // Messages of peers without a session only watch the connection.
    if (peer !== undefined && (event.diameterSession ?? event.session) === undefined) return [];
    const other = peer === undefined ? columns.client : columns.peers;
    if (other === undefined) return [];
    const [from, to] = isOut ? [columns.own, other] : [other, columns.own];
    const result = event.resultCode === undefined ? '' : ` ${event.resultCode}`;
    return [{ at, from, to, text: visible(`${message}${result} ${peer ?? address ?? ''}`) }];
  });
  const room = Math.max(NARROWEST, Math.floor((width - TIME) / columns.names.length));
  return drawLadder(rungs, columns.names, room).split('\n');
}
