import { describe, expect, it } from 'vitest';
import type { EapVerdict } from '../../../src/protocol/home/alphabet.js';
import {
  FAILURE,
  HOME_WISH,
  HomeRig,
  home,
  IDENTITY,
  leaseOf,
  NAI,
  NONE,
  OTHER_PAA,
  PAA,
  REQUEST,
  RESPONSE,
  SUCCESS,
} from './home-rig.js';

const challenge = (reissued: boolean) => ({ type: 'challenge', packet: REQUEST, reissued, timeout: 60 });
const denied = (because: string) => ({ type: 'denied', because });

describe('a bootstrap', () => {
  it('authenticates by EAP, finds the subscriber, stores the session, runs the hook, and answers', () => {
    const rig = new HomeRig();
    const first = rig.begin('s', { wish: HOME_WISH });
    expect(rig.outputs).toEqual([
      { type: 'open', conversation: 1, sessionId: 's', mtu: 1100 },
      { type: 'eap', token: first, conversation: 1, packet: IDENTITY },
    ]);
    expect(rig.verdict(first, { type: 'request', packet: REQUEST })).toEqual([
      { type: 'answer', token: first, answer: challenge(false) },
    ]);

    rig.now = 100;
    const second = rig.ask('s', RESPONSE);
    expect(rig.outputs.slice(3)).toEqual([{ type: 'eap', token: second, conversation: 1, packet: RESPONSE }]);
    const flight = rig.token();
    expect(rig.feed({ type: 'flight', token: flight, conversation: 1 })).toEqual([
      { type: 'turn', token: flight, granted: true, engine: 0 },
    ]);
    expect(rig.feed({ type: 'flown', token: flight })).toEqual([]);
    const decision = rig.prove();
    expect(rig.decision(decision)).toBeUndefined();
    expect(rig.asked('findSubscriber')).toEqual([{ names: [NAI], sha256: 'aa', sessionId: 's' }]);
    const { subscriber } = rig.success();
    expect(rig.stored('findSubscriber', { subscriber })).toEqual([
      { type: 'authorization', token: decision, authorization: { ok: true, subscriber } },
    ]);

    const success = rig.success();
    rig.verdict(second, success);
    expect(rig.answerTo(second)).toBeUndefined();
    expect(rig.asked('bootstrap')).toEqual([
      {
        nai: NAI,
        sessionId: 's',
        origin: PAA,
        originRealm: 'example',
        originState: undefined,
        certificate: '0a:1',
        wish: 'home',
        local: undefined,
        sessionLifetime: 3_600_000,
        leaseLifetime: 3_660_000,
      },
    ]);
    expect(rig.of('hook')).toEqual([]);

    rig.now = 150;
    rig.stored('bootstrap', home('s'));
    const [hook] = rig.of('hook');
    expect(hook).toMatchObject({ event: 'up', lease: leaseOf('s'), key: { ike: 'ikev2', lifetime: 3_660_000 } });
    expect(rig.answerTo(second)).toBeUndefined();

    rig.now = 300;
    rig.feed({ type: 'hooked', token: hook?.token ?? 0 });
    expect(rig.answerTo(second)).toEqual({
      type: 'accept',
      accepted: {
        packet: SUCCESS,
        msk: success.msk,
        nai: NAI,
        lifetime: 3_600,
        grace: 60,
        mobility: { kind: 'home', lease: leaseOf('s'), ike: 'ikev2', root: 'msk', byIke: false },
      },
    });
    expect(success.msk.isWiped).toBe(false);
    expect(success.emsk.isWiped).toBe(true);
    expect(rig.events('authenticated')).toMatchObject([{ sessionId: 's', nai: NAI, lifetime: 3_600, duration: 300 }]);
    expect(rig.machine.conversations).toBe(0);
    expect(rig.of('close')).toEqual([{ type: 'close', conversation: 1 }]);
  });

  it('waits at most hookWait for the hook', () => {
    const rig = new HomeRig({ hookWait: 500 });
    const token = rig.succeed('s', { wish: HOME_WISH });
    rig.stored('bootstrap', home('s'));
    rig.advance(499);
    expect(rig.answerTo(token)).toBeUndefined();
    rig.advance(1);
    expect(rig.answerTo(token)).toMatchObject({ type: 'accept' });
    // The hook ends later and has no effect.
    expect(rig.feed({ type: 'hooked', token: rig.of('hook')[0]?.token ?? 0 })).toEqual([]);
  });

  it('does not wait for the hook if hookWait is 0', () => {
    const rig = new HomeRig({ hookWait: 0 });
    const token = rig.succeed('s', { wish: HOME_WISH });
    rig.stored('bootstrap', home('s'));
    expect(rig.of('hook')).toMatchObject([{ token: undefined, event: 'up' }]);
    expect(rig.answerTo(token)).toMatchObject({ type: 'accept' });
  });
});

