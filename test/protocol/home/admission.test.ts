import { describe, expect, it } from 'vitest';
import { Admission, MAX_QUESTIONS, RANK, REPORT_INTERVAL } from '../../../src/protocol/home/admission.js';
import { MAX_WAIT, SHORT_WAIT } from '../../../src/protocol/home/engine-queue.js';
import { FailureLimits } from '../../../src/protocol/home/failure-limits.js';
import { plainSubscriber } from '../../../src/protocol/home/records.js';
import { HomeRig, NAI, OTHER_PAA, PAA, REQUEST, RESPONSE } from './home-rig.js';

const subscriber = plainSubscriber(NAI);

/** Clients that begin and then stay silent, each from its own address. The store knows none of their sessions. */
function hang(rig: HomeRig, count: number, name = 'hang'): void {
  for (let i = 0; i < count; i += 1) begin(rig, `${name}${i}`, `2001:db8:bad::${i + 1}`);
}

function begin(
  rig: HomeRig,
  session: string,
  callingStation: string,
  { origin = PAA, known }: { readonly origin?: string; readonly known?: string } = {},
): number {
  const token = rig.begin(session, { callingStation, origin, peer: origin });
  if (rig.asked('originOfSession').length > 0) rig.stored('originOfSession', known);
  return token;
}

