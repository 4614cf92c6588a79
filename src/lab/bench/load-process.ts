import { spawn } from 'node:child_process';
import type { LoadResult } from '../../load/result.js';
import { programOf } from '../daemon-process.js';
import { type Place, REALM } from '../lab.js';

/** `pana-mip6 load` as a process of its own, so that its CPU does not disturb the measurement. */
export class LoadProcess {
  readonly result: Promise<LoadResult>;
  readonly pid: number | undefined;

  /** `pki`: the folder of the nodes' certificates. */
  constructor(paa: Place, pki: string, flags: readonly string[]) {
    const target = ['--paa', paa.address, '--port', String(paa.port), '--pki', pki, '--server-name', REALM];
    const child = spawn(process.execPath, [programOf('tool'), 'load', ...target, '--json', '--quiet', ...flags], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.pid = child.pid;
    let output = '';
    let errors = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    child.stderr.on('data', (chunk) => {
      errors += chunk;
    });
    this.result = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (status) => {
        // Status 1: some bootstraps failed, which the result says too.
        if (status === 0 || status === 1) resolve(JSON.parse(output) as LoadResult);
        else reject(new Error(`pana-mip6 load: status ${status}\n${errors}`));
      });
    });
  }
}
