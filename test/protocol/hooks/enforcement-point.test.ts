// Long, because each case of a failed, late or repeated hook run has its own sequence.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EnforcementInput } from '../../../src/protocol/hooks/enforcement-alphabet.js';
import { EnforcementPoint } from '../../../src/protocol/hooks/enforcement-point.js';
import { runs } from '../../seed.js';
import { A, B, EnforcementRig, type HookCall } from './enforcement-rig.js';

const C = '2001:db8:a::c';

describe.each([
  ['one event per run', false],
  ['in batches', true],
])('the enforcement point, %s', (_, batch) => {
  it('runs no event before start succeeds, and lists the admitted addresses in the next start', () => {
    const rig = new EnforcementRig(batch);
    const start = rig.start();
    const permit = rig.permit('one', A);
    rig.revoke('one');
    rig.permit('two', B);
    rig.advance(0);
    expect(rig.running).toEqual(['start']);
    rig.end('exit status 1');
    expect(rig.firstResults.get(start)).toBe(false);
    rig.advance(999);
    expect(rig.running).toEqual([]);
    rig.advance(1);
    // The next try lists all sessions that are admitted now.
    expect(rig.running).toEqual([`start ${B}`]);
    expect(rig.firstResults.has(permit)).toBe(false);
    rig.permit('three', C);
    rig.end();
    expect(rig.firstResults.get(permit)).toBe(true);
    expect(rig.settle()).toEqual([`permit ${C}`]);
  });

  it('checks the enforcement point at the interval; if the check fails, holds events back until start has listed them', () => {
    const rig = EnforcementRig.ready(batch, 10_000);
    rig.permit('one', A);
    rig.settle();
    rig.advance(9_999);
    expect(rig.running).toEqual([]);
    rig.advance(1);
    expect(rig.running).toEqual(['check']);
    // A check that takes long delays the next one; events do not wait for it.
    rig.permit('two', B);
    rig.advance(15_000);
    expect(rig.running).toEqual(['check', `permit ${B}`]);
    rig.end(undefined, rig.runs[1]);
    rig.end();
    rig.advance(9_999);
    expect(rig.running).toEqual([]);
    rig.advance(1);
    rig.end('exit status 1');
    expect(rig.running).toEqual([`start ${A} ${B}`]);
    rig.end('exit status 255');
    rig.revoke('one');
    const permit = rig.permit('three', C);
    rig.advance(900);
    expect(rig.running).toEqual([]);
    rig.advance(100);
    expect(rig.running).toEqual([`start ${B} ${C}`]);
    expect(rig.firstResults.has(permit)).toBe(false);
    rig.end();
    expect(rig.firstResults.get(permit)).toBe(true);
    rig.advance(10_000);
    expect(rig.running).toEqual(['check']);
  });

  it('retries start at least every ten seconds', () => {
    const rig = new EnforcementRig(batch);
    rig.start();
    const times: number[] = [];
    for (let second = 0; second < 60; second += 1) {
      if (rig.runs.length > 0) {
        times.push(second);
        rig.end('exit status 255');
      }
      rig.advance(1_000);
    }
    expect(times).toEqual([0, 1, 3, 7, 15, 25, 35, 45, 55]);
  });

  it.each(['start', 'stop'] as const)('a %s takes the place of a check that is running', (event) => {
    const rig = EnforcementRig.ready(batch, 10_000);
    rig.advance(10_000);
    rig[event]();
    rig.end('exit status 1');
    rig.advance(0);
    expect(rig.running).toEqual([event]);
    rig.end();
    rig.advance(9_999);
    expect(rig.running).toEqual([]);
    rig.advance(1);
    expect(rig.running).toEqual(event === 'start' ? ['check'] : []);
  });

  it('settles an event listed in a failed start when the next start runs', () => {
    const rig = new EnforcementRig(batch);
    rig.start();
    rig.end('no');
    const permit = rig.permit('one', A);
    rig.advance(1_000);
    expect(rig.firstResults.has(permit)).toBe(false);
    rig.end('no');
    rig.advance(2_000);
    expect(rig.firstResults.get(permit)).toBe(false);
    expect(rig.running).toEqual([`start ${A}`]);
  });

  it('is ready when the last start has succeeded, not an earlier one', () => {
    const rig = new EnforcementRig(batch);
    rig.start();
    rig.start();
    rig.permit('one', A);
    rig.end();
    rig.advance(0);
    expect(rig.running).toEqual([`start ${A}`]);
    rig.revoke('one');
    rig.advance(0);
    expect(rig.running).toEqual([`start ${A}`]);
    rig.end();
    expect(rig.settle()).toEqual([`revoke ${A}`]);
  });

  it('runs start again only after a running revoke, since its address may have been permitted meanwhile', () => {
    const rig = EnforcementRig.ready(batch);
    rig.permit('one', A);
    rig.settle();
    rig.revoke('one');
    rig.advance(0);
    rig.start();
    rig.permit('two', A);
    rig.advance(0);
    expect(rig.running).toEqual([`revoke ${A}`]);
    rig.end();
    expect(rig.settle()).toEqual([`start ${A}`]);
  });

  it('runs start again only after a running permit, since its session may have moved meanwhile', () => {
    const rig = EnforcementRig.ready(batch);
    rig.permit('one', A);
    rig.advance(0);
    rig.start();
    rig.move('one', B);
    rig.advance(0);
    expect(rig.running).toEqual([`permit ${A}`]);
    rig.end();
    expect(rig.settle()).toEqual([`start ${B}`]);
  });

  it('does not revoke an address that another session holds, whichever of them is newer', () => {
    for (const [first, second] of [
      ['one', 'two'],
      ['two', 'one'],
    ] as const) {
      const rig = EnforcementRig.ready(batch);
      rig.permit('one', A);
      rig.permit('two', A);
      rig.settle();
      rig.revoke(first);
      // From now on the permit of the other session counts.
      expect(rig.settle()).toEqual(['revoke -', `permit ${A}`]);
      rig.revoke(second);
      expect(rig.settle()).toEqual([`revoke ${A}`]);
    }
  });

  it('runs no hook for a session at an address that a newer session holds', () => {
    const rig = EnforcementRig.ready(batch);
    const one = rig.permit('one', A);
    rig.permit('two', A);
    // Without batches, the first permit runs before the second one is known.
    expect(rig.settle()).toEqual(batch ? [`permit ${A}`] : [`permit ${A}`, `permit ${A}`]);
    expect(rig.firstResults.get(one)).toBe(true);
    rig.permit('one', B);
    expect(rig.settle()).toEqual([`move ${B}`, `permit ${A}`, `permit ${B}`]);
  });

  it('treats a session that is permitted again as the newest at its address', () => {
    const rig = EnforcementRig.ready(batch);
    rig.permit('one', A);
    rig.settle();
    rig.permit('two', A);
    rig.settle();
    rig.permit('one', A);
    rig.advance(0);
    const sessions = rig.runs.flatMap(({ calls }) => calls.map(({ variables }) => variables.session));
    expect(sessions).toEqual(['one']);
  });

  it('does not revoke again an address that was revoked before a pending move went there and on', () => {
    const rig = EnforcementRig.ready(batch);
    rig.permit('one', A);
    rig.settle();
    rig.revoke('one');
    expect(rig.settle()).toEqual([`revoke ${A}`]);
    rig.permit('two', B);
    rig.advance(0);
    rig.move('two', A);
    rig.move('two', C);
    expect(rig.settle()).toEqual([`permit ${B}`, `move ${C} from ${B}`]);
  });

  it('merges pending moves into one, from the address that the hook got last', () => {
    const rig = EnforcementRig.ready(batch);
    rig.permit('one', A);
    rig.advance(0);
    for (let n = 0; n < 50; n += 1) rig.move('one', `2001:db8:a::${(0x100 + n).toString(16)}`);
    rig.move('one', B);
    expect(rig.settle()).toEqual([`permit ${A}`, `move ${B} from ${A}`]);
    rig.move('one', A);
    expect(rig.settle()).toEqual([`move ${A} from ${B}`]);
  });

  it('revokes the earlier address of a session that ends before its move could run', () => {
    const rig = EnforcementRig.ready(batch);
    rig.permit('one', A);
    rig.settle();
    rig.permit('busy', A);
    rig.move('busy', C);
    rig.settle();
    rig.permit('one', A);
    rig.advance(0);
    rig.move('one', B);
    rig.revoke('one');
    expect(rig.settle()).toEqual([`permit ${A}`, `revoke ${A}`, `revoke ${B}`]);
  });

  it('revokes the earlier address of a session whose new address is taken by another one before the move runs', () => {
    const rig = EnforcementRig.ready(batch);
    rig.permit('one', A);
    rig.settle();
    // The move of the first session waits for its permit, and has nothing to do when it runs.
    rig.permit('one', A);
    rig.advance(0);
    rig.move('one', B);
    rig.permit('two', B);
    const calls = rig.settle();
    expect(calls).toContain(`revoke ${A}`);
    expect(calls).toContain(`permit ${B}`);
  });

  it('revokes the earlier address of a session whose move failed until the next move', () => {
    const rig = EnforcementRig.ready(batch);
    rig.permit('one', A);
    rig.settle();
    rig.move('one', B);
    rig.advance(0);
    expect(rig.running).toEqual([`move ${B} from ${A}`]);
    rig.end('no');
    if (batch) rig.end('no');
    rig.move('one', C);
    expect(rig.settle().sort()).toEqual([`move ${C} from ${B}`, `revoke ${A}`]);
  });

  it('revokes both addresses of a session whose move failed until the session ended', () => {
    const rig = EnforcementRig.ready(batch);
    rig.permit('one', A);
    rig.settle();
    rig.move('one', B);
    rig.advance(0);
    rig.end('no');
    if (batch) rig.end('no');
    rig.revoke('one');
    expect(rig.settle().sort()).toEqual([`revoke ${A}`, `revoke ${B}`]);
  });

  it('revokes both addresses of a session that ended while the hook ran for its move, and failed', () => {
    const rig = EnforcementRig.ready(batch);
    rig.permit('one', A);
    rig.settle();
    rig.move('one', B);
    rig.advance(0);
    rig.revoke('one');
    rig.end('no');
    expect(rig.settle().sort()).toEqual([`revoke ${A}`, `revoke ${B}`]);
  });

  it('continues to revoke an address when its session returns at another one before that has succeeded', () => {
    const rig = EnforcementRig.ready(batch);
    rig.permit('one', A);
    rig.settle();
    rig.revoke('one');
    rig.advance(0);
    rig.end('no');
    if (batch) rig.end('no');
    rig.permit('one', B);
    expect(rig.settle().sort()).toEqual([`permit ${B}`, `revoke ${A}`]);
  });

  it('treats a permit with another address as a move', () => {
    const rig = EnforcementRig.ready(batch);
    rig.permit('one', A);
    rig.settle();
    rig.permit('one', B);
    expect(rig.settle()).toEqual([`move ${B} from ${A}`, `permit ${B}`]);
  });

  it('gives up a revoke after eight failures', () => {
    const rig = EnforcementRig.ready(batch);
    rig.permit('one', A);
    rig.settle();
    rig.revoke('one');
    for (let tries = 0; tries < 8; tries += 1) {
      rig.advance(60_000);
      expect(rig.running).toEqual([`revoke ${A}`]);
      rig.end('no');
    }
    expect(rig.settle()).toEqual([]);
    expect(rig.queue.deadline).toBeUndefined();
  });

  it('gives up a revoke although events of other sessions wait', () => {
    const rig = EnforcementRig.ready(batch);
    rig.permit('one', A);
    rig.settle();
    rig.revoke('one');
    rig.advance(0);
    for (let tries = 1; tries <= 8; tries += 1) {
      expect(rig.running).toEqual([`revoke ${A}`]);
      if (tries === 8) rig.permit('two', B);
      rig.end('no');
      rig.advance(tries === 8 ? 0 : 3_600_000);
    }
    expect(rig.running).toEqual([`permit ${B}`]);
    rig.end();
    rig.advance(3_600_000);
    expect(rig.running).toEqual([]);
  });

  it('passes the lifetime that remains when the hook runs, at least one second', () => {
    const rig = EnforcementRig.ready(batch);
    const lifetimes = () => rig.runs.flatMap(({ calls }) => calls.map(({ variables }) => variables.lifetime));
    rig.permit('one', A, 10_000);
    rig.advance(0);
    expect(lifetimes()).toEqual([10]);
    rig.end('no');
    if (batch) rig.end('no');
    rig.advance(1_000);
    expect(lifetimes()).toEqual([9]);
    rig.end('no');
    rig.advance(2_000);
    expect(lifetimes()).toEqual([7]);
    rig.end();
    rig.permit('two', B, 0);
    rig.permit('three', C, Number.POSITIVE_INFINITY);
    rig.advance(0);
    expect(lifetimes()).toEqual([1, undefined]);
  });

  it('runs stop after the running hook, and drops events that wait for start', () => {
    const rig = EnforcementRig.ready(batch);
    rig.permit('one', A);
    rig.advance(0);
    const stop = rig.stop();
    const late = rig.permit('two', B);
    expect(rig.firstResults.get(late)).toBe(false);
    rig.advance(0);
    expect(rig.running).toEqual([`permit ${A}`]);
    rig.end();
    expect(rig.running).toEqual(['stop']);
    rig.end();
    expect(rig.firstResults.get(stop)).toBe(true);
    const early = new EnforcementRig(batch);
    early.start();
    const permit = early.permit('one', A);
    early.stop();
    expect(early.firstResults.get(permit)).toBe(false);
    early.end('no');
    expect(early.settle()).toEqual(['stop']);
  });

  it('moves a session from the address that the hook permitted last, even if the client has returned to an earlier one', () => {
    const rig = new EnforcementRig(batch);
    rig.start();
    rig.permit('one', A);
    rig.permit('one', B);
    rig.end();
    rig.advance(0);
    expect(rig.running[0]).toBe(`move ${B} from ${A}`);
    rig.move('one', A);
    expect(rig.settle()).toContain(`move ${A} from ${B}`);
  });

  it('runs no retry of an earlier event while start runs, and settles its request with start', () => {
    const rig = EnforcementRig.ready(batch);
    const permit = rig.permit('one', A);
    rig.advance(0);
    rig.start();
    rig.end('no');
    rig.advance(0);
    if (batch) expect(rig.firstResults.get(permit)).toBeUndefined();
    expect(rig.running).toEqual([`start ${A}`]);
    rig.advance(20_000);
    expect(rig.running).toEqual([`start ${A}`]);
    rig.end();
    expect(rig.settle()).toEqual([]);
    expect(rig.firstResults.get(permit)).toBe(batch);
  });

  it('ignores moves and ends of unknown sessions', () => {
    const rig = EnforcementRig.ready(batch);
    rig.move('one', A);
    rig.revoke('one');
    expect(rig.settle()).toEqual([]);
  });

  it('admits exactly the authorized addresses once all hooks are done, whatever fails and in any order', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        const rig = new EnforcementRig(batch);
        const filter = new Filter();
        // An earlier run of the PAA has left an address admitted.
        filter.admitted.set('2001:db8:a::dead', 'stale');
        const held = new Map<string, string>();
        rig.start();
        for (const next of steps) take(rig, filter, held, next);
        // Shorter than the time limit of a hook.
        for (let n = 0; n < 200; n += 1) {
          rig.advance(10_000);
          while (rig.runs.length > 0) filter.apply(rig.end().calls);
        }
        expect([...filter.admitted.keys()].sort()).toEqual([...new Set(held.values())].sort());
        expect(rig.queue.deadline).toBeUndefined();
      }),
      { numRuns: runs(400), examples: FOUND },
    );
  });
});

