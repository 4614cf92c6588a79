import { callDaemon } from '../runtime/service/control.js';
import { OperatorError } from '../runtime/system/failure.js';
import type { DaemonReading } from './result.js';

/** The value of a metric without labels in Prometheus text; NaN: there is none. */
export function metricOf(text: string, name: string): number {
  return Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1] ?? Number.NaN);
}

/** The sum of all series of a metric in Prometheus text. */
export function sumOf(text: string, name: string): number {
  let sum = 0;
  for (const [, value] of text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, 'gm'))) sum += Number(value);
  return sum;
}

/** Reads `NAME=SOCKET`: the control sockets of daemons on this host. Throws OperatorError. */
export function daemonSockets(words: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    words.map((word): [string, string] => {
      const at = word.indexOf('=');
      if (at < 1 || at === word.length - 1) {
        throw new OperatorError(`--daemon: "${word}" is not NAME=SOCKET, such as paa=/run/pana-paa/control.sock`);
      }
      return [word.slice(0, at), word.slice(at + 1)];
    }),
  );
}

/** CPU time and longest turn of daemons, from their metrics. */
export async function readDaemons(sockets: ReadonlyMap<string, string>): Promise<DaemonReading[]> {
  return Promise.all(
    [...sockets].map(async ([name, socket]) => {
      const text = String(await callDaemon(socket, 'GET', '/metrics'));
      return {
        name,
        cpu: metricOf(text, 'process_cpu_seconds_total') * 1000,
        longestTurn: metricOf(text, 'nodejs_eventloop_lag_max_seconds') * 1000,
      };
    }),
  );
}
