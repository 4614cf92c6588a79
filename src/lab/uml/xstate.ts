import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { OperatorError } from '../../runtime/system/failure.js';

const run = promisify(execFile);

/** Its head says what it does. */
const SOURCE = fileURLToPath(new URL('../../../scripts/uml/xstate.c', import.meta.url));

/**
 * Builds in a folder the shared object that user-mode Linux needs on this processor. Resolves with its path; undefined:
 * none is needed. Rejects with OperatorError if there is no C compiler.
 */
export async function xstateShim(folder: string): Promise<string | undefined> {
  return needsShim(await readFile('/proc/cpuinfo', 'utf8')) ? buildShim(folder) : undefined;
}

/** Whether processors with this description, that of /proc/cpuinfo, have AMX. */
export function needsShim(processors: string): boolean {
  return /^flags\s*:.*\bamx_tile\b/m.test(processors);
}

/** Resolves with the path of the shared object. */
export async function buildShim(folder: string): Promise<string> {
  const object = join(folder, 'xstate.so');
  try {
    await run('cc', ['-shared', '-fPIC', '-O2', '-o', object, SOURCE]);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'install gcc and libc6-dev' : message;
    throw new OperatorError(`this processor has AMX, for which user-mode Linux needs ${SOURCE}, compiled: ${why}`);
  }
  return object;
}
