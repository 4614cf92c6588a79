import type { Logger } from '../log/events.js';
import type { EventFeed } from '../log/feed.js';
import type { Guard } from '../service/barrier.js';
import type { Host } from '../system/host.js';
import type { Daemon } from './ladders.js';
import type { Row } from './picture.js';
import type { WebActions } from './web-server.js';

export type Rows = Iterable<readonly [key: string, row: Row]>;

/** What the page of a daemon shows and does. */
export interface WebPage extends WebActions {
  readonly daemon: Daemon;
  /** Tables of the daemon's state by name. They are read again and again while a page is open. */
  readonly tables: Readonly<Record<string, () => Rows | Promise<Rows>>>;
  /** The PANA session of a Diameter session, in the PAA. */
  readonly panaSession?: (diameterSession: string) => string | undefined;
}

export interface WebTools {
  readonly feed: EventFeed;
  readonly log: Logger;
  readonly guard: Guard;
  readonly host: Host;
}
