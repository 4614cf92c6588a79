import { afterEach, describe, expect, it, vi } from 'vitest';
import { Secret } from '../../../src/protocol/bytes/secret.js';
import { AVPS } from '../../../src/protocol/diameter/wire/dictionary.js';
import { RESULT } from '../../../src/protocol/diameter/wire/result-codes.js';
import { STR_RETRY, STR_TRIES } from '../../../src/protocol/nas/session-terminations.js';
import type { PaaClosed } from '../../../src/protocol/pana/session/paa-interface.js';
import { AaaServer, grammarian } from './aaa-server.js';
import { asking, end, open, timesOf } from './nas-rig.js';
import { type NasWorld, type Node, ORIGIN } from './nas-world.js';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('an answer', () => {
  it('with an unknown token changes nothing, and its key is wiped', () => {
    const { world, answer } = asking();
    const input = { ...answer(), token: 999 };
    const key = input.message.avps.find(({ code }) => code === AVPS['EAP-Master-Session-Key'].code);
    world.feed(input);
    expect(key?.data.every((octet) => octet === 0)).toBe(true);
    expect(world.take()).toEqual([]);
    expect(world.sessionOf().state).toBe('WAIT_EAP_MSG');
  });

  it('is accepted once', () => {
    const { world, answer } = asking();
    const input = answer();
    world.feed(input);
    world.feed(answer());
    world.for(1_000);
    expect(world.events.map(({ type }) => type)).toEqual(['authorized']);
    expect(world.takeTexts().filter((text) => text.includes('PAR[C]'))).toHaveLength(1);
  });

  it('that grants access after the end of its session causes STR with LINK_BROKEN, and its key is wiped', () => {
    const { world, answer, node } = asking();
    world.feed({ type: 'command', sessionId: world.sessionOf(node).sessionId, command: 'terminate' });
    expect(world.events.at(-1)).toMatchObject({ type: 'ended', cause: 'administrative', nai: undefined });
    expect(world.server.strs).toEqual([]);
    const wipe = vi.spyOn(Secret.prototype, 'wipe');
    world.feed(answer());
    expect(wipe).toHaveBeenCalled();
    expect(world.events.at(-1)).toMatchObject({ type: 'dropped', code: 'unexpected' });
    world.for(100);
    expect(world.server.strs).toMatchObject([{ 'Termination-Cause': 5, 'Destination-Host': world.server.host }]);
    expect(world.server.sessions.size).toBe(0);
  });

  it('that arrives after the end of its session causes no STR if it denies access or the server keeps no state', () => {
    for (const change of [{ 'Result-Code': 4001 }, { 'Auth-Session-State': 1 }]) {
      const { world, answer, node } = asking();
      world.feed({ type: 'command', sessionId: world.sessionOf(node).sessionId, command: 'terminate' });
      world.server.success = () => change;
      world.feed(answer());
      world.for(100);
      expect(world.server.strs).toEqual([]);
    }
  });

  it('to an earlier run of the session is dropped', () => {
    const { world, sessionId } = open({ paa: { failedSessionTimeout: 5_000 }, requestTimeout: 60_000 });
    world.server.other = () => 'silent';
    world.feed({ type: 'command', sessionId, command: 'reauthenticate' });
    world.for(1_000);
    const asked = world.outputs.findLast((output) => output.type === 'ask');
    if (asked?.type !== 'ask') throw new Error('no DER');
    // The run makes no progress, so the session begins a new run with another DER.
    world.for(5_000);
    world.server.other = () => ({ 'Result-Code': 5003, 'EAP-Payload': undefined });
    const message = world.server.answer(asked.message);
    if (!message) throw new Error('no answer');
    world.feed({ type: 'answer', token: asked.token, message });
    expect(world.events.at(-1)).toMatchObject({ type: 'dropped', code: 'unexpected' });
    expect(world.sessionOf().sessionId).toBe(sessionId);
    // The answer to the current run is still awaited.
    const current = world.outputs.findLast((output) => output.type === 'ask');
    if (current?.type !== 'ask' || current === asked) throw new Error('no new DER');
    const refusal = world.server.answer(current.message);
    if (!refusal) throw new Error('no answer');
    world.feed({ type: 'answer', token: current.token, message: refusal });
    world.for(1_000);
    expect(world.events.map(({ type }) => type)).toEqual(['authorized', 'dropped', 'refused', 'ended']);
  });

  it('of another server than that of the conversation is unusable', () => {
    const { world, asked, answer } = asking();
    const other = new AaaServer('aaa2.home.example');
    const { message } = answer();
    const avps = message.avps.map((avp) => (avp.code === 264 ? grammarian.avp('Origin-Host', other.host) : avp));
    world.feed({ type: 'answer', token: asked.token, message: { ...message, avps } });
    expect(world.events[0]).toMatchObject({
      type: 'unusable',
      reason: `the answer is from ${other.host}, not from ${world.server.host}`,
    });
  });

  it('that grants access but is unusable causes STR with BAD_ANSWER at once, and the node is refused', () => {
    const { world, answer } = asking();
    world.server.success = () => ({ 'Auth-Request-Type': 1 });
    world.feed(answer());
    // If its EAP method has succeeded, a node does not accept the failure, so its session ends at a timeout.
    world.for(70_000);
    expect(world.events).toMatchObject([
      { type: 'unusable', reason: 'Auth-Request-Type 1 in the answer to 3' },
      { type: 'refused', resultCode: undefined },
      { type: 'ended', cause: 'rejected' },
    ]);
    expect(world.server.strs).toMatchObject([{ 'Termination-Cause': 3 }]);
    expect(world.passing.size).toBe(0);
  });

  it('that refuses access and is invalid causes no STR, because the server has no session', () => {
    const { world, answer } = asking();
    world.server.success = () => ({ 'Result-Code': 4001, 'Session-Id': 'other;1;1' });
    world.feed(answer());
    world.for(70_000);
    expect(world.events[0]).toMatchObject({ type: 'noAnswer', reason: 'wrong Session-Id in the answer' });
    expect(world.server.strs).toEqual([]);
  });

  it('that grants access without the key that the SA needs causes STR with BAD_ANSWER at once', () => {
    const { world, answer } = asking();
    world.server.success = () => ({ 'EAP-Master-Session-Key': undefined });
    world.feed(answer());
    world.for(2_000);
    expect(world.events[0]).toMatchObject({
      type: 'unkeyed',
      reason: 'no EAP-Master-Session-Key of at least 64 octets',
    });
    expect(world.server.strs).toMatchObject([{ 'Termination-Cause': 3 }]);
  });

  it('grants access without Mobile IPv6 when its mobility AVPs are invalid', () => {
    const { world, answer, asked } = asking();
    const { message } = answer();
    const twice = [grammarian.avp('MIP6-Feature-Vector', 1n), grammarian.avp('MIP6-Feature-Vector', 1n)];
    world.feed({ type: 'answer', token: asked.token, message: { ...message, avps: [...message.avps, ...twice] } });
    world.for(1_000);
    expect(world.events).toMatchObject([
      { type: 'noMobility', reason: 'MIP6-Feature-Vector more than once' },
      { type: 'authorized' },
    ]);
  });

  it('with an unknown token changes nothing when it is reported as missing', () => {
    const { world } = asking();
    world.feed({ type: 'unreachable', token: 999, reason: 'x' });
    expect(world.events).toEqual([]);
    expect(world.sessionOf().state).toBe('WAIT_EAP_MSG');
  });
});

