import { DeadlineQueue } from '../bytes/deadline-queue.js';
import {
  AFTER_KILL,
  type Exempt,
  FIRST_RETRY,
  type HookOutcome,
  type Job,
  type JobView,
  KILL_AFTER,
  LONGEST_RETRY,
  LONGEST_START_RETRY,
  MAX_BATCH,
  MAX_TRIES,
  type QueueInput,
  type QueueOptions,
  type QueueOutput,
} from './alphabet.js';
import type { HookEvent } from './contract.js';
import { type Entry, kindOf, type Lane, type Run, replacedRefresh, type Stop } from './queue-state.js';
import { TimeLimits } from './time-limit.js';

const STOPPED: HookOutcome = { ok: false, milliseconds: 0, reason: 'the daemon has stopped' };
const REPLACED: HookOutcome = { ok: false, milliseconds: 0, reason: 'replaced by a newer event' };
const NOTHING_TO_DO: HookOutcome = { ok: true, milliseconds: 0 };
const READY: HookOutcome = { ok: true, milliseconds: 0 };

const NO_TRY: Readonly<Record<Exclude<Exempt, 'nothing'>, HookOutcome>> = {
  refused: { ok: false, milliseconds: 0, reason: 'a value was refused' },
  broken: { ok: false, milliseconds: 0, reason: 'fault' },
};

/**
 * Decides which hook runs when. Jobs of one subject run one at a time, in order. A limited number of jobs run at the
 * same time. A failed job is retried until it succeeds or a newer event replaces it.
 */
export class HookQueue {
  readonly #options: QueueOptions;
  readonly #limits: TimeLimits;
  readonly #entries = new Map<number, Entry>();
  readonly #subjects = new Map<string, Entry[]>();
  /** Waiting jobs, by the job in `after` that blocks them. */
  readonly #dependents = new Map<number, Entry[]>();
  readonly #lanes = new Map<string, Lane>();
  readonly #ready: Entry[] = [];
  readonly #delayed = new DeadlineQueue<Entry>();
  readonly #runs = new Map<number, Run>();
  #singleRuns = 0;
  #lastRun = 0;
  #stop: Stop = { name: 'open' };
  /** Time of the current input. */
  #now = 0;
  #outputs: QueueOutput[] = [];

  constructor(options: QueueOptions) {
    this.#options = options;
    this.#limits = new TimeLimits(options.timeout);
  }

