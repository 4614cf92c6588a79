import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Candidates, type CandidatesInput, MAX_CANDIDATES } from '../../../src/protocol/attachment/candidates.js';

const [HERE, NEXT, THIRD] = ['2001:db8:a::1', '2001:db8:b::1', '2001:db8:c::1'] as const;
const CONFIG = { paas: [HERE, NEXT], first: 2_000, longest: 60_000 };

const candidates = (paas: readonly string[] = CONFIG.paas) => new Candidates({ ...CONFIG, paas }, { unit: () => 0.5 });

describe('Candidates', () => {
  it('waits until the node has a session, and leaves out the PAA of that session', () => {
    const machine = candidates();
    expect(machine.handle({ type: 'named', paa: THIRD }, 0)).toEqual([]);
    expect(machine.handle({ type: 'served', paa: HERE }, 10)).toEqual([
      { type: 'open', session: 1, paa: NEXT },
      { type: 'open', session: 2, paa: THIRD },
    ]);
    // A re-authentication of the session opens nothing.
    expect(machine.handle({ type: 'served', paa: HERE }, 20)).toEqual([]);
  });

  it('is ready with a PAA only after its authentication', () => {
    const machine = candidates();
    machine.handle({ type: 'served', paa: HERE }, 0);
    expect(machine.ready(NEXT)).toBeUndefined();
    machine.handle({ type: 'authenticated', session: 1 }, 1);
    expect([machine.ready(NEXT), machine.ready('2001:db8:b:0::1')]).toEqual([1, 1]);
    machine.handle({ type: 'closed', session: 1 }, 2);
    expect(machine.ready(NEXT)).toBeUndefined();
  });

  it('tries again after a wait that doubles, at once if the PAA is named, and at once after a move', () => {
    const machine = candidates();
    machine.handle({ type: 'served', paa: HERE }, 0);
    machine.handle({ type: 'closed', session: 1 }, 0);
    expect(machine.deadline).toBe(2_000);
    expect(machine.handle({ type: 'tick' }, 1_999)).toEqual([]);
    expect(machine.handle({ type: 'tick' }, 2_000)).toEqual([{ type: 'open', session: 2, paa: NEXT }]);
    machine.handle({ type: 'closed', session: 2 }, 2_000);
    expect(machine.deadline).toBe(6_000);
    expect(machine.handle({ type: 'named', paa: NEXT }, 2_001)).toEqual([{ type: 'open', session: 3, paa: NEXT }]);
    machine.handle({ type: 'closed', session: 3 }, 2_002);
    expect(machine.handle({ type: 'served', paa: THIRD }, 2_003)).toEqual([
      { type: 'open', session: 4, paa: HERE },
      { type: 'open', session: 5, paa: NEXT },
    ]);
  });

  it('gives away the session to which the node goes, and comes back to the former PAA', () => {
    const machine = candidates();
    machine.handle({ type: 'served', paa: HERE }, 0);
    machine.handle({ type: 'authenticated', session: 1 }, 1);
    machine.handle({ type: 'taken', session: 1 }, 2);
    expect([...machine.list()]).toEqual([]);
    expect(machine.handle({ type: 'served', paa: NEXT }, 3)).toEqual([{ type: 'open', session: 2, paa: HERE }]);
  });

  it('closes what the configuration names no more', () => {
    const machine = candidates();
    machine.handle({ type: 'served', paa: HERE }, 0);
    expect(machine.handle({ type: 'configure', config: { ...CONFIG, paas: [] } }, 1)).toEqual([
      { type: 'close', session: 1 },
    ]);
  });

  it('keeps the PAAs that were named last', () => {
    const machine = candidates([]);
    machine.handle({ type: 'served', paa: HERE }, 0);
    for (let n = 0; n < MAX_CANDIDATES; n += 1) machine.handle({ type: 'named', paa: `2001:db8:${n + 16}::1` }, 1);
    expect(machine.handle({ type: 'named', paa: THIRD }, 2)).toEqual([
      { type: 'close', session: 1 },
      { type: 'open', session: MAX_CANDIDATES + 1, paa: THIRD },
    ]);
  });

  it('never has two sessions with one PAA, nor more than it may have, whatever happens', () => {
    const paa = fc.constantFrom(HERE, NEXT, THIRD, ...Array.from({ length: 12 }, (_, n) => `2001:db8:${n + 16}::1`));
    const session = fc.integer({ min: 1, max: 30 });
    const input: fc.Arbitrary<CandidatesInput> = fc.oneof(
      fc.record({ type: fc.constantFrom('named' as const, 'served' as const), paa }),
      fc.record({ type: fc.constantFrom('authenticated' as const, 'closed' as const, 'taken' as const), session }),
      fc.constant({ type: 'tick' as const }),
    );
    fc.assert(
      fc.property(fc.array(input, { size: 'max', maxLength: 60 }), (inputs) => {
        const machine = candidates();
        for (const [at, each] of inputs.entries()) {
          machine.handle(each, at * 1_000);
          const open = [...machine.list()].filter((view) => view.session !== undefined);
          expect(new Set(open.map((view) => view.paa)).size).toBe(open.length);
          expect(open.length).toBeLessThanOrEqual(2 + MAX_CANDIDATES);
        }
      }),
      { numRuns: 200 },
    );
  });
});
