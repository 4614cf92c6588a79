import { describe, expect, it } from 'vitest';
import { TIMES } from './recovery.js';
import { StrangeSessions } from './unauthenticated.js';

const STRANGER = '2001:db8:a1::bad:1';

describe('The check of the sessions of strangers', () => {
  it('reports a session that lasts longer than its phases can take', () => {
    const sessions = new StrangeSessions();
    const list = [{ session: '00000001', address: STRANGER }];
    expect(sessions.look('paa1', list, 0)).toEqual([]);
    expect(sessions.look('paa1', list, 5 * TIMES.progress)).toEqual([]);
    expect(sessions.look('paa2', list, 5 * TIMES.progress + 1)).toEqual([]);
    expect(sessions.look('paa1', list, 5 * TIMES.progress + 1)).toEqual([
      'paa1 has 00000001 of 2001:db8:a1::bad:1 for 300001 ms',
    ]);
    expect(sessions.look('paa1', [], 400_000)).toEqual([]);
    expect(sessions.look('paa1', list, 400_001)).toEqual([]);
  });

  it('reports too many sessions from one address, except those of nodes', () => {
    const listed = (address: string, count: number) =>
      Array.from({ length: count }, (_, i) => ({ session: String(i), address }));
    const look = (address: string, count: number) => new StrangeSessions().look('paa1', listed(address, count), 0);
    expect(look(STRANGER, 8)).toEqual([]);
    expect(look(STRANGER, 9)).toEqual(['paa1 has 9 sessions of 2001:db8:a1::bad:1']);
    expect(look('2001:db8:a1::1:1', 9)).toEqual([]);
  });
});
