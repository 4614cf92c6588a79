import { fstatSync, writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { type CancelTimer, type Host, systemHost } from '../system/host.js';
import { STDOUT } from '../system/journal.js';

/** Octets of lines that wait for a slow reader of standard output. */
const MAX_WAITING = 1024 * 1024;

/** Milliseconds until the next try to write what waits, and how long the end of the process waits for the reader. */
const RETRY_AFTER = 100;
const WAIT_AT_END = 500;

/**
 * Log lines on standard output or standard error, written at once where that is possible. A full disk or a reader that has
 * stopped costs log lines, never the daemon: lines that cannot be written are counted, and the count is logged when writing
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

  /** `lostLine`: the log line, with its line break, which says how many are lost. `write`: write(2). */
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

  /** Text that ends with a line break. */
  write(text: string): void {
    if (this.#octets >= MAX_WAITING) {
      this.#lost += 1;
      return;
    }
    if (this.#lost > 0 && this.#octets === 0) {
      const lost = this.#lost;
      this.#lost = 0;
      this.#send(this.#lostLine(lost));
      // Not even this line: what it said is still to be said, and there is no place for another line.
      if (this.#lost > 0) {
        this.#lost = lost + 1;
        return;
      }
    }
    this.#send(text);
  }

  /** The same for a library that writes to a stream; `change` has the last word on what is written. */
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

  /** How many octets were written; `later`: the reader is slow; `never`: a full disk, or no reader any more. */
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

  /** The last lines, for a reader that is only slow. */
  #finish(): void {
    const pause = new Int32Array(new SharedArrayBuffer(4));
    for (let waited = 0; this.#octets > 0 && waited <= WAIT_AT_END; waited += RETRY_AFTER) {
      if (waited > 0) Atomics.wait(pause, 0, 0, RETRY_AFTER);
      this.#flush();
    }
  }
}

/** In a pipe or socket that nobody reads, write(2) would otherwise stop the whole process. */
function makeNonBlocking(descriptor: number): void {
  const kind = fstatSync(descriptor);
  if (!kind.isFIFO() && !kind.isSocket()) return;
  // Node sets O_NONBLOCK when it opens the stream.
  void (descriptor === STDOUT ? process.stdout : process.stderr);
}