describe('EAP at the home server', () => {
  it.each<[string, EapVerdict, object]>([
    ['a request', { type: 'request', packet: REQUEST }, challenge(false)],
    ['an invalid packet', { type: 'invalid', packet: REQUEST, reason: 'wrong EAP identifier' }, challenge(true)],
    ['an invalid first packet', { type: 'invalid', packet: undefined, reason: 'length' }, { type: 'unable' }],
    ['busy', { type: 'busy' }, denied('too-busy')],
    [
      'a failure',
      { type: 'failure', packet: FAILURE, reason: 'tls-alert', detail: '', identity: '@home.example' },
      { type: 'reject', packet: FAILURE, because: 'authentication' },
    ],
    [
      'a failure of the store',
      { type: 'failure', packet: FAILURE, reason: 'unavailable', detail: '', identity: undefined },
      { type: 'reject', packet: FAILURE, because: 'unavailable' },
    ],
  ])('answers with the verdict, and ends the conversation if it is final: %s', (_name, verdict, answer) => {
    const rig = new HomeRig();
    const token = rig.begin('s');
    rig.verdict(token, verdict);
    expect(rig.answerTo(token)).toEqual(answer);
    const isOver = verdict.type === 'busy' || verdict.type === 'failure';
    expect(rig.machine.conversations).toBe(isOver ? 0 : 1);
    expect(rig.of('close')).toHaveLength(isOver ? 1 : 0);
  });

  it('reports the identity and the reason of a refusal', () => {
    const rig = new HomeRig();
    const verdict = { type: 'failure', packet: FAILURE, reason: 'revoked', detail: 'x', identity: '@a' } as const;
    rig.verdict(rig.begin('s'), verdict);
    expect(rig.events('refused')).toEqual([
      { name: 'refused', sessionId: 's', origin: PAA, identity: '@a', reason: 'revoked', detail: 'x' },
    ]);
  });

  it('wipes the keys of a success that no request waits for', () => {
    const rig = new HomeRig();
    const success = rig.success();
    expect(rig.verdict(99, success)).toEqual([]);
    expect([success.msk.isWiped, success.emsk.isWiped]).toEqual([true, true]);
  });

  it('opens a conversation with the smaller MTU of both ends', () => {
    const rig = new HomeRig({ mtu: 1300 });
    rig.begin('a', { mtu: 900 });
    rig.begin('b', { mtu: 1400 });
    rig.begin('c', { mtu: undefined });
    expect(rig.of('open').map(({ mtu }) => mtu)).toEqual([900, 1300, 1100]);
  });
});

