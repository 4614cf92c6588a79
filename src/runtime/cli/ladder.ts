import type { FeedEvent } from '../log/feed.js';

/** A line of a daemon's log in JSON. */
export type LogLine = FeedEvent;

/** A message between two of the three columns. */
export interface Rung {
  readonly at: number;
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

const COLUMNS = ['mobile node', 'access router', 'home network'];
const WIDTH = 34;
const TIME_WIDTH = 9;

/** Diameter messages that belong to a session; messages between peers (CER, DWR, DPR) are left out. */
const SESSION_MESSAGES = new Set(['DER', 'DEA', 'STR', 'STA']);

/** The PANA messages of the PaC and the Diameter messages of the PAA, ordered by time. */
export function rungs(pac: readonly LogLine[], paa: readonly LogLine[]): Rung[] {
  const all: Rung[] = [];
  for (const line of pac) {
    if ((line.msg !== 'message sent' && line.msg !== 'message received') || typeof line['message'] !== 'string')
      continue;
    const out = line.msg === 'message sent';
    all.push({ at: line.at, from: out ? 0 : 1, to: out ? 1 : 0, text: bothNames(line) });
  }
  const [begin = 0] = all.map(({ at }) => at);
  for (const line of paa) {
    const name = String(line['message'] ?? '');
    if (
      (line.msg !== 'message sent' && line.msg !== 'message received') ||
      !SESSION_MESSAGES.has(name) ||
      line.at < begin
    )
      continue;
    const out = line.msg === 'message sent';
    const result = typeof line['resultCode'] === 'string' ? ` ${line['resultCode']}` : '';
    all.push({ at: line.at, from: out ? 1 : 2, to: out ? 2 : 1, text: `${name}${result}` });
  }
  return all.sort((a, b) => a.at - b.at);
}

/** The names of a message in RFC 5191 and in the paper, if they differ. */
function bothNames(line: LogLine): string {
  const rfc = String(line['message']);
  const paper = String(line['paper'] ?? rfc);
  return rfc === paper ? rfc : `${rfc} / ${paper}`;
}

/** Formats the ladder; times are milliseconds since the first message. `least`: the least width of a column. */
export function drawLadder(all: readonly Rung[], columns: readonly string[] = COLUMNS, least = WIDTH): string {
  const width = Math.max(least, ...columns.map((name) => name.length + 2));
  const [begin = 0] = all.map(({ at }) => at);
  const head = `${'ms'.padStart(TIME_WIDTH)}  ${columns.map((name) => name.padEnd(width)).join('')}`;
  const lines = all.map(({ at, from, to, text }) => {
    const time = (at - begin).toFixed(1).padStart(TIME_WIDTH);
    const left = ' '.repeat(width * Math.min(from, to));
    const room = width * Math.abs(to - from) - 4;
    const label = ` ${text.slice(0, room - 4)} `;
    const dashes = '-'.repeat(Math.max(2, room - label.length));
    return `${time}  ${left}${from < to ? `|--${label}${dashes}>` : `|<-${label}${dashes}-`}|`;
  });
  return [head.trimEnd(), ...lines].join('\n');
}
