import { type ChildProcess, spawn } from 'node:child_process';
import { networkInterfaces } from 'node:os';

/** What tells of changes as they happen, by system. */
const MONITORS: Readonly<Partial<Record<NodeJS.Platform, readonly [string, ...string[]]>>> = {
  linux: ['ip', 'monitor', 'address', 'route'],
  freebsd: ['route', '-n', 'monitor'],
};

/** Changes come in bursts: what comes within this time counts as one, in milliseconds. */
const BURST = 20;

/** How often addresses are looked at where nothing tells of changes, in milliseconds. */
const POLL = 1_000;

/** How long after its end a monitor is started again, in milliseconds. */
const AGAIN = 5_000;

/** Tells when addresses or routes of this host may have changed: by the system's monitor, else by looking. */
export class AddressWatch {
  readonly #onChange: () => void;
  #child: ChildProcess | undefined;
  #burst: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(onChange: () => void, monitor = MONITORS[process.platform]) {
    this.#onChange = onChange;
    if (monitor) this.#monitor(monitor);
    else this.#look();
  }

  /** Nothing is told from now on. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#burst);
    clearTimeout(this.#again);
    clearInterval(this.#poll);
    this.#child?.kill();
  }

  #monitor(monitor: readonly [string, ...string[]]): void {
    const [program, ...parameters] = monitor;
    const child = spawn(program, parameters, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#child = child;
    // There is none where the platform had no file descriptors left.
    (child.stdout as typeof child.stdout | undefined)?.on('data', () => this.#changed());
    child.once('error', () => {
      // There is no such program.
      this.#look();
    });
    child.once('exit', () => {
      if (this.#stopped || this.#poll) return;
      this.#again = setTimeout(() => this.#monitor(monitor), AGAIN);
      this.#changed();
    });
  }

  #look(): void {
    if (this.#stopped || this.#poll) return;
    const see = () =>
      JSON.stringify(
        Object.entries(networkInterfaces()).map(([name, list]) => [name, list?.map(({ address }) => address)]),
      );
    let seen = see();
    this.#poll = setInterval(() => {
      const now = see();
      if (now === seen) return;
      seen = now;
      this.#changed();
    }, POLL);
  }

  #changed(): void {
    if (this.#stopped || this.#burst) return;
    this.#burst = setTimeout(() => {
      this.#burst = undefined;
      this.#onChange();
    }, BURST);
  }
}