describe('a conversation', () => {
  it('begins with an EAP identity or an empty packet only', () => {
    const rig = new HomeRig();
    expect(rig.answerTo(rig.ask('a', RESPONSE))).toEqual(denied('unknown-session'));
    expect(rig.answerTo(rig.ask('b', new Uint8Array(0)))).toBeUndefined();
    expect(rig.answerTo(rig.ask('c', IDENTITY))).toBeUndefined();
    expect(rig.machine.conversations).toBe(2);
  });

  it('continues with the identity that the server requested, and restarts with any other', () => {
    const rig = new HomeRig();
    const request = { type: 'request', packet: Uint8Array.of(1, IDENTITY[1] ?? 0, 0, 5, 1) } as const;
    rig.verdict(rig.ask('s', new Uint8Array(0), { wish: HOME_WISH }), request);
    const token = rig.ask('s', IDENTITY);
    expect(rig.of('eap').at(-1)).toMatchObject({ token, conversation: 1, packet: IDENTITY });
    rig.verdict(token, rig.success());
    expect(rig.asked('bootstrap')).toMatchObject([{ wish: 'home' }]);

    rig.verdict(rig.ask('t', new Uint8Array(0)), request);
    rig.ask('t', Uint8Array.of(2, 77, 0, 6, 1, 64));
    rig.verdict(rig.ask('u', IDENTITY), { type: 'request', packet: REQUEST });
    rig.ask('u', IDENTITY);
    expect(rig.of('open').map(({ sessionId }) => sessionId)).toEqual(['s', 't', 't', 'u', 'u']);
  });

  it('is replaced when its session begins again, and is counted once', () => {
    const rig = new HomeRig({ conversations: 3 });
    for (let i = 0; i < 5; i += 1) rig.begin('s');
    expect(rig.machine.conversations).toBe(1);
    expect(rig.of('close').map(({ conversation }) => conversation)).toEqual(
      rig
        .of('open')
        .slice(0, -1)
        .map(({ conversation }) => conversation),
    );
    // Two more clients still fit.
    rig.begin('second');
    rig.begin('third');
    rig.stored('originOfSession', undefined);
    expect(rig.machine.conversations).toBe(3);
    expect(rig.events('limited')).toEqual([]);
  });

  it('belongs to the NAS that began it, compared without case', () => {
    const rig = new HomeRig();
    rig.begin('s');
    expect(rig.answerTo(rig.ask('s', RESPONSE, { origin: OTHER_PAA }))).toEqual(denied('unknown-session'));
    expect(rig.answerTo(rig.begin('s', { origin: OTHER_PAA }))).toEqual(denied('unknown-session'));
    expect(rig.answerTo(rig.ask('s', RESPONSE, { origin: PAA.toUpperCase() }))).toBeUndefined();
    expect(rig.of('open')).toHaveLength(1);
  });

  it('is forgotten after roundTimeout of silence and not before', () => {
    const rig = new HomeRig({ roundTimeout: 60_000 });
    rig.begin('a');
    rig.advance(30_000);
    rig.begin('b');
    rig.ask('a', RESPONSE);
    rig.advance(59_999);
    expect(rig.machine.conversations).toBe(2);
    expect(rig.machine.deadline).toBe(90_000);
    expect(rig.advance(1)).toEqual([
      { type: 'close', conversation: 2 },
      { type: 'close', conversation: 1 },
      { type: 'event', event: { name: 'conversationsForgotten', conversations: 2 } },
    ]);
    expect(rig.machine.deadline).toBeUndefined();
    expect(rig.answerTo(rig.ask('a', RESPONSE))).toEqual(denied('unknown-session'));
  });

  it('stays when it is active while a silent one is forgotten', () => {
    const rig = new HomeRig({ roundTimeout: 60_000 });
    rig.begin('silent');
    rig.begin('talks');
    rig.advance(59_999);
    rig.ask('talks', RESPONSE);
    rig.advance(1);
    expect(rig.machine.conversations).toBe(1);
    expect(rig.answerTo(rig.ask('talks', RESPONSE))).toBeUndefined();
    // Silent conversations are checked for at most every five seconds.
    expect(rig.machine.deadline).toBe(120_000);
  });

  it('is checked for silence at most every five seconds, even when other deadlines pass', () => {
    const rig = new HomeRig({ roundTimeout: 60_000, hookWait: 1_000 });
    rig.begin('first');
    rig.advance(1_000);
    rig.begin('second');
    rig.advance(59_500);
    rig.succeed('s', { wish: HOME_WISH });
    rig.stored('bootstrap', home('s'));
    rig.advance(1_000);
    expect(rig.of('answer')).toHaveLength(1);
    expect(rig.events('conversationsForgotten')).toHaveLength(1);
    expect(rig.machine.deadline).toBe(65_000);
    rig.advance(3_500);
    expect(rig.machine.conversations).toBe(0);
  });

  it('gets its answer in time even if its session is terminated while the hook runs', () => {
    const rig = new HomeRig();
    const token = rig.succeed('s', { wish: HOME_WISH });
    rig.stored('bootstrap', home('s'));
    rig.feed({
      type: 'termination',
      token: rig.token(),
      request: { sessionId: 's', origin: PAA, cause: 'LOGOUT' },
    });
    expect(rig.machine.deadline).toBe(500);
    rig.advance(500);
    expect(rig.answerTo(token)).toMatchObject({ type: 'accept' });
  });

  it('is closed when the server stops', () => {
    const rig = new HomeRig();
    rig.begin('a');
    rig.begin('b');
    expect(rig.feed({ type: 'stop' })).toEqual([
      { type: 'close', conversation: 1 },
      { type: 'close', conversation: 2 },
    ]);
    expect(rig.machine.deadline).toBeUndefined();
  });
});

describe('a session', () => {
  it.each([
    ['the configuration', undefined, 86_400_000, 3_600],
    ['the subscriber', 120, 86_400_000, 120],
    ['the certificate', undefined, 90_500, 90],
    ['a certificate that ends now', undefined, 0, 1],
    ['a certificate that has ended', undefined, -5_000, 1],
  ])('lasts as long as %s allows', (_name, sessionLifetime, validFor, lifetime) => {
    const rig = new HomeRig();
    const subscriber = { ...rig.success().subscriber, sessionLifetime };
    const token = rig.succeed('s', {}, { subscriber, validFor });
    rig.stored('bootstrap', NONE);
    expect(rig.answerTo(token)).toMatchObject({ accepted: { lifetime } });
  });

  it('and its lease end with the certificate at the latest, even if the store is queried a second time', () => {
    const rig = new HomeRig();
    const wish = { bits: 0x1d, local: undefined };
    rig.succeed('s', { wish }, { validFor: 100_000 });
    const [first] = rig.asked('bootstrap');
    expect(first).toMatchObject({ sessionLifetime: 100_000, leaseLifetime: 100_000 });
    rig.now = 40_000;
    rig.stored('bootstrap', home('s', { lease: leaseOf('s', { ike: [] }) }));
    const [second] = rig.asked('bootstrap');
    expect(second).toMatchObject({ sessionLifetime: 60_000, leaseLifetime: 60_000, wish: undefined });
  });

  it('is refused when the store refuses it, and its keys are wiped', () => {
    const rig = new HomeRig();
    const token = rig.begin('s');
    const success = rig.success();
    rig.verdict(token, success);
    rig.stored('bootstrap', { result: 'refused', reason: 'second-session', released: undefined });
    expect(rig.answerTo(token)).toEqual({ type: 'reject', packet: SUCCESS, because: 'authorization' });
    expect(rig.events('notAuthorized')).toEqual([{ name: 'notAuthorized', nai: NAI, reason: 'second-session' }]);
    expect([success.msk.isWiped, success.emsk.isWiped]).toEqual([true, true]);
    expect(rig.events('authenticated')).toEqual([]);
    expect(rig.of('hook')).toEqual([]);
  });
});
