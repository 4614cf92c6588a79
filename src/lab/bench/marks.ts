import type { LoadResult } from '../../load/result.js';
import { table } from '../../runtime/cli/cli.js';
import type { PeerFigure } from './peers.js';

/** A figure with its mark, or why it was not measured. */
export interface Row {
  readonly name: string;
  readonly unit: string;
  /** `atMost` or `atLeast` the mark. */
  readonly direction: 'atMost' | 'atLeast';
  readonly mark: number;
  readonly aim: number | undefined;
  readonly value: number | undefined;
  /** Our figure and that of the peer behind a ratio, or why there is no value. */
  readonly detail: string;
}

export type Verdict = 'met' | 'aim met' | 'not met' | 'not measured';

export function verdictOf({ direction, mark, aim, value }: Pick<Row, 'direction' | 'mark' | 'aim' | 'value'>): Verdict {
  if (value === undefined || !Number.isFinite(value)) return 'not measured';
  const meets = (limit: number) => (direction === 'atMost' ? value <= limit : value >= limit);
  if (!meets(mark)) return 'not met';
  return aim !== undefined && meets(aim) ? 'aim met' : 'met';
}

export interface Ratio {
  readonly ours: number | undefined;
  readonly peer: PeerFigure | undefined;
}

/** A ratio to a peer, and both figures as text. */
export function ratioOf({ ours, peer }: Ratio): Pick<Row, 'value' | 'detail'> {
  if (ours === undefined || !Number.isFinite(ours)) return { value: undefined, detail: '' };
  const own = `${ours.toFixed(2)} ms`;
  if (peer === undefined) return { value: undefined, detail: `${own}; no peer` };
  if ('absent' in peer) return { value: undefined, detail: `${own}; ${peer.absent}` };
  return { value: ours / peer.milliseconds, detail: `${own} / ${peer.milliseconds.toFixed(2)} ms` };
}

/** CPU milliseconds of a daemon for one bootstrap. */
export function cpuOf(result: LoadResult | undefined, daemon: string): number | undefined {
  return result?.daemons.find(({ name }) => name === daemon)?.cpuPerBootstrap;
}

export function longestTurnOf(result: LoadResult | undefined, daemon: string): number | undefined {
  return result?.daemons.find(({ name }) => name === daemon)?.longestTurn;
}

/**
 * The median of all at once as a share of the time that all take: 0.5 if they finish evenly, near 1 if all finish together
 * at the end. Undefined if one failed.
 */
export function lockStepOf({ durations, perSecond, bootstraps, failed }: LoadResult): number | undefined {
  if (failed > 0 || !durations) return undefined;
  return durations.p50 / ((bootstraps / perSecond) * 1000);
}

/** Bootstraps per second as a share of what two cores could do if a bootstrap cost as much as one bare handshake. */
export function throughputShare(perSecond: number, handshakeCpu: number, cores = 2): number {
  return perSecond / (cores / (handshakeCpu / 1000));
}

export function rowsTable(rows: readonly Row[]): string {
  const number = (value: number | undefined) => (value === undefined ? '-' : String(Math.round(value * 100) / 100));
  return table(
    ['', 'FIGURE', 'UNIT', 'MARK', 'AIM', 'VERDICT', 'FROM'],
    rows.map((row) => [
      row.name,
      number(row.value),
      row.unit,
      `${row.direction === 'atMost' ? '≤' : '≥'} ${row.mark}`,
      number(row.aim),
      verdictOf(row),
      row.detail,
    ]),
  );
}