  handle(input: QueueInput, now: number): QueueOutput[] {
    this.#outputs = [];
    this.#now = now;
    switch (input.type) {
      case 'job':
        this.#add(input.token, input.job);
        break;
      case 'ready':
        for (const entry of this.#runs.get(input.run)?.entries ?? []) this.#giveFirstResult(entry, READY);
        break;
      case 'ended':
        this.#ended(input);
        break;
      case 'stop':
        this.#beginStop(input.within);
        break;
      case 'tick':
        this.#tick();
    }
    this.#beginSingles();
    // Jobs that arrive at the same time share a run: the lane starts at the next tick.
    if (input.type !== 'job') for (const lane of this.#lanes.values()) this.#beginLane(lane);
    this.#finishStop(input.type);
    return this.#outputs;
  }

  get deadline(): number | undefined {
    let first = this.#delayed.first ?? Number.POSITIVE_INFINITY;
    for (const { signalAt } of this.#runs.values()) first = Math.min(first, signalAt);
    for (const { isRunning, due } of this.#lanes.values()) {
      if (!isRunning && due !== undefined && !this.#isStopped) first = Math.min(first, due);
    }
    if (this.#stop.name === 'trying') {
      first = Math.min(first, this.#stop.halfPassed ? this.#stop.endAt : this.#stop.halfAt);
    } else if (this.#stop.name === 'killing') {
      first = Math.min(first, this.#stop.until);
    }
    return first === Number.POSITIVE_INFINITY ? undefined : first;
  }

  /**
   * How long `stop` should wait, in milliseconds: `usual`, or twice the longest run lately if that is more, but no longer
   * than the configured time limit of a run.
   */
  stopTime(usual: number): number {
    return Math.max(usual, Math.min(2 * this.#limits.longest, this.#options.timeout));
  }

  /** Number of unfinished jobs of this subject. */
  backlog(subject: string): number {
    return this.#subjects.get(subject)?.length ?? 0;
  }

  /** All unfinished jobs. */
  *jobs(): Generator<JobView> {
    for (const { token, tries, problem } of this.#entries.values()) yield { token, tries, problem };
  }

  // ---------------------------------------------------------------------------------------------------------- arrival

  #add(token: number, job: Job): void {
    const entry: Entry = {
      token,
      job,
      queuedAt: this.#now,
      blockedBy: new Set(),
      state: 'waiting',
      tries: 0,
      problem: undefined,
      retryAfter: FIRST_RETRY,
      superseded: false,
      hasResult: false,
      alone: false,
    };
    this.#entries.set(token, entry);
    if (this.#isStopped) {
      this.#finish(entry, false, STOPPED);
      return;
    }
    for (const older of [...(this.#subjects.get(job.subject) ?? [])]) this.#supersede(older, job.event);
    const queue = this.#subjects.get(job.subject) ?? [];
    this.#subjects.set(job.subject, queue);
    const replaced = replacedRefresh(queue, job.event);
    queue.push(entry);
    for (const earlier of job.after ?? []) {
      const before = this.#entries.get(earlier);
      if (!before || (before.hasResult && before.state !== 'running')) continue;
      entry.blockedBy.add(earlier);
      this.#dependents.set(earlier, [...(this.#dependents.get(earlier) ?? []), entry]);
    }
    if (job.lane !== undefined) this.#laneOf(job.lane).waiting.add(entry);
    if (replaced) this.#replace(replaced, entry);
    else this.#consider(entry);
  }

  /**
   * Puts a newer job in the place of an older one. If it were appended instead, the jobs of a busy subject would never
   * run.
   */
  #replace(older: Entry, newer: Entry): void {
    const place = this.#ready.indexOf(older);
    this.#finish(older, false, REPLACED);
    if (place < 0 || newer.state !== 'ready') return;
    this.#ready.pop();
    this.#ready[place] = newer;
  }

  /**
   * Ends the retries of an older event, because a newer one describes the current state. Exception: an `up` does not
   * undo an earlier setup, so a pending `down` or `revoke` is kept and runs first.
   */
  #supersede(older: Entry, event: HookEvent): void {
    if (event === 'up' && (older.job.event === 'down' || older.job.event === 'revoke')) return;
    older.superseded = true;
    // The older job has had its first try and waits for a retry.
    if (older.hasResult && older.state !== 'running') this.#finish(older, false, REPLACED);
  }

  #laneOf(name: string): Lane {
    const lane = this.#lanes.get(name) ?? { name, waiting: new Set(), isRunning: false, due: undefined };
    this.#lanes.set(name, lane);
    return lane;
  }

  // ------------------------------------------------------------------------------------------------------------- runs

  /** Makes a job ready, or schedules the run of its lane, unless an earlier job blocks it. */
  #consider(entry: Entry): void {
    const isFirst = this.#subjects.get(entry.job.subject)?.[0] === entry;
    if (entry.state !== 'waiting' || !isFirst || entry.blockedBy.size > 0) return;
    if (entry.job.lane === undefined || entry.alone) {
      entry.state = 'ready';
      this.#ready.push(entry);
    } else {
      this.#laneOf(entry.job.lane).due ??= this.#now;
    }
  }

  #beginSingles(): void {
    while (!this.#isStopped && this.#ready.length > 0 && this.#singleRuns < this.#options.parallel) {
      const entry = this.#ready.shift();
      // The job was finished without a try: the queue was stopped, or a newer refresh replaced it.
      if (entry?.state !== 'ready') continue;
      this.#singleRuns += 1;
      this.#begin([entry], undefined);
    }
  }

  #beginLane(lane: Lane): void {
    if (this.#isStopped || lane.isRunning || lane.due === undefined || lane.due > this.#now) return;
    lane.due = undefined;
    const batch = this.#batchOf(lane);
    for (const entry of batch) lane.waiting.delete(entry);
    if (batch.length === 0) return;
    lane.isRunning = true;
    this.#begin(batch, lane);
  }

  /** Jobs of a lane that can run now: each job that blocks them has ended or is in the same run. */
  #batchOf(lane: Lane): Entry[] {
    const batch: Entry[] = [];
    const taken = new Set<number>();
    const ofSubject = new Map<string, number>();
    for (const entry of lane.waiting) {
      if (batch.length === MAX_BATCH) break;
      const { subject } = entry.job;
      const before = ofSubject.get(subject) ?? 0;
      if (this.#subjects.get(subject)?.[before] !== entry) continue;
      if ([...entry.blockedBy].some((token) => !taken.has(token))) continue;
      batch.push(entry);
      taken.add(entry.token);
      ofSubject.set(subject, before + 1);
    }
    return batch;
  }

  #begin(entries: readonly Entry[], lane: Lane | undefined): void {
    this.#lastRun += 1;
    for (const entry of entries) entry.state = 'running';
    const event = lane ? 'batch' : (entries[0]?.job.event ?? 'batch');
    const kind = kindOf(event, entries);
    const limit = this.#limits.of(kind);
    const [beganAt, signalAt] = [this.#now, this.#now + limit];
    this.#runs.set(this.#lastRun, { entries, lane, event, kind, limit, beganAt, signalAt, timedOut: false });
    const tokens = entries.map(({ token }) => token);
    this.#outputs.push({ type: 'run', run: this.#lastRun, tokens, lane: lane?.name });
  }

  #ended({ run: id, outcome, exempt }: Extract<QueueInput, { type: 'ended' }>): void {
    const run = this.#runs.get(id);
    if (!run) return;
    this.#runs.delete(id);
    if (run.lane) {
      run.lane.isRunning = false;
      run.lane.due = this.#now;
    } else {
      this.#singleRuns -= 1;
    }
    const shown = run.timedOut && outcome ? lateOutcome(run, outcome) : outcome;
    for (const entry of run.entries) {
      const why = exempt?.get(entry.token) ?? (shown ? undefined : 'broken');
      if (why === 'nothing') this.#finish(entry, true, NOTHING_TO_DO);
      else if (why) this.#finish(entry, false, NO_TRY[why]);
      else if (shown) this.#tried(entry, shown, run.lane !== undefined);
    }
    if (shown?.ok || run.timedOut) this.#measured(run);
    // These may run now: the next job of each subject, and jobs of a failed run of a lane.
    for (const { job } of run.entries) {
      const next = this.#subjects.get(job.subject)?.[0];
      if (next) this.#consider(next);
    }
  }

  #measured({ event, kind, limit, beganAt, timedOut }: Run): void {
    const next = this.#limits.record(kind, timedOut ? limit : this.#now - beganAt);
    if (next !== undefined) this.#outputs.push({ type: 'limit', event, milliseconds: next });
  }

  #tried(entry: Entry, outcome: HookOutcome, inLane: boolean): void {
    const { token, job, queuedAt } = entry;
    entry.tries += 1;
    entry.problem = outcome.ok ? undefined : outcome.reason;
    this.#outputs.push({ type: 'tried', token, try: entry.tries, outcome, sinceEvent: this.#now - queuedAt });
    if (outcome.ok) {
      this.#finish(entry, true, outcome);
    } else if (this.#isStopped) {
      this.#finish(entry, false, outcome);
    } else if (inLane) {
      // It is unknown which event made the run fail.
      entry.alone = true;
      entry.state = 'waiting';
    } else if (
      entry.superseded ||
      this.#stop.name !== 'open' ||
      entry.tries >= (MAX_TRIES[job.event] ?? Number.POSITIVE_INFINITY)
    ) {
      this.#finish(entry, false, outcome);
    } else {
      entry.state = 'delayed';
      this.#delayed.set(entry, this.#now + entry.retryAfter);
      const longest = job.event === 'start' ? LONGEST_START_RETRY : LONGEST_RETRY;
      entry.retryAfter = Math.min(2 * entry.retryAfter, longest);
      this.#giveFirstResult(entry, outcome);
      this.#release(entry);
    }
  }

  // -------------------------------------------------------------------------------------------------------------- end

  #giveFirstResult(entry: Entry, outcome: HookOutcome): void {
    if (entry.hasResult) return;
    entry.hasResult = true;
    this.#outputs.push({ type: 'firstResult', token: entry.token, outcome });
  }

  /** Unblocks jobs that wait for this one. */
  #release(entry: Entry): void {
    const dependents = this.#dependents.get(entry.token) ?? [];
    this.#dependents.delete(entry.token);
    for (const dependent of dependents) {
      dependent.blockedBy.delete(entry.token);
      this.#consider(dependent);
    }
  }

  /** Ends a job. `outcome`: its first result, if it has none yet. */
  #finish(entry: Entry, ok: boolean, outcome: HookOutcome): void {
    const { token, job } = entry;
    this.#entries.delete(token);
    this.#delayed.set(entry, undefined);
    entry.state = 'done';
    if (job.lane !== undefined) this.#lanes.get(job.lane)?.waiting.delete(entry);
    this.#giveFirstResult(entry, outcome);
    this.#outputs.push({ type: 'done', token, ok });
    this.#release(entry);
    const queue = this.#subjects.get(job.subject) ?? [];
    const at = queue.indexOf(entry);
    if (at >= 0) queue.splice(at, 1);
    const [next] = queue;
    if (next) this.#consider(next);
    else this.#subjects.delete(job.subject);
  }

