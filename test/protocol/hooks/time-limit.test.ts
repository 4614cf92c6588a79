import { describe, expect, it } from 'vitest';
import { FIRST_RETRY, KILL_AFTER } from '../../../src/protocol/hooks/alphabet.js';
import { TimeLimits } from '../../../src/protocol/hooks/time-limit.js';
import { QueueRig } from './queue-rig.js';

/** Runs a job of an event for this time. */
function run(rig: QueueRig, event: 'up' | 'refresh' | 'probe', milliseconds: number, problem?: string): void {
  rig.job(event);
  rig.advance(milliseconds);
  rig.end(`${event} mn`, problem);
}

describe('the time limit of a hook', () => {
  it('doubles when a run exceeds it, so that a hook of 45 s succeeds at its second try', () => {
    const rig = new QueueRig();
    rig.job('up');
    rig.advance(30_000);
    rig.end('up mn', 'ended by SIGTERM');
    expect(rig.said('kill', 'tried', 'limit')).toEqual([
      '30000 kill up mn SIGTERM',
      '30000 tried up mn try 1 timeout after 30000 ms after 30000',
      '30000 limit up 60000',
    ]);
    rig.advance(FIRST_RETRY + 45_000);
    rig.end('up mn');
    expect(rig.said('kill', 'done')).toEqual(['76000 done up mn ok']);
  });

  it('is at most four times the configured one, also when a killed process ends late', () => {
    const rig = new QueueRig({ timeout: 1_000 });
    rig.job('up');
    const limits: number[] = [];
    for (let tries = 0; tries < 5; tries += 1) {
      const began = rig.now;
      rig.said();
      rig.advance((rig.queue.deadline ?? 0) - rig.now);
      limits.push(rig.now - began);
      expect(rig.said('kill')).toEqual([`${rig.now} kill up mn SIGTERM`]);
      // The process ends an hour later: that is no measure of the hook.
      rig.advance(KILL_AFTER + 3_600_000);
      rig.end('up mn');
      rig.advance((rig.queue.deadline ?? 0) - rig.now);
    }
    expect(limits).toEqual([1_000, 2_000, 4_000, 4_000, 4_000]);
  });

  it('doubles after a success that took more than half of it, and returns after shorter runs', () => {
    const rig = new QueueRig();
    run(rig, 'up', 15_000);
    expect(rig.said('limit')).toEqual([]);
    run(rig, 'up', 15_001);
    expect(rig.said('limit')).toEqual([`${rig.now} limit up 60000`]);
    run(rig, 'up', 31_000);
    expect(rig.said('limit')).toEqual([`${rig.now} limit up 120000`]);
    // The memory of 31 s halves: 15.5 s, 7.75 s.
    run(rig, 'up', 20);
    expect(rig.said('limit')).toEqual([`${rig.now} limit up 60000`]);
    run(rig, 'up', 20);
    expect(rig.said('limit')).toEqual([`${rig.now} limit up 30000`]);
  });

  it('is measured for each event, and for runs of lanes', () => {
    const rig = new QueueRig();
    run(rig, 'up', 20_000);
    rig.job('permit', 'a', { lane: 'ep' });
    rig.advance(20_000);
    rig.end('permit a');
    expect(rig.said('limit')).toEqual(['20000 limit up 60000', '40000 limit batch 60000']);
    rig.job('refresh');
    rig.advance(30_000);
    expect(rig.said('kill')).toEqual(['70000 kill refresh mn SIGTERM']);
  });

  it('does not change when a hook fails by itself, or is not run', () => {
    const rig = new QueueRig();
    rig.job('up');
    rig.advance(29_000);
    rig.end('up mn', 'exit status 1');
    rig.job('move');
    rig.advance(29_000);
    rig.end('move mn', undefined, 'nothing');
    expect(rig.said('limit')).toEqual([]);
  });

  it('grows for the probes of one home agent only', () => {
    const rig = new QueueRig({ timeout: 10_000 });
    const probe = (name: string, milliseconds: number) => {
      rig.job('probe', name);
      rig.advance(milliseconds);
      rig.end(`probe ${name}`);
      return rig.said('kill', 'done', 'limit');
    };
    expect(probe('slow', 10_000)).toEqual([
      '10000 kill probe slow SIGTERM',
      '10000 done probe slow failed',
      '10000 limit probe 20000',
    ]);
    // Probes of the other one are short, which changes nothing for the slow one.
    for (let n = 0; n < 10; n += 1) probe('quick', 10);
    expect(probe('slow', 15_000)).toContain('25100 done probe slow ok');
    expect(probe('quick', 10_000)).toContain('35100 kill probe quick SIGTERM');
  });

  it('tells how long a stop should wait: twice the longest run lately, if that is more than usual', () => {
    const rig = new QueueRig();
    const times = () => [rig.queue.stopTime(8_000), rig.queue.stopTime(100)];
    expect(times()).toEqual([8_000, 100]);
    run(rig, 'refresh', 3_000);
    expect(times()).toEqual([8_000, 6_000]);
    run(rig, 'up', 13_800);
    run(rig, 'refresh', 20);
    expect(times()).toEqual([27_600, 27_600]);
    // At most the configured time limit.
    run(rig, 'up', 29_000);
    expect(times()).toEqual([30_000, 30_000]);
  });

  it('stays within its bounds for any runs', () => {
    const limits = new TimeLimits(1_000);
    for (const milliseconds of [0, 1, 500, 501, 1_000, 1_001, 1e9, 3, 1e12, 0]) {
      limits.record('up', milliseconds);
      expect([1_000, 2_000, 4_000]).toContain(limits.of('up'));
    }
  });
});
