// Long, because it has all rows of the QUEUE machine: one job, one subject, several subjects, lanes, stop.

import { describe, expect, it } from 'vitest';
import { AFTER_KILL, FIRST_RETRY, KILL_AFTER, LONGEST_RETRY, MAX_BATCH } from '../../../src/protocol/hooks/alphabet.js';
import { QueueRig } from './queue-rig.js';

describe('a job', () => {
  it('runs at once; when its hook succeeds, it has its first result and is done', () => {
    const rig = new QueueRig();
    rig.job('up');
    rig.advance(40);
    rig.end('up mn');
    expect(rig.said()).toEqual([
      '0 run up mn',
      '40 tried up mn try 1 ok after 40',
      '40 firstResult up mn ok',
      '40 done up mn ok',
    ]);
    expect(rig.queue.deadline).toBeUndefined();
    expect([...rig.queue.jobs()]).toEqual([]);
  });

  it('has its first result when its hook is ready; later jobs still wait for its end', () => {
    const rig = new QueueRig();
    const up = rig.job('up');
    rig.job('refresh', 'other', { after: [up] });
    rig.advance(40);
    rig.ready('up mn');
    rig.ready('up mn');
    // A later job of the subject, and one that waits for this one, still wait for its end.
    rig.job('refresh');
    expect(rig.said()).toEqual(['0 run up mn', '40 firstResult up mn ok']);
    rig.advance(60);
    rig.end('up mn', 'exit status 1');
    expect(rig.said('firstResult', 'done', 'run')).toEqual([
      '100 done up mn failed',
      '100 run refresh other',
      '100 run refresh mn',
    ]);
  });

  it('has its first result when it fails, and is retried after 1, 2, 4 s up to a minute until it succeeds', () => {
    const rig = new QueueRig();
    rig.job('up');
    const runs: number[] = [];
    for (let tries = 0; tries < 10; tries += 1) {
      runs.push(rig.now);
      expect(rig.running).toEqual(['up mn']);
      rig.end('up mn', 'exit status 1');
      const { deadline } = rig.queue;
      if (deadline === undefined) throw new Error('no retry');
      // Nothing runs before the deadline.
      rig.advance(deadline - rig.now - 1);
      expect(rig.running).toEqual([]);
      expect([...rig.queue.jobs()]).toMatchObject([{ tries: tries + 1, problem: 'exit status 1' }]);
      rig.advance(1);
    }
    const waits = runs.slice(1).map((at, i) => at - (runs[i] ?? 0));
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1000));
    expect([FIRST_RETRY, LONGEST_RETRY]).toEqual([1_000, 60_000]);
    expect(rig.said('firstResult')).toEqual(['0 firstResult up mn failed: exit status 1']);
    rig.end('up mn');
    expect(rig.said('firstResult', 'done')).toEqual([`${rig.now} done up mn ok`]);
  });

  it.each([
    ['down', 8],
    ['revoke', 8],
    ['stop', 8],
    ['probe', 1],
  ] as const)('of event %s has at most %i tries', (event, most) => {
    const rig = new QueueRig();
    rig.job(event);
    for (let tries = 0; tries < most; tries += 1) {
      rig.advance(LONGEST_RETRY);
      rig.end(`${event} mn`, 'no');
    }
    rig.advance(10 * LONGEST_RETRY);
    expect(rig.running).toEqual([]);
    expect(rig.said('done')).toHaveLength(1);
    expect(rig.queue.deadline).toBeUndefined();
  });

  it('of another event is still retried after 3,000 failures', () => {
    for (const event of ['up', 'refresh', 'move', 'reconfigure', 'start', 'permit'] as const) {
      const rig = new QueueRig();
      rig.job(event);
      for (let tries = 0; tries < 3_000; tries += 1) {
        rig.end(`${event} mn`, 'no');
        rig.advance(LONGEST_RETRY);
      }
      expect(rig.running).toEqual([`${event} mn`]);
    }
  });

  it.each([
    ['nothing', 'firstResult up mn ok', 'done up mn ok'],
    ['refused', 'firstResult up mn failed: a value was refused', 'done up mn failed'],
    ['broken', 'firstResult up mn failed: fault', 'done up mn failed'],
  ] as const)('with the exemption %s ends without a try, and the next one runs', (exempt, firstResult, done) => {
    const rig = new QueueRig();
    rig.job('up');
    rig.job('move');
    rig.end('up mn', undefined, exempt);
    expect(rig.said()).toEqual(['0 run up mn', `0 ${firstResult}`, `0 ${done}`, '0 run move mn']);
  });

  it('gets SIGTERM at its timeout, then SIGKILL, and has failed whatever its exit status', () => {
    const rig = new QueueRig({ timeout: 5_000 });
    rig.job('down');
    rig.advance(4_999);
    expect(rig.said('kill')).toEqual([]);
    rig.advance(1);
    expect(rig.said('kill')).toEqual(['5000 kill down mn SIGTERM']);
    rig.advance(KILL_AFTER - 1);
    expect(rig.said('kill')).toEqual([]);
    rig.advance(1);
    expect(rig.said('kill')).toEqual(['7000 kill down mn SIGKILL']);
    rig.advance(60_000);
    expect(rig.said('kill')).toEqual([]);
    rig.end('down mn');
    expect(rig.said('tried')).toEqual(['67000 tried down mn try 1 timeout after 5000 ms after 67000']);
    rig.advance(FIRST_RETRY);
    expect(rig.running).toEqual(['down mn']);
  });
});

