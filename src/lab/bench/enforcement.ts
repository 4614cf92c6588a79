import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { print, table } from '../../runtime/cli/cli.js';
import { quantile } from '../statistics.js';
import type { EnforcementFigures } from './enforcement-process.js';

const run = promisify(execFile);
const PROCESS = fileURLToPath(new URL('enforcement-process.js', import.meta.url));

/** Measures permits of many clients with ep-nft.sh, in a network namespace that ends with its process. */
export async function runEnforcementBench(clients: number): Promise<void> {
  print(`\n(d) the enforcement point, ep-nft.sh with ${clients} clients on a link in a network namespace:\n`);
  const unshare = ['--net', ...(process.getuid?.() === 0 ? [] : ['--map-root-user'])];
  const problem = await missing(unshare);
  if (problem !== undefined) {
    print(`Skipped: ${problem}.`);
    return;
  }
  const { stdout } = await run('unshare', [...unshare, process.execPath, PROCESS, String(clients)], {
    maxBuffer: 2 ** 24,
  });
  show(clients, JSON.parse(stdout) as EnforcementFigures);
}

async function missing(unshare: readonly string[]): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'it requires Linux';
  try {
    await run('unshare', [...unshare, 'ip', 'link', 'show', 'lo']);
    await run('unshare', [...unshare, 'nft', 'list', 'tables']);
  } catch (error) {
    const { message } = error as Error;
    return `it needs root, unshare, ip and nft (${message.trim().replaceAll(/\s+/g, ' ')})`;
  }
  return undefined;
}

function show(clients: number, { alone, batched, one }: EnforcementFigures): void {
  const rate = (milliseconds: number) => (clients / milliseconds) * 1000;
  const row = (name: string, milliseconds: number) => [
    name,
    String(clients),
    `${(milliseconds / 1000).toFixed(2)} s`,
    rate(milliseconds).toFixed(0),
  ];
  print(
    table(
      ['PERMITS ALL AT ONCE', 'COUNT', 'TIME', 'PER SECOND'],
      [row('a run for each, 8 at a time', alone), row('in batches', batched)],
    ),
  );
  print(`\nBatches are ${(alone / batched).toFixed(1)} times as fast.`);
  const after = (part: number) => `${quantile(one, part).toFixed(1)} ms`;
  print(
    `One permit at a time, ${one.length} times, ${clients} clients permitted: effective after ${after(0.5)} (median), ${after(0.99)} (99th percentile).`,
  );
}
