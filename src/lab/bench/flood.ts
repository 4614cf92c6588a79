import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { print, table } from '../../runtime/cli/cli.js';
import { quantile } from '../statistics.js';
import type { FloodFigures } from './flood-process.js';

const run = promisify(execFile);
const PROCESS = fileURLToPath(new URL('flood-process.js', import.meta.url));
const COST = fileURLToPath(new URL('pci-cost.js', import.meta.url));

/**
 * Measures bootstraps of nodes while PCIs arrive at these rates per second, in a network namespace that ends with its
 * process.
 */
export async function runFloodBench(rates: readonly number[]): Promise<void> {
  print('\n(e) nodes that start one after another during a flood of PCIs from 2^20 addresses:\n');
  const problem = await missing();
  if (problem === undefined) {
    const words = ['--net', process.execPath, PROCESS, ...rates.map(String)];
    const { stdout } = await run('unshare', words, { maxBuffer: 2 ** 24 });
    show(JSON.parse(stdout) as FloodFigures[]);
  } else print(`Skipped: ${problem}.`);
  const { stdout: cost } = await run(process.execPath, [COST]);
  print(
    `\nAn unanswered PCI costs ${Number(cost).toFixed(2)} µs of CPU, from the socket's message event through driver, machine and counters.`,
  );
}

async function missing(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'it requires Linux';
  if (process.getuid?.() !== 0) return 'it needs root, for raw sockets';
  try {
    await run('unshare', ['--net', 'ip', 'link', 'show', 'lo']);
    await run('cc', ['--version']);
  } catch (error) {
    return `it needs unshare, ip and cc (${(error as Error).message.trim().replaceAll(/\s+/g, ' ')})`;
  }
  return undefined;
}

function show(figures: readonly FloodFigures[]): void {
  const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(2)} s`;
  const megabytes = (octets: number) => `${(octets / 1024 / 1024).toFixed(0)} MB`;
  print(
    table(
      [
        'PCIS SENT',
        'READ PER SECOND',
        'AUTHORIZED',
        'MEDIAN',
        'P95',
        'NOT WITHIN 15 s',
        'CPU PAA',
        'MEMORY, FIRST',
        'MOST',
        'LAST',
      ],
      figures.map(({ rate, read, times, late, load, memory }) => [
        `${rate.toFixed(0)} a second`,
        read.toFixed(0),
        String(times.length),
        seconds(quantile(times, 0.5)),
        seconds(quantile(times, 0.95)),
        String(late),
        `${(load * 100).toFixed(0)} %`,
        megabytes(memory[0] ?? Number.NaN),
        megabytes(Math.max(...memory)),
        megabytes(memory.at(-1) ?? Number.NaN),
      ]),
    ),
  );
}
