import type { Secret } from '../../protocol/bytes/secret.js';
import { type Guard, unguarded } from '../service/barrier.js';
import { type Host, systemHost } from '../system/host.js';
import { within } from '../system/within.js';
import { type HookEvent, type HookRole, HookValueError, type HookVariables, hookEnvironment } from './environment.js';
import { type HookCommand, type HookOutcome, type RunHook, removePskFile, runHook, writePskFile } from './process.js';

/** A hook that fails is tried again after a second, then twice as late, a minute at most. */
export const FIRST_RETRY = 1_000;
export const LONGEST_RETRY = 60_000;

/** How long what follows a hook that was killed at the end may take, in milliseconds: its key file is removed. */
const AFTER_KILL = 500;

/** `down`, `revoke` and `stop` have no session left that would end their retries. */
export const MAX_FINAL_TRIES = 8;

export interface HookOptions {
  readonly stateDir: string;
  /** Milliseconds. */
  readonly timeout: number;
  readonly maxParallel: number;
  readonly onEvent: (event: HookReport) => void;
  readonly guard?: Guard | undefined;
  readonly host?: Host | undefined;
  readonly runHook?: RunHook | undefined;
}

export interface HookJob {
  readonly program: string;
  readonly role: HookRole;
  readonly event: HookEvent;
  /** Jobs of the same subject run one after another, in order: a mobile node, a client. */
  readonly subject: string;
  /** A function is asked at each try; where it says undefined, there is nothing to do any more. */
  readonly variables: HookVariables | (() => HookVariables | undefined);
  /** Standard input of each try. */
  readonly input?: (() => string) | undefined;
  /** Tries that it has had elsewhere. */
  readonly triedBefore?: number;
  readonly onSuccess?: () => void;
  /** The runner keeps a copy, and wipes it when it is done. */
  readonly psk?: Secret | undefined;
}

export type HookReport =
  | {
      readonly type: 'line';
      readonly subject: string;
      readonly event: HookEvent;
      readonly role: HookRole;
      readonly line: string;
      /** Milliseconds since the event, that is since the job was queued; earlier tries count. */
      readonly sinceEvent: number;
    }
  | {
      readonly type: 'finished';
      readonly subject: string;
      readonly event: HookEvent;
      readonly role: HookRole;
      readonly try: number;
      readonly outcome: HookOutcome;
      readonly sinceEvent: number;
    }
  | {
      readonly type: 'refused';
      readonly subject: string;
      readonly event: HookEvent;
      readonly role: HookRole;
      readonly error: HookValueError;
    };

/** What a person sees of a job that has not succeeded yet. */
export interface HookView {
  readonly subject: string;
  readonly event: HookEvent;
  readonly role: HookRole;
  readonly tries: number;
  readonly problem: string | undefined;
}

interface Job extends HookJob {
  readonly secret: Secret | undefined;
  tries: number;
  problem: string | undefined;
  readonly queuedAt: number;
  readonly firstTry: { resolve(ok: boolean): void };
  readonly wake: AbortController;
  /** A newer event of the same subject has come: no further try. */
  superseded: boolean;
}

/** Runs the operator's hooks: at most so many at a time, one at a time for a subject, in order, again until they work. */
export class HookRunner {
  readonly #options: HookOptions;
  readonly #queues = new Map<string, Job[]>();
  readonly #slots: (() => void)[] = [];
  #running = 0;
  #stopping = false;
  readonly #active = new Set<Promise<void>>();
  readonly #processes = new Set<AbortController>();
  #ended = false;

  constructor(options: HookOptions) {
    this.#options = options;
  }

  /** Queues a job; resolves after its first try, with whether that worked. */
  run(given: HookJob): Promise<boolean> {
    const { promise, resolve } = deferred<boolean>();
    const job: Job = {
      ...given,
      secret: given.psk?.copy(),
      tries: given.triedBefore ?? 0,
      problem: undefined,
      queuedAt: this.#host.monotonic(),
      firstTry: { resolve },
      wake: new AbortController(),
      superseded: false,
    };
    const queue = this.#queues.get(job.subject);
    if (queue) {
      // What waits to be tried again is out of date: the newer event says what holds now.
      for (const older of queue) this.#supersede(older, job.event);
      this.#replaceRefresh(queue, job.event);
      queue.push(job);
    } else {
      this.#queues.set(job.subject, [job]);
      const drained = this.#drain(job.subject).finally(() => this.#active.delete(drained));
      this.#active.add(drained);
    }
    return promise;
  }

  /** Whether a job of this subject waits, runs or will be tried again. */
  has(subject: string): boolean {
    return this.#queues.has(subject);
  }

  /** Jobs of this subject that wait, run or will be tried again. */
  backlog(subject: string): number {
    return this.#queues.get(subject)?.length ?? 0;
  }

  /** No job of this subject is tried again. */
  cancel(subject: string): void {
    for (const job of this.#queues.get(subject) ?? []) {
      job.superseded = true;
      job.wake.abort();
    }
  }