describe('the table of conversations', () => {
  it('evicts the oldest conversation of the client group with the most conversations when it is full', () => {
    const rig = new HomeRig({ conversations: 8 });
    hang(rig, 9);
    expect(rig.machine.conversations).toBe(8);
    expect(rig.of('close')).toEqual([{ type: 'close', conversation: rig.of('open')[0]?.conversation }]);
    expect(rig.events('limited')).toEqual([{ name: 'limited', of: 'conversations' }]);
    expect(rig.answerTo(rig.ask('hang0', RESPONSE))).toEqual({ type: 'denied', because: 'unknown-session' });
    expect(rig.answerTo(rig.ask('hang1', RESPONSE))).toBeUndefined();
  });

  it('answers the pending request of an evicted conversation with too-busy', () => {
    const rig = new HomeRig({ conversations: 8 });
    const first = begin(rig, 'first', '2001:db8:bad::99');
    hang(rig, 8);
    rig.verdict(first, { type: 'invalid', packet: REQUEST, reason: 'the conversation is over' });
    expect(rig.answerTo(first)).toEqual({ type: 'denied', because: 'too-busy' });
  });

  it('reports all evicted clients in one event a minute', () => {
    const rig = new HomeRig({ conversations: 4, roundTimeout: 1_000_000 });
    hang(rig, 14);
    expect(rig.events('limited')).toHaveLength(10);
    expect(rig.events('turnedAway')).toMatchObject([{ of: 'conversations', clients: 1, peer: PAA }]);
    rig.advance(REPORT_INTERVAL - 1);
    hang(rig, 1, 'later');
    expect(rig.events('turnedAway')).toHaveLength(1);
    rig.advance(1);
    hang(rig, 1, 'last');
    expect(rig.events('turnedAway').at(-1)).toMatchObject({ clients: 11 });
  });

  it('prefers a client that has proven its certificate', () => {
    const rig = new HomeRig({ conversations: 8 });
    const token = begin(rig, 'proven', '2001:db8:bad::99');
    rig.prove();
    rig.stored('findSubscriber', { subscriber });
    hang(rig, 30);
    rig.verdict(token, { type: 'request', packet: REQUEST });
    expect(rig.answerTo(token)).toMatchObject({ type: 'challenge' });
    expect(rig.answerTo(rig.ask('proven', RESPONSE))).toBeUndefined();
  });

  it('does not prefer a client whose certificate was refused', () => {
    const rig = new HomeRig({ conversations: 8 });
    begin(rig, 'refused', '2001:db8:bad::99');
    rig.prove();
    rig.stored('findSubscriber', { refusal: 'no-subscriber' });
    hang(rig, 30);
    expect(rig.answerTo(rig.ask('refused', RESPONSE))).toEqual({ type: 'denied', because: 'unknown-session' });
  });

  it.each<[string, string | undefined, boolean]>([
    ['known at this NAS', PAA, true],
    ['known at this NAS, in upper case', PAA.toUpperCase(), true],
    ['known at another NAS', OTHER_PAA, false],
    ['unknown', undefined, false],
  ])('prefers a session only if the store knows it at this NAS: %s', (_name, known, stays) => {
    const rig = new HomeRig({ conversations: 8 });
    hang(rig, 8);
    begin(rig, 's', '2001:db8:bad::99', known === undefined ? {} : { known });
    hang(rig, 30, 'more');
    const answer = rig.answerTo(rig.ask('s', RESPONSE));
    if (stays) expect(answer).toBeUndefined();
    else expect(answer).toEqual({ type: 'denied', because: 'unknown-session' });
  });

  it('asks the store about a session only once half of its slots are taken', () => {
    const rig = new HomeRig({ conversations: 8 });
    for (const session of ['a', 'b', 'c', 'd']) rig.begin(session);
    expect(rig.asked('originOfSession')).toEqual([]);
    rig.begin('e');
    expect(rig.asked('originOfSession')).toEqual([{ sessionId: 'e' }]);
    expect(rig.machine.conversations).toBe(4);
    rig.storeFails('originOfSession');
    expect(rig.machine.conversations).toBe(5);
  });

  it('has at most MAX_QUESTIONS open questions to the store, and treats further clients as unknown', () => {
    const rig = new HomeRig({ conversations: 2 });
    rig.begin('a');
    for (let i = 0; i < MAX_QUESTIONS; i += 1) rig.begin(`s${i}`);
    expect(rig.asked('originOfSession')).toHaveLength(MAX_QUESTIONS);
    rig.begin('one too many');
    expect(rig.asked('originOfSession')).toHaveLength(MAX_QUESTIONS);
    rig.stored('originOfSession', undefined);
    rig.begin('again');
    expect(rig.asked('originOfSession')).toHaveLength(MAX_QUESTIONS);
  });

  it('does not ask the store about a session that began here until it has ended', () => {
    const rig = new HomeRig({ conversations: 2 });
    rig.enter('s');
    rig.begin('a');
    rig.begin('s');
    expect(rig.asked('originOfSession')).toEqual([]);
    rig.feed({
      type: 'termination',
      token: rig.token(),
      request: { sessionId: 's', origin: PAA, cause: 'LOGOUT' },
    });
    rig.stored('endSession', { known: true, released: undefined });
    rig.begin('b');
    rig.stored('originOfSession', undefined);
    rig.begin('s');
    expect(rig.asked('originOfSession')).toEqual([{ sessionId: 's' }]);
  });

  it('admits only the first of two NASs that begin the same session while the store has not answered', () => {
    const rig = new HomeRig({ conversations: 2 });
    rig.begin('a');
    const slow = rig.begin('s');
    const quick = rig.begin('s', { origin: OTHER_PAA });
    rig.stored('originOfSession', undefined);
    rig.stored('originOfSession', undefined);
    expect(rig.answerTo(slow)).toBeUndefined();
    expect(rig.answerTo(quick)).toEqual({ type: 'denied', because: 'unknown-session' });
  });

  it('prefers a client at an address where a certificate was proven recently', () => {
    const rig = new HomeRig({ conversations: 8 });
    rig.enter('s', { callingStation: '2001:db8:1::1' });
    begin(rig, 'familiar', '2001:db8:1::1');
    for (let i = 0; i < 30; i += 1) begin(rig, `near${i}`, `2001:db8:1::${i + 2}`);
    expect(rig.answerTo(rig.ask('familiar', RESPONSE))).toBeUndefined();
  });
});

describe('remembered sessions', () => {
  const asking = (sessionId: string) => ({ sessionId, peer: PAA, origin: PAA, callingStation: '2001:db8::1' });
  const seat = { rank: RANK.STRANGER, path: [] };

  it('are the latest 100,000; the store is asked about others', () => {
    const admission = new Admission();
    const begin = (sessionId: string) => admission.succeeded('aa', { sessionId, origin: PAA, seat }, 0);
    for (let i = 0; i < 100_000; i += 1) begin(`s${i}`);
    const isKnown = (sessionId: string) => admission.seatOf(asking(sessionId), true, 0)?.rank === RANK.PROVEN;
    // A repeated session takes no further entry and becomes the most recent one.
    begin('s1');
    expect(['s0', 's1', 's2'].filter(isKnown)).toEqual(['s0', 's1', 's2']);
    begin('one more');
    begin('another');
    expect(['s0', 's1', 's2', 's3', 'one more', 'another'].filter(isKnown)).toEqual([
      's1',
      's3',
      'one more',
      'another',
    ]);
    expect(admission.seatOf(asking('s0'), true, 0)).toBeUndefined();
  });
});

