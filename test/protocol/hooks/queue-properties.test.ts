import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AFTER_KILL,
  type Exempt,
  type Job,
  LONGEST_RETRY,
  MAX_BATCH,
  MAX_TRIES,
  type QueueOutput,
} from '../../../src/protocol/hooks/alphabet.js';
import { HookQueue } from '../../../src/protocol/hooks/queue.js';
import { runs } from '../../seed.js';

const PARALLEL = 3;
const EVENTS = ['up', 'refresh', 'move', 'down', 'permit', 'revoke'] as const;

type Step =
  | {
      readonly do: 'job';
      readonly event: Job['event'];
      readonly subject: number;
      readonly lane: boolean;
      readonly after: number[];
    }
  | { readonly do: 'end'; readonly which: number; readonly ok: boolean; readonly exempt: Exempt | undefined }
  | { readonly do: 'wait'; readonly milliseconds: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('job' as const),
      event: fc.constantFrom(...EVENTS),
      subject: fc.nat(3),
      lane: fc.boolean(),
      after: fc.array(fc.nat(20), { maxLength: 2 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('end' as const),
      which: fc.nat(),
      ok: fc.boolean(),
      exempt: fc.option(fc.constantFrom('nothing' as const, 'refused' as const, 'broken' as const), {
        nil: undefined,
        freq: 6,
      }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), milliseconds: fc.nat(40_000) }) },
);

interface Known {
  readonly token: number;
  readonly job: Job;
  readonly queuedAt: number;
  hasResult: boolean;
  done: boolean;
  runs: number;
  /** A newer event of this subject has made this one obsolete. */
  superseded: boolean;
}

/** The queue, and an observer that checks each output. */
class World {
  readonly queue = new HookQueue({ timeout: 30_000, parallel: PARALLEL });
  readonly jobs: Known[] = [];
  readonly runs = new Map<number, { readonly jobs: readonly Known[]; readonly lane: boolean }>();
  now = 0;
  stopped = false;
  /** The time at which `stop` no longer waits. */
  overAt = Number.POSITIVE_INFINITY;

  add(given: Extract<Step, { do: 'job' }>): void {
    const token = this.jobs.length + 1;
    const { event, lane } = given;
    // `after` names earlier jobs only.
    const after = given.after.map((back) => token - 1 - back).filter((earlier) => earlier > 0);
    const job = { event, subject: `s${given.subject}`, after, lane: lane ? 'lane' : undefined };
    for (const older of this.#of(job.subject)) {
      if (!(event === 'up' && (older.job.event === 'down' || older.job.event === 'revoke'))) older.superseded = true;
    }
    this.jobs.push({ token, job, queuedAt: this.now, hasResult: false, done: false, runs: 0, superseded: false });
    this.#handle({ type: 'job', token, job });
  }

  end({ which, ok, exempt }: Extract<Step, { do: 'end' }>): void {
    const ids = [...this.runs.keys()];
    const id = ids[which % Math.max(1, ids.length)];
    const run = id === undefined ? undefined : this.runs.get(id);
    if (id === undefined || !run) return;
    this.runs.delete(id);
    const left = new Map<number, Exempt>();
    if (exempt) for (const { token } of run.jobs.slice(0, 1 + (which % run.jobs.length))) left.set(token, exempt);
    const milliseconds = 1;
    const outcome = ok ? ({ ok: true, milliseconds } as const) : ({ ok: false, milliseconds, reason: 'no' } as const);
    const started = left.size === run.jobs.length ? undefined : outcome;
    this.#handle({ type: 'ended', run: id, outcome: started, exempt: left });
  }

  wait(milliseconds: number): void {
    const end = this.now + milliseconds;
    for (let at = this.queue.deadline; at !== undefined && at <= end; at = this.queue.deadline) {
      const isPast = at < this.now;
      this.now = Math.max(this.now, at);
      this.#handle({ type: 'tick' });
      // A tick must remove its deadline, or the driver would spin.
      if (isPast) expect(this.queue.deadline ?? Number.POSITIVE_INFINITY).toBeGreaterThanOrEqual(this.now);
    }
    this.now = end;
  }

  stop(within: number): void {
    this.overAt = this.now + within + AFTER_KILL;
    this.#handle({ type: 'stop', within });
  }

  /** Lets every hook succeed from now on, for as long as retries need. */
  settleDown(): void {
    for (let n = 0; n < 20 + 2 * this.jobs.length; n += 1) {
      this.wait(0);
      while (this.runs.size > 0) this.end({ do: 'end', which: 0, ok: true, exempt: undefined });
      this.wait(LONGEST_RETRY);
    }
  }

