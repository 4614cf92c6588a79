import { performance } from 'node:perf_hooks';
import { sessionConfig } from '../pac/session-config.js';
import type { PeerCredentials } from '../runtime/eap/engine.js';
import type { Identities, NodeConfiguration } from './identities.js';
import { BenchNode, NodeFailure, reasonOf } from './node.js';
import type { LoadPlan } from './plan.js';
import type { DaemonReading, Interval, LoadResult } from './result.js';
import { pauseAfter, retryAfter } from './retries.js';
import { Sleepers } from './sleepers.js';
import { type Slot, Slots } from './slots.js';
import type { SourceAddresses } from './source-addresses.js';
import { DurationTally, ReasonTally } from './tally.js';

/** Sessions that are terminated at the same time when a run ends. */
const TERMINATED_AT_ONCE = 64;
/** How long a PAA may take to answer a PTR, in milliseconds. */
const TERMINATION_LIMIT = 5_000;
/** How long the end of a run may take, in milliseconds, and how much longer for each session. */
const END_LIMIT = 10_000;
const END_LIMIT_PER_SESSION = 5;
/** Bootstraps that may begin in one turn of the event loop after this process was late. */
const MOST_PER_TURN = 64;
/** Interval of the open loop, in milliseconds. */
const TURN = 5;

export interface LoadParts {
  readonly configuration: NodeConfiguration;
  readonly identities: Identities;
  readonly addresses: SourceAddresses | undefined;
  readonly readDaemons: () => Promise<readonly DaemonReading[]>;
}

/** Hears of the end of a session. */
interface Life {
  end(cause: string): void;
}

/** CPU time of the daemons and of this process. */
interface Reading {
  readonly daemons: readonly DaemonReading[];
  readonly cpu: NodeJS.CpuUsage;
}

/** Runs bootstraps, sessions and their ends as planned, and measures them. */
export class LoadRun {
  readonly #plan: LoadPlan;
  readonly #parts: LoadParts;
  readonly #slots: Slots;
  readonly #sleepers = new Sleepers();
  readonly #starting = new Set<BenchNode>();
  readonly #lives = new Set<Promise<void>>();
  #state: 'running' | 'ending' | 'interrupted' | 'abandoned' = 'running';
  #terminating = 0;
  readonly #waitingToTerminate: (() => void)[] = [];
  // What was measured.
  readonly #durations = new DurationTally();
  readonly #recent = new DurationTally();
  readonly #lastAttempts = new DurationTally();
  readonly #movements = new DurationTally();
  readonly #reauthentications = new DurationTally();
  readonly #late = new DurationTally();
  readonly #failures = new ReasonTally();
  readonly #lost = new ReasonTally();
  #retries = 0;
  #resumed = 0;
  #withoutHomeAddress = 0;
  #skipped = 0;
  #sessions = 0;
  #mostSessions = 0;
  #unanswered = 0;
  #memory = 0;
  #lastRead = { at: performance.now(), cpu: process.cpuUsage(), began: performance.now() };

  constructor(plan: LoadPlan, parts: LoadParts) {
    this.#plan = plan;
    this.#parts = parts;
    this.#slots = new Slots(plan.nodes);
  }

  get isEnding(): boolean {
    return this.#state !== 'running';
  }

  get isInterrupted(): boolean {
    return this.#state === 'interrupted' || this.#state === 'abandoned';
  }

  get sessions(): number {
    return this.#sessions;
  }