type Step =
  | { readonly do: 'permit' | 'move'; readonly session: number; readonly address: number }
  | { readonly do: 'revoke'; readonly session: number }
  | { readonly do: 'start' }
  | { readonly do: 'end'; readonly which: number; readonly worked: 'yes' | 'no' | 'half' }
  | { readonly do: 'wait'; readonly milliseconds: number };

const session = fc.nat(3);
const address = fc.nat(3);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('permit' as const), session, address }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('move' as const), session, address }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('revoke' as const), session }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('start' as const) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('end' as const),
      which: fc.nat(),
      worked: fc.constantFrom('yes' as const, 'yes' as const, 'no' as const, 'half' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), milliseconds: fc.nat(3_000) }) },
);

/** Sequences of events that once left an address permitted or blocked by mistake. */
const FOUND: [Step[]][] = [
  // A permit runs while start is queued twice, and its session moves.
  [
    [
      { do: 'end', which: 0, worked: 'yes' },
      { do: 'permit', session: 1, address: 0 },
      { do: 'start' },
      { do: 'start' },
      { do: 'move', session: 1, address: 1 },
      { do: 'end', which: 1, worked: 'yes' },
      { do: 'end', which: 0, worked: 'yes' },
    ],
  ],
  // A failed move is to be retried while start waits, and its session ends.
  [
    [
      { do: 'permit', session: 1, address: 0 },
      { do: 'permit', session: 0, address: 0 },
      { do: 'end', which: 0, worked: 'yes' },
      { do: 'move', session: 0, address: 1 },
      { do: 'end', which: 0, worked: 'yes' },
      { do: 'end', which: 0, worked: 'no' },
      { do: 'start' },
      { do: 'wait', milliseconds: 1000 },
      { do: 'revoke', session: 0 },
      { do: 'end', which: 0, worked: 'yes' },
      { do: 'end', which: 1, worked: 'yes' },
    ],
  ],
  // A session loses an address to another one, which moves before the hook has run for it.
  [
    [
      { do: 'permit', session: 3, address: 0 },
      { do: 'permit', session: 1, address: 2 },
      { do: 'end', which: 0, worked: 'yes' },
      { do: 'move', session: 1, address: 0 },
      { do: 'permit', session: 3, address: 2 },
      { do: 'end', which: 0, worked: 'yes' },
      { do: 'end', which: 0, worked: 'yes' },
      { do: 'move', session: 3, address: 0 },
      { do: 'end', which: 0, worked: 'yes' },
    ],
  ],
  // The same after a permit of a third session.
  [
    [
      { do: 'permit', session: 0, address: 0 },
      { do: 'permit', session: 1, address: 2 },
      { do: 'end', which: 0, worked: 'yes' },
      { do: 'permit', session: 1, address: 0 },
      { do: 'permit', session: 3, address: 0 },
      { do: 'end', which: 0, worked: 'yes' },
      { do: 'move', session: 3, address: 2 },
      { do: 'end', which: 0, worked: 'yes' },
      { do: 'move', session: 3, address: 0 },
      { do: 'end', which: 0, worked: 'yes' },
    ],
  ],
  // A permit of an address that its session has left runs, while the address is revoked for another session.
  [
    [
      { do: 'permit', session: 2, address: 0 },
      { do: 'move', session: 2, address: 1 },
      { do: 'revoke', session: 2 },
      { do: 'permit', session: 1, address: 2 },
      { do: 'permit', session: 1, address: 1 },
      { do: 'end', which: 0, worked: 'yes' },
      { do: 'move', session: 1, address: 0 },
      { do: 'end', which: 0, worked: 'yes' },
      { do: 'permit', session: 0, address: 0 },
      { do: 'end', which: 191993163, worked: 'yes' },
    ],
  ],
  // A revoke is tried again while a permit of the same address runs.
  [
    [
      { do: 'permit', session: 0, address: 0 },
      { do: 'permit', session: 3, address: 1 },
      { do: 'revoke', session: 3 },
      { do: 'end', which: 0, worked: 'yes' },
      { do: 'end', which: 0, worked: 'yes' },
      { do: 'end', which: 0, worked: 'no' },
      { do: 'permit', session: 2, address: 1 },
      { do: 'permit', session: 2, address: 3 },
      { do: 'wait', milliseconds: 1000 },
      { do: 'end', which: 795552963, worked: 'yes' },
      { do: 'permit', session: 0, address: 3 },
    ],
  ],
  // A run that revokes an address and permits another fails, and its session returns to the first.
  [
    [
      { do: 'permit', session: 3, address: 3 },
      { do: 'end', which: 0, worked: 'yes' },
      { do: 'wait', milliseconds: 0 },
      { do: 'revoke', session: 3 },
      { do: 'permit', session: 3, address: 0 },
      { do: 'end', which: 0, worked: 'yes' },
      { do: 'permit', session: 3, address: 3 },
      { do: 'end', which: 0, worked: 'no' },
      { do: 'move', session: 3, address: 0 },
    ],
  ],
  // A session has two addresses while start runs, and two others before the hook has run for it.
  [
    [
      { do: 'permit', session: 2, address: 0 },
      { do: 'end', which: 0, worked: 'no' },
      { do: 'permit', session: 2, address: 3 },
      { do: 'wait', milliseconds: 1000 },
      { do: 'permit', session: 1, address: 1 },
      { do: 'revoke', session: 2 },
      { do: 'end', which: 0, worked: 'yes' },
      { do: 'permit', session: 1, address: 3 },
      { do: 'end', which: 65216955, worked: 'yes' },
      { do: 'permit', session: 1, address: 0 },
    ],
  ],
  // The same run of the hook revokes an address and permits it again, then another one fails.
  [
    [
      { do: 'permit', session: 0, address: 0 },
      { do: 'permit', session: 1, address: 0 },
      { do: 'move', session: 1, address: 3 },
      { do: 'revoke', session: 1 },
      { do: 'end', which: 0, worked: 'yes' },
      { do: 'end', which: 0, worked: 'yes' },
      { do: 'move', session: 0, address: 3 },
      { do: 'end', which: 0, worked: 'yes' },
      { do: 'end', which: 0, worked: 'yes' },
      { do: 'end', which: 1285614855, worked: 'half' },
      { do: 'revoke', session: 0 },
      { do: 'wait', milliseconds: 1000 },
      { do: 'end', which: 428455707, worked: 'yes' },
      { do: 'end', which: 0, worked: 'yes' },
      { do: 'permit', session: 0, address: 0 },
      { do: 'end', which: 0, worked: 'yes' },
      { do: 'end', which: 0, worked: 'no' },
    ],
  ],
];

