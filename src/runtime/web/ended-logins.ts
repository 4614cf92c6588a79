import { open } from 'node:fs/promises';
import { NewestFile } from '../system/newest-file.js';
import type { EndedLogin } from './login.js';

/** Largest file that is read, in octets. */
const MAX_FILE = 1024 * 1024;

const LINE = /^([\w-]{22}) (\d{1,16})$/;

/**
 * The logins that operators ended, in a file beside that of the token, so that a copied cookie stays invalid after a
 * restart. A line is a login and the time until which it would be valid. Who reads the file cannot make a cookie of it.
 */
export class EndedLogins {
  readonly #path: string;
  readonly #file: NewestFile;

  /** `onError` is called when the file cannot be written. */
  constructor(tokenPath: string, onError: (error: Error) => void) {
    this.#path = `${tokenPath}-ended`;
    this.#file = new NewestFile(this.#path, onError);
  }

  /** The logins of the last run. Other lines are ignored. Rejects with the system's error. */
  async read(): Promise<EndedLogin[]> {
    const file = await open(this.#path, 'r').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (!file) return [];
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_FILE), 0, MAX_FILE, 0);
      const lines = buffer.toString('latin1', 0, bytesRead).split('\n');
      return lines.flatMap((line): EndedLogin[] => {
        const [, nonce, until] = LINE.exec(line) ?? [];
        return nonce === undefined ? [] : [[nonce, Number(until)]];
      });
    } finally {
      await file.close();
    }
  }

  write(ended: readonly EndedLogin[]): void {
    this.#file.write(ended.map(([nonce, until]) => `${nonce} ${until}\n`).join(''));
  }

  /** Resolves when nothing is left to write. */
  async settled(): Promise<void> {
    await this.#file.settled();
  }
}
