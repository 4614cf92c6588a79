import type { FeedEvent } from '../log/feed.js';
import { COLUMNS, type Daemon, type Ladder, type LadderHead, Ladders, type Rung } from './ladders.js';

/** A row of a table. A field of its own is JSON. */
export type Row = Readonly<Record<string, unknown>>;
/** A table: rows by key. */
export type Table = ReadonlyMap<string, Row>;

/** Events that are shown, and the longest value of one in characters. */
const MAX_LOG = 300;
const MAX_VALUE = 300;

/** The lowest level that the list of events shows. */
const SHOWN_LEVEL = 30;

/** Everything that a page shows. */
export interface Snapshot {
  readonly daemon: Daemon;
  readonly columns: readonly string[];
  /** Milliseconds since 1970, by the daemon's clock. */
  readonly now: number;
  readonly tables: Readonly<Record<string, readonly (readonly [key: string, row: Row])[]>>;
  readonly ladders: readonly { readonly head: LadderHead; readonly rungs: readonly Rung[] }[];
  readonly log: readonly FeedEvent[];
}

/** What has changed since the last snapshot or change. */
export interface Change {
  readonly now: number;
  readonly set: Readonly<Record<string, readonly (readonly [key: string, row: Row])[]>>;
  readonly gone: Readonly<Record<string, readonly string[]>>;
  /** Ladders with their new messages; `from`: how many messages come before these. */
  readonly ladders: readonly { readonly head: LadderHead; readonly from: number; readonly rungs: readonly Rung[] }[];
  readonly ladderGone: readonly number[];
  readonly log: readonly FeedEvent[];
}

interface KeptTable {
  readonly rows: Map<string, Row>;
  /** The rows as JSON, to see which have changed. */
  readonly texts: Map<string, string>;
  readonly changed: Set<string>;
}

/**
 * The view model of a page: tables of rows, the last authentications as ladders, and the last events. It collects changes,
 * so that many events cost one change. A machine without a clock. Its memory is bounded by that of the tables.
 */
export class Picture {
  readonly #daemon: Daemon;
  readonly #ladders: Ladders;
  readonly #tables = new Map<string, KeptTable>();
  readonly #log: FeedEvent[] = [];
  #freshEvents = 0;
  /** Changed ladders, and the number of messages of each that were sent. */
  readonly #changedLadders = new Set<Ladder>();
  readonly #sent = new Map<number, number>();
  readonly #goneLadders = new Set<number>();

  /** `panaSession`: the PANA session of a Diameter session, in the PAA. */
  constructor(daemon: Daemon, panaSession: (diameterSession: string) => string | undefined = () => undefined) {
    this.#daemon = daemon;
    this.#ladders = new Ladders(
      daemon,
      panaSession,
      (ladder) => this.#changedLadders.add(ladder),
      (ladder) => {
        this.#changedLadders.delete(ladder);
        if (this.#sent.delete(ladder.head.id)) this.#goneLadders.add(ladder.head.id);
      },
    );
  }

  handle(event: FeedEvent): void {
    this.#ladders.handle(event);
    if (event.level < SHOWN_LEVEL) return;
    this.#log.push(shortened(event));
    if (this.#log.length > MAX_LOG) this.#log.shift();
    this.#freshEvents = Math.min(MAX_LOG, this.#freshEvents + 1);
  }

  /** Replaces a table. Rows that are equal to those before are no change. */
  replace(name: string, rows: Iterable<readonly [key: string, row: Row]>): void {
    const table = this.#table(name);
    const left = new Set(table.rows.keys());
    for (const [key, row] of rows) {
      left.delete(key);
      const text = JSON.stringify(row);
      if (table.texts.get(key) === text) continue;
      table.rows.set(key, row);
      table.texts.set(key, text);
      table.changed.add(key);
    }
    for (const key of left) {
      table.rows.delete(key);
      table.texts.delete(key);
      table.changed.add(key);
    }
  }

  snapshot(now: number): Snapshot {
    const tables = Object.fromEntries([...this.#tables].map(([name, { rows }]) => [name, [...rows]]));
    const ladders = this.#ladders.all().map(({ head, rungs }) => ({ head, rungs }));
    return { daemon: this.#daemon, columns: COLUMNS[this.#daemon], now, tables, ladders, log: this.#log };
  }

  /** Returns what has changed since the last call; undefined: nothing. */
  take(now: number): Change | undefined {
    const set: Record<string, (readonly [string, Row])[]> = {};
    const gone: Record<string, string[]> = {};
    let isChanged = this.#freshEvents > 0 || this.#changedLadders.size > 0 || this.#goneLadders.size > 0;
    for (const [name, { rows, changed }] of this.#tables) {
      if (changed.size === 0) continue;
      isChanged = true;
      set[name] = [...changed].flatMap((key): [string, Row][] => {
        const row = rows.get(key);
        return row ? [[key, row]] : [];
      });
      gone[name] = [...changed].filter((key) => !rows.has(key));
      changed.clear();
    }
    const log = this.#log.slice(this.#log.length - this.#freshEvents);
    this.#freshEvents = 0;
    const ladders = [...this.#changedLadders].map(({ head, rungs }) => {
      const from = this.#sent.get(head.id) ?? 0;
      this.#sent.set(head.id, rungs.length);
      return { head, from, rungs: rungs.slice(from) };
    });
    const ladderGone = [...this.#goneLadders];
    this.#changedLadders.clear();
    this.#goneLadders.clear();
    return isChanged ? { now, set, gone, ladders, ladderGone, log } : undefined;
  }

  #table(name: string): KeptTable {
    const known = this.#tables.get(name);
    if (known) return known;
    const table = { rows: new Map(), texts: new Map(), changed: new Set<string>() };
    this.#tables.set(name, table);
    return table;
  }
}

/** Cuts long values, of which a page shows only the beginning. */
function shortened(event: FeedEvent): FeedEvent {
  const long = Object.entries(event).filter(([, value]) => typeof value === 'string' && value.length > MAX_VALUE);
  if (long.length === 0) return event;
  const cut = long.map(([name, value]) => [name, `${String(value).slice(0, MAX_VALUE)}…`]);
  return { ...event, ...Object.fromEntries(cut) };
}
