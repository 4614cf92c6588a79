import { type ChildProcess, spawn } from 'node:child_process';
import {
  type KernelEvent,
  kernelEventOf,
  MAX_EVENT_LINE,
  routeEventOf,
} from '../../protocol/attachment/kernel-events.js';
import {
  CLOCKS_INTERVAL,
  Movement,
  type MovementInput,
  type NetworkChange,
} from '../../protocol/attachment/movement.js';
import { Driver } from '../system/driver.js';
import { type CancelTimer, every, type Host } from '../system/host.js';
import { type LinkSnapshot, linkSnapshot, type NetworkSnapshot, networkSnapshot } from './network-snapshot.js';

/** A program that reports changes of addresses and routes as they happen, one per line. */
export interface Monitor {
  readonly command: readonly [string, ...string[]];
  /** Reads a line of its output. Undefined: the line is not an event. */
  readonly read: (line: string) => KernelEvent | undefined;
  /** The command that makes the kernel forget the neighbours on an interface. */
  readonly forget?: (name: string) => readonly [string, ...string[]];
}

/** Reads the state of the network: all of it, or that of one interface. */
export interface NetworkReader {
  readonly all: () => NetworkSnapshot;
  readonly link: (name: string) => LinkSnapshot;
}

const MONITORS: Readonly<Partial<Record<NodeJS.Platform, Monitor>>> = {
  linux: {
    command: ['ip', '-oneline', 'monitor', 'link', 'address', 'prefix', 'route'],
    read: kernelEventOf,
    forget: (name) => ['ip', 'neigh', 'flush', 'dev', name],
  },
  freebsd: { command: ['route', '-n', 'monitor'], read: routeEventOf },
};

/** Polling interval while no monitor runs, in milliseconds. */
const POLL_INTERVAL = 1_000;

/** A monitor counts as working after it has run for this long, in milliseconds. */
const PROVEN = 1_000;

/**
 * First and longest delay before a monitor that exited is restarted, in milliseconds. The delay doubles with each exit.
 */
const FIRST_RESTART = 1_000;
const LONGEST_RESTART = 60_000;

/** How long the kernel may take to forget neighbours, in milliseconds. */
const FORGET_LIMIT = 500;

/** Maximum number of lines of the monitor, of MAX_EVENT_LINE at most, that are read in LINES_INTERVAL (milliseconds). */
const MAX_LINES = 1_000;
const LINES_INTERVAL = 1_000;

export interface NetworkListener {
  changed(change: NetworkChange): void;
  /**
   * The monitor reported an event, or a line that is not an event. `lost`: the monitor exited, or reported more lines
   * than are read.
   */
  counted(kind: KernelEvent['type'] | 'unreadable' | 'lost'): void;
  /** The monitor program does not work here, so the network is polled. Called at most once. */
  monitorMissing(reason: string): void;
}

/** Reports changes of this host's links, addresses and routes until the returned function is called. */
export type WatchNetwork = (access: string | undefined, listener: NetworkListener, host: Host) => () => void;

/** Watches the network of this computer. */
export const watchNetwork: WatchNetwork = (access, listener, host) => {
  const watch = new NetworkWatch(access, listener, host, MONITORS[process.platform], {
    all: networkSnapshot,
    link: linkSnapshot,
  });
  return () => watch.stop();
};

/** The current run of the monitor. */
interface Run {
  readonly child: ChildProcess;
  readonly startedAt: number;
  /** Cancels the end of a pause, in which its output is not read. */
  cancelPause: CancelTimer | undefined;
}

/** Feeds a Movement machine with the events of the platform's monitor, with what polling finds, and with the clocks. */
export class NetworkWatch {
  readonly #listener: NetworkListener;
  readonly #host: Host;
  readonly #monitor: Monitor | undefined;
  readonly #access: string | undefined;
  readonly #network: NetworkReader;
  readonly #driver: Driver<MovementInput, NetworkChange>;
  readonly #cancelClocks: CancelTimer;
  #run: Run | undefined;
  #addresses: string;
  #links: Map<string, LinkSnapshot>;
  /** End the programs that make the kernel forget neighbours. */
  readonly #forgetting = new Set<() => void>();
  #cancelPoll: CancelTimer | undefined;
  #cancelRestart: CancelTimer | undefined;
  #restartAfter = FIRST_RESTART;
  #isReportedMissing = false;
  #stopped = false;

