import { type ChildProcess, spawn } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import { type KernelEvent, kernelEventOf, MAX_EVENT_LINE } from '../../protocol/attachment/kernel-events.js';
import {
  CLOCKS_INTERVAL,
  Movement,
  type MovementInput,
  type NetworkChange,
} from '../../protocol/attachment/movement.js';
import { Driver } from '../system/driver.js';
import { type CancelTimer, every, type Host } from '../system/host.js';

/** A program that reports changes of addresses and routes as they happen. */
export interface Monitor {
  readonly command: readonly [string, ...string[]];
  /** Reads a line of its output. Undefined: every output means that something has changed. */
  readonly read: ((line: string) => KernelEvent | undefined) | undefined;
}

const MONITORS: Readonly<Partial<Record<NodeJS.Platform, Monitor>>> = {
  linux: {
    command: ['ip', '-oneline', 'monitor', 'link', 'address', 'prefix', 'route'],
    read: kernelEventOf,
  },
  freebsd: { command: ['route', '-n', 'monitor'], read: undefined },
};

/** Polling interval where no monitor runs, in milliseconds. */
const POLL_INTERVAL = 1_000;

/** Delays before a monitor that exited is started again: it doubles with each exit, in milliseconds. */
const FIRST_RESTART = 1_000;
const LONGEST_RESTART = 60_000;

export interface NetworkListener {
  changed(change: NetworkChange): void;
  /** The monitor reported an event, or a line that cannot be read. */
  counted(kind: KernelEvent['type'] | 'unreadable'): void;
  /** The monitor program is not installed: addresses are polled. Called at most once. */
  monitorMissing(program: string): void;
}

/** Reports changes of this host's links, addresses and routes until the returned function is called. */
export type WatchNetwork = (access: string | undefined, listener: NetworkListener, host: Host) => () => void;

/** Watches the network of this computer. */
export const watchNetwork: WatchNetwork = (access, listener, host) => {
  const watch = new NetworkWatch(access, listener, host);
  return () => watch.stop();
};

/** Feeds a Movement machine with the events of the platform's monitor, polled addresses, and the clocks. */
export class NetworkWatch {
  readonly #listener: NetworkListener;
  readonly #host: Host;
  readonly #driver: Driver<MovementInput, NetworkChange>;
  readonly #cancelClocks: CancelTimer;
  #child: ChildProcess | undefined;
  #poll: CancelTimer | undefined;
  #again: CancelTimer | undefined;
  #restartAfter = FIRST_RESTART;
  #stopped = false;

  constructor(
    access: string | undefined,
    listener: NetworkListener,
    host: Host,
    monitor: Monitor | undefined = MONITORS[process.platform],
  ) {
    this.#listener = listener;
    this.#host = host;
    this.#driver = new Driver<MovementInput, NetworkChange>(
      new Movement(access),
      (change) => listener.changed(change),
      host,
    );
    const compareClocks = () => this.#driver.feed({ type: 'clocks', wall: host.wall() });
    compareClocks();
    this.#cancelClocks = every(host, CLOCKS_INTERVAL, compareClocks, false);
    if (monitor) this.#monitor(monitor);
    else this.#pollAddresses();
  }

  /** Stops reporting. */
  stop(): void {
    this.#stopped = true;
    this.#cancelClocks();
    this.#driver.stop();
    this.#again?.();
    this.#poll?.();
    this.#child?.kill();
  }

  #monitor(monitor: Monitor): void {
    const [program, ...parameters] = monitor.command;
    const startedAt = this.#host.monotonic();
    const child = spawn(program, parameters, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#child = child;
    child.once('spawn', () => {
      this.#poll?.();
      this.#poll = undefined;
    });
    const read = linesOf((line) => this.#line(line, monitor));
    // If file descriptors run out, Node returns a child without streams.
    (child.stdout as typeof child.stdout | undefined)?.setEncoding('latin1').on('data', read);
    child.once('error', (error: NodeJS.ErrnoException) => {
      this.#pollAddresses();
      if (error.code === 'ENOENT') this.#listener.monitorMissing(program);
      else this.#restart(monitor, startedAt);
    });
    child.once('exit', () => {
      this.#pollAddresses();
      this.#restart(monitor, startedAt);
    });
  }

  #restart(monitor: Monitor, startedAt: number): void {
    if (this.#stopped || this.#again) return;
    if (this.#host.monotonic() - startedAt >= LONGEST_RESTART) this.#restartAfter = FIRST_RESTART;
    this.#again = this.#host.after(this.#restartAfter, () => {
      this.#again = undefined;
      this.#monitor(monitor);
      // What happened meanwhile is not reported.
      this.#driver.feed({ type: 'changed' });
    });
    this.#restartAfter = Math.min(2 * this.#restartAfter, LONGEST_RESTART);
  }

  #line(line: string, { read }: Monitor): void {
    if (this.#stopped) return;
    if (!read) {
      this.#driver.feed({ type: 'changed' });
      return;
    }
    const event = read(line);
    this.#listener.counted(event?.type ?? 'unreadable');
    if (event) this.#driver.feed({ type: 'event', event });
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
      this.#driver.feed({ type: 'changed' });
    });
  }
}

/** Splits text that arrives in pieces into lines. Of a line that is too long to be an event, one piece is passed on. */
function linesOf(take: (line: string) => void): (piece: string) => void {
  let rest = '';
  return (piece) => {
    const lines = (rest + piece).split('\n');
    // Bounds what a line without an end occupies. Enough is kept to recognise it as too long.
    rest = (lines.pop() ?? '').slice(0, MAX_EVENT_LINE + 1);
    for (const line of lines) take(line);
  };
}
