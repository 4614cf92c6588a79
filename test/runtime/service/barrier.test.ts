import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import {
  Barrier,
  FAULT_COUNTERS,
  FAULT_LOG_INTERVAL,
  FAULT_PLACES,
  MAX_PROCESS_FAULTS,
} from '../../../src/runtime/service/barrier.js';
import { Metrics } from '../../../src/runtime/service/metrics.js';
import { Driver, FAULT_PAUSE } from '../../../src/runtime/system/driver.js';
import { VirtualHost } from '../../virtual-host.js';

function make() {
  const lines: Record<string, unknown>[] = [];
  const log = pino({}, { write: (line: string) => lines.push(JSON.parse(line)) });
  const metrics = new Metrics('test', { counters: FAULT_COUNTERS });
  const time = { now: 0 };
  const barrier = new Barrier(log, metrics, () => time.now);
  return { barrier, lines, metrics, time };
}

const broken = () => {
  throw new TypeError('broken');
};

describe('Barrier', () => {
  it('counts and logs what is thrown at each place, calls the end handler and continues', async () => {
    const { barrier, lines, metrics } = make();
    const ended: unknown[] = [];
    expect(barrier.run('datagram', () => 5)).toBe(5);
    expect(barrier.run('datagram', broken, (error) => ended.push(error))).toBeUndefined();
    await barrier.settle('hook', Promise.reject(new RangeError('late')), (error) => ended.push(error));
    expect(ended).toMatchObject([{ message: 'broken' }, { message: 'late' }]);
    expect(lines).toMatchObject([
      { msg: 'fault contained', where: 'datagram', reason: 'broken', level: 50 },
      { msg: 'fault contained', where: 'hook', reason: 'late' },
    ]);
    expect(lines[0]?.['stack']).toContain('barrier.test.ts');
    const text = await metrics.text();
    expect(text).toContain('test_faults_total{where="datagram"} 1');
    expect(text).toContain('test_faults_total{where="hook"} 1');
    // A rate needs the zero before the first count.
    for (const where of FAULT_PLACES) expect(text).toContain(`test_faults_total{where="${where}"}`);
  });

  it('logs each place once a minute, with the number of faults not logged', async () => {
    const { barrier, lines, metrics, time } = make();
    for (let i = 0; i < 1000; i += 1) barrier.run('datagram', broken);
    barrier.run('timer', broken);
    expect(lines.map(({ where }) => where)).toEqual(['datagram', 'timer']);
    time.now = FAULT_LOG_INTERVAL;
    barrier.run('datagram', broken);
    expect(lines.at(-1)).toMatchObject({ where: 'datagram', unlogged: 999 });
    expect(await metrics.counters()).toMatchObject({ 'faults{where=datagram}': 1001 });
  });

  it('also catches a fault of the end handler', async () => {
    const { barrier, metrics } = make();
    barrier.run('tls', broken, broken);
    await barrier.settle('tls', Promise.reject(new Error('no')), broken);
    expect(await metrics.counters()).toMatchObject({ 'faults{where=tls}': 4 });
  });

  it('catches uncaught exceptions, and ends the process after too many', () => {
    const { barrier, lines, time } = make();
    const statuses: number[] = [];
    // The listeners of vitest would fail the test.
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const undo = barrier.guardProcess((status) => statuses.push(status));
    try {
      for (let i = 0; i < MAX_PROCESS_FAULTS; i += 1) process.emit('uncaughtException', new Error('uncaught'));
      time.now = FAULT_LOG_INTERVAL;
      for (let i = 0; i < MAX_PROCESS_FAULTS; i += 1) process.emit('uncaughtException', new Error('uncaught'));
      expect(statuses).toEqual([]);
      process.emit('uncaughtException', new Error('one too many'));
      expect(statuses).toEqual([1]);
      expect(lines.at(-1)).toMatchObject({ msg: 'too many faults', level: 60 });
    } finally {
      undo();
      for (const listener of others) process.on('uncaughtException', listener);
    }
  });
});

describe('Driver', () => {
  function rig(handle: (input: string) => string[], perform: (output: string) => void) {
    const host = new VirtualHost();
    const time = { deadline: undefined as number | undefined };
    const faults: unknown[][] = [];
    const machine = {
      handle: (input: { type: string }) => handle(input.type),
      get deadline() {
        return time.deadline;
      },
    };
    const driver = new Driver<{ type: string }, string>(machine, perform, host, (error, input, output) =>
      faults.push([(error as Error).message, input.type, output]),
    );
    return { driver, faults, host, time };
  }

  it('performs the other outputs and takes the next input after a fault', () => {
    const done: string[] = [];
    const { driver, faults } = rig(
      (input) => (input === 'bad' ? broken() : ['one', 'two', 'three']),
      (output) => (output === 'two' ? broken() : done.push(output)),
    );
    driver.feed({ type: 'good' });
    driver.feed({ type: 'bad' });
    driver.feed({ type: 'good' });
    expect(done).toEqual(['one', 'three', 'one', 'three']);
    expect(faults).toEqual([
      ['broken', 'good', 'two'],
      ['broken', 'bad', undefined],
      ['broken', 'good', 'two'],
    ]);
  });

  it('pauses after a tick that throws and does not change its deadline', () => {
    let ticks = 0;
    const { driver, faults, host, time } = rig(
      (input) => {
        if (input !== 'tick') return [];
        ticks += 1;
        return broken();
      },
      () => undefined,
    );
    time.deadline = 0;
    driver.feed({ type: 'begin' });
    host.advance(0);
    expect(ticks).toBe(1);
    host.advance(FAULT_PAUSE - 1);
    expect(ticks).toBe(1);
    host.advance(1);
    expect(ticks).toBe(2);
    expect(faults[0]).toEqual(['broken', 'tick', undefined]);
    driver.stop();
  });
});
