import { describe, expect, it } from 'vitest';
import type { DemandOutcome } from '../../../src/protocol/home/alphabet.js';
import { MAX_ORIGINS } from '../../../src/protocol/home/origin-states.js';
import { HomeRig, leaseOf, NAI, NONE, OTHER_PAA, PAA, RESPONSE, sessionOf } from './home-rig.js';

const DONE: DemandOutcome = { result: 'SUCCESS', unknown: false, refused: false };
const UNKNOWN: DemandOutcome = { result: 'UNKNOWN_SESSION_ID', unknown: true, refused: false };
/** An agent could not deliver the request. */
const UNDELIVERED: DemandOutcome = { result: 'UNABLE_TO_DELIVER', unknown: false, refused: true };
const FAILED: DemandOutcome = { failure: 'no answer' };

describe('the termination of a session', () => {
  function terminate(rig: HomeRig, sessionId = 's', origin = PAA): number {
    const token = rig.token();
    rig.feed({ type: 'termination', token, request: { sessionId, origin, cause: 'LOGOUT' } });
    return token;
  }

  it('ends the session in the store, then forgets its keys, runs `down` and answers', () => {
    const rig = new HomeRig();
    const token = terminate(rig);
    expect(rig.asked('endSession')).toEqual([{ sessionId: 's', origin: PAA }]);
    const lease = leaseOf('s');
    expect(rig.stored('endSession', { known: true, released: lease })).toEqual([
      { type: 'forgetKeys', sessionId: 's' },
      { type: 'event', event: { name: 'sessionEnded', sessionId: 's', cause: 'LOGOUT', known: true } },
      { type: 'event', event: { name: 'leaseReleased', lease, reason: 'session ended' } },
      { type: 'hook', token: undefined, event: 'down', lease, key: undefined },
      { type: 'answer', token, answer: { type: 'terminated', known: true } },
    ]);
  });

  it('runs no hook when a newer session has taken over the lease', () => {
    const rig = new HomeRig();
    const token = terminate(rig);
    rig.stored('endSession', { known: true, released: undefined });
    expect(rig.of('hook')).toEqual([]);
    expect(rig.answerTo(token)).toEqual({ type: 'terminated', known: true });
  });

  it('of an unknown session is answered as unknown', () => {
    const rig = new HomeRig();
    const token = terminate(rig);
    rig.stored('endSession', { known: false, released: undefined });
    expect(rig.answerTo(token)).toEqual({ type: 'terminated', known: false });
  });

  it('of a session of another NAS is denied and changes nothing', () => {
    const rig = new HomeRig();
    const token = terminate(rig);
    rig.stored('endSession', { known: false, foreign: true, released: undefined });
    expect(rig.answerTo(token)).toEqual({ type: 'denied', because: 'unknown-session' });
    expect(rig.events('foreignTermination')).toEqual([{ name: 'foreignTermination', sessionId: 's', origin: PAA }]);
    expect(rig.of('forgetKeys')).toEqual([]);
  });

  it.each([
    [true, 'out-of-space'],
    [false, 'failed'],
  ])('is denied when the store fails, disk full: %s', (full, because) => {
    const rig = new HomeRig();
    const token = terminate(rig);
    rig.storeFails('endSession', full);
    expect(rig.answerTo(token)).toEqual({ type: 'denied', because });
    expect(rig.events('storeFailed')).toHaveLength(1);
  });

  it.each([
    [PAA, 0],
    [PAA.toUpperCase(), 0],
    [OTHER_PAA, 1],
  ])('by %s during the authentication leaves %i conversations', (origin, left) => {
    const rig = new HomeRig();
    rig.begin('s');
    terminate(rig, 's', origin);
    expect(rig.machine.conversations).toBe(left);
  });
});