  constructor(
    access: string | undefined,
    listener: NetworkListener,
    host: Host,
    monitor: Monitor | undefined,
    network: NetworkReader,
  ) {
    this.#access = access;
    this.#listener = listener;
    this.#host = host;
    this.#monitor = monitor;
    this.#network = network;
    this.#driver = new Driver<MovementInput, NetworkChange>(
      new Movement(access),
      (change) => listener.changed(change),
      host,
    );
    const compareClocks = () => {
      const at = host.monotonic();
      this.#driver.feed({ type: 'clocks', clocks: { wall: host.wall(), boot: host.boot(), at } });
    };
    compareClocks();
    this.#cancelClocks = every(host, CLOCKS_INTERVAL, compareClocks, false);
    const { addresses, links } = network.all();
    this.#addresses = addresses;
    this.#links = new Map(links);
    this.#poll();
    this.#start();
  }

  /** Stops reporting. */
  stop(): void {
    this.#stopped = true;
    this.#cancelClocks();
    this.#driver.stop();
    this.#cancelRestart?.();
    this.#cancelPoll?.();
    for (const end of this.#forgetting) end();
    this.#run?.cancelPause?.();
    this.#run?.child.kill();
    this.#run?.child.stdout?.destroy();
  }

  // ------------------------------------------------------------------------------------------------------- monitor

  #start(): void {
    if (!this.#monitor) return;
    const [program, ...parameters] = this.#monitor.command;
    let child: ChildProcess;
    try {
      child = spawn(program, parameters, { stdio: ['ignore', 'pipe', 'ignore'] });
    } catch (error) {
      // Node throws a few of the system's errors, such as ENOMEM.
      this.#failed(program, error);
      return;
    }
    const run: Run = { child, startedAt: this.#host.monotonic(), cancelPause: undefined };
    this.#run = run;
    // If file descriptors run out, Node returns a child without streams.
    child.stdout?.setEncoding('latin1').on('data', this.#reader(run, this.#monitor));
    child.once('error', (error) => this.#failed(program, error, run));
    child.once('exit', (status, signal) => this.#exited(program, status ?? signal, run));
  }

  #failed(program: string, error: unknown, run?: Run): void {
    if (this.#stopped || run !== this.#run) return;
    this.#run = undefined;
    const { code } = error as NodeJS.ErrnoException;
    this.#missing(`cannot run ${program}: ${code ?? String(error)}`);
    // Do not retry a program that does not exist.
    if (code !== 'ENOENT') this.#restartLater();
  }

  #exited(program: string, status: number | NodeJS.Signals | null, run: Run): void {
    if (this.#stopped || run !== this.#run) return;
    run.cancelPause?.();
    this.#run = undefined;
    const lived = this.#host.monotonic() - run.startedAt;
    if (lived >= LONGEST_RESTART) this.#restartAfter = FIRST_RESTART;
    if (lived < PROVEN) {
      this.#missing(`${program} exits at once: ${status}`);
    } else {
      // Its last events may be missing.
      this.#lost();
      const { addresses, links } = this.#network.all();
      this.#addresses = addresses;
      this.#links = new Map(links);
      this.#poll();
    }
    this.#restartLater();
  }

  #missing(reason: string): void {
    if (!this.#isReportedMissing) this.#listener.monitorMissing(reason);
    this.#isReportedMissing = true;
  }

  #restartLater(): void {
    this.#cancelRestart = this.#host.after(this.#restartAfter, () => this.#start());
    this.#restartAfter = Math.min(2 * this.#restartAfter, LONGEST_RESTART);
  }

  // --------------------------------------------------------------------------------------------------------- lines

  /** Splits the received pieces into lines. After MAX_LINES it pauses, so that the monitor waits as well. */
  #reader(run: Run, { read }: Monitor): (piece: string) => void {
    let rest = '';
    let count = 0;
    let since = Number.NEGATIVE_INFINITY;
    return (piece) => {
      const lines = (rest + piece).split('\n');
      // Limits the memory for a line without an end. Enough is kept to recognise it as too long.
      rest = (lines.pop() ?? '').slice(0, MAX_EVENT_LINE + 1);
      const now = this.#host.monotonic();
      if (now - since >= LINES_INTERVAL) [count, since] = [0, now];
      for (const line of lines.slice(0, Math.max(0, Math.ceil(MAX_LINES - count)))) this.#line(read(line));
      // A line without an end costs time as well.
      count += Math.max(lines.length, piece.length / MAX_EVENT_LINE);
      if (count > MAX_LINES) this.#pause(run, since + LINES_INTERVAL - now);
    };
  }

  #line(event: KernelEvent | undefined): void {
    if (this.#stopped) return;
    this.#listener.counted(event?.type ?? 'unreadable');
    if (event?.type === 'link' && event.up && this.#hasBlinked(event.interface)) this.#reconnect(event.interface);
    else if (event) this.#driver.feed({ type: 'event', event });
    if (event?.type === 'link')
      this.#links.set(event.interface, { ...this.#network.link(event.interface), up: event.up });
  }

  /**
   * Whether an interface that is up has been on no link, or on another one, since its last event. Linux collects changes
   * of carriers for up to a second, and reports the last state only.
   */
  #hasBlinked(name: string): boolean {
    const before = this.#links.get(name);
    return before?.up === true && before.generation !== this.#network.link(name).generation;
  }

  /**
   * Reports a link that was lost and is back. The kernel, which has not noticed the loss, still has the link-layer
   * addresses of the former link's neighbours, and would send packets for a PAA with the same address there for up to
   * half a minute.
   */
  #reconnect(name: string): void {
    const forget = this.#access === undefined || name === this.#access ? this.#monitor?.forget : undefined;
    if (!forget) {
      this.#reconnected(name);
      return;
    }
    const [program, ...parameters] = forget(name);
    let child: ChildProcess;
    try {
      // It fails without the right to do that (CAP_NET_ADMIN).
      child = spawn(program, parameters, { stdio: 'ignore' });
    } catch {
      this.#reconnected(name);
      return;
    }
    const done = () => {
      if (!this.#forgetting.delete(end)) return;
      cancel();
      this.#reconnected(name);
    };
    const end = () => {
      this.#forgetting.delete(end);
      cancel();
      child.kill('SIGKILL');
    };
    const cancel = this.#host.after(FORGET_LIMIT, () => {
      child.kill('SIGKILL');
      done();
    });
    this.#forgetting.add(end);
    child.once('error', done).once('exit', done);
  }

  #reconnected(name: string): void {
    for (const up of [false, true]) this.#driver.feed({ type: 'event', event: { type: 'link', interface: name, up } });
  }

  #pause(run: Run, duration: number): void {
    run.child.stdout?.pause();
    run.cancelPause ??= this.#host.after(duration, () => {
      run.cancelPause = undefined;
      this.#lost();
      run.child.stdout?.resume();
    });
  }

  #lost(): void {
    this.#listener.counted('lost');
    this.#driver.feed({ type: 'lost' });
  }

  // ------------------------------------------------------------------------------------------------------- polling

  /** Polls until a monitor has proven that it works. */
  #poll(): void {
    this.#cancelPoll ??= every(this.#host, POLL_INTERVAL, () => {
      this.#compare();
      const isProven = this.#run !== undefined && this.#host.monotonic() - this.#run.startedAt >= PROVEN;
      if (!isProven) return;
      this.#cancelPoll?.();
      this.#cancelPoll = undefined;
    });
  }

  #compare(): void {
    const [before, { addresses, links }] = [this.#links, this.#network.all()];
    this.#links = new Map(links);
    for (const name of new Set([...before.keys(), ...links.keys()])) {
      const [old, link] = [before.get(name), links.get(name)];
      if (old?.generation === link?.generation && old?.up === link?.up) continue;
      // The interface may have been down in between.
      if (link?.up) this.#reconnect(name);
      else this.#driver.feed({ type: 'event', event: { type: 'link', interface: name, up: false } });
    }
    if (addresses !== this.#addresses) this.#driver.feed({ type: 'changed' });
    this.#addresses = addresses;
  }
}
