import { beforeEach, describe, expect, it } from 'vitest';
import type { Stored } from '../../../src/protocol/home/alphabet.js';
import {
  PARALLEL,
  type ProbeOperations,
  type ProbeOutcome,
  Probes,
  type ProbesOutput,
} from '../../../src/protocol/home/probes.js';
import type { HomeAgent } from '../../../src/protocol/home/records.js';
import { AGENT } from './home-rig.js';

const DEAD: ProbeOutcome = { ok: false, reason: 'exit status 1', milliseconds: 50 };
const ALIVE: ProbeOutcome = { ok: true };
const FAILED: Stored<ProbeOperations> = { operation: 'failed', reason: 'lost', full: false };

let machine: Probes;
let now: number;
let outputs: ProbesOutput[];

beforeEach(() => {
  machine = new Probes({ interval: 10_000, failures: 3, timeout: 10_000, host: 'aaa.home.example' });
  now = 0;
  outputs = [];
});

const agentOf = (name: string, more: Partial<HomeAgent> = {}): HomeAgent => ({ ...AGENT, name, ...more });

function take(made: ProbesOutput[]): ProbesOutput[] {
  outputs.push(...made);
  return made;
}

/** The last output of this type. */
function last<T extends 'store' | 'probe'>(type: T) {
  return outputs.filter((output): output is Extract<ProbesOutput, { type: T }> => output.type === type).at(-1);
}

const stored = (answer: Stored<ProbeOperations>) =>
  take(machine.handle({ type: 'stored', token: last('store')?.token ?? 0, stored: answer }, now));
const listed = (...agents: HomeAgent[]) => stored({ operation: 'listHomeAgents', result: agents });
const judged = (agent: HomeAgent | undefined) => stored({ operation: 'probedHomeAgent', result: agent });
const probed = (outcome: ProbeOutcome, token = last('probe')?.token ?? 0) =>
  take(machine.handle({ type: 'probed', token, outcome }, now));
const start = () => take(machine.handle({ type: 'start' }, now));

/** Advances to the start of the next round. */
function next(): void {
  now = machine.deadline ?? Number.NaN;
  take(machine.handle({ type: 'tick' }, now));
}

const probes = (made: ProbesOutput[]) => made.flatMap((each) => (each.type === 'probe' ? [each.agent.name] : []));

