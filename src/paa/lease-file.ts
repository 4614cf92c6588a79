import { readFile } from 'node:fs/promises';
import type { LocalLease } from '../protocol/nas/local-home-agent.js';
import { OperatorError } from '../runtime/system/failure.js';
import { NewestFile } from '../runtime/system/newest-file.js';

/**
 * Stores the home addresses that the local home agent has assigned. A PAA loses its sessions at a restart and then
 * releases these addresses.
 */
export class LeaseFile {
  readonly #path: string;
  readonly #file: NewestFile;

  /** `onError` is called when a write fails. The PAA continues, because it needs the file only after a restart. */
  constructor(path: string, onError: (error: Error) => void) {
    this.#path = path;
    this.#file = new NewestFile(path, onError);
  }

  /** The leases of the previous run. Rejects with OperatorError if the file is invalid, or with the system's error. */
  async read(): Promise<LocalLease[]> {
    const text = await readFile(this.#path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '[]';
      throw error;
    });
    try {
      const leases = JSON.parse(text) as LocalLease[];
      return leases.filter(({ homeAddress, mnId }) => typeof homeAddress === 'string' && typeof mnId === 'string');
    } catch {
      throw new OperatorError(`${this.#path} is not a lease file of this daemon: remove it`);
    }
  }

  /** Writes the leases in the background. If the disk is slow, only the newest state is written. */
  write(leases: readonly LocalLease[]): void {
    this.#file.write(JSON.stringify(leases));
  }
}