  /** Jobs that wait, run or will be tried again. */
  status(): HookView[] {
    return [...this.#queues.values()]
      .flat()
      .map(({ subject, event, role, tries, problem }) => ({ subject, event, role, tries, problem }));
  }

  /**
   * Lets every job have its try, then no more; resolves when all are over, soon after `deadline` milliseconds at the latest. Hooks
   * that run for half of that time are killed, so that what waits for them, such as `down` for `up`, still has its try; at the
   * deadline all are killed.
   */
  async stop(deadline: number): Promise<void> {
    this.#stopping = true;
    for (const queue of this.#queues.values()) for (const job of queue) job.wake.abort();
    const over = () => Promise.all([...this.#active]);
    await within(over(), deadline / 2, this.#host);
    this.#kill();
    await within(over(), deadline / 2, this.#host);
    this.#ended = true;
    this.#kill();
    await within(over(), AFTER_KILL, this.#host);
  }

  /** Runs a hook's process, which ends with this runner at the latest. */
  async process(command: Omit<HookCommand, 'end'>): Promise<HookOutcome> {
    if (this.#ended) return { ok: false, milliseconds: 0, reason: 'the daemon has ended' };
    const end = new AbortController();
    this.#processes.add(end);
    try {
      const { runHook: run = runHook } = this.#options;
      return await run({ ...command, guard: this.#options.guard, end: end.signal });
    } finally {
      this.#processes.delete(end);
    }
  }

  #kill(): void {
    for (const end of this.#processes) end.abort();
  }

  /** A refresh that has not begun when the next one comes is not run: the newer one says all of it. */
  #replaceRefresh(queue: Job[], event: HookEvent): void {
    const last = queue.at(-1);
    if (event !== 'refresh' || queue.length < 2 || last?.event !== 'refresh' || last.tries > 0) return;
    queue.pop();
    last.secret?.wipe();
    last.firstTry.resolve(false);
  }

  #supersede(older: Job, event: HookEvent): void {
    // A pair of down and up both count: only what repeats or undoes an older event takes its place.
    if (event === 'up' && (older.event === 'down' || older.event === 'revoke')) return;
    older.superseded = true;
    if (older.tries > 0) older.wake.abort();
  }

  async #drain(subject: string): Promise<void> {
    const queue = this.#queues.get(subject) ?? [];
    for (let job = queue[0]; job; job = queue[0]) {
      // A fault ends this job, not those behind it.
      await this.#guard.settle('hook', this.#work(job));
      job.secret?.wipe();
      job.firstTry.resolve(false);
      queue.shift();
    }
    this.#queues.delete(subject);
  }

  /** Tries a job until it works, is superseded, or has no more tries. */
  async #work(job: Job): Promise<void> {
    const final = job.event === 'down' || job.event === 'revoke' || job.event === 'stop';
    for (let wait = FIRST_RETRY; ; wait = Math.min(wait * 2, LONGEST_RETRY)) {
      const ok = await this.#try(job);
      if (ok === true) this.#guard.run('hook', () => job.onSuccess?.());
      job.firstTry.resolve(ok === true);
      if (ok || job.superseded || this.#stopping || (final && job.tries >= MAX_FINAL_TRIES)) return;
      await pause(wait, job.wake.signal, this.#host);
      if (job.superseded || this.#stopping) return;
    }
  }

  /** Whether it worked; 'refused' counts as an end: the same values would be refused again. */
  async #try(job: Job): Promise<boolean | 'refused'> {
    await this.#slot();
    try {
      return await this.#tryNow(job);
    } finally {
      this.#release();
    }
  }

  async #tryNow(job: Job): Promise<boolean | 'refused'> {
    const { subject, event, role } = job;
    const variables = typeof job.variables === 'function' ? job.variables() : job.variables;
    if (!variables) return true;
    job.tries += 1;
    const sinceEvent = () => this.#host.monotonic() - job.queuedAt;
    const finished = (outcome: HookOutcome) =>
      this.#options.onEvent({
        type: 'finished',
        subject,
        event,
        role,
        try: job.tries,
        outcome,
        sinceEvent: sinceEvent(),
      });
    let pskFile: string | undefined;
    try {
      pskFile = job.secret && (await writePskFile(this.#options.stateDir, job.secret));
      const environment = hookEnvironment(event, role, variables, { stateDir: this.#options.stateDir, pskFile });
      const onLine = (line: string) =>
        this.#options.onEvent({ type: 'line', subject, event, role, line, sinceEvent: sinceEvent() });
      const { program, secret } = job;
      const { timeout } = this.#options;
      const input = job.input?.();
      const outcome = await this.process({ program, event, environment, timeout, input, secret, onLine });
      job.problem = outcome.ok ? undefined : outcome.reason;
      finished(outcome);
      return outcome.ok;
    } catch (error) {
      if (error instanceof HookValueError) {
        this.#options.onEvent({ type: 'refused', subject, event, role, error });
        return 'refused';
      }
      job.problem = (error as Error).message;
      finished({ ok: false, milliseconds: 0, reason: job.problem });
      return false;
    } finally {
      if (pskFile !== undefined) await removePskFile(pskFile);
    }
  }

  get #host(): Host {
    return this.#options.host ?? systemHost;
  }

  get #guard(): Guard {
    return this.#options.guard ?? unguarded;
  }

  async #slot(): Promise<void> {
    if (this.#running < this.#options.maxParallel) {
      this.#running += 1;
      return;
    }
    const { promise, resolve } = deferred<void>();
    this.#slots.push(resolve);
    await promise;
  }

  /** A slot goes to whoever waits longest, or back. */
  #release(): void {
    const next = this.#slots.shift();
    if (next) next();
    else this.#running -= 1;
  }
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** Resolves after so many milliseconds, or when the signal says so. */
function pause(milliseconds: number, signal: AbortSignal, host: Host): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const cancel = host.after(milliseconds, resolve);
    signal.addEventListener('abort', () => {
      cancel();
      resolve();
    });
  });
}
