import { afterEach, describe, expect, it, vi } from 'vitest';
import { Authorizations } from '../../../src/protocol/home/authorization.js';
import { Conversations } from '../../../src/protocol/home/conversations.js';
import { EngineQueue } from '../../../src/protocol/home/engine-queue.js';
import { plainSubscriber } from '../../../src/protocol/home/records.js';
import { Sessions } from '../../../src/protocol/home/sessions.js';
import { HOME_WISH, HomeRig, NAI, PAA, REQUEST, sessionOf } from './home-rig.js';

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

  it('denies the client whose proof causes it', () => {
    const rig = new HomeRig();
    rig.begin('s');
    vi.spyOn(Authorizations.prototype, 'begin').mockImplementationOnce(fails);
    const token = rig.prove();
    expect(rig.of('fault')).toHaveLength(1);
    expect(rig.decision(token)).toEqual(UNAVAILABLE);
  });

  it('denies the client whose subscriber in the store causes it, and does not repeat a decision that stands', () => {
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
        const [tell] = rig.of('tell');
        rig.feed({ type: 'told', token: tell?.token ?? 0, told: undefined as never });
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