describe('a demand of the operator', () => {
  it.each<['disconnect' | 'reauthenticate', DemandOutcome]>([
    ['disconnect', DONE],
    ['disconnect', FAILED],
    ['disconnect', UNDELIVERED],
    ['reauthenticate', DONE],
    ['reauthenticate', FAILED],
  ])('to %s is sent to the NAS, whose answer is the outcome: %j', (demand, outcome) => {
    const rig = new HomeRig();
    const session = sessionOf('s');
    const [sent] = rig.feed({ type: 'demand', token: 77, demand, session });
    expect(sent).toMatchObject({ type: 'sendDemand', demand, session });
    expect(
      rig.feed({ type: 'demandAnswered', token: sent && 'token' in sent ? (sent.token ?? 0) : 0, outcome }),
    ).toEqual([{ type: 'done', token: 77, outcome }]);
  });

  it.each(['disconnect', 'reauthenticate'] as const)('to %s ends a session that its NAS does not know', (demand) => {
    const rig = new HomeRig();
    rig.feed({ type: 'demand', token: 77, demand, session: sessionOf('s') });
    rig.feed({ type: 'demandAnswered', token: rig.of('sendDemand')[0]?.token ?? 0, outcome: UNKNOWN });
    expect(rig.of('done')).toEqual([]);
    expect(rig.of('forgetKeys')).toEqual([{ type: 'forgetKeys', sessionId: 's' }]);
    expect(rig.asked('endSession')).toEqual([{ sessionId: 's' }]);
    rig.stored('endSession', { known: true, released: leaseOf('s') });
    expect(rig.of('hook')).toMatchObject([{ event: 'down' }]);
    expect(rig.events('leaseReleased')).toMatchObject([{ reason: 'unknown to its PAA' }]);
    expect(rig.of('done')).toEqual([{ type: 'done', token: 77, outcome: UNKNOWN }]);
  });

  it('to end a session only in the store does not go to the NAS, and fails when the store fails', () => {
    const rig = new HomeRig();
    rig.feed({ type: 'end', token: 77, session: sessionOf('s'), reason: 'its PAA cannot be reached' });
    rig.feed({ type: 'end', token: 78, session: sessionOf('t'), reason: 'its PAA cannot be reached' });
    // The PAA has not confirmed it yet.
    expect(rig.asked('endSession')[0]).toEqual({ sessionId: 's', unconfirmed: true });
    rig.stored('endSession', { known: true, released: leaseOf('s') });
    rig.storeFails('endSession');
    expect(rig.events('leaseReleased')).toMatchObject([{ reason: 'its PAA cannot be reached' }]);
    expect(rig.of('done')).toEqual([
      { type: 'done', token: 77, outcome: { result: '', unknown: false, refused: false } },
      { type: 'done', token: 78, outcome: { failure: 'the store is lost' } },
    ]);
  });

  it('has one outcome; later answers of the NAS are ignored', () => {
    const rig = new HomeRig();
    rig.feed({ type: 'demand', token: 77, demand: 'disconnect', session: sessionOf('s') });
    const { token = 0 } = rig.of('sendDemand')[0] ?? {};
    rig.feed({ type: 'demandAnswered', token, outcome: DONE });
    expect(rig.feed({ type: 'demandAnswered', token, outcome: DONE })).toEqual([]);
  });
});

describe('a new session that replaces older ones', () => {
  const sessions = [
    sessionOf('older', { startedAt: 1 }),
    sessionOf('old', { startedAt: 2 }),
    sessionOf('new', { startedAt: 3 }),
    sessionOf('newer', { startedAt: 4 }),
  ];
  const demands = (rig: HomeRig) => rig.of('sendDemand').map(({ demand, session }) => [demand, session.sessionId]);
  const answer = (rig: HomeRig, outcome: DemandOutcome) =>
    rig.feed({ type: 'demandAnswered', token: rig.of('sendDemand').at(-1)?.token ?? 0, outcome });

  function replace(): HomeRig {
    const rig = new HomeRig();
    rig.enter('new', {}, { sessions: 'replace' });
    expect(rig.asked('listSessions')).toEqual([{ of: NAI, paa: PAA }]);
    return rig;
  }

  it('disconnects the older ones at their NAS one after another, but no newer one', () => {
    const rig = replace();
    rig.stored('listSessions', { items: sessions });
    expect(demands(rig)).toEqual([['disconnect', 'older']]);
    answer(rig, DONE);
    expect(demands(rig)).toEqual([
      ['disconnect', 'older'],
      ['disconnect', 'old'],
    ]);
    expect(answer(rig, DONE)).toEqual([]);
    expect(rig.of('done')).toEqual([]);
  });

  it.each([
    [FAILED, { unconfirmed: true }],
    [UNDELIVERED, { unconfirmed: true }],
    [UNKNOWN, {}],
  ])('ends an older one in the store when its NAS does not end it: %j', (outcome, unconfirmed) => {
    const rig = replace();
    rig.stored('listSessions', { items: sessions });
    answer(rig, outcome);
    expect(rig.asked('endSession')).toEqual([{ sessionId: 'older', ...unconfirmed }]);
    rig.stored('endSession', { known: true, released: undefined });
    expect(demands(rig).at(-1)).toEqual(['disconnect', 'old']);
  });

  it('leaves the remaining ones and reports it when the store fails', () => {
    const rig = replace();
    rig.stored('listSessions', { items: sessions });
    answer(rig, FAILED);
    rig.storeFails('endSession');
    expect(demands(rig)).toHaveLength(1);
    expect(rig.events('olderNotEnded')).toEqual([{ name: 'olderNotEnded', nai: NAI, reason: 'the store is lost' }]);
  });

  it('disconnects nothing when it has ended meanwhile, or when the store fails', () => {
    const gone = replace();
    gone.stored('listSessions', { items: sessions.filter(({ sessionId }) => sessionId !== 'new') });
    expect(demands(gone)).toEqual([]);
    const lost = replace();
    lost.storeFails('listSessions');
    expect(lost.events('olderNotEnded')).toHaveLength(1);
  });

  it('asks for no sessions if the store has said that there is no other one at this NAS', () => {
    const rig = new HomeRig();
    rig.enter('new', {}, { sessions: 'replace' }, { ...NONE, alone: true });
    expect(rig.asked('listSessions')).toEqual([]);
    rig.enter('newer', {}, { sessions: 'replace' }, { ...NONE, alone: false });
    expect(rig.asked('listSessions')).toHaveLength(1);
  });

  it('disconnects nothing if the subscriber may have one session only', () => {
    const rig = new HomeRig();
    rig.enter('new', {}, { sessions: 'one' });
    expect(rig.asked('listSessions')).toEqual([]);
  });
});

