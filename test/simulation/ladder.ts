import type { Step } from './trace.js';

/** The number of steps in a ladder. */
const SHOWN = 120;

/** The last steps as a ladder over all hosts. */
export function ladder(steps: readonly Step[], shown = SHOWN): string {
  const last = steps.slice(-shown);
  const hosts = [...new Set(last.flatMap(({ from, to }) => [from, to]))];
  const width = Math.max(...hosts.map((host) => host.length), 4);
  return last
    .map(({ at, from, to, text }) => {
      const seconds = (at / 1000).toFixed(3).padStart(10);
      const words = typeof text === 'string' ? text : text();
      const arrow = from === to ? `${' '.repeat(width + 4)}` : `--> ${to.padEnd(width)}`;
      return `${seconds}  ${from.padEnd(width)} ${arrow}  ${words}`;
    })
    .join('\n');
}
