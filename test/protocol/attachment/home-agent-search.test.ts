import { describe, expect, it } from 'vitest';
import type { FoundAgent } from '../../../src/protocol/attachment/found-agents.js';
import {
  DEFAULT_HELD,
  HomeAgentSearch,
  MAX_HELD,
  MIN_HELD,
  type SearchInput,
  type SearchOutput,
} from '../../../src/protocol/attachment/home-agent-search.js';

const agent = (last: number): FoundAgent => ({
  address: Uint8Array.of(0x20, 1, 0xd, 0xb8, ...new Uint8Array(11), last),
  host: undefined,
});
const A = agent(1);
const B = agent(2);

/** A search with a clock that only the test moves. */
function rig(more: object = {}) {
  const search = new HomeAgentSearch({ after: 10_000, first: 5_000, longest: 30_000, whileAttached: false, ...more });
  let now = 0;
  const feed = (input: SearchInput): SearchOutput[] => search.handle(input, now);
  /** Goes to the next deadline. Returns the time and the token of the search. */
  const next = (): readonly [at: number, token: number] => {
    now = search.deadline ?? Number.NaN;
    const [output] = feed({ type: 'tick' });
    if (output?.type !== 'search') throw new Error(`no search at ${now}`);
    return [now, output.token];
  };
  const later = (milliseconds: number) => {
    now += milliseconds;
  };
  return { search, feed, next, later };
}

describe('A search for home agents by DNS', () => {
  it('begins when no PAA has answered for a while, and is repeated when the answer has expired', () => {
    const { feed, next, search } = rig();
    expect(search.deadline).toBeUndefined();
    feed({ type: 'start' });
    const [at, token] = next();
    expect(at).toBe(10_000);
    expect(search.deadline).toBeUndefined();
    expect(feed({ type: 'found', token, agents: [A, B], held: 600_000 })).toEqual([{ type: 'use', agent: A }]);
    const [again, second] = next();
    expect(again).toBe(610_000);
    // The node stays where it is.
    expect(feed({ type: 'found', token: second, agents: [B, A] })).toEqual([{ type: 'use', agent: A }]);
    const [third, last] = next();
    expect(third).toBe(610_000 + DEFAULT_HELD);
    expect(feed({ type: 'found', token: last, agents: [B] })).toEqual([{ type: 'use', agent: B }]);
  });

  it.each([
    [0, MIN_HELD],
    [4e9 * 1000, MAX_HELD],
  ])('believes a lifetime of %i ms for %i ms', (held, wait) => {
    const { feed, next, search } = rig();
    feed({ type: 'start' });
    const [at, token] = next();
    feed({ type: 'found', token, agents: [A], held });
    expect(search.deadline).toBe(at + wait);
  });

  it('waits as long as a PAA answers, and while there is a session', () => {
    const { feed, next, later, search } = rig();
    feed({ type: 'start' });
    later(9_000);
    feed({ type: 'heard' });
    expect(search.deadline).toBe(19_000);
    const [, token] = next();
    feed({ type: 'attached' });
    expect(search.deadline).toBeUndefined();
    // The answer comes late.
    expect(feed({ type: 'found', token, agents: [A] })).toEqual([]);
    expect(feed({ type: 'heard' })).toEqual([]);
    expect(feed({ type: 'networkChanged' })).toEqual([]);
    expect(search.deadline).toBeUndefined();
    later(1_000);
    feed({ type: 'detached' });
    expect(search.deadline).toBe(30_000);
  });

  it('is repeated less and less often after failures, which are reported once', () => {
    const { feed, next } = rig();
    feed({ type: 'start' });
    const times: number[] = [];
    const said: SearchOutput[] = [];
    for (let i = 0; i < 6; i += 1) {
      const [at, token] = next();
      times.push(at);
      said.push(...feed({ type: 'failed', token, reason: 'ETIMEOUT' }));
    }
    expect(times).toEqual([10_000, 15_000, 25_000, 45_000, 75_000, 105_000]);
    expect(said).toEqual([{ type: 'unavailable', reason: 'ETIMEOUT' }]);
  });

  it('keeps the home agent while the server does not answer, and ends it when none is named', () => {
    const { feed, next } = rig();
    feed({ type: 'start' });
    feed({ type: 'found', token: next()[1], agents: [A] });
    expect(feed({ type: 'failed', token: next()[1], reason: 'ETIMEOUT' })).toEqual([
      { type: 'unavailable', reason: 'ETIMEOUT' },
    ]);
    expect(feed({ type: 'found', token: next()[1], agents: [] })).toEqual([{ type: 'lost' }]);
  });

  it('is repeated soon on another network', () => {
    const { feed, next, later, search } = rig();
    feed({ type: 'start' });
    feed({ type: 'found', token: next()[1], agents: [A], held: MAX_HELD });
    later(1_000);
    feed({ type: 'networkChanged' });
    expect(search.deadline).toBe(21_000);
  });
});

describe('A search in what a DHCPv6 client received', () => {
  it('goes on during a session, and ends the home agent when the file is gone', () => {
    const { feed, next } = rig({ after: 0, whileAttached: true, held: 2_000 });
    feed({ type: 'start' });
    const [at, token] = next();
    expect(at).toBe(0);
    expect(feed({ type: 'found', token, agents: [A] })).toEqual([{ type: 'use', agent: A }]);
    feed({ type: 'attached' });
    const [again, second] = next();
    expect(again).toBe(2_000);
    expect(feed({ type: 'failed', token: second, reason: 'ENOENT' })).toEqual([
      { type: 'unavailable', reason: 'ENOENT' },
      { type: 'lost' },
    ]);
  });
});