describe('the Origin-State-Id of a NAS (RFC 6733 8.16)', () => {
  const open = (rig: HomeRig, originState: number | undefined, origin = PAA) =>
    rig.feed({ type: 'peerOpen', origin, originState });

  it('ends its earlier sessions, and keeps their leases for the grace time', () => {
    const rig = new HomeRig({ grace: 60_000 });
    expect(open(rig, 5)[0]).toEqual({ type: 'forgetKeysOf', origin: PAA });
    expect(rig.asked('endSessionsOf')).toEqual([{ origin: PAA, before: 5, leasesFor: 60_000 }]);
    rig.stored('endSessionsOf', 3);
    expect(rig.events('sessionsLost')).toEqual([{ name: 'sessionsLost', origin: PAA, sessions: 3 }]);
  });

  it.each<[string, readonly (number | undefined)[], number]>([
    ['the same state twice', [5, 5], 1],
    ['a lower state', [5, 4], 1],
    ['a greater state', [5, 6], 2],
    ['no state', [undefined], 0],
    ['state 0', [0], 0],
  ])('is passed to the store only when it rises: %s', (_name, states, times) => {
    const rig = new HomeRig();
    for (const state of states) open(rig, state);
    expect(rig.asked('endSessionsOf')).toHaveLength(times);
    for (let i = 0; i < times; i += 1) rig.stored('endSessionsOf', 0);
    expect(rig.events('sessionsLost')).toEqual([]);
  });

  it('is passed to the store again after the store has failed', () => {
    const rig = new HomeRig();
    open(rig, 5);
    rig.storeFails('endSessionsOf');
    expect(rig.events('storeFailed')).toMatchObject([{ origin: PAA }]);
    const again = open(rig, 5, PAA.toUpperCase());
    expect(rig.asked('endSessionsOf')).toHaveLength(1);
    // The NAS has not restarted: answers to the requests of its present sessions are still needed.
    expect(again.filter(({ type }) => type === 'forgetKeysOf')).toEqual([]);
    rig.stored('endSessionsOf', 0);
    expect(open(rig, 5)).toEqual([]);
    expect(open(rig, 6)[0]).toEqual({ type: 'forgetKeysOf', origin: PAA });
  });

  it('delays the request that carries it until the store has ended the earlier sessions or failed', () => {
    for (const works of [true, false]) {
      const rig = new HomeRig();
      const token = rig.begin('s', { originState: 5 });
      expect(rig.of('open')).toEqual([]);
      if (works) rig.stored('endSessionsOf', 1);
      else rig.storeFails('endSessionsOf');
      expect(rig.of('eap')).toMatchObject([{ token }]);
    }
  });

  it.each<[string, object, number]>([
    ['a NAS that is not connected', {}, 1],
    ['a connected NAS, in a request from an agent', { peer: 'relay', connected: { originState: undefined } }, 0],
    ['a connected NAS with another one in its CER', { connected: { originState: 4 } }, 0],
    ['a connected NAS with none in its CER', { connected: { originState: undefined } }, 1],
  ])('in a request is passed to the store only if the NAS can have sent it: %s', (_name, more, times) => {
    const rig = new HomeRig();
    rig.begin('s', { originState: 5, ...more });
    expect(rig.asked('endSessionsOf')).toHaveLength(times);
  });

  it('is remembered for the latest MAX_ORIGINS NASs', () => {
    const rig = new HomeRig();
    for (let i = 0; i <= MAX_ORIGINS; i += 1) open(rig, 1, `paa${i}.example`);
    const asked = rig.questions.length;
    open(rig, 1, `paa${MAX_ORIGINS}.example`);
    expect(rig.questions).toHaveLength(asked);
    open(rig, 1, 'paa0.example');
    expect(rig.questions).toHaveLength(asked + 1);
    // Only the oldest NAS is forgotten.
    open(rig, 1, 'paa2.example');
    expect(rig.questions).toHaveLength(asked + 1);
  });

  it('in a later request does not end the conversation', () => {
    const rig = new HomeRig();
    rig.begin('s');
    const token = rig.ask('s', RESPONSE, { originState: 5 });
    rig.stored('endSessionsOf', 0);
    expect(rig.of('eap').at(-1)).toMatchObject({ token, packet: RESPONSE });
  });
});
