import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Host } from './hosts.js';

/** RFC 862. */
const ECHO_PORT = 7;

/** How long something may take to be seen, in milliseconds. */
const LIMIT = 30_000;

interface Change {
  readonly state: 'open' | 'closed';
  /** Milliseconds since 1970: when the first datagram was sent that came through, or the last. */
  readonly at: number;
}

/** Sources under test use the last build too: Node 20 runs no TypeScript. */
function start(host: Host, program: 'echo' | 'prober', ...parameters: readonly string[]): ChildProcess {
  const path = fileURLToPath(new URL(`../../../dist/tool/network-lab/${program}.js`, import.meta.url));
  const [command = '', ...rest] = [...host.launcher, process.execPath, path, ...parameters];
  return spawn(command, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await gone;
}

/** A host that answers what is sent to it. */
export class Echo {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(host: Host): Promise<Echo> {
    const child = start(host, 'echo', String(ECHO_PORT));
    if (child.stdout) await once(createInterface({ input: child.stdout }), 'line');
    return new Echo(child);
  }

  stop(): Promise<void> {
    return end(this.#child);
  }
}

/** Looks all the time whether packets from an address of a host come through to an echo, and back. */
export class Prober {
  readonly #child: ChildProcess;
  readonly #changes: Change[] = [];
  readonly #waiting = new Set<() => void>();
  #pause = 0;

  constructor(host: Host, from: string, to: string) {
    this.#child = start(host, 'prober', to, String(ECHO_PORT), from);
    if (!this.#child.stdout) return;
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const said = JSON.parse(line) as Partial<Change> & { readonly pause?: number };
      if (said.pause !== undefined) this.#pause = said.pause;
      else this.#changes.push(said as Change);
      for (const wake of this.#waiting) wake();
    });
  }

  /** The longest pause while packets came through, in milliseconds, if any was worth it. */
  get pause(): number {
    return this.#pause;
  }

  /** Whether the first thing seen is that packets come through. */
  async first(): Promise<Change['state']> {
    return (await this.#wait(() => this.#changes[0])).state;
  }

  /** When packets came through for the first time, or ceased to, after a time. Rejects when that is not seen. */
  async change(state: Change['state'], after: number): Promise<number> {
    return (await this.#wait(() => this.#changes.find((change) => change.state === state && change.at >= after))).at;
  }

  stop(): Promise<void> {
    return end(this.#child);
  }

  #wait(look: () => Change | undefined): Promise<Change> {
    return new Promise((resolve, reject) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
      };
      const wake = () => {
        const found = look();
        if (!found) return;
        done();
        resolve(found);
      };
      const timer = setTimeout(() => {
        done();
        reject(new Error(`not seen in ${LIMIT / 1000} s`));
      }, LIMIT);
      this.#waiting.add(wake);
      wake();
    });
  }
}
