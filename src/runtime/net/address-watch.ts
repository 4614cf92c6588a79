import { type ChildProcess, spawn } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import { type CancelTimer, every, type Host } from '../system/host.js';

/** The command of each platform that reports address changes as they happen. */
const MONITORS: Readonly<Partial<Record<NodeJS.Platform, readonly [string, ...string[]]>>> = {
  linux: ['ip', 'monitor', 'address', 'route'],
  freebsd: ['route', '-n', 'monitor'],
};

/** Changes within this time count as one, in milliseconds. */
const BURST = 20;

/** Polling interval where no monitor is available, in milliseconds. */
const POLL_INTERVAL = 1_000;

/** Delay before a monitor that exited is started again, in milliseconds. */
const RESTART_DELAY = 5_000;

/** Reports changes of this host's addresses until the returned function is called. */
export type WatchAddresses = (onChange: () => void, host: Host) => () => void;

/** Watches the addresses of this computer. */
export const watchAddresses: WatchAddresses = (onChange, host) => {
  const watch = new AddressWatch(onChange, host);
  return () => watch.stop();
};

/** Reports that addresses or routes of this host may have changed, by the platform's monitor or else by polling. */
export class AddressWatch {
  readonly #onChange: () => void;
  #child: ChildProcess | undefined;
  readonly #host: Host;
  #burst: CancelTimer | undefined;
  #poll: CancelTimer | undefined;
  #again: CancelTimer | undefined;
  #stopped = false;

  constructor(onChange: () => void, host: Host, monitor = MONITORS[process.platform]) {
    this.#onChange = onChange;
    this.#host = host;
    if (monitor) this.#monitor(monitor);
    else this.#pollAddresses();
  }

  /** Stops reporting. */
  stop(): void {
    this.#stopped = true;
    this.#burst?.();
    this.#again?.();
    this.#poll?.();
    this.#child?.kill();
  }

  #monitor(monitor: readonly [string, ...string[]]): void {
    const [program, ...parameters] = monitor;
    const child = spawn(program, parameters, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#child = child;
    // If file descriptors run out, Node returns a child without streams.
    (child.stdout as typeof child.stdout | undefined)?.on('data', () => this.#changed());
    child.once('error', () => {
      // The monitor program is not installed.
      this.#pollAddresses();
    });
    child.once('exit', () => {
      if (this.#stopped || this.#poll) return;
      this.#again = this.#host.after(RESTART_DELAY, () => this.#monitor(monitor));
      this.#changed();
    });
  }

  #pollAddresses(): void {
    if (this.#stopped || this.#poll) return;
    const read = () =>
      JSON.stringify(
        Object.entries(networkInterfaces()).map(([name, list]) => [name, list?.map(({ address }) => address)]),
      );
    let seen = read();
    this.#poll = every(this.#host, POLL_INTERVAL, () => {
      const now = read();
      if (now === seen) return;
      seen = now;
      this.#changed();
    });
  }

  #changed(): void {
    if (this.#stopped || this.#burst) return;
    this.#burst = this.#host.after(BURST, () => {
      this.#burst = undefined;
      this.#onChange();
    });
  }
}
