import type { FeedEvent } from '../log/feed.js';
import { COLUMNS, type Daemon, type Ladder, type LadderHead, Ladders, type Rung } from './ladders.js';

/** A row of a table. A field of its own is JSON. */
export type Row = Readonly<Record<string, unknown>>;
/** A table: rows by key. */
export type Table = ReadonlyMap<string, Row>;

/** Events that are shown, and the longest value of one in characters. */
const MAX_LOG = 300;
const MAX_VALUE = 300;

/** Rows of tables in one message: with rows as long as sessions have, fewer octets than Live lets wait unread. */
export const MAX_ROWS = 500;

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
  readonly changed: Set<string>;
}

/** A table that is being replaced, row by row. */
export interface Replacement {
  set(key: string, row: Row): void;
  /** Drops the rows that were not set. */
  end(): void;
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
    const replacement = this.replacement(name);
    for (const [key, row] of rows) replacement.set(key, row);
    replacement.end();
  }

  /** Replaces a table in several steps. */
  replacement(name: string): Replacement {
    const { rows, changed } = this.#table(name);
    const left = new Set(rows.keys());
    return {
      set: (key, row) => {
        left.delete(key);
        const before = rows.get(key);
        if (before !== undefined && isSame(before, row)) return;
        rows.set(key, row);
        changed.add(key);
      },
      end: () => {
        for (const key of left) if (rows.delete(key)) changed.add(key);
      },
    };
  }

  /** Forgets which rows have changed. For when every page gets the whole state. */
  settle(): void {
    for (const { changed } of this.#tables.values()) changed.clear();
  }

  /** Forgets the tables, so that they take no memory while nobody looks. */
  clear(): void {
    this.#tables.clear();
  }

  /**
   * The state in messages of limited size: a snapshot, then changes with the rows that it has no room for. Each has the
   * rows as they are when it is asked for. `now`: the daemon's clock.
   */
  *messages(now: () => number): Generator<Snapshot | Change, void, undefined> {
    let isFirst = true;
    for (const set of parts(this.#tables)) {
      if (isFirst) yield this.snapshot(now(), set);
      else yield { now: now(), set, gone: {}, ladders: [], ladderGone: [], log: [] };
      isFirst = false;
    }
  }

  /** `tables`: their rows, or the first of them. Default: all. */
  snapshot(now: number, tables: Snapshot['tables'] = allRows(this.#tables)): Snapshot {
    const ladders = this.#ladders.all().map(({ head, rungs }) => ({ head, rungs }));
    return { daemon: this.#daemon, columns: COLUMNS[this.#daemon], now, tables, ladders, log: this.#log };
  }

  /** Returns what has changed since the last call, at most MAX_ROWS rows of it; undefined: nothing. */
  take(now: number): Change | undefined {
    const set: Record<string, (readonly [string, Row])[]> = {};
    const gone: Record<string, string[]> = {};
    let isChanged = this.#freshEvents > 0 || this.#changedLadders.size > 0 || this.#goneLadders.size > 0;
    let room = MAX_ROWS;
    for (const [name, { rows, changed }] of this.#tables) {
      const keys = [...changed].slice(0, room);
      if (keys.length === 0) continue;
      isChanged = true;
      room -= keys.length;
      for (const key of keys) changed.delete(key);
      set[name] = keys.flatMap((key): [string, Row][] => {
        const row = rows.get(key);
        return row ? [[key, row]] : [];
      });
      gone[name] = keys.filter((key) => !rows.has(key));
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
    const table = { rows: new Map(), changed: new Set<string>() };
    this.#tables.set(name, table);
    return table;
  }
}

type RowsOf = Record<string, (readonly [key: string, row: Row])[]>;

function allRows(tables: ReadonlyMap<string, KeptTable>): RowsOf {
  return Object.fromEntries([...tables].map(([name, { rows }]) => [name, [...rows]]));
}

/** All rows, at most MAX_ROWS at a time. Rows that come meanwhile are among them. */
function* parts(tables: ReadonlyMap<string, KeptTable>): Generator<RowsOf, void, undefined> {
  let part: RowsOf = {};
  let room = MAX_ROWS;
  for (const [name, { rows }] of tables) {
    part[name] = [];
    for (const row of rows) {
      part[name]?.push(row);
      room -= 1;
      if (room > 0) continue;
      yield part;
      part = { [name]: [] };
      room = MAX_ROWS;
    }
  }
  yield part;
}

/** Whether two rows show the same. Objects in them must be new ones when they change. */
function isSame(a: Row, b: Row): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => isSameValue(a[name], b[name]));
}

function isSameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  return typeof a === 'object' && typeof b === 'object' && JSON.stringify(a) === JSON.stringify(b);
}

/** Cuts long values, of which a page shows only the beginning. */
function shortened(event: FeedEvent): FeedEvent {
  const long = Object.entries(event).filter(([, value]) => typeof value === 'string' && value.length > MAX_VALUE);
  if (long.length === 0) return event;
  const cut = long.map(([name, value]) => [name, `${String(value).slice(0, MAX_VALUE)}…`]);
  return { ...event, ...Object.fromEntries(cut) };
}
