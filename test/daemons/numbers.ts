import type { Lab } from '../../dist/lab/lab.js';
import { callDaemon } from '../../src/runtime/service/control.js';

/** What a daemon's metrics say now: the sum over all that begin with a name, which may have labels. */
export async function numbersOf(of: Lab, name: string): Promise<(metric: string) => number> {
  const text = String(await callDaemon(of.socket(name), 'GET', '/metrics'));
  return (metric) =>
    text
      .split('\n')
      .filter((line) => line.startsWith(metric) && !line.startsWith('#'))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}
