import { rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolder } from './folder.js';

/** A file of which only the newest content matters. It is replaced in the background, and whole after a crash. */
export class NewestFile {
  readonly #path: string;
  readonly #onError: (error: Error) => void;
  #writing: Promise<void> | undefined;
  /** The content to write after the current write. */
  #next: string | undefined;

  /** `onError` is called when a write fails. */
  constructor(path: string, onError: (error: Error) => void) {
    this.#path = path;
    this.#onError = onError;
  }

  /** Replaces the content. If the disk is slow, only the newest one is written. */
  write(content: string): void {
    this.#next = content;
    this.#writing ??= this.#drain();
  }

  /** Resolves when nothing is left to write. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  async #drain(): Promise<void> {
    for (let content = this.#next; content !== undefined; content = this.#next) {
      this.#next = undefined;
      try {
        await makeFolder(dirname(this.#path), 0o700);
        const temporary = `${this.#path}.new`;
        await writeFile(temporary, content, { mode: 0o600 });
        await rename(temporary, this.#path);
      } catch (error) {
        this.#onError(error as Error);
      }
    }
    this.#writing = undefined;
  }
}