describe('jobs of one subject', () => {
  it('run one after another, in order', () => {
    const rig = new QueueRig();
    for (const event of ['up', 'refresh', 'move', 'down'] as const) rig.job(event);
    for (const event of ['up', 'refresh', 'move', 'down'] as const) {
      expect(rig.running).toEqual([`${event} mn`]);
      rig.end(`${event} mn`);
    }
    expect(rig.running).toEqual([]);
    expect(rig.queue.backlog('mn')).toBe(0);
  });

  it('stop the retries of an older up when a newer up comes, which runs at once', () => {
    const rig = new QueueRig();
    rig.job('up', 'mn', { name: 'older' });
    rig.end('older', 'no');
    rig.said();
    rig.advance(500);
    rig.job('up', 'mn', { name: 'newer' });
    expect(rig.said()).toEqual(['500 done older failed', '500 run newer']);
    rig.end('newer');
    rig.advance(10 * LONGEST_RETRY);
    expect(rig.said('run')).toEqual([]);
  });

  it('stop the retries of an up that waits for its turn when a newer event comes', () => {
    const rig = new QueueRig({ parallel: 1 });
    rig.job('up', 'mn', { name: 'older' });
    rig.end('older', 'no');
    rig.job('up', 'other');
    rig.advance(FIRST_RETRY);
    rig.said();
    rig.job('up', 'mn', { name: 'newer' });
    expect(rig.said()).toEqual(['1000 done older failed']);
    rig.end('up other');
    expect(rig.running).toEqual(['newer']);
  });

  it('are not retried when a newer event comes while they run', () => {
    const rig = new QueueRig();
    rig.job('up');
    rig.job('down');
    rig.end('up mn', 'no');
    expect(rig.said('run', 'done')).toEqual(['0 run up mn', '0 done up mn failed', '0 run down mn']);
  });

  it.each(['down', 'revoke'] as const)('make an up wait until %s has succeeded', (event) => {
    const rig = new QueueRig();
    rig.job(event);
    rig.end(`${event} mn`, 'no');
    rig.job('up');
    expect(rig.running).toEqual([]);
    rig.advance(FIRST_RETRY);
    expect(rig.running).toEqual([`${event} mn`]);
    rig.end(`${event} mn`);
    expect(rig.running).toEqual(['up mn']);
  });

  it('stop retrying a down when a newer down or move is queued', () => {
    for (const newer of ['down', 'move'] as const) {
      const rig = new QueueRig();
      rig.job('down', 'mn', { name: 'older' });
      rig.end('older', 'no');
      rig.job(newer, 'mn', { name: 'newer' });
      expect(rig.running).toEqual(['newer']);
    }
  });

  it('all have a first try, whatever newer events come', () => {
    const rig = new QueueRig();
    rig.job('up');
    rig.job('move', 'mn', { name: 'one' });
    rig.job('move', 'mn', { name: 'two' });
    rig.job('down');
    for (const name of ['up mn', 'one', 'two', 'down mn']) rig.end(name, 'no');
    expect(rig.said('run')).toEqual(['0 run up mn', '0 run one', '0 run two', '0 run down mn']);
  });

  it('drop a refresh for a newer one if it is the last and has not started', () => {
    const rig = new QueueRig();
    rig.job('up');
    rig.job('refresh', 'mn', { name: 'first' });
    rig.job('refresh', 'mn', { name: 'second' });
    expect(rig.said('firstResult', 'done')).toEqual([
      '0 firstResult first failed: replaced by a newer event',
      '0 done first failed',
    ]);
    rig.job('move');
    rig.job('refresh', 'mn', { name: 'third' });
    rig.end('up mn');
    expect(rig.running).toEqual(['second']);
    for (const name of ['second', 'move mn', 'third']) rig.end(name);
    // A refresh that runs or has been tried is not dropped.
    rig.job('refresh', 'mn', { name: 'fourth' });
    rig.job('refresh', 'mn', { name: 'fifth' });
    rig.end('fourth');
    rig.end('fifth', 'no');
    rig.job('refresh', 'mn', { name: 'sixth' });
    expect(rig.running).toEqual(['sixth']);
    rig.end('sixth');
    expect(rig.said('firstResult').map((line) => line.split(' ').slice(2, 4).join(' '))).toEqual([
      'up mn',
      'second ok',
      'move mn',
      'third ok',
      'fourth ok',
      'fifth failed:',
      'sixth ok',
    ]);
  });

  it('give a newer refresh the turn of the older one that it replaces', () => {
    const rig = new QueueRig({ parallel: 1 });
    rig.job('up', 'other');
    rig.job('refresh', 'mn', { name: 'older' });
    rig.job('up', 'another');
    rig.job('refresh', 'mn', { name: 'newer' });
    rig.end('up other');
    expect(rig.running).toEqual(['newer']);
    rig.end('newer');
    expect(rig.running).toEqual(['up another']);
  });
});

