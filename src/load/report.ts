import { table } from '../runtime/cli/cli.js';
import type { LoadPlan } from './plan.js';
import type { Interval, LoadResult } from './result.js';
import type { Durations } from './tally.js';

/** Share of a core from which this process may be what limits the rate. */
const BUSY = 0.85;

/** One line about the last interval. */
export function progressLine({
  seconds,
  perSecond,
  durations,
  done,
  failed,
  inProgress,
  sessions,
  ownCpu,
}: Interval): string {
  const times = durations ? `p50 ${ms(durations.p50)}, p99 ${ms(durations.p99)}` : 'none finished';
  return [
    `${seconds.toFixed(0)} s`,
    `${done} bootstraps`,
    `${perSecond.toFixed(0)}/s`,
    times,
    `${inProgress} in progress`,
    `${sessions} sessions`,
    `${failed} failed`,
    `own CPU ${percent(ownCpu)}`,
  ].join('  ');
}

/** The result for people. */
export function resultText(result: LoadResult, plan: LoadPlan, certificates: number): string {
  const { bootstraps, seconds, perSecond, durations, failed, retries, resumed, withoutHomeAddress, skipped, own } =
    result;
  const lines = [
    `${bootstraps} bootstraps in ${seconds.toFixed(1)} s: ${perSecond.toFixed(1)}/s${result.interrupted ? ' (interrupted)' : ''}`,
    '',
    ...timesTable([
      ['bootstrap, PCI to PAN[C]', durations],
      ...(retries > 0 ? [['its last attempt alone', result.lastAttempts] as const] : []),
      ['move', result.movements],
      ['re-authentication', result.reauthentications],
    ]),
    '',
    `TLS sessions resumed: ${resumed}. Most sessions at once: ${result.sessions.most}.`,
    ...(withoutHomeAddress > 0 ? [`Without a home address: ${withoutHomeAddress}.`] : []),
    ...(skipped > 0 ? [`Not begun, because all ${plan.nodes} nodes (--nodes) had a session: ${skipped}.`] : []),
    ...(result.sessions.unanswered > 0
      ? [`Ended without an answer of the PAA: ${result.sessions.unanswered} sessions.`]
      : []),
    ...(retries > 0 ? [`Attempts repeated, because no AAA server answered them: ${retries}.`] : []),
    `Failed: ${failed}.`,
    ...reasons(result.failures),
    ...(result.lost.length > 0 ? ['Sessions lost:', ...reasons(result.lost)] : []),
    ...hints(result, plan, certificates),
    '',
    `Own CPU: ${percent(own.cpuShare)} of a core, ${ms(own.cpuPerBootstrap)} per bootstrap; memory ${megabytes(own.memory)}.`,
    ...result.daemons.map(
      ({ name, cpuPerBootstrap, longestTurn }) =>
        `CPU of ${name}: ${ms(cpuPerBootstrap)} per bootstrap; longest turn of its event loop ${ms(longestTurn)}.`,
    ),
  ];
  return lines.join('\n');
}

function timesTable(rows: readonly (readonly [string, Durations | undefined])[]): string[] {
  const known = rows.flatMap(([name, times]) => (times ? [{ name, ...times }] : []));
  if (known.length === 0) return ['Nothing was measured.'];
  return [
    table(
      ['', 'COUNT', 'MEAN', 'P50', 'P95', 'P99', 'MAX'],
      known.map(({ name, count, mean, p50, p95, p99, max }) => [
        name,
        String(count),
        ...[mean, p50, p95, p99, max].map(ms),
      ]),
    ),
  ];
}

function reasons(list: LoadResult['failures']): string[] {
  return list.map(({ reason, count, example }) => `  ${count} × ${reason}${example === reason ? '' : ` (${example})`}`);
}

/** What a reader should know before he believes the figures. */
function hints(
  { own, late, failures, lost }: LoadResult,
  { arrivals, timeout, nodes }: LoadPlan,
  certificates: number,
): string[] {
  const hints: string[] = [];
  if (own.cpuShare > BUSY) hints.push('This process used its core fully: the PAA may be faster. Run several at once.');
  if (arrivals.type === 'rate' && late && late.p99 > 100) {
    hints.push(
      `Bootstraps began late (p99 ${ms(late.p99)}): this host is too slow for this rate. The times include it.`,
    );
  }
  if (certificates < nodes && lost.some(({ reason }) => reason === 'terminated-by-paa')) {
    hints.push(`${nodes} nodes share ${certificates} certificates: the server ends older sessions of a subscriber.`);
  }
  if (failures.some(({ reason }) => reason === 'no answer to PCI')) {
    hints.push(
      `No answer to PCI within ${timeout / 1000} s: wrong address or port, or pana.limits (pci-per-address) of the PAA; see --local.`,
    );
  }
  return hints;
}

function ms(milliseconds: number): string {
  if (!Number.isFinite(milliseconds)) return '-';
  return `${milliseconds.toFixed(milliseconds < 100 ? 2 : 0)} ms`;
}

const percent = (share: number) => `${(share * 100).toFixed(0)} %`;
const megabytes = (octets: number) => `${(octets / 1024 / 1024).toFixed(0)} MB`;