describe('the TLS engine', () => {
  function flight(rig: HomeRig): number {
    const token = rig.token();
    rig.feed({ type: 'flight', token, conversation: rig.conversation });
    return token;
  }
  const turns = (rig: HomeRig) => rig.of('turn').map(({ token, granted }) => [token, granted]);

  it('processes two flights at a time, and the next one when one of them ends', () => {
    const rig = new HomeRig();
    rig.begin('s');
    const [a, b, c] = [flight(rig), flight(rig), flight(rig)];
    expect(turns(rig)).toEqual([
      [a, true],
      [b, true],
    ]);
    rig.now = 10;
    expect(rig.feed({ type: 'flown', token: a })).toEqual([{ type: 'turn', token: c, granted: true, engine: 0 }]);
    expect(rig.feed({ type: 'flown', token: a })).toEqual([]);
  });

  it('refuses flights that have waited for MAX_WAIT', () => {
    const rig = new HomeRig();
    rig.begin('s');
    const [a] = [flight(rig), flight(rig)];
    const late = flight(rig);
    rig.now = MAX_WAIT - 1;
    const next = flight(rig);
    rig.now = MAX_WAIT;
    rig.feed({ type: 'flown', token: a });
    expect(turns(rig).slice(2)).toEqual([
      [late, false],
      [next, true],
    ]);
  });

  it('lets 1,024 flights wait, and refuses the longest-waiting one when another arrives', () => {
    const rig = new HomeRig();
    rig.begin('s');
    const flights = Array.from({ length: 2 + 1_024 }, () => flight(rig));
    expect(turns(rig)).toEqual(flights.slice(0, 2).map((token) => [token, true]));
    flight(rig);
    expect(turns(rig).slice(2)).toEqual([[flights[2], false]]);
  });

  it('reserves turns for known clients while flights wait', () => {
    const rig = new HomeRig();
    rig.begin('s');
    for (let i = 0; i < 3; i += 1) flight(rig);
    rig.begin('t');
    expect(rig.asked('originOfSession')).toEqual([{ sessionId: 't' }]);
  });

  it('refuses a new client at its first request while others wait and the engine is overloaded', () => {
    const rig = new HomeRig();
    for (const session of ['a', 'b', 'c', 'd']) {
      begin(rig, session, '2001:db8:1::1');
      flight(rig);
    }
    rig.now = MAX_WAIT;
    begin(rig, 'e', '2001:db8:1::1');
    flight(rig);
    expect(rig.of('turn').filter(({ granted }) => !granted)).toHaveLength(2);
    rig.now += SHORT_WAIT;
    const token = begin(rig, 'f', '2001:db8:1::1');
    expect(rig.answerTo(token)).toEqual({ type: 'denied', because: 'too-busy' });
    expect(rig.events('limited')).toEqual([{ name: 'limited', of: 'engine' }]);
    expect(rig.of('open')).toHaveLength(5);
  });

  it('gives a conversation that has ended its turn at once', () => {
    const rig = new HomeRig();
    rig.begin('s');
    for (let i = 0; i < 2; i += 1) flight(rig);
    rig.feed({ type: 'stop' });
    const token = flight(rig);
    expect(turns(rig).at(-1)).toEqual([token, true]);
  });

  it('answers too-busy to the client whose flight is refused', () => {
    const rig = new HomeRig();
    const token = rig.begin('s');
    rig.verdict(token, { type: 'busy' });
    expect(rig.events('limited')).toEqual([{ name: 'limited', of: 'engine' }]);
    expect(rig.answerTo(token)).toEqual({ type: 'denied', because: 'too-busy' });
  });
});