describe('jobs of different subjects', () => {
  it('run in parallel up to the limit, and then in the order of their turns', () => {
    const rig = new QueueRig({ parallel: 2 });
    for (const subject of ['a', 'b', 'c', 'd']) rig.job('up', subject);
    expect(rig.running).toEqual(['up a', 'up b']);
    rig.end('up b');
    expect(rig.running).toEqual(['up a', 'up c']);
    rig.end('up a', 'no');
    expect(rig.running).toEqual(['up c', 'up d']);
    // A retry goes to the end of the queue.
    rig.job('up', 'e');
    rig.advance(FIRST_RETRY);
    rig.end('up c');
    expect(rig.running).toEqual(['up d', 'up e']);
    rig.end('up d');
    expect(rig.running).toEqual(['up e', 'up a']);
  });

  it('wait for the first try of the jobs in `after`, not for their success', () => {
    const rig = new QueueRig();
    const one = rig.job('revoke', 'one');
    const two = rig.job('revoke', 'two');
    rig.job('permit', 'three', { after: [one, two] });
    rig.end('revoke one');
    expect(rig.running).toEqual(['revoke two']);
    rig.end('revoke two', 'no');
    expect(rig.running).toEqual(['permit three']);
    // Jobs that are done or unknown delay nothing.
    rig.job('permit', 'four', { after: [one, 4711] });
    expect(rig.running).toEqual(['permit three', 'permit four']);
  });
});

describe('jobs of different subjects with `after`', () => {
  it('wait while the earlier job runs again, but not while it waits for a retry', () => {
    const rig = new QueueRig();
    const revoke = rig.job('revoke', 'one');
    rig.end('revoke one', 'no');
    rig.job('permit', 'two', { after: [revoke] });
    expect(rig.running).toEqual(['permit two']);
    rig.advance(FIRST_RETRY);
    rig.job('permit', 'three', { after: [revoke] });
    expect(rig.running).toEqual(['permit two', 'revoke one']);
    rig.end('revoke one', 'no');
    expect(rig.running).toEqual(['permit two', 'permit three']);
  });
});