  #tick(): void {
    for (let entry = this.#delayed.due(this.#now); entry; entry = this.#delayed.due(this.#now)) {
      entry.state = 'waiting';
      this.#consider(entry);
    }
    for (const [id, run] of this.#runs) {
      if (run.signalAt > this.#now) continue;
      this.#outputs.push({ type: 'kill', run: id, signal: run.timedOut ? 'SIGKILL' : 'SIGTERM' });
      run.signalAt = run.timedOut ? Number.POSITIVE_INFINITY : this.#now + KILL_AFTER;
      run.timedOut = true;
    }
    if (this.#stop.name === 'trying' && !this.#stop.halfPassed && this.#stop.halfAt <= this.#now) {
      this.#stop = { ...this.#stop, halfPassed: true };
      // Only if jobs wait: on a slow computer the last hook may need all of the time.
      if ([...this.#entries.values()].some(({ state }) => state !== 'running')) this.#killAll();
    }
    if (this.#stop.name === 'trying' && this.#stop.endAt <= this.#now) {
      this.#stop = { name: 'killing', until: this.#now + AFTER_KILL };
      this.#killAll();
      for (const entry of [...this.#entries.values()])
        if (entry.state !== 'running') this.#finish(entry, false, STOPPED);
    }
    if (this.#stop.name === 'killing' && this.#stop.until <= this.#now) {
      this.#runs.clear();
      for (const entry of [...this.#entries.values()]) this.#finish(entry, false, STOPPED);
    }
  }

  #beginStop(within: number): void {
    if (this.#stop.name !== 'open') return;
    this.#stop = { name: 'trying', halfAt: this.#now + within / 2, endAt: this.#now + within, halfPassed: false };
    for (const entry of [...this.#entries.values()]) if (entry.state === 'delayed') this.#finish(entry, false, STOPPED);
  }

  #killAll(): void {
    for (const run of this.#runs.keys()) this.#outputs.push({ type: 'kill', run, signal: 'SIGKILL' });
  }

  /** Whether no more runs start. */
  get #isStopped(): boolean {
    return this.#stop.name === 'killing' || this.#stop.name === 'stopped';
  }

  #finishStop(input: QueueInput['type']): void {
    if (this.#stop.name === 'open' || this.#entries.size > 0) return;
    if (this.#stop.name === 'stopped' && input !== 'stop') return;
    this.#stop = { name: 'stopped' };
    this.#outputs.push({ type: 'stopped' });
  }
}

/** The outcome of a run that exceeded its time limit, whatever its exit status after SIGTERM. */
function lateOutcome({ limit }: Run, { milliseconds }: HookOutcome): HookOutcome {
  return { ok: false, milliseconds, limit, reason: `timeout after ${limit} ms` };
}
