import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { print } from '../../runtime/cli/cli.js';
import { compareWays, runNetworkLab } from './network-lab.js';
import type { LabChoices } from './options.js';
import { report } from './report.js';
import { waysReport } from './ways-report.js';

/** `pana-mip6 lab`. */
export async function labCommand(
  choices: LabChoices,
  { wait, json }: { readonly wait: boolean; readonly json: boolean },
): Promise<void> {
  const interruption = new AbortController();
  // Further signals must not interrupt the clean-up.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interruption.abort());
  const say = (text: string) => {
    if (json) process.stderr.write(`${text}\n`);
    else print(text);
  };
  const look = async (commands: string) => {
    say(`\nTo inspect the lab, run in another terminal:\n${commands}\n\nPress Enter to end the session and clean up.`);
    const input = createInterface({ input: process.stdin });
    await Promise.race([once(input, 'line'), once(input, 'close')]);
    input.close();
  };
  if (choices.ways !== undefined) {
    const results = await compareWays({ choices, say, signal: interruption.signal }, choices.ways);
    print(json ? JSON.stringify({ items: results }) : `\n${waysReport(results)}`);
    if (results.some(({ result }) => result === 'no')) process.exitCode = 1;
    return;
  }
  const findings = await runNetworkLab({ choices, say, signal: interruption.signal, ...(wait ? { look } : {}) });
  print(json ? JSON.stringify({ items: findings }) : `\n${report(findings)}`);
  if (findings.some(({ result }) => result === 'no')) process.exitCode = 1;
}