describe('a lane', () => {
  const lane = { lane: 'ep' };

  it('runs once for simultaneous events, and once for those that arrive meanwhile', () => {
    const rig = new QueueRig();
    rig.job('permit', 'a', lane);
    rig.job('permit', 'b', lane);
    expect(rig.running).toEqual([]);
    rig.advance(0);
    expect(rig.said()).toEqual(['0 run in ep: permit a, permit b']);
    rig.job('revoke', 'a', lane);
    rig.job('permit', 'c', lane);
    rig.job('move', 'c', lane);
    rig.advance(10);
    rig.end('permit a');
    expect(rig.said('run')).toEqual(['10 run in ep: revoke a, permit c, move c']);
    rig.end('permit c');
    expect(rig.said()).toEqual(
      ['revoke a', 'permit c', 'move c'].flatMap((name) => [
        `10 tried ${name} try 1 ok after 10`,
        `10 firstResult ${name} ok`,
        `10 done ${name} ok`,
      ]),
    );
    expect(rig.queue.deadline).toBeUndefined();
  });

  it('passes at most MAX_BATCH events to one run', () => {
    const rig = new QueueRig();
    for (let n = 0; n < MAX_BATCH + 2; n += 1) rig.job('permit', `${n}`, lane);
    rig.advance(0);
    expect(rig.running).toHaveLength(MAX_BATCH);
    rig.end('permit 0');
    expect(rig.running).toEqual([`permit ${MAX_BATCH}`, `permit ${MAX_BATCH + 1}`]);
  });

  it('runs each event of a failed run alone and in order, and reports each', () => {
    const rig = new QueueRig();
    rig.job('permit', 'a', lane);
    rig.job('permit', 'b', lane);
    rig.job('revoke', 'b', lane);
    rig.advance(0);
    rig.end('permit a', 'exit status 1');
    expect(rig.said('run', 'firstResult', 'done')).toEqual([
      '0 run in ep: permit a, permit b, revoke b',
      '0 run permit a',
      '0 run permit b',
    ]);
    rig.end('permit a');
    rig.end('permit b', 'no');
    rig.end('revoke b', 'no');
    expect(rig.said()).toEqual([
      '0 tried permit a try 2 ok after 0',
      '0 firstResult permit a ok',
      '0 done permit a ok',
      '0 tried permit b try 2 no after 0',
      '0 firstResult permit b failed: no',
      '0 done permit b failed',
      '0 run revoke b',
      '0 tried revoke b try 2 no after 0',
      '0 firstResult revoke b failed: no',
    ]);
    expect(rig.queue.deadline).toBe(FIRST_RETRY);
  });

  it('continues with other subjects while an event runs alone, but not with the same subject', () => {
    const rig = new QueueRig();
    rig.job('permit', 'a', lane);
    rig.advance(0);
    rig.end('permit a', 'no');
    rig.job('move', 'a', lane);
    rig.job('permit', 'b', lane);
    rig.advance(0);
    expect(rig.running).toEqual(['permit a', 'permit b']);
    rig.end('permit a', 'no');
    rig.end('permit b');
    // The failed permit is obsolete.
    expect(rig.running).toEqual(['move a']);
  });

  it('keeps the order of `after` in its runs and when events run alone', () => {
    const rig = new QueueRig();
    const revoke = rig.job('revoke', 'a', lane);
    rig.job('permit', 'b', { ...lane, after: [revoke] });
    rig.advance(0);
    expect(rig.running).toEqual(['revoke a', 'permit b']);
    rig.end('revoke a', 'no');
    expect(rig.running).toEqual(['revoke a']);
    rig.end('revoke a', 'no');
    expect(rig.running).toEqual(['permit b']);
  });

  it('runs beside the parallel jobs without counting towards their limit', () => {
    const rig = new QueueRig({ parallel: 1 });
    rig.job('up', 'ha');
    rig.job('permit', 'a', lane);
    rig.advance(0);
    expect(rig.running).toEqual(['up ha', 'permit a']);
  });

  it('runs the rest of a batch when one event no longer applies', () => {
    const rig = new QueueRig();
    rig.job('permit', 'a', lane);
    rig.job('permit', 'b', lane);
    rig.advance(0);
    rig.end('permit a', 'no', 'nothing');
    expect(rig.said('firstResult', 'run')).toEqual([
      '0 run in ep: permit a, permit b',
      '0 firstResult permit a ok',
      '0 run permit b',
    ]);
  });
});

