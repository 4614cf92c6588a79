import { spawn } from 'node:child_process';
import { type DaemonName, programOf } from '../../src/tool/daemon-process.js';

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one of the programs to its end. */
export function run(
  program: DaemonName | 'tool',
  parameters: readonly string[],
  { environment = {}, input = '' }: { environment?: Record<string, string>; input?: string | Uint8Array } = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [programOf(program), ...parameters], {
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment },
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.once('close', (status) => resolve({ status, stdout, stderr }));
    child.stdin.end(input);
  });
}