  /** Ends the run: no bootstrap begins any more, those in progress are given up, and all sessions are terminated. */
  interrupt(): void {
    if (this.#state !== 'running' && this.#state !== 'ending') return;
    this.#state = 'interrupted';
    this.#slots.giveUp();
    this.#sleepers.wakeAll();
    for (const node of this.#starting) void node.abandon();
  }

  async run(): Promise<LoadResult> {
    const { warmUp, count, duration, stay } = this.#plan;
    if (warmUp > 0) await this.#phase({ count: warmUp, duration: undefined, stay: 0, newFirst: true });
    this.#reset();
    const before = await this.#read();
    const began = performance.now();
    await this.#phase({ count, duration, stay, newFirst: false });
    const seconds = (performance.now() - began) / 1000;
    const after = await this.#read();
    const result = this.#result(seconds, before, after);
    await this.#end();
    return { ...result, sessions: { most: this.#mostSessions, unanswered: this.#unanswered } };
  }

  /** What happened since the last call. */
  interval(): Interval {
    const now = performance.now();
    const { at, cpu, began } = this.#lastRead;
    const used = process.cpuUsage(cpu);
    const milliseconds = Math.max(1, now - at);
    const durations = this.#recent.result;
    this.#recent.reset();
    this.#lastRead = { at: now, cpu: process.cpuUsage(), began };
    this.#memory = Math.max(this.#memory, process.memoryUsage.rss());
    return {
      seconds: (now - began) / 1000,
      perSecond: ((durations?.count ?? 0) / milliseconds) * 1000,
      durations,
      done: this.#durations.count,
      failed: this.#failures.total,
      inProgress: this.#starting.size,
      sessions: this.#sessions,
      ownCpu: (used.user + used.system) / 1000 / milliseconds,
    };
  }

  #reset(): void {
    for (const tally of [this.#durations, this.#recent, this.#lastAttempts, this.#movements]) tally.reset();
    for (const tally of [this.#reauthentications, this.#late]) tally.reset();
    this.#failures.reset();
    this.#lost.reset();
    this.#retries = 0;
    this.#resumed = 0;
    this.#withoutHomeAddress = 0;
    this.#skipped = 0;
    this.#mostSessions = this.#sessions;
  }

  async #read(): Promise<Reading> {
    const daemons = await this.#parts.readDaemons();
    return { daemons, cpu: process.cpuUsage() };
  }

  #result(seconds: number, before: Reading, after: Reading): LoadResult {
    const bootstraps = this.#durations.count;
    const own = (after.cpu.user + after.cpu.system - before.cpu.user - before.cpu.system) / 1000;
    return {
      interrupted: this.#state === 'interrupted',
      seconds,
      bootstraps,
      perSecond: bootstraps / seconds,
      durations: this.#durations.result,
      lastAttempts: this.#lastAttempts.result,
      retries: this.#retries,
      resumed: this.#resumed,
      withoutHomeAddress: this.#withoutHomeAddress,
      failed: this.#failures.total,
      failures: this.#failures.result,
      skipped: this.#skipped,
      movements: this.#movements.result,
      reauthentications: this.#reauthentications.result,
      lost: this.#lost.result,
      sessions: { most: this.#mostSessions, unanswered: 0 },
      late: this.#late.result,
      own: {
        cpuPerBootstrap: own / bootstraps,
        cpuShare: own / seconds / 1000,
        memory: Math.max(this.#memory, process.memoryUsage.rss()),
      },
      daemons: after.daemons.flatMap(({ name, cpu, longestTurn }) => {
        const first = before.daemons.find((each) => each.name === name);
        return first ? [{ name, cpuPerBootstrap: (cpu - first.cpu) / bootstraps, longestTurn }] : [];
      }),
    };
  }

  async #phase(limits: {
    readonly count: number | undefined;
    readonly duration: number | undefined;
    readonly stay: number;
    readonly newFirst: boolean;
  }) {
    const { type, number } = this.#plan.arrivals;
    const until = performance.now() + (limits.duration ?? Number.POSITIVE_INFINITY);
    let left = limits.count ?? Number.POSITIVE_INFINITY;
    const takes = () => {
      if (this.isEnding || left <= 0 || performance.now() >= until) return false;
      left -= 1;
      return true;
    };
    if (type === 'concurrency') {
      const worker = async () => {
        for (let failures = 0; takes(); ) {
          const slot = await this.#slots.wait(until - performance.now(), limits.newFirst);
          if (!slot) continue;
          failures = (await this.#bootstrap(slot, undefined, limits.stay)) ? 0 : failures + 1;
          if (failures > 0) await this.#sleepers.sleep(pauseAfter(failures));
        }
      };
      await Promise.all(Array.from({ length: number }, worker));
      return;
    }
    const running = new Set<Promise<unknown>>();
    const began = performance.now();
    let due = 0;
    for (let goes = true; goes; ) {
      const now = performance.now();
      for (let turn = 0; turn < MOST_PER_TURN && goes && due <= now - began; turn += 1) {
        goes = takes();
        if (!goes) break;
        this.#late.add(now - began - due);
        const slot = this.#slots.take(limits.newFirst);
        if (slot) {
          const one: Promise<unknown> = this.#bootstrap(slot, began + due, limits.stay).finally(() =>
            running.delete(one),
          );
          running.add(one);
        } else this.#skipped += 1;
        due += 1000 / number;
      }
      if (goes) await this.#sleepers.sleep(TURN);
      if (this.isEnding || performance.now() >= until) break;
    }
    await Promise.all(running);
  }

  #address(slot: Slot): string | undefined {
    slot.places += 1;
    return this.#parts.addresses?.at(slot.number + (slot.places - 1) * this.#plan.nodes);
  }

  /** `due`: when it should begin, at a given rate. Resolves with whether the node was authorized. */
  async #bootstrap(slot: Slot, due: number | undefined, stay: number): Promise<boolean> {
    slot.credentials ??= await this.#parts.identities.of(slot.number);
    if (Math.random() >= this.#plan.resume) slot.credentials.forgetSession();
    const { retry, mobility } = this.#parts.configuration.options;
    const address = this.#address(slot);
    const began = due ?? performance.now();
    for (let attempts = 1; this.#state !== 'interrupted'; attempts += 1) {
      const life: Life = { end: () => undefined };
      const node = this.#node(slot.credentials, address, life);
      const before = performance.now() - began;
      this.#starting.add(node);
      try {
        this.#succeeded(node, before, await this.#limited(node, node.bootstrap()), mobility.mode !== 'off');
      } catch (error) {
        await node.abandon();
        if (this.isInterrupted) break;
        const wait = this.#plan.retry ? retryAfter(error, attempts, retry) : undefined;
        if (wait === undefined) {
          this.#failures.add(reasonOf(error), (error as Error).message);
          break;
        }
        this.#retries += 1;
        await this.#sleepers.sleep(wait);
        continue;
      } finally {
        this.#starting.delete(node);
      }
      await this.#began(node, slot, stay, life);
      return true;
    }
    this.#slots.release(slot);
    return false;
  }

  /** Resolves when the session has ended, if it does not stay. */
  async #began(node: BenchNode, slot: Slot, stay: number, life: Life): Promise<void> {
    this.#sessions += 1;
    this.#mostSessions = Math.max(this.#mostSessions, this.#sessions);
    const session = this.#live(node, slot, stay, life).finally(() => {
      this.#sessions -= 1;
      this.#lives.delete(session);
      this.#slots.release(slot);
    });
    this.#lives.add(session);
    if (stay === 0) await session;
  }

  #node(credentials: PeerCredentials, address: string | undefined, life: Life): BenchNode {
    const { options } = this.#parts.configuration;
    return new BenchNode({ address: options.pana.paa[0] ?? '', port: options.pana.port }, credentials, address, {
      config: sessionConfig(options, 'none', false),
      identity: options.eap.identity,
      mtu: options.eap.mtu ?? 1100,
      needsHomeAddress: options.mobility.mode === 'required',
      onLost: (cause) => life.end(cause),
    });
  }

