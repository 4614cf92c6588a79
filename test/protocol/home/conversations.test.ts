import { describe, expect, it } from 'vitest';
import { RANK } from '../../../src/protocol/home/admission.js';
import { type Conversation, Conversations } from '../../../src/protocol/home/conversations.js';

/** Adds a conversation; all of them have the same client address. */
function add(there: Conversations, id: number, rank: number, now = 0) {
  const given = { id, sessionId: `s${id}`, origin: 'paa', originRealm: undefined, originState: undefined };
  return there.add(
    { ...given, wish: undefined, homeAgent: undefined, seat: { rank, path: ['paa', 'network', 'address'] } },
    now,
  );
}

const idOf = (conversation: Conversation | undefined) => conversation?.id;

describe('Conversations', () => {
  it('keeps the order of conversations when promote does not raise the rank', () => {
    const there = new Conversations(2, 60_000);
    const { conversation: first } = add(there, 1, RANK.PROVEN);
    add(there, 2, RANK.PROVEN);
    there.promote(first, RANK.PROVEN);
    there.promote(first, RANK.FAMILIAR);
    expect(first.seat.rank).toBe(RANK.PROVEN);
    expect(idOf(add(there, 3, RANK.PROVEN).pushedOut)).toBe(1);
  });

  it('evicts unproven conversations before a promoted one', () => {
    const there = new Conversations(2, 60_000);
    const { conversation: first } = add(there, 1, RANK.STRANGER);
    add(there, 2, RANK.STRANGER);
    there.promote(first, RANK.PROVEN);
    expect(idOf(add(there, 3, RANK.STRANGER).pushedOut)).toBe(2);
    expect(there.has(first)).toBe(true);
  });

  it('reports that slots are scarce once half of its limit is used', () => {
    const there = new Conversations(5, 60_000);
    expect(
      [1, 2, 3].map((id) => {
        add(there, id, RANK.STRANGER);
        return there.scarce;
      }),
    ).toEqual([false, false, true]);
    const even = new Conversations(4, 60_000);
    expect(
      [1, 2].map((id) => {
        add(even, id, RANK.STRANGER);
        return even.scarce;
      }),
    ).toEqual([false, true]);
  });

  it('expires conversations in the order of their last activity', () => {
    const there = new Conversations(5, 1_000);
    const { conversation: first } = add(there, 1, RANK.STRANGER, 0);
    add(there, 2, RANK.STRANGER, 10);
    there.touch(first, 20);
    expect(there.firstUntil).toBe(1_010);
    expect(there.expire(1_009).map(idOf)).toEqual([]);
    expect(there.expire(1_010).map(idOf)).toEqual([2]);
    expect(there.firstUntil).toBe(1_020);
    expect(there.expire(1_020).map(idOf)).toEqual([1]);
    expect([there.size, there.firstUntil, there.end(first)]).toEqual([0, undefined, false]);
  });
});
