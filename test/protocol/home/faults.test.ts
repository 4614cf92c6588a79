import { afterEach, describe, expect, it, vi } from 'vitest';
import { Authorizations } from '../../../src/protocol/home/authorization.js';
import { Bootstrap } from '../../../src/protocol/home/bootstrap.js';
import { Conversations } from '../../../src/protocol/home/conversations.js';
import { EngineQueue } from '../../../src/protocol/home/engine-queue.js';
import { plainSubscriber } from '../../../src/protocol/home/records.js';
import { Sessions } from '../../../src/protocol/home/sessions.js';
import { CONFIG, FAILURE, HOME_WISH, HomeRig, home, NAI, PAA, REQUEST, sessionOf } from './home-rig.js';

const denied = (because: string) => ({ type: 'denied', because });
const UNAVAILABLE = { ok: false, reason: 'unavailable' };
const fails = () => {
  throw new Error('broken');
};

afterEach(() => {
  vi.restoreAllMocks();
});

describe('an exception in the machine', () => {
  it('fails the request whose EAP verdict causes it, and wipes the keys', () => {
    const rig = new HomeRig();
    const token = rig.begin('s');
    const success = { ...rig.success(), subscriber: undefined as never };
    rig.verdict(token, success);
    expect(rig.of('fault')).toHaveLength(1);
    expect(rig.answerTo(token)).toEqual(denied('failed'));
    expect([success.msk.isWiped, success.emsk.isWiped]).toEqual([true, true]);
  });

  it('is not caused by a verdict that comes after its request was answered', () => {
    const rig = new HomeRig();
    const token = rig.begin('s');
    const late = [
      { type: 'request', packet: REQUEST },
      { type: 'invalid', packet: undefined, reason: 'wrong EAP identifier' },
      { type: 'failure', packet: FAILURE, reason: 'protocol', detail: '', identity: undefined },
      { type: 'busy' },
    ] as const;
    rig.feed({ type: 'verdict', token, verdict: late[0] });
    const { length } = rig.of('answer');
    expect(length).toBe(1);
    for (const verdict of late) expect(rig.feed({ type: 'verdict', token, verdict })).toEqual([]);
    expect(rig.of('answer')).toHaveLength(length);
  });

  it('fails the request or the termination that causes it', () => {
    const rig = new HomeRig({ conversations: 1 });
    rig.enter('known');
    const request = { callingStation: undefined, origin: undefined as never };
    const token = rig.begin('s', request);
    expect(rig.answerTo(token)).toEqual(denied('failed'));
    const ending = rig.token();
    rig.feed({
      type: 'termination',
      token: ending,
      request: { sessionId: 's', origin: PAA, cause: 'LOGOUT' },
    });
    rig.stored('endSession', undefined as never);
    expect(rig.answerTo(ending)).toEqual(denied('failed'));
  });

  it('fails a termination before the store is asked', () => {
    const rig = new HomeRig();
    rig.begin('s');
    const token = rig.token();
    rig.feed({ type: 'termination', token, request: { sessionId: 's', origin: undefined as never, cause: 'LOGOUT' } });
    expect(rig.of('fault')).toHaveLength(1);
    expect(rig.answerTo(token)).toEqual(denied('failed'));
    expect(rig.asked('endSession')).toEqual([]);
  });

  it('fails the request whose bootstrap causes it, wipes its keys, and affects no other request', () => {
    const rig = new HomeRig();
    const token = rig.begin('s', { wish: HOME_WISH });
    const other = rig.begin('t');
    const success = rig.success();
    rig.verdict(token, success);
    rig.stored('bootstrap', { result: 'home' } as never);
    expect(rig.of('fault')).toHaveLength(1);
    expect(rig.answerTo(token)).toEqual(denied('failed'));
    expect([success.msk.isWiped, success.emsk.isWiped]).toEqual([true, true]);
    rig.verdict(other, { type: 'request', packet: REQUEST });
    expect(rig.answerTo(other)).toEqual({ type: 'challenge', packet: REQUEST, reissued: false, timeout: 60 });
  });

  it('fails the request whose hook causes it, by its end or by its time limit', () => {
    const rig = new HomeRig();
    const tokens = ['s', 't', 'u'].map((sessionId) => {
      const token = rig.succeed(sessionId, { wish: HOME_WISH });
      rig.stored('bootstrap', home(sessionId));
      return token;
    });
    const [first = 0, second = 0, third = 0] = tokens;
    vi.spyOn(Bootstrap.prototype, 'hooked').mockImplementationOnce(fails);
    rig.feed({ type: 'hooked', token: rig.of('hook')[0]?.token ?? 0 });
    expect(rig.answerTo(first)).toEqual(denied('failed'));
    vi.spyOn(Sessions.prototype, 'replaceOlder').mockImplementationOnce(fails);
    rig.advance(CONFIG.hookWait);
    // The request that was denied gets no second answer.
    expect(rig.answerTo(first)).toEqual(denied('failed'));
    expect(rig.answerTo(second)).toEqual(denied('failed'));
    expect(rig.answerTo(third)).toMatchObject({ type: 'accept' });
    expect(rig.of('fault')).toHaveLength(2);
    expect(rig.successes.map(({ msk }) => msk.isWiped)).toEqual([true, true, false]);
    expect(rig.successes.map(({ emsk }) => emsk.isWiped)).toEqual([true, true, true]);
    expect(rig.machine.deadline).toBeUndefined();
  });

  it('denies the client whose proof causes it', () => {
    const rig = new HomeRig();
    rig.begin('s');
    vi.spyOn(Authorizations.prototype, 'begin').mockImplementationOnce(fails);
    const token = rig.prove();
    expect(rig.of('fault')).toHaveLength(1);
    expect(rig.decision(token)).toEqual(UNAVAILABLE);
  });

  it('denies the client whose subscriber in the store causes it, and does not repeat a decision already made', () => {
    const rig = new HomeRig();
    rig.begin('s');
    const first = rig.prove();
    rig.stored('findSubscriber', undefined as never);
    expect(rig.decision(first)).toEqual(UNAVAILABLE);
    const second = rig.prove();
    vi.spyOn(Conversations.prototype, 'promote').mockImplementationOnce(fails);
    rig.stored('findSubscriber', { subscriber: plainSubscriber(NAI) });
    expect(rig.of('fault')).toHaveLength(2);
    expect(rig.of('authorization')).toMatchObject([
      { token: first, authorization: UNAVAILABLE },
      { token: second, authorization: { ok: true } },
    ]);
  });

  it('gives no turn to the flight that causes it', () => {
    const rig = new HomeRig();
    rig.begin('s');
    vi.spyOn(EngineQueue.prototype, 'add').mockImplementationOnce(fails);
    expect(rig.feed({ type: 'flight', token: 5, conversation: rig.conversation })).toEqual([
      { type: 'fault', error: new Error('broken') },
      { type: 'turn', token: 5, granted: false },
    ]);
  });

  it.each<'add' | 'done'>(['add', 'done'])('gives waiting flights no turn if the queue fails to %s', (method) => {
    const rig = new HomeRig();
    rig.begin('s');
    const flight = (token: number) => rig.feed({ type: 'flight', token, conversation: rig.conversation });
    for (const token of [1, 2, 3, 4]) flight(token);
    vi.spyOn(EngineQueue.prototype, method).mockImplementationOnce(fails);
    const outputs = method === 'add' ? flight(5) : rig.feed({ type: 'flown', token: 1 });
    expect(outputs.slice(1)).toEqual(
      (method === 'add' ? [5, 3, 4] : [3, 4]).map((token) => ({ type: 'turn', token, granted: false })),
    );
    // Flights from before the error no longer count.
    expect(rig.feed({ type: 'flown', token: 2 })).toEqual([]);
    expect([6, 7, 8].flatMap(flight)).toEqual(
      [6, 7].map((token) => ({ type: 'turn', token, granted: true, engine: 0 })),
    );
    expect(rig.feed({ type: 'flown', token: 6 })).toEqual([{ type: 'turn', token: 8, granted: true, engine: 0 }]);
  });

  it.each<readonly [name: string, cause: (rig: HomeRig) => void]>([
    [
      'itself',
      (rig) => {
        vi.spyOn(Sessions.prototype, 'demand').mockImplementationOnce(fails);
        rig.feed({ type: 'demand', token: 77, demand: 'disconnect', session: sessionOf('s') });
      },
    ],
    ['in the end of a session', (rig) => rig.feed({ type: 'end', token: 77, session: undefined as never, reason: '' })],
    [
      'in the answer of its NAS',
      (rig) => {
        rig.feed({ type: 'demand', token: 77, demand: 'disconnect', session: sessionOf('s') });
        const [sent] = rig.of('sendDemand');
        rig.feed({ type: 'demandAnswered', token: sent?.token ?? 0, outcome: undefined as never });
      },
    ],
    [
      'in the answer of the store',
      (rig) => {
        rig.feed({ type: 'end', token: 77, session: sessionOf('s'), reason: '' });
        rig.stored('endSession', undefined as never);
      },
    ],
  ])('fails the demand that causes it: %s', (_, cause) => {
    const rig = new HomeRig();
    cause(rig);
    expect(rig.of('fault')).toHaveLength(1);
    expect(rig.of('done')).toEqual([{ type: 'done', token: 77, outcome: { failure: 'internal error' } }]);
  });
});
