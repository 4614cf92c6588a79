import type { Lab } from '../../dist/lab/lab.js';
import { callDaemon } from '../../src/runtime/service/control.js';

/** Reads a daemon's metrics; the result sums all series whose line starts with a name. */
export async function numbersOf(of: Lab, name: string): Promise<(metric: string) => number> {
  const text = String(await callDaemon(of.socket(name), 'GET', '/metrics'));
  return (metric) =>
    text
      .split('\n')
      .filter((line) => line.startsWith(metric) && !line.startsWith('#'))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}