describe('stop', () => {
  it('gives each job one try and no retry', () => {
    const rig = new QueueRig({ parallel: 1 });
    rig.job('up', 'a');
    rig.end('up a', 'no');
    rig.job('down', 'b');
    rig.job('up', 'c');
    rig.said();
    rig.stop(5_000);
    // The retry will not run.
    expect(rig.said()).toEqual(['0 done up a failed']);
    rig.end('down b', 'no');
    rig.end('up c');
    expect(rig.said('run', 'done', 'stopped')).toEqual([
      '0 done down b failed',
      '0 run up c',
      '0 done up c ok',
      '0 stopped',
    ]);
    expect(rig.queue.deadline).toBeUndefined();
  });

  it('ends at once when nothing is left, and refuses later jobs', () => {
    const rig = new QueueRig();
    rig.stop(5_000);
    rig.job('up');
    rig.stop(5_000);
    expect(rig.said()).toEqual([
      '0 stopped',
      '0 firstResult up mn failed: the daemon has stopped',
      '0 done up mn failed',
      '0 stopped',
    ]);
  });

  it('lets a hook run until the end if no job waits', () => {
    const rig = new QueueRig();
    rig.job('down');
    rig.job('down', 'other');
    rig.stop(5_000);
    rig.advance(4_999);
    expect(rig.said('kill')).toEqual([]);
    rig.end('down mn');
    rig.advance(1);
    expect(rig.said('kill')).toEqual(['5000 kill down other SIGKILL']);
  });

  it('kills the running hook at half time so that the next job has a try, and the last one at the end', () => {
    const rig = new QueueRig();
    rig.job('up');
    rig.job('down');
    rig.job('reconfigure');
    rig.stop(5_000);
    rig.advance(2_499);
    expect(rig.said('kill')).toEqual([]);
    rig.advance(1);
    expect(rig.said('kill')).toEqual(['2500 kill up mn SIGKILL']);
    rig.end('up mn', 'ended by SIGKILL');
    expect(rig.running).toEqual(['down mn']);
    rig.advance(2_499);
    expect(rig.said('kill')).toEqual([]);
    rig.advance(1);
    expect(rig.said()).toEqual([
      '5000 kill down mn SIGKILL',
      '5000 firstResult reconfigure mn failed: the daemon has stopped',
      '5000 done reconfigure mn failed',
    ]);
    rig.end('down mn', 'ended by SIGKILL');
    expect(rig.said('run', 'done', 'stopped')).toEqual(['5000 done down mn failed', '5000 stopped']);
  });

  it('does not wait for a process that survives SIGKILL', () => {
    const rig = new QueueRig();
    rig.job('up');
    rig.stop(1_000);
    rig.advance(1_000 + AFTER_KILL - 1);
    expect(rig.said('stopped')).toEqual([]);
    rig.advance(1);
    expect(rig.said('firstResult', 'done', 'stopped')).toEqual([
      '1500 firstResult up mn failed: the daemon has stopped',
      '1500 done up mn failed',
      '1500 stopped',
    ]);
    // Its end comes late and has no effect.
    rig.end('up mn');
    expect(rig.said()).toEqual([]);
    expect(rig.queue.deadline).toBeUndefined();
  });

  it('still runs each event of a failed run of a lane alone', () => {
    const rig = new QueueRig();
    rig.job('revoke', 'a', { lane: 'ep' });
    rig.stop(1_000);
    rig.advance(0);
    rig.end('revoke a', 'no');
    expect(rig.running).toEqual(['revoke a']);
    rig.end('revoke a', 'no');
    expect(rig.said('done', 'stopped')).toEqual(['0 done revoke a failed', '0 stopped']);
  });

  it('runs a job that arrives before the end of the stop', () => {
    const rig = new QueueRig();
    rig.job('up');
    rig.stop(1_000);
    rig.job('down');
    rig.end('up mn');
    expect(rig.running).toEqual(['down mn']);
  });
});
