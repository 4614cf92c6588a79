import { spawn } from 'node:child_process';
import { type DaemonName, programOf } from '../../dist/lab/daemon-process.js';

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; `launcher` is a command prefix. */
export function run(
  program: DaemonName | 'tool',
  parameters: readonly string[],
  {
    environment = {},
    input = '',
    launcher = [],
  }: { environment?: Record<string, string>; input?: string | Uint8Array; launcher?: readonly string[] } = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    const [command = '', ...rest] = [...launcher, process.execPath, programOf(program), ...parameters];
    const child = spawn(command, rest, {
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
