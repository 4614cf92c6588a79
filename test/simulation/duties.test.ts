import { beforeEach, describe, expect, it } from 'vitest';
import { subjectOfLease } from '../../src/protocol/home/duties.js';
import type { Lease, Session } from '../../src/protocol/home/records.js';
import { MAX_TRIES } from '../../src/protocol/hooks/alphabet.js';
import { Obligations } from './duties.js';

const homeAgent = { name: 'ha1', address: '2001:db8:1::1' } as Lease['homeAgent'];
const LEASE = { nai: 'mn1@home.example', homeAddress: '2001:db8:1::99', homeAgent, sessionId: 's' } as Lease;
const SESSION = { sessionId: 's' } as Session;
const NOTHING = { subjects: new Set<string>(), sessions: [SESSION] };

const program = (event: string) => ({
  machine: 'aaa1',
  program: 'ha',
  event,
  input: undefined,
  key: undefined,
  environment: { MIP6_HOA: LEASE.homeAddress, MIP6_MN_ID: LEASE.nai, MIP6_HA: homeAgent.address },
});

describe('Obligations', () => {
  let obligations: Obligations;
  const given = () =>
    obligations.committed({
      operation: 'bootstrap',
      given: {},
      result: { result: 'home', lease: LEASE },
      isDutiful: true,
    });
  const released = () => obligations.committed({ operation: 'expire', given: {}, result: [LEASE], isDutiful: true });

  beforeEach(() => {
    obligations = new Obligations();
  });

  it('reports a lease, or its end, for which the store has no duty', () => {
    given();
    expect(obligations.forgotten(NOTHING)).toEqual([
      'no duty for hook up of 2001:db8:1::99 of mn1@home.example on ha1',
    ]);
    released();
    expect(obligations.forgotten(NOTHING)).toEqual([
      'no duty for hook down of 2001:db8:1::99 of mn1@home.example on ha1',
    ]);
  });

  it('reports nothing if the store has a duty, if there is no session, or after a command without a server', () => {
    given();
    expect(obligations.forgotten({ ...NOTHING, subjects: new Set([subjectOfLease(LEASE)]) })).toEqual([]);
    expect(obligations.forgotten({ ...NOTHING, sessions: [] })).toEqual([]);
    obligations = new Obligations();
    obligations.committed({ operation: 'expire', given: {}, result: [LEASE] });
    expect(obligations.forgotten(NOTHING)).toEqual([]);
  });

  it('reports nothing after the hook has run for the event; a run for the other event does not count', () => {
    given();
    obligations.program(program('down'));
    expect(obligations.forgotten(NOTHING)).toHaveLength(1);
    obligations.program(program('refresh'));
    expect(obligations.forgotten(NOTHING)).toEqual([]);
    released();
    obligations.program(program('down'));
    expect(obligations.forgotten(NOTHING)).toEqual([]);
  });

  it('reports nothing after the last try of a failing `down`', () => {
    released();
    const failed = (of: number) => {
      const fields = { subject: `ha ${LEASE.nai}`, role: 'ha' as const, event: 'down' as const, try: of };
      obligations.logged({ machine: 'aaa1', at: 0, level: 'warn', message: 'hook failed', fields });
      return obligations.forgotten(NOTHING).length;
    };
    const { down: most = 0 } = MAX_TRIES;
    expect([failed(most - 1), failed(most)]).toEqual([1, 0]);
  });
});
