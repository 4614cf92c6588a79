import { fstatSync, writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { type CancelTimer, type Host, systemHost } from '../system/host.js';
import { STDOUT } from '../system/journal.js';

/** Limit in octets of the lines that wait for a slow reader. */
const MAX_WAITING = 1024 * 1024;

/** Milliseconds between attempts to write waiting lines, and how long the process waits for the reader at shutdown. */
const RETRY_AFTER = 100;
const WAIT_AT_END = 500;

/**
 * Writes log lines to standard output or standard error, at once if possible. A full disk or a stalled reader costs log
 * lines but never blocks the daemon: lines that cannot be written are counted, and the count is logged when writing
 * works again.
 */
export class LogOutput {
  readonly #descriptor: number;
  readonly #lostLine: (count: number) => string;
  readonly #write: (descriptor: number, octets: Buffer) => number;
  readonly #waiting: Buffer[] = [];
  #octets = 0;
  #lost = 0;
  #retry: CancelTimer | undefined;
  readonly #host: Host;

  /** `lostLine` returns the log line, with newline, that states how many lines were lost. `write`: write(2). */
  constructor(
    descriptor: number,
    lostLine: (count: number) => string,
    write: (descriptor: number, octets: Buffer) => number = writeSync,
    host: Host = systemHost,
  ) {
    this.#host = host;
    this.#descriptor = descriptor;
    this.#write = write;
    this.#lostLine = lostLine;
    makeNonBlocking(descriptor);
    process.once('exit', () => this.#finish());
  }

  /** Writes text that ends with a newline. */
  write(text: string): void {
    if (this.#octets >= MAX_WAITING) {
      this.#lost += 1;
      return;
    }
    if (this.#lost > 0 && this.#octets === 0) {
      const lost = this.#lost;
      this.#lost = 0;
      this.#send(this.#lostLine(lost));
      // If the line about lost lines cannot be written either, count this line as lost too and write nothing.
      if (this.#lost > 0) {
        this.#lost = lost + 1;
        return;
      }
    }
    this.#send(text);
  }

  /**
   * Returns the output as a stream, for a library that needs one. `change` is applied to each text before it is
   * written.
   */
  stream(change: (text: string) => string): Writable {
    return new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.write(change(chunk.toString()));
        done();
      },
    });
  }

  #send(text: string): void {
    const octets = Buffer.from(text);
    this.#waiting.push(octets);
    this.#octets += octets.length;
    this.#flush();
  }

  #flush(): void {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      const written = this.#tryWrite(next);
      if (written === 'later') return;
      this.#octets -= written === 'never' ? next.length : written;
      if (written === 'never') this.#lost += 1;
      if (written === 'never' || written === next.length) this.#waiting.shift();
      else this.#waiting[0] = next.subarray(written);
    }
  }

  /**
   * Returns how many octets were written. `later`: the reader is slow. `never`: the disk is full, or there is no
   * reader.
   */
  #tryWrite(octets: Buffer): number | 'later' | 'never' {
    try {
      return this.#write(this.#descriptor, octets);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return 'never';
    }
    const again = () => {
      this.#retry = undefined;
      this.#flush();
    };
    this.#retry ??= this.#host.after(RETRY_AFTER, again, false);
    return 'later';
  }

  /** Writes the last lines at the end of the process, waiting for a slow reader. */
  #finish(): void {
    const pause = new Int32Array(new SharedArrayBuffer(4));
    for (let waited = 0; this.#octets > 0 && waited <= WAIT_AT_END; waited += RETRY_AFTER) {
      if (waited > 0) Atomics.wait(pause, 0, 0, RETRY_AFTER);
      this.#flush();
    }
  }
}

/** Makes writes non-blocking. A blocking write(2) to a pipe that nobody reads would stop the whole process. */
function makeNonBlocking(descriptor: number): void {
  const kind = fstatSync(descriptor);
  if (!kind.isFIFO() && !kind.isSocket()) return;
  // Accessing the stream opens it, and Node then sets O_NONBLOCK.
  void (descriptor === STDOUT ? process.stdout : process.stderr);
}
