import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { NetworkHost } from './hosts.js';

/** RFC 862. */
export const ECHO_PORT = 7;

/** How long to wait for an observation, in milliseconds. */
const LIMIT = 30_000;

interface Change {
  readonly state: 'open' | 'closed';
  /** When the first datagram that came back was sent, or the last one, in milliseconds since 1970. */
  readonly at: number;
}

/** A program of this folder on a host of the lab. */
export class LabProgram {
  readonly #child: ChildProcess;
  /** Resolves when the program has printed a line, or has ended. */
  readonly speaks: Promise<unknown>;

  constructor(
    host: NetworkHost,
    program: 'echo' | 'prober' | 'pinger',
    parameters: readonly string[],
    onLine: (line: string) => void = () => undefined,
  ) {
    const path = fileURLToPath(new URL(`${program}.js`, import.meta.url));
    const [command = '', ...rest] = [...host.launcher, process.execPath, path, ...parameters];
    this.#child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
    if (!this.#child.stdout) throw new Error('a child process has no standard output');
    const lines = createInterface({ input: this.#child.stdout });
    lines.on('line', onLine);
    this.speaks = Promise.race([once(lines, 'line'), once(this.#child, 'exit')]);
  }

  stop(): Promise<void> {
    return end(this.#child);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await gone;
}

/** Waits for a condition and checks it whenever something new is observed. */
class Seen {
  readonly #waiting = new Set<() => void>();

  wake(): void {
    for (const look of this.#waiting) look();
  }

  /** Rejects if the condition is not met in time. */
  wait<T>(find: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(look);
      };
      const look = () => {
        const found = find();
        if (found === undefined) return;
        done();
        resolve(found);
      };
      const timer = setTimeout(() => {
        done();
        reject(new Error(`not seen in ${LIMIT / 1000} s`));
      }, LIMIT);
      this.#waiting.add(look);
      look();
    });
  }
}

/** A host that echoes datagrams. */
export class Echo {
  readonly #program: LabProgram;

  private constructor(program: LabProgram) {
    this.#program = program;
  }

  /** `address`: the only address that echoes. Undefined: all of the host. */
  static async start(host: NetworkHost, address?: string): Promise<Echo> {
    const program = new LabProgram(host, 'echo', [String(ECHO_PORT), ...(address === undefined ? [] : [address])]);
    await program.speaks;
    return new Echo(program);
  }

  stop(): Promise<void> {
    return this.#program.stop();
  }
}

/** Checks continuously whether packets from an address of a host reach an echo and come back. */
export class Prober {
  readonly #program: LabProgram;
  readonly #changes: Change[] = [];
  readonly #seen = new Seen();

  constructor(host: NetworkHost, from: string, to: string) {
    this.#program = new LabProgram(host, 'prober', [to, String(ECHO_PORT), from], (line) => {
      this.#changes.push(JSON.parse(line) as Change);
      this.#seen.wake();
    });
  }

  /** The first observed state: whether packets come back. */
  async first(): Promise<Change['state']> {
    return (await this.#seen.wait(() => this.#changes[0])).state;
  }

  /** When packets first came back, or stopped coming back, after a given time. Rejects if that is not observed. */
  async change(state: Change['state'], after: number): Promise<number> {
    const isIt = (change: Change) => change.state === state && change.at >= after;
    return (await this.#seen.wait(() => this.#changes.find(isIt))).at;
  }

  stop(): Promise<void> {
    return this.#program.stop();
  }
}

/** Observes packets on a node's interface that may be mobility signalling: neither IKE nor neighbour discovery. */
export class BindingWatch {
  readonly #child: ChildProcess;
  readonly #node: string;
  readonly #packets: { readonly direction: 'out' | 'in'; readonly at: number }[] = [];
  readonly #seen = new Seen();

  private constructor(child: ChildProcess, node: string) {
    this.#child = child;
    this.#node = node;
  }

  /** Needs tcpdump. `node`: the address of the host on the interface. */
  static async start(host: NetworkHost, on: string, node: string): Promise<BindingWatch> {
    const options = ['-l', '-n', '-tt', '--immediate-mode', '-i', on];
    const filter = 'ip6 and not udp and not icmp6 and not tcp';
    const [command = '', ...parameters] = [...host.launcher, 'tcpdump', ...options, filter];
    const child = spawn(command, parameters, { stdio: ['ignore', 'pipe', 'pipe'] });
    const watch = new BindingWatch(child, node);
    if (child.stdout) createInterface({ input: child.stdout }).on('line', (line) => watch.#read(line));
    // tcpdump prints a line when it listens.
    if (child.stderr) await once(createInterface({ input: child.stderr }), 'line');
    return watch;
  }

  /**
   * When the node sent or received the first packet after a given time, in milliseconds since 1970; undefined if there
   * was none.
   */
  first(direction: 'out' | 'in', after: number): Promise<number | undefined> {
    return this.#seen
      .wait(() => this.#packets.find((packet) => packet.direction === direction && packet.at >= after))
      .then(
        ({ at }) => at,
        () => undefined,
      );
  }

  stop(): Promise<void> {
    return end(this.#child);
  }

  #read(line: string): void {
    const [, seconds, from] = /^(\d+\.\d+) IP6 (\S+) > /.exec(line) ?? [];
    if (seconds === undefined || from === undefined) return;
    this.#packets.push({ direction: from === this.#node ? 'out' : 'in', at: Number(seconds) * 1000 });
    this.#seen.wake();
  }
}
