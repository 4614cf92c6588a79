import { describe, expect, it } from 'vitest';
import yargs from 'yargs';
import { type LoadFlags, loadFlags } from '../../src/load/options.js';
import { type LoadPlan, planOf } from '../../src/load/plan.js';
import { PARSING } from '../../src/runtime/cli/cli.js';

function plan(words: string, certificates = 8, files = 20_000): LoadPlan {
  const flags = loadFlags(yargs(words.split(' ')).parserConfiguration(PARSING)).parseSync() as LoadFlags;
  return planOf(flags, certificates, files);
}

describe('The plan of a load', () => {
  it('without flags is one bootstrap after another for ten seconds', () => {
    expect(plan('load')).toMatchObject({
      arrivals: { type: 'concurrency', number: 1 },
      count: undefined,
      duration: 10_000,
      stay: 0,
      nodes: 8,
      timeout: 30_000,
    });
  });

  it('has no time limit if it has a number of bootstraps, unless both are given', () => {
    expect(plan('--count 5')).toMatchObject({ count: 5, duration: undefined });
    expect(plan('--count 5 --duration 2m')).toMatchObject({ count: 5, duration: 120_000 });
  });

  it('has as many nodes as certificates where sessions stay, and as bootstraps in progress where they do not', () => {
    expect(plan('--concurrency 100').nodes).toBe(100);
    expect(plan('--concurrency 100 --stay 10s').nodes).toBe(8);
    expect(plan('--rate 5').nodes).toBe(10_000);
    expect(plan('--rate 5', 8, 1024).nodes).toBe(960);
    expect(plan('--rate 5 --stay end --nodes 20')).toMatchObject({ nodes: 20, stay: Number.POSITIVE_INFINITY });
  });

  it('repeats attempts that nobody judged in a closed loop, unless a flag says otherwise', () => {
    expect(plan('--concurrency 2').retry).toBe(true);
    expect(plan('--rate 2').retry).toBe(false);
    expect(plan('--rate 2 --retry').retry).toBe(true);
    expect(plan('--concurrency 2 --no-retry').retry).toBe(false);
  });

  it('of a soak moves, re-authenticates, resumes and vanishes, unless a flag says otherwise', () => {
    expect(plan('--soak --stay 5s')).toMatchObject({
      stay: 5_000,
      moveEvery: 20_000,
      reauthenticateEvery: 30_000,
      vanish: 0.1,
      resume: 0.5,
    });
  });

  it.each([
    ['--rate 1 --concurrency 1', '--concurrency and --rate exclude each other'],
    ['--rate -1', '--rate: -1 is not a number from 0.001 to 100000'],
    ['--rate abc', '--rate: NaN is not a number'],
    ['--concurrency 1.5', '--concurrency: 1.5 is not a whole number'],
    ['--count 0', '--count: 0 is not a whole number from 1'],
    ['--duration 5', '--duration: "5" is not a duration such as'],
    ['--duration 0', '--duration: "0" is no time at all'],
    ['--stay forever', '--stay: "forever" is not a duration'],
    ['--resume 2', '--resume: 2 is not a number from 0 to 1'],
    ['--vanish -0.1', '--vanish: -0.1 is not a number from 0 to 1'],
    ['--nodes 30000', 'raise the limit (ulimit -n 30064)'],
  ])('refuses %s', (words, message) => {
    expect(() => plan(words)).toThrow(message);
  });
});