  #of(subject: string): Known[] {
    return this.jobs.filter(({ job, done }) => job.subject === subject && !done);
  }

  #handle(input: Parameters<HookQueue['handle']>[0]): void {
    for (const output of this.queue.handle(input, this.now)) this.#check(output);
    expect([...this.queue.jobs()].map(({ token }) => token)).toEqual(
      this.jobs.filter(({ done }) => !done).map(({ token }) => token),
    );
  }

  #known(token: number): Known {
    const known = this.jobs[token - 1];
    if (!known) throw new Error(`no job ${token}`);
    return known;
  }

  #check(output: QueueOutput): void {
    expect(this.stopped).toBe(false);
    switch (output.type) {
      case 'run':
        this.#checkRun(
          output.tokens.map((token) => this.#known(token)),
          output.lane !== undefined,
        );
        this.runs.set(output.run, {
          jobs: output.tokens.map((token) => this.#known(token)),
          lane: output.lane !== undefined,
        });
        break;
      case 'firstResult': {
        const known = this.#known(output.token);
        expect(known).toMatchObject({ hasResult: false, done: false });
        known.hasResult = true;
        break;
      }
      case 'done': {
        const known = this.#known(output.token);
        // `done` wipes the key of a job, so the job must no longer run, unless its process survives SIGKILL.
        if (this.now < this.overAt) expect([...this.runs.values()].flatMap(({ jobs }) => jobs)).not.toContain(known);
        expect(known).toMatchObject({ hasResult: true, done: false });
        known.done = true;
        break;
      }
      case 'stopped':
        expect(this.jobs.every(({ done }) => done)).toBe(true);
        this.stopped = true;
        break;
      case 'tried':
        expect(output.sinceEvent).toBe(this.now - this.#known(output.token).queuedAt);
        break;
      case 'kill':
      case 'limit':
        break;
    }
  }

  #checkRun(jobs: readonly Known[], lane: boolean): void {
    expect(jobs.length).toBeGreaterThan(0);
    expect(jobs.length).toBeLessThanOrEqual(lane ? MAX_BATCH : 1);
    // The limit of parallel runs holds.
    const same = [...this.runs.values()].filter((run) => run.lane === lane).length;
    expect(same).toBeLessThan(lane ? 1 : PARALLEL);
    const running = new Set([...this.runs.values()].flatMap((run) => run.jobs));
    for (const known of jobs) {
      expect(known.done).toBe(false);
      expect(running.has(known)).toBe(false);
      // All earlier jobs of its subject are done, or come first in this run.
      const older = this.#of(known.job.subject).filter(({ token }) => token < known.token);
      expect(jobs.slice(0, jobs.indexOf(known))).toEqual(expect.arrayContaining(older));
      // The jobs named in `after` have had their first try, or come first in this run.
      for (const earlier of known.job.after ?? []) {
        const before = this.#known(earlier);
        expect(before.hasResult || jobs.indexOf(before) < jobs.indexOf(known)).toBe(true);
      }
      // A newer event ends retries. The run of a job alone after a failed run of a lane counts as its first try.
      if (known.hasResult) expect(known.superseded).toBe(false);
      known.runs += 1;
      expect(known.runs).toBeLessThanOrEqual(
        (MAX_TRIES[known.job.event] ?? Number.POSITIVE_INFINITY) + (known.job.lane ? 1 : 0),
      );
    }
  }
}

function walk(steps: readonly Step[]): World {
  const world = new World();
  for (const next of steps) {
    if (next.do === 'job') world.add(next);
    else if (next.do === 'end') world.end(next);
    else world.wait(next.milliseconds);
  }
  return world;
}

describe('HookQueue with any inputs in any order', () => {
  it('keeps the order of each subject and the limit, and loses no job', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
        const world = walk(steps);
        world.settleDown();
        // Each job has a first result and is done, and each but a replaced refresh has run.
        for (const known of world.jobs) {
          expect(known).toMatchObject({ hasResult: true, done: true });
          if (known.job.event !== 'refresh') expect(known.runs).toBeGreaterThan(0);
        }
        expect(world.queue.deadline).toBeUndefined();
      }),
      { numRuns: runs(300) },
    );
  });

  it('stops within its time, whatever its hooks do', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60, size: 'max' }),
        fc.nat(10_000),
        fc.array(step, { maxLength: 20, size: 'max' }),
        (steps, within, more) => {
          const world = walk(steps);
          const began = world.now;
          world.stop(within);
          for (const next of more) {
            if (world.stopped || next.do !== 'end') continue;
            world.end(next);
          }
          world.wait(within + AFTER_KILL);
          expect(world.stopped).toBe(true);
          expect(world.now).toBe(began + within + AFTER_KILL);
          expect(world.queue.deadline).toBeUndefined();
        },
      ),
      { numRuns: runs(300) },
    );
  });

  it('runs only the last of the refreshes that wait', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 50 }), fc.boolean(), (many, busy) => {
        const queue = new HookQueue({ timeout: 30_000, parallel: 1 });
        const ran: number[] = [];
        const handle = (input: Parameters<HookQueue['handle']>[0]) => {
          for (const output of queue.handle(input, 0)) if (output.type === 'run') ran.push(...output.tokens);
        };
        // The only slot is taken by another subject, or by an event of this one.
        handle({ type: 'job', token: 1, job: { event: 'up', subject: busy ? 'other' : 'mn' } });
        for (let token = 2; token <= many; token += 1) {
          handle({ type: 'job', token, job: { event: 'refresh', subject: 'mn' } });
        }
        handle({ type: 'ended', run: 1, outcome: { ok: true, milliseconds: 1 } });
        expect(ran).toEqual([1, many]);
        expect(queue.backlog('mn')).toBe(1);
      }),
      { numRuns: runs(100) },
    );
  });
});
