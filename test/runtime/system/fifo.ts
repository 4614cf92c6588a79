import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A named pipe that is open at both ends and is read only on demand. It is removed when its test ends. */
export class Fifo {
  readonly path: string;
  readonly reader: number;
  readonly writer: number;

  constructor() {
    const folder = mkdtempSync(join(tmpdir(), 'pana-fifo-'));
    this.path = join(folder, 'fifo');
    execFileSync('mkfifo', [this.path]);
    this.reader = openSync(this.path, constants.O_RDONLY | constants.O_NONBLOCK);
    this.writer = openSync(this.path, constants.O_WRONLY | constants.O_NONBLOCK);
    onTestFinished(() => {
      closeSync(this.reader);
      closeSync(this.writer);
      rmSync(folder, { recursive: true, force: true });
    });
  }

  /** Fills the pipe, so that the next write waits for a reader. Returns the number of octets. */
  fill(): number {
    let filled = 0;
    for (const size of [4096, 1]) {
      for (let written = 1; written > 0; filled += written)
        written = attempt(() => writeSync(this.writer, Buffer.alloc(size, '#')));
    }
    return filled;
  }

  /** Empties the pipe. */
  read(): string {
    const buffer = Buffer.alloc(65_536);
    let text = '';
    for (let length = 1; length > 0; ) {
      length = attempt(() => readSync(this.reader, buffer));
      text += buffer.toString('latin1', 0, length);
    }
    return text;
  }
}

/** Octets written or read; 0 if the call would block. */
function attempt(transfer: () => number): number {
  try {
    return transfer();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
    throw error;
  }
}
