import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { LogLine } from '../runtime/cli/ladder.js';
import type { LogEvent } from '../runtime/log/events.js';
import { Patience, USUAL_LIMIT } from './patience.js';

export type DaemonName = 'pac' | 'paa' | 'aaa' | 'pre';

interface Waiter {
  readonly test: (line: LogLine) => boolean;
  readonly resolve: (line: LogLine) => void;
  readonly reject: (error: Error) => void;
}

/** Number of lines of error output that are kept to explain an early exit. */
const KEPT_ERRORS = 20;

/** The OpenSSL settings that the service of pana-aaa uses. */
const OPENSSL_CONF = fileURLToPath(new URL('../../scripts/config/openssl-aaa.cnf', import.meta.url));

/** The path of a built daemon, or of this tool. */
export function programOf(name: DaemonName | 'tool'): string {
  return fileURLToPath(new URL(`../${name}/main.js`, import.meta.url));
}

/** Runs a daemon as a process and reads its log as it is written. */
export class DaemonProcess {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #lines: LogLine[] = [];
  readonly #errors: string[] = [];
  readonly #waiters = new Set<Waiter>();
  readonly #onLine: (line: LogLine) => void;
  /** Resolves with the exit status; above 128 for a signal. */
  readonly exited: Promise<number>;
  #ended = false;

  private constructor(name: string, child: ChildProcess, onLine: (line: LogLine) => void) {
    this.name = name;
    this.#child = child;
    this.#onLine = onLine;
    this.exited = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.#ended = true;
        for (const waiter of this.#waiters) waiter.reject(this.#early(code, signal));
        this.#waiters.clear();
        resolve(code ?? 128);
      });
    });
    if (child.stdout) createInterface({ input: child.stdout }).on('line', (text) => this.#read(text));
    if (child.stderr) {
      createInterface({ input: child.stderr }).on('line', (text) => {
        this.#errors.push(text);
        if (this.#errors.length > KEPT_ERRORS) this.#errors.shift();
      });
    }
  }

  /** `name` is for messages; `daemon` selects the program; `launcher` is a command line prefix. */
  static start(
    name: string,
    daemon: DaemonName,
    config: string,
    onLine: (line: LogLine) => void = () => undefined,
    environment: Readonly<Record<string, string>> = {},
    launcher: readonly string[] = [],
  ): DaemonProcess {
    const [program = '', ...parameters] = [...launcher, process.execPath, programOf(daemon), 'run', '-c', config];
    const child = spawn(program, parameters, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        NODE_ENV: 'production',
        ...(daemon === 'aaa' ? { OPENSSL_CONF } : {}),
        ...environment,
      },
    });
    return new DaemonProcess(name, child, onLine);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isRunning(): boolean {
    return !this.#ended;
  }

  get lines(): readonly LogLine[] {
    return this.#lines;
  }

  /** What the process wrote to standard error. */
  get errors(): string {
    return this.#errors.join('\n');
  }

  /**
   * Resolves with the first log line with this message, already logged or still to come. Rejects if the process exits
   * first, or after `limit` ms (see Patience), with the awaited message and the last log lines.
   */
  line(message: LogEvent, test: (line: LogLine) => boolean = () => true, limit = USUAL_LIMIT): Promise<LogLine> {
    const wanted = (line: LogLine) => line.msg === message && test(line);
    const found = this.#lines.find(wanted);
    if (found) return Promise.resolve(found);
    if (this.#ended) return Promise.reject(this.#early(null, null));
    return new Promise((resolve, reject) => {
      const patience = new Patience(limit);
      const cancel = patience.whenOver(() => waiter.reject(this.#unsaid(message, test, patience)));
      const waiter: Waiter = {
        test: wanted,
        resolve: (line) => {
          cancel();
          this.#waiters.delete(waiter);
          resolve(line);
        },
        reject: (error) => {
          cancel();
          this.#waiters.delete(waiter);
          reject(error);
        },
      };
      this.#waiters.add(waiter);
    });
  }

  /** The last lines of the log, for messages. */
  tail(): string {
    return this.#lines
      .slice(-8)
      .map((line) => `  ${this.name}: ${JSON.stringify(line)}`)
      .join('\n');
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.#ended) this.#child.kill(signal);
  }

  /** Sends SIGTERM. Resolves with the exit status. */
  stop(): Promise<number> {
    this.signal('SIGTERM');
    return this.exited;
  }

  #read(text: string): void {
    let line: LogLine;
    try {
      line = JSON.parse(text) as LogLine;
    } catch {
      return;
    }
    this.#lines.push(line);
    this.#onLine(line);
    for (const waiter of [...this.#waiters]) if (waiter.test(line)) waiter.resolve(line);
  }

  #unsaid(message: LogEvent, test: (line: LogLine) => boolean, waited: Patience): Error {
    const others = this.#lines.filter((line) => line.msg === message);
    const which = test.length > 0 ? ` with ${test}` : '';
    const near =
      others.length > 0 ? `, but ${others.length} without that, the last ${JSON.stringify(others.at(-1))}` : '';
    return new Error(
      `${this.name} did not log "${message}"${which} within ${waited}${near}\n${this.errors}\n${this.tail()}`,
    );
  }

  #early(code: number | null, signal: NodeJS.Signals | null): Error {
    const how = signal ?? `status ${code ?? 'unknown'}`;
    return new Error(`${this.name} exited (${how})\n${this.errors}\n${this.tail()}`);
  }
}