describe('the limit of failures of a certificate', () => {
  function fail(rig: HomeRig, sha256: string): string | undefined {
    rig.begin(`s${rig.token()}`);
    const token = rig.prove(sha256);
    if (rig.asked('findSubscriber').length > 0) rig.stored('findSubscriber', { refusal: 'disabled' });
    const decision = rig.decision(token);
    return decision?.ok === false ? decision.reason : undefined;
  }

  it('refuses the certificate without asking the store after that many failures, for the rest of the minute', () => {
    const rig = new HomeRig({ failures: 3 });
    rig.advance(120_000);
    expect([1, 2, 3, 4, 5].map(() => fail(rig, 'aa'))).toEqual([
      'disabled',
      'disabled',
      'disabled',
      'too-many-failures',
      'too-many-failures',
    ]);
    expect(rig.events('limited')).toHaveLength(2);
    expect(fail(rig, 'bb')).toBe('disabled');
    rig.advance(59_999);
    expect(fail(rig, 'aa')).toBe('too-many-failures');
    rig.advance(1);
    expect(fail(rig, 'aa')).toBe('disabled');
  });

  it('does not apply if it is 0', () => {
    const rig = new HomeRig({ failures: 0 });
    for (let i = 0; i < 100; i += 1) expect(fail(rig, 'aa')).toBe('disabled');
  });

  it('does not count successes', () => {
    const rig = new HomeRig({ failures: 1 });
    for (let i = 0; i < 5; i += 1) {
      rig.begin(`s${i}`);
      const token = rig.prove('aa');
      rig.stored('findSubscriber', { subscriber });
      expect(rig.decision(token)).toMatchObject({ ok: true });
    }
  });

  it('is tracked for 100,000 certificates; the certificate whose last failure is oldest is replaced', () => {
    const limits = new FailureLimits(1);
    for (let i = 0; i < 100_000; i += 1) limits.failed(`n${i}`, 0);
    const isExceeded = (name: string) => limits.exceeded(name, 0);
    limits.failed('n0', 0);
    expect(['n0', 'n1', 'n2', 'n99999'].filter(isExceeded)).toEqual(['n0', 'n1', 'n2', 'n99999']);
    limits.failed('more', 0);
    expect(['n0', 'n1', 'n2', 'more'].filter(isExceeded)).toEqual(['n0', 'n2', 'more']);
  });

  it('applies to each minute separately', () => {
    const limits = new FailureLimits(2);
    limits.failed('aa', 0);
    limits.failed('aa', 60_000);
    expect(limits.exceeded('aa', 60_000)).toBe(false);
    limits.failed('aa', 119_999);
    expect(limits.exceeded('aa', 119_999)).toBe(true);
    expect(limits.exceeded('aa', 120_000)).toBe(false);
  });
});

describe('while the store does not answer', () => {
  function prove(rig: HomeRig, session: string, sha256 = 'aa') {
    rig.begin(session);
    const token = rig.prove(sha256);
    rig.storeFails('findSubscriber');
    return rig.decision(token);
  }

  it('a subscriber gets access if its last authorization is no older than the outage time', () => {
    const rig = new HomeRig({ outage: 3_600_000 });
    rig.begin('s');
    rig.prove('aa');
    rig.stored('findSubscriber', { subscriber });
    rig.advance(3_599_999);
    expect(prove(rig, 't')).toEqual({ ok: true, subscriber });
    expect(rig.events('knownSubscriber')).toEqual([{ name: 'knownSubscriber', nai: NAI }]);
    expect(rig.events('storeFailed')).toMatchObject([{ reason: 'the store is lost' }]);
    expect(prove(rig, 't', 'bb')).toEqual({ ok: false, reason: 'unavailable' });
    rig.advance(1);
    expect(prove(rig, 'u')).toEqual({ ok: false, reason: 'unavailable' });
  });

  it('no subscriber is remembered after subscribers have changed', () => {
    const rig = new HomeRig();
    rig.begin('s');
    rig.prove('aa');
    rig.stored('findSubscriber', { subscriber });
    rig.feed({ type: 'forget' });
    expect(prove(rig, 't')).toEqual({ ok: false, reason: 'unavailable' });
  });

  it('a failure of the store does not count as a failure of the certificate', () => {
    const rig = new HomeRig({ failures: 1 });
    expect(prove(rig, 's')).toEqual({ ok: false, reason: 'unavailable' });
    expect(prove(rig, 't')).toEqual({ ok: false, reason: 'unavailable' });
    expect(rig.events('limited')).toEqual([]);
  });

  it('a client gets access without Mobile IPv6', () => {
    const rig = new HomeRig();
    const token = rig.succeed('s', { wish: { bits: 0x1d, local: undefined } });
    rig.storeFails('bootstrap');
    expect(rig.answerTo(token)).toMatchObject({ type: 'accept', accepted: { mobility: undefined } });
    expect(rig.events('noMobility')).toEqual([{ name: 'noMobility', nai: NAI, reason: 'store' }]);
  });

  it('a client whose conversation has ended is refused without a question to the store', () => {
    const rig = new HomeRig();
    rig.begin('s');
    rig.feed({ type: 'stop' });
    expect(rig.decision(rig.prove())).toEqual({ ok: false, reason: 'unavailable' });
    expect(rig.questions).toEqual([]);
  });
});
