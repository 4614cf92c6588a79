import type { SessionKey } from '../../src/protocol/pana/session/session.js';
import type { LogEvent, LogFields, Logger } from '../../src/runtime/log/events.js';
import type { ControlRoutes } from '../../src/runtime/service/control.js';
import type { Metrics } from '../../src/runtime/service/metrics.js';
import type { Surroundings } from '../../src/runtime/surroundings/surroundings.js';
import { Life, MachineHost } from './clock.js';
import type { Connections } from './connections.js';
import type { Attached, PanaLinks } from './links.js';
import type { Programs } from './programs.js';
import type { Scene } from './scene.js';

/** A line of a daemon's log. */
export interface LogLine {
  readonly machine: string;
  readonly at: number;
  readonly level: 'info' | 'warn' | 'error';
  readonly message: LogEvent;
  readonly fields: LogFields;
}

/** What the machines of a world share. */
export interface Ground {
  readonly scene: Scene;
  readonly links: PanaLinks;
  readonly connections: Connections;
  readonly programs: Programs;
  /** The folder for the files of this world. */
  readonly folder: string;
  readonly onLog: (line: LogLine) => void;
  /** Called when a daemon has a new PANA_AUTH_KEY. The receiver owns the key. */
  readonly onKey: (machine: string, key: SessionKey) => void;
  readonly onKill: (machine: string) => void;
  /** Versions of the watched files that the world has changed, by path. */
  readonly versions: Map<string, number>;
}

interface Running<D> {
  readonly life: Life;
  /** Undefined: it is starting. */
  daemon: D | undefined;
  routes: ControlRoutes;
  metrics: Metrics | undefined;
}

/** A host with one daemon, which may be killed and started again. */
export abstract class Machine<D extends { stop(): Promise<void> }> implements Attached {
  readonly name: string;
  address: string | undefined;
  readonly host: MachineHost;
  readonly ground: Ground;
  #running: Running<D> | undefined;
  #addressChanged: () => void = () => undefined;
  starts = 0;
  /** Whether the daemon was asked to stop; it may still run. */
  isStopping = false;
  #stopping: Promise<void> = Promise.resolve();

  constructor(name: string, address: string, ground: Ground) {
    this.name = name;
    this.address = address;
    this.ground = ground;
    this.host = new MachineHost(ground.scene.clock, ground.scene.dice);
  }

  get life(): Life | undefined {
    return this.#running?.life;
  }

  get daemon(): D | undefined {
    return this.#running?.life.alive ? this.#running.daemon : undefined;
  }

  /** The metrics of the daemon; undefined: it does not run. */
  get metrics(): Metrics | undefined {
    return this.#running?.life.alive ? this.#running.metrics : undefined;
  }

  get isRunning(): boolean {
    return this.daemon !== undefined;
  }

  protected abstract launch(life: Life, log: Logger): Promise<D>;

  /**
   * Resolves when the daemon has started, was killed or cannot start. A daemon that is stopping starts after its end.
   */
  async start(): Promise<void> {
    await this.#stopping;
    if (this.#running?.life.alive) return;
    this.starts += 1;
    this.isStopping = false;
    const life = new Life(this.name);
    const running: Running<D> = { life, daemon: undefined, routes: {}, metrics: undefined };
    this.#running = running;
    this.ground.scene.trace.note(this.name, this.name, 'start', 0);
    try {
      running.daemon = await this.launch(life, this.#log(life));
    } catch (error) {
      if (!life.alive) return;
      this.#say('error', 'start failed', { reason: (error as Error).message });
      life.end();
      this.startFailed();
    }
  }

  /** Called when the daemon could not start, unless it was killed before. */
  protected startFailed(): void {
    // It stays down.
  }

  /** Ends the process at once. `isSilent`: the whole machine is lost, so that peers see no closed connection. */
  kill(isSilent = false): void {
    const life = this.#running?.life;
    if (!life?.alive) return;
    this.ground.scene.trace.note(this.name, this.name, 'killed', 0);
    if (!isSilent) this.ground.connections.cut(life);
    life.end();
    this.ground.onKill(this.name);
  }

  stop(): Promise<void> {
    const running = this.#running;
    if (!running?.life.alive || !running.daemon) return Promise.resolve();
    this.ground.scene.trace.note(this.name, this.name, 'stop', 0);
    this.isStopping = true;
    const { life } = running;
    const stopped = running.daemon.stop().then(() => life.end());
    this.#stopping = Promise.race([stopped, life.ended]);
    return stopped;
  }

  /** Resolves when the running daemon ends. */
  get ended(): Promise<void> {
    return this.#running?.life.ended ?? Promise.resolve();
  }

  /** Sends an operator's request to the daemon; resolves to undefined if it does not run. */
  async ask(route: string, body?: unknown): Promise<unknown> {
    const running = this.#running;
    const handler = running?.life.alive ? running.routes[route] : undefined;
    return handler?.({ query: new URLSearchParams(), body });
  }

  /** Changes the address. */
  moveTo(address: string | undefined): void {
    this.address = address;
    this.ground.scene.trace.note(this.name, this.name, 'moves', 0, `moves to ${address ?? 'nowhere'}`);
    this.#addressChanged();
  }

  protected surroundings(life: Life): Surroundings {
    const { links, connections, programs, versions } = this.ground;
    return {
      host: this.host.of(life),
      udp: links.udpOf(this, life),
      transport: connections.transportOf(this.address ?? '', life),
      hookProcesses: programs.processesOf(this.name, life),
      watchNetwork: (_access, { changed }, host) => {
        this.#addressChanged = () => host.after(20, () => changed({ type: 'changed', reasons: ['link-up'] }));
        return () => {
          this.#addressChanged = () => undefined;
        };
      },
      hasInterface: () => true,
      readAddresses: () =>
        Promise.resolve(
          this.address === undefined
            ? []
            : [{ address: this.address, interface: 'eth0', kind: 'link', unusable: undefined }],
        ),
      lookAtFiles: (paths) => Promise.resolve(new Map(paths.map((path) => [path, String(versions.get(path) ?? 0)]))),
      openControl: (_door, routes, metrics) => {
        if (this.#running?.life === life) Object.assign(this.#running, { routes, metrics });
        return Promise.resolve(() => Promise.resolve());
      },
      openKeyLog: () =>
        Promise.resolve({
          write: (key) => this.ground.onKey(this.name, key),
          writeSealing: () => undefined,
          close: () => Promise.resolve(),
        }),
    };
  }

  #log(life: Life): Logger {
    const at = (level: LogLine['level']) => (first: LogFields | LogEvent, event?: LogEvent) => {
      if (!life.alive) return;
      if (typeof first === 'string') this.#say(level, first, {});
      else if (event !== undefined) this.#say(level, event, first);
    };
    const nothing = () => undefined;
    const log = { trace: nothing, debug: nothing, info: at('info'), warn: at('warn'), error: at('error') };
    return { ...log, fatal: at('error'), level: 'info', isLevelEnabled: () => false };
  }

  #say(level: LogLine['level'], message: LogEvent, fields: LogFields): void {
    const { scene, onLog } = this.ground;
    scene.trace.note(this.name, this.name, 'log', message.length, () => `${message} ${JSON.stringify(fields)}`);
    onLog({ machine: this.name, at: scene.clock.now, level, message, fields });
  }
}