describe('Probes', () => {
  it('starts a round of probes every interval', () => {
    expect(machine.deadline).toBeUndefined();
    expect(start()).toMatchObject([{ type: 'store', call: { operation: 'listHomeAgents' } }]);
    expect(machine.deadline).toBeUndefined();
    expect(probes(listed(agentOf('ha1')))).toEqual(['ha1']);
    now = 4_000;
    probed(ALIVE);
    expect(last('store')?.call).toEqual({
      operation: 'probedHomeAgent',
      given: { name: 'ha1', alive: true, by: 'aaa.home.example', trust: 30_000 },
    });
    judged(undefined);
    expect(machine.deadline).toBe(10_000);
    now = 9_999;
    expect(machine.handle({ type: 'tick' }, now)).toEqual([]);
    next();
    expect(last('store')?.call.operation).toBe('listHomeAgents');
  });

  it('starts the next round at its time, also if the store is late', () => {
    start();
    now = 25_000;
    listed(agentOf('ha1'));
    expect(machine.deadline).toBe(25_000);
  });

  it('does not wait for a probe that takes longer than the interval, and does not start a second one beside it', () => {
    start();
    const [slow, other] = [agentOf('slow'), agentOf('other')];
    const [first] = listed(slow, other);
    probed(ALIVE);
    judged(undefined);
    for (const time of [10_000, 20_000]) {
      next();
      expect([now, probes(listed(slow, other))]).toEqual([time, ['other']]);
      probed(DEAD);
    }
    now = 25_000;
    probed(ALIVE, first && 'token' in first ? first.token : 0);
    expect(last('store')?.call).toMatchObject({ operation: 'probedHomeAgent', given: { name: 'slow', alive: true } });
    judged(undefined);
    next();
    expect([now, probes(listed(slow, other))]).toEqual([30_000, ['slow', 'other']]);
  });

  it('counts a failed probe as often as it took the configured time limit', () => {
    const hung = (milliseconds: number): ProbeOutcome => ({ ok: false, reason: 'timeout', milliseconds });
    start();
    const agent = agentOf('ha1');
    const counts: number[] = [];
    for (const milliseconds of [9_999, 10_004, 20_011]) {
      listed(agent);
      for (const output of probed(hung(milliseconds))) if (output.type === 'result') counts.push(output.failed);
      judged(agent);
      next();
    }
    expect(counts).toEqual([1, 2, 4]);
    expect(outputs.at(-2)).toMatchObject({ type: 'dead', failed: 4 });
  });

  it('does not probe home agents that the operator has taken down', () => {
    start();
    const made = listed(agentOf('down', { state: 'down' }), agentOf('draining', { state: 'draining' }), agentOf('up'));
    expect(probes(made)).toEqual(['draining', 'up']);
  });

  it('runs PARALLEL probes at a time, and leaves no home agent out', () => {
    start();
    const all = Array.from({ length: PARALLEL + 2 }, (_, i) => agentOf(`ha${i}`));
    const made = listed(...all);
    expect(probes(made)).toHaveLength(PARALLEL);
    expect(machine.deadline).toBeUndefined();
    const [first, second] = made;
    expect(probes(probed(DEAD, first && 'token' in first ? first.token : 0))).toEqual([`ha${PARALLEL}`]);
    expect(probes(probed(DEAD, second && 'token' in second ? second.token : 0))).toEqual([`ha${PARALLEL + 1}`]);
    expect(machine.deadline).toBe(10_000);
  });

  it('reports a home agent dead after three failures in a row, and alive after one success', () => {
    start();
    const agent = agentOf('ha1');
    for (let failed = 1; failed <= 2; failed += 1) {
      listed(agent);
      expect(probed(DEAD)).toEqual([{ type: 'result', agent, outcome: DEAD, failed }]);
      next();
    }
    listed(agent);
    probed(DEAD);
    expect(last('store')?.call).toMatchObject({ operation: 'probedHomeAgent', given: { alive: false } });
    expect(judged(agent)).toEqual([{ type: 'dead', agent, reason: 'exit status 1', failed: 3 }]);
    next();
    listed(agent);
    probed(DEAD);
    // The store has recorded it as dead already.
    expect(judged(undefined)).toEqual([]);
    next();
    listed(agent);
    probed(ALIVE);
    expect(judged(agent)).toEqual([{ type: 'alive', agent }]);
    next();
    listed(agent);
    expect(probed(DEAD)).toMatchObject([{ failed: 1 }]);
  });

  it('forgets the failures of a removed home agent', () => {
    start();
    listed(agentOf('ha1'));
    probed(DEAD);
    next();
    listed();
    next();
    listed(agentOf('ha1'));
    expect(probed(DEAD)).toMatchObject([{ failed: 1 }]);
  });

  it('continues when the store fails to list home agents or to record a result', () => {
    start();
    expect(stored(FAILED)).toEqual([{ type: 'failed', reason: 'lost' }]);
    expect(machine.deadline).toBe(10_000);
    next();
    listed(agentOf('ha1'));
    probed(ALIVE);
    expect(stored(FAILED)).toEqual([{ type: 'failed', reason: 'lost' }]);
    expect(machine.deadline).toBe(20_000);
  });

  it('ignores a second result of a probe and a second start', () => {
    start();
    listed(agentOf('ha1'));
    probed(DEAD);
    expect(probed(DEAD)).toEqual([]);
    expect(start()).toEqual([]);
  });
});
