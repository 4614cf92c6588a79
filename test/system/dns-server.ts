import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { onTestFinished } from 'vitest';
import type { Lab } from '../../dist/lab/lab.js';
import { eventually } from '../eventually.js';
import { type AccessNetwork, ROUTER } from './access-network.js';

/** Starts dnsmasq on the router, with these lines of configuration. It is stopped by `stop` or with the test. */
export async function startDns(
  net: AccessNetwork,
  lab: Lab,
  lines: readonly string[],
): Promise<{ stop: () => Promise<void> }> {
  const path = lab.path('dnsmasq.conf');
  const own = ['no-resolv', 'no-hosts', 'no-daemon', 'user=root', 'pid-file=', 'local-ttl=300', 'bind-interfaces'];
  const text = [...own, `listen-address=${ROUTER}`, 'log-facility=-', ...lines].join('\n');
  await writeFile(path, `${text}\n`);
  const words = ['netns', 'exec', net.router, 'dnsmasq', '-C', path];
  const child: ChildProcess = spawn('ip', words, { stdio: ['ignore', 'ignore', 'pipe'] });
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
  onTestFinished(stop);
  let output = '';
  child.stderr?.on('data', (chunk) => (output += String(chunk)));
  await eventually(() => {
    if (!output.includes('started, version')) throw new Error(`dnsmasq did not start: ${output}`);
  });
  return { stop };
}