  /** `before`: milliseconds before the last attempt. */
  #succeeded(node: BenchNode, before: number, attempt: number, wantsHomeAddress: boolean): void {
    this.#durations.add(before + attempt);
    this.#recent.add(before + attempt);
    this.#lastAttempts.add(attempt);
    if (node.resumed) this.#resumed += 1;
    if (wantsHomeAddress && node.homeAddress === undefined) this.#withoutHomeAddress += 1;
  }

  /** Rejects with NodeFailure if a node does not do something in time. */
  async #limited<T>(node: BenchNode, action: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const reason = node.heard ? `timeout in ${node.state}` : 'no answer to PCI';
        reject(new NodeFailure(reason, `${reason} within ${this.#plan.timeout / 1000} s`));
      }, this.#plan.timeout);
    });
    action.catch(() => undefined);
    try {
      return await Promise.race([action, limit]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** A session from its authorization to its end. */
  async #live(node: BenchNode, slot: Slot, stay: number, life: Life): Promise<void> {
    const { moveEvery, reauthenticateEvery, vanish } = this.#plan;
    const lasts = Number.isFinite(stay) ? around(stay) : stay;
    const leavesAt = performance.now() + lasts;
    let movesAt = performance.now() + (moveEvery > 0 ? around(moveEvery) : Number.POSITIVE_INFINITY);
    let againAt =
      performance.now() + (reauthenticateEvery > 0 ? around(reauthenticateEvery) : Number.POSITIVE_INFINITY);
    let lost: string | undefined;
    let wake: () => void = () => undefined;
    life.end = (cause) => {
      lost = cause;
      wake();
    };
    try {
      while (lost === undefined && !this.#hasToLeave(leavesAt)) {
        const now = performance.now();
        if (movesAt <= now) {
          movesAt = now + around(moveEvery);
          this.#movements.add(await this.#limited(node, node.move(this.#address(slot))));
        } else if (againAt <= now) {
          againAt = now + around(reauthenticateEvery);
          this.#reauthentications.add(await this.#limited(node, node.reauthenticate()));
        } else await this.#sleepers.sleep(Math.min(leavesAt, movesAt, againAt) - now, (stop) => (wake = stop));
      }
    } catch (error) {
      lost = reasonOf(error);
    }
    if (lost === undefined && (this.isEnding || Math.random() >= vanish)) await this.#terminate(node);
    else await node.abandon();
    if (lost !== undefined) this.#lost.add(lost, lost);
  }

  #hasToLeave(at: number): boolean {
    return this.isEnding || performance.now() >= at;
  }

  async #terminate(node: BenchNode): Promise<void> {
    if (this.#terminating >= TERMINATED_AT_ONCE && this.isEnding) {
      await new Promise<void>((resolve) => this.#waitingToTerminate.push(resolve));
    }
    this.#terminating += 1;
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<'unanswered'>((resolve) => {
      timer = setTimeout(() => resolve('unanswered'), this.#state === 'abandoned' ? 0 : TERMINATION_LIMIT);
    });
    if ((await Promise.race([node.terminate(), limit])) === 'unanswered') {
      this.#unanswered += 1;
      await node.abandon();
    }
    clearTimeout(timer);
    this.#terminating -= 1;
    this.#waitingToTerminate.shift()?.();
  }

  /** Terminates all sessions. */
  async #end(): Promise<void> {
    if (this.#state === 'running') this.#state = 'ending';
    const limit = END_LIMIT + END_LIMIT_PER_SESSION * this.#sessions;
    const timer = setTimeout(() => {
      this.#state = 'abandoned';
      for (const go of this.#waitingToTerminate.splice(0)) go();
    }, limit);
    this.#slots.giveUp();
    this.#sleepers.wakeAll();
    await Promise.all(this.#lives);
    clearTimeout(timer);
  }
}

/** A random time from half to one and a half of the mean, so that nodes do not act in step. */
function around(mean: number): number {
  return mean * (0.5 + Math.random());
}
