import { describe, expect, it } from 'vitest';
import type { OperationName } from '../../src/store/operations.js';
import { naiOf } from './credentials.js';
import { Leases } from './leases.js';

const GIVEN = { nai: naiOf(1), sessionId: 's', leaseLifetime: 60_000, origin: 'paa1', originState: 1 };
const LEASE = { homeAddress: '2001:db8:1::99', homeAgent: { address: '2001:db8:1::1' } };

/** A model in which this subscriber has a lease. */
function withLease(clock = { now: 0 }) {
  const broken: string[] = [];
  const leases = new Leases(
    () => clock.now,
    (invariant) => void broken.push(invariant),
  );
  const commit = (operation: OperationName, given: object, result: object) =>
    leases.committed({ operation, given, result });
  commit('bootstrap', GIVEN, { result: 'home', lease: LEASE });
  return { broken, commit };
}

describe('The model of the leases', () => {
  it.each([
    ['up', undefined, 1],
    ['draining', undefined, 1],
    ['down', undefined, 0],
    ['up', 'aaa1', 0],
  ] as const)('with a home agent that is %s, failed by %s, reports %i moved leases', (state, failedBy, count) => {
    const { broken, commit } = withLease();
    commit('changeHomeAgent', {}, { ...LEASE.homeAgent, state, failedBy });
    commit('bootstrap', GIVEN, { result: 'home', lease: { ...LEASE, homeAddress: '2001:db8:2::1' } });
    expect(broken).toEqual(Array(count).fill('no lease is moved while it is valid'));
  });

  it.each([
    [59_998.9, 1],
    [59_999.1, 0],
  ])('with a lease of 60,000 ms that is taken after %d ms reports %i moved leases', (now, count) => {
    const clock = { now: 0 };
    const { broken, commit } = withLease(clock);
    clock.now = now;
    commit('bootstrap', GIVEN, { result: 'home', released: LEASE, lease: LEASE });
    expect(broken).toHaveLength(count);
  });

  it('reports a lease that is taken from a subscriber, unless an operator has changed the subscriber', () => {
    const import1 = { importId: 'import1' };
    const rows = (nai: string) => [{ line: 1, subscriber: { nai } }];
    for (const [changes, count] of [
      [[], 1],
      [[['changeSubscriber', { nai: naiOf(2) }]], 1],
      [[['changeSubscriber', { nai: GIVEN.nai }]], 0],
      [[['stageImport', { ...import1, rows: rows(GIVEN.nai) }]], 1],
      [
        [
          ['stageImport', { ...import1, rows: rows(naiOf(2)) }],
          ['finishImport', import1],
        ],
        1,
      ],
      [
        [
          ['stageImport', { ...import1, rows: rows(GIVEN.nai) }],
          ['finishImport', import1],
        ],
        0,
      ],
    ] as [[OperationName, object][], number][]) {
      const { broken, commit } = withLease();
      for (const [operation, given] of changes) commit(operation, given, {});
      commit('bootstrap', GIVEN, { result: 'none', released: LEASE });
      expect(broken).toEqual(Array(count).fill('no lease is moved while it is valid'));
    }
  });
});