describe('an STR', () => {
  it('has the user name and the Class of the session, and goes to its server', () => {
    const Class = [Uint8Array.of(1, 2), Uint8Array.of(3)];
    const { world, node, diameterSession } = open({}, ({ server }) => {
      server.success = () => ({ Class, 'User-Name': 'real@other.example' });
    });
    end(world, node);
    world.for(100);
    expect(world.server.strs).toEqual([
      {
        'Session-Id': diameterSession,
        'Origin-Host': ORIGIN.host,
        'Origin-Realm': ORIGIN.realm,
        'Origin-State-Id': ORIGIN.stateId + 1,
        // The realm by which DERs are routed, not the realm of the User-Name from the server.
        'Destination-Realm': 'home.example',
        'Destination-Host': world.server.host,
        'Auth-Application-Id': 5,
        'Termination-Cause': 1,
        'User-Name': 'real@other.example',
        Class,
      },
    ]);
  });

  it('has the last Class that a success had, and none if that is too long', () => {
    const { world, node } = open({}, ({ server }) => {
      server.success = () => ({ Class: [Uint8Array.of(1)] });
    });
    world.server.success = () => ({ Class: [Uint8Array.of(2), Uint8Array.of(3)] });
    world.toNode(node, { type: 'reauthenticate' });
    world.for(1_000);
    world.server.success = () => ({});
    world.toNode(node, { type: 'reauthenticate' });
    world.for(1_000);
    end(world, node);
    world.for(100);
    expect(world.server.strs[0]?.Class).toEqual([Uint8Array.of(2), Uint8Array.of(3)]);
    const long = open({}, ({ server }) => {
      server.success = () => ({ Class: [new Uint8Array(16_384), new Uint8Array(1)] });
    });
    end(long.world, long.node);
    long.world.for(100);
    expect(long.world.server.strs[0]?.Class).toBeUndefined();
  });

  it.each<[PaaClosed, number, (world: NasWorld, node: Node, sessionId: number) => void]>([
    ['logout', 1, (world, node) => end(world, node)],
    [
      'administrative',
      4,
      (world, _node, sessionId) => world.feed({ type: 'command', sessionId, command: 'terminate' }),
    ],
    ['fault', 4, (world, _node, sessionId) => world.feed({ type: 'command', sessionId, command: 'abandon' })],
    [
      'no-answer',
      5,
      (world, node, sessionId) => {
        node.place = { ...node.place, port: 1 };
        world.feed({ type: 'command', sessionId, command: 'ping' });
        world.for(300_000);
      },
    ],
    ['lifetime-expired', 8, (world) => world.for(700_000)],
  ])('for a session that ends with %s has Termination-Cause %i', (cause, number, act) => {
    const { world, node, sessionId } = open();
    act(world, node, sessionId);
    world.for(1_000);
    expect(world.events.findLast(({ type }) => type === 'ended')).toMatchObject({ cause, nai: 'mn@home.example' });
    expect(world.server.strs.map((str) => str['Termination-Cause'])).toEqual([number]);
  });

  it('is not sent if the server keeps no state', () => {
    const { world, node } = open({}, ({ server }) => {
      server.success = () => ({ 'Auth-Session-State': 1 });
    });
    end(world, node);
    world.for(1_000);
    expect(world.server.strs).toEqual([]);
    expect(world.passing.size).toBe(0);
  });

  it('is sent STR_TRIES times at growing intervals when it is not answered', () => {
    const { world, node } = open({ requestTimeout: 100 });
    world.server.sta = () => 'silent';
    end(world, node);
    world.for(200_000);
    const [first = 0, ...later] = timesOf(world, '--> STR');
    expect(first).toBe(1_001);
    const expected: number[] = [];
    for (let tries = 1, at = first; tries < STR_TRIES; tries += 1) {
      at += 100 + STR_RETRY * tries;
      expected.push(at);
    }
    expect(later).toEqual(expected);
    expect(world.nas.deadline).toBeUndefined();
  });

  it.each([RESULT.UNABLE_TO_DELIVER, RESULT.TOO_BUSY])('is sent again when the answer is %i', (code) => {
    const { world, node } = open();
    world.server.sta = () => (world.server.strs.length === 1 ? code : RESULT.SUCCESS);
    end(world, node);
    world.for(100_000);
    expect(timesOf(world, '--> STR')).toEqual([1_001, 1_005 + STR_RETRY]);
  });

  it.each([RESULT.UNKNOWN_SESSION_ID, RESULT.UNABLE_TO_COMPLY])('is not sent again when the answer is %i', (code) => {
    const { world, node } = open();
    world.server.sta = () => code;
    end(world, node);
    world.for(100_000);
    expect(world.server.strs).toHaveLength(1);
  });

  it('goes to any server of the realm at once after its first timeout if Session-Server-Failover allows it', () => {
    const { world, node } = open({ requestTimeout: 100 }, ({ server }) => {
      server.success = () => ({ 'Session-Server-Failover': 1 });
    });
    world.server.sta = () => 'silent';
    end(world, node);
    world.for(20_000);
    expect(world.server.strs.map((str) => str['Destination-Host'])).toEqual([
      world.server.host,
      ...Array.from({ length: world.server.strs.length - 1 }, () => undefined),
    ]);
    const [first = 0, second = 0, third = 0] = timesOf(world, '--> STR');
    expect([second - first, third - second]).toEqual([100, 100 + STR_RETRY]);
  });

  it('names no server if Session-Binding has the STR bit', () => {
    const { world, node } = open({}, ({ server }) => {
      server.success = () => ({ 'Session-Binding': 2 });
    });
    end(world, node);
    world.for(100);
    expect(world.server.strs[0]?.['Destination-Host']).toBeUndefined();
  });
});
