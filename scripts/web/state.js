/** Events that the page keeps. */
const MAX_LOG = 300;

/** What the daemon has sent: tables, ladders and events. Pure: it knows no document. */
export class PageState {
  daemon = '';
  columns = [];
  /** The daemon's clock minus the browser's, in milliseconds. */
  skew = 0;
  tables = new Map();
  ladders = new Map();
  log = [];
  /** Counts the changes of each table, of ladders and of the log. */
  versions = new Map();

  /** @param {object} snapshot @param {number} now the browser's clock in milliseconds */
  reset(snapshot, now) {
    this.daemon = snapshot.daemon;
    this.columns = snapshot.columns;
    this.skew = snapshot.now - now;
    this.tables = new Map(Object.entries(snapshot.tables).map(([name, rows]) => [name, new Map(rows)]));
    this.ladders = new Map(snapshot.ladders.map(({ head, rungs }) => [head.id, { head, rungs: [...rungs] }]));
    this.log = [...snapshot.log];
    for (const name of [...this.tables.keys(), 'ladders', 'log']) this.touch(name);
  }

  /** @param {object} change */
  change({ set, gone, ladders, ladderGone, log }) {
    for (const [name, rows] of Object.entries(set)) {
      const table = this.table(name);
      for (const [key, row] of rows) table.set(key, row);
      this.touch(name);
    }
    for (const [name, keys] of Object.entries(gone)) {
      const table = this.table(name);
      for (const key of keys) table.delete(key);
      this.touch(name);
    }
    for (const { head, from, rungs } of ladders) {
      const ladder = this.ladders.get(head.id) ?? { head, rungs: [] };
      ladder.head = head;
      // A change that the snapshot already contains is not added again.
      ladder.rungs.length = Math.min(ladder.rungs.length, from);
      ladder.rungs.push(...rungs);
      this.ladders.set(head.id, ladder);
    }
    for (const id of ladderGone) this.ladders.delete(id);
    if (ladders.length + ladderGone.length > 0) this.touch('ladders');
    if (log.length > 0) {
      this.log.push(...log);
      this.log.splice(0, Math.max(0, this.log.length - MAX_LOG));
      this.touch('log');
    }
  }

  table(name) {
    if (!this.tables.has(name)) this.tables.set(name, new Map());
    return this.tables.get(name);
  }

  rows(name) {
    return [...this.table(name).values()];
  }

  /** The value of a row with a name and a value. */
  value(table, name) {
    return this.table(table).get(name)?.value;
  }

  version(...names) {
    return names.map((name) => this.versions.get(name) ?? 0).join(' ');
  }

  touch(name) {
    this.versions.set(name, (this.versions.get(name) ?? 0) + 1);
  }
}

/** A number with thousands separators. */
export function grouped(number) {
  return number.toLocaleString('en');
}

/** Milliseconds as text, rounded down: `12.3 ms`, `4.5 s`, `45 s`, `59 min`, `8 h`, `3 d`. The commands print the same. */
export function duration(milliseconds) {
  const value = Math.max(0, milliseconds);
  if (value < 100) return `${Number(value.toFixed(1))} ms`;
  if (value < 1000) return `${Math.floor(value)} ms`;
  if (value < 10_000) return `${Math.floor(value / 100) / 10} s`;
  if (value < 120_000) return `${Math.floor(value / 1000)} s`;
  if (value < 2 * 3_600_000) return `${Math.floor(value / 60_000)} min`;
  if (value < 2 * 86_400_000) return `${Math.floor(value / 3_600_000)} h`;
  return `${Math.floor(value / 86_400_000)} d`;
}

/** A time as `2026-11-26 18:05:39` in the browser's time zone; with `of` on the same day, without the date. */
export function clock(at, of) {
  const parts = (time) => {
    const date = new Date(time);
    const two = (number) => String(number).padStart(2, '0');
    return [
      `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`,
      `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`,
    ];
  };
  const [day, time] = parts(at);
  return of !== undefined && parts(of)[0] === day ? time : `${day} ${time}`;
}

/** A counter such as `authentications{result=accepted}` in its parts. */
export function counterParts(name) {
  const [, base = name, labels = ''] = /^([^{]+)\{(.*)\}$/.exec(name) ?? [];
  const pairs = labels === '' ? [] : labels.split(',').map((pair) => pair.split('=', 2));
  return { base, labels: Object.fromEntries(pairs) };
}