function take(rig: EnforcementRig, filter: Filter, held: Map<string, string>, next: Step): void {
  if (next.do === 'wait') {
    rig.advance(next.milliseconds);
  } else if (next.do === 'start') {
    rig.start();
  } else if (next.do === 'end') {
    const run = rig.runs[next.which % Math.max(1, rig.runs.length)];
    if (!run) return;
    // A failed hook has applied nothing, or only its first event.
    if (next.worked !== 'no') filter.apply(next.worked === 'yes' ? run.calls : run.calls.slice(0, 1));
    rig.end(next.worked === 'yes' ? undefined : 'no', run);
  } else {
    const name = `s${next.session}`;
    if (next.do === 'revoke') {
      rig.revoke(name);
      held.delete(name);
    } else if (next.do === 'permit') {
      rig.permit(name, `2001:db8:a::${next.address + 1}`);
      held.set(name, `2001:db8:a::${next.address + 1}`);
    } else if (held.has(name)) {
      rig.move(name, `2001:db8:a::${next.address + 1}`);
      held.set(name, `2001:db8:a::${next.address + 1}`);
    }
  }
}

/** Behaves like the shipped hooks: an address is permitted for one session. */
class Filter {
  readonly admitted = new Map<string, string>();

  apply(calls: readonly HookCall[]): void {
    for (const { event, variables, input } of calls) {
      const { session = '', careOfAddress, formerAddress } = variables;
      if (event === 'start') {
        this.admitted.clear();
        for (const line of (input ?? '').split('\n')) {
          const at = / MIP6_COA=(\S+)/.exec(line)?.[1];
          if (at !== undefined) this.admitted.set(at, /MIP6_SESSION=(\S+)/.exec(line)?.[1] ?? '');
        }
        continue;
      }
      if (formerAddress !== undefined) this.admitted.delete(formerAddress);
      if (careOfAddress !== undefined && event === 'revoke') this.admitted.delete(careOfAddress);
      if (careOfAddress !== undefined && event !== 'revoke') this.admitted.set(careOfAddress, session);
    }
  }
}

describe('EnforcementPoint', () => {
  it('orders an event behind unfinished jobs of its address, and not behind those that are done', () => {
    const point = new EnforcementPoint('access0');
    const jobs = (...inputs: readonly EnforcementInput[]) =>
      inputs.flatMap((input) => point.handle(input, 0)).flatMap((output) => (output.type === 'job' ? [output] : []));
    const permit = (session: string): EnforcementInput => ({
      type: 'permit',
      token: 0,
      admission: { session, userName: undefined, address: A, lifetime: undefined },
    });
    const done = (job: number): EnforcementInput => ({ type: 'done', job, ok: true });
    const [start] = jobs({ type: 'start', token: 0 });
    jobs({ type: 'run', job: start?.job ?? 0 }, done(start?.job ?? 0));
    const [first] = jobs(permit('one'));
    const [second] = jobs(permit('two'));
    expect([first?.after, second?.after]).toEqual([[], [first?.job]]);
    jobs(done(first?.job ?? 0));
    const [third] = jobs(permit('three'));
    expect(third?.after).toEqual([second?.job]);
    jobs(done(second?.job ?? 0), done(third?.job ?? 0));
    expect(jobs(permit('four'))).toMatchObject([{ after: [] }]);
  });
});
