import { afterEach, describe, expect, it, vi } from 'vitest';
import { Secret } from '../../../src/protocol/bytes/secret.js';
import { RESULT } from '../../../src/protocol/diameter/wire/result-codes.js';
import { AaaMessages } from '../../../src/protocol/nas/aaa-messages.js';
import { Access } from '../../../src/protocol/nas/access.js';
import type { NasInput } from '../../../src/protocol/nas/alphabet.js';
import { PROVISIONAL } from '../../../src/protocol/nas/enforcement.js';
import { PTA_AT_END } from '../../../src/protocol/nas/nas.js';
import { STR_RETRY } from '../../../src/protocol/nas/session-terminations.js';
import { grammarian } from './aaa-server.js';
import { asking, end, open, timesOf } from './nas-rig.js';
import { NasWorld } from './nas-world.js';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('the enforcement point', () => {
  const admitted = (world: NasWorld) => world.outputs.flatMap((output) => (output.type === 'admit' ? [output] : []));

  it('admits a node at PAN[C] for the lifetime and the grace time, without a token', () => {
    const { world, sessionId } = open({ paa: { lifetimeGrace: 2_000 } });
    expect(admitted(world)).toEqual([
      {
        type: 'admit',
        token: undefined,
        sessionId,
        userName: 'mn@home.example',
        address: '2001:db8:a::11',
        lifetime: 602_000,
      },
    ]);
  });

  it('admits a node provisionally if wait is set, and PAR[C] is sent when the hook ends', () => {
    const world = new NasWorld({ config: { enforcement: { wait: 500 } }, hookTime: 40 });
    world.node();
    world.run(1_000);
    expect(world.take().slice(-5)).toEqual([
      '21 <-- DEA 2001',
      '21 admit',
      '61 mn1 <- PAR[C]',
      '62 mn1 -> PAN[C]',
      '63 admit',
    ]);
    expect(admitted(world)).toMatchObject([
      { lifetime: PROVISIONAL, userName: 'mn@home.example' },
      { lifetime: 600_000, token: undefined },
    ]);
    expect(admitted(world)[0]?.token).toBeTypeOf('number');
  });

  it('delays PAR[C] by at most wait when the hook does not end', () => {
    const world = new NasWorld({ config: { enforcement: { wait: 500 } } });
    world.node();
    world.run(22);
    expect(world.nas.deadline).toBe(521);
    world.run(2_000);
    expect(timesOf(world, 'mn1 <- PAR[C]')).toEqual([521]);
    const [first] = admitted(world);
    const before = world.outputs.length;
    world.feed({ type: 'permitted', token: first?.token ?? 0 });
    expect(world.outputs).toHaveLength(before);
  });

  it('admits a node provisionally for at most the session lifetime', () => {
    const world = new NasWorld({ config: { enforcement: { wait: 500 } } });
    world.server.success = () => ({ 'Session-Timeout': 7 });
    world.node();
    world.run(100);
    expect(admitted(world)).toMatchObject([{ lifetime: 7_000 }]);
  });

  it('expels the node of a session that ends while the hook runs, wipes the key, and ignores the late hook', () => {
    const world = new NasWorld({ config: { enforcement: { wait: 500 } }, hookTime: 200 });
    world.node();
    world.run(100);
    const wipe = vi.spyOn(Secret.prototype, 'wipe');
    world.feed({ type: 'command', sessionId: world.sessionOf().sessionId, command: 'terminate' });
    expect(wipe).toHaveBeenCalledTimes(1);
    expect(world.passing.size).toBe(0);
    world.take();
    world.run(2_000);
    expect(world.takeTexts().filter((text) => text.includes('PAR[C]') || text === 'admit')).toEqual([]);
    expect(world.server.strs).toMatchObject([{ 'Termination-Cause': 4 }]);
    expect(world.nas.deadline).toBeUndefined();
  });

  it('does not delay a re-authentication', () => {
    const { world, node } = open({ config: { enforcement: { wait: 500 } } });
    world.toNode(node, { type: 'reauthenticate' });
    world.for(100);
    expect(world.events.at(-1)).toMatchObject({ type: 'reauthenticated' });
  });

  it('gets no output if none is configured', () => {
    const { world, node } = open({ config: { enforcement: undefined } });
    node.place = { ...node.place, address: '2001:db8:a::99' };
    world.toNode(node, { type: 'moved' });
    world.for(1_000);
    end(world, node);
    world.for(1_000);
    expect(world.events.map(({ type }) => type)).toEqual(['authorized', 'moved', 'ended']);
    expect(world.outputs.filter(({ type }) => ['admit', 'move', 'expel'].includes(type))).toEqual([]);
  });

  it('gets no user name that is unsafe for hooks', () => {
    const { world } = open({}, ({ server }) => {
      server.success = () => ({ 'User-Name': '$(reboot)@home.example' });
    });
    expect(admitted(world)).toMatchObject([{ userName: undefined }]);
  });
});

describe('a command of the operator', () => {
  it.each(['terminate', 'reauthenticate', 'ping', 'abandon'] as const)(
    '%s does nothing for an unknown session',
    (command) => {
      const { world } = open();
      const before = world.outputs.length;
      world.feed({ type: 'command', sessionId: 1, command });
      expect(world.outputs).toHaveLength(before);
      expect(world.nas.has(1)).toBe(false);
      expect(world.nas.has(world.sessionOf().sessionId)).toBe(true);
    },
  );

  it('ping sends PNR[P] and gets PNA[P]', () => {
    const { world, sessionId } = open();
    world.feed({ type: 'command', sessionId, command: 'ping' });
    world.for(100);
    expect(world.takeTexts()).toEqual(['mn1 <- PNR[P]', 'mn1 -> PNA[P]']);
  });

  it('invite sends PAR[S] and reports when no node answers', () => {
    const world = new NasWorld();
    const peer = { address: '2001:db8:a::77', port: 716, local: '2001:db8:a::1' };
    world.feed({ type: 'invite', peer });
    expect(world.takeTexts()).toEqual(['unknown <- PAR[S]']);
    world.run(600_000);
    expect(world.events).toEqual([{ type: 'uninvited', peer }]);
  });

  it('configure applies to sessions that start afterwards', () => {
    const world = new NasWorld();
    world.server.success = () => ({ 'Session-Timeout': undefined });
    world.node();
    world.run(1_000);
    expect(world.sessionOf().remaining).toBeGreaterThan(3_590_000);
    world.feed({ type: 'configure', config: { ...world.config, sessionLifetime: 60_000, sessionsPerSubscriber: 1 } });
    const second = world.node();
    world.for(1_000);
    expect(world.sessionOf(second).remaining).toBeLessThan(60_000);
    world.for(1_000);
    expect(world.nas.size).toBe(1);
  });
});

describe('exportKeys', () => {
  it('makes the NAS output session keys, which it does not do by default', () => {
    const keys = (world: NasWorld) => world.outputs.filter(({ type }) => type === 'key').length;
    expect(keys(open({ paa: { exportKeys: true } }).world)).toBe(1);
    expect(keys(open().world)).toBe(0);
  });
});

describe('stop', () => {
  const STOP: NasInput = { type: 'stop' };

  it('ends at once without sessions', () => {
    const world = new NasWorld();
    world.feed(STOP);
    expect(world.outputs).toEqual([{ type: 'stopped' }]);
    expect(world.nas.deadline).toBeUndefined();
    world.feed(STOP);
    expect(world.outputs).toHaveLength(1);
  });

  it('terminates every session, and ends when the servers have answered STR', () => {
    const { world } = open();
    world.feed(STOP);
    expect(world.for(1_000).take()).toEqual([
      '1000 mn1 <- PTR',
      '1001 mn1 -> PTA',
      '1002 --> STR',
      '1002 expel',
      '1006 <-- STA 2001',
      '1006 stopped',
    ]);
    expect(world.server.strs).toMatchObject([{ 'Termination-Cause': 4 }]);
  });

  it('waits one second for PTA, and ends half-open sessions at once', () => {
    const { world, node } = open();
    world.server.other = () => 'silent';
    const half = world.node();
    world.run(2_000);
    node.place = { ...node.place, port: 1 };
    expect(world.sessionOf(half).state).toBe('WAIT_EAP_MSG');
    world.take();
    world.feed(STOP);
    expect(world.events.at(-1)).toMatchObject({ type: 'ended', cause: 'administrative', nai: undefined });
    expect(world.nas.deadline).toBeLessThanOrEqual(2_000 + PTA_AT_END);
    world.for(10_000);
    const last = world.take();
    expect(last.slice(-4)).toEqual(['3000 --> STR', '3000 expel', '3004 <-- STA 2001', '3004 stopped']);
    expect(world.nas.size).toBe(0);
    expect(world.events.findLast(({ type }) => type === 'ended')).toMatchObject({
      cause: 'administrative',
      nai: 'mn@home.example',
    });
  });

  it('ends when an STR is not answered, and does not retry it', () => {
    const { world } = open({ requestTimeout: 3_000 });
    world.server.sta = () => 'silent';
    world.feed(STOP);
    world.for(100_000);
    expect(world.takeTexts().slice(-2)).toEqual(['expel', 'stopped']);
    expect(world.server.strs).toHaveLength(1);
    expect(world.nas.deadline).toBeUndefined();
  });

  it('retries no STR while another one is still to be answered', () => {
    const { world, node } = open({ requestTimeout: 60_000 });
    world.node();
    world.node();
    world.for(1_000);
    // The first is due for a retry when the NAS stops, the second fails then, and the third is not answered.
    world.server.sta = () => (world.server.strs.length <= 2 ? RESULT.TOO_BUSY : 'silent');
    end(world, node);
    world.for(1_000);
    world.feed(STOP);
    world.for(50_000);
    expect(world.server.strs).toHaveLength(3);
    world.for(50_000);
    expect(world.outputs.at(-1)).toEqual({ type: 'stopped' });
    expect(world.server.strs).toHaveLength(3);
  });

  it('retries no STR at a later tick, neither one that was due later nor one that fails then', () => {
    const { world, node } = open({ requestTimeout: 100 });
    world.node();
    world.for(1_000);
    world.server.sta = () => (world.server.strs.length === 1 ? RESULT.TOO_BUSY : 'silent');
    end(world, node);
    world.for(1_000);
    world.feed(STOP);
    for (let ticks = 0; ticks < 30; ticks += 1) world.for(1_000).feed({ type: 'tick' });
    expect(world.outputs.at(-1)).toEqual({ type: 'stopped' });
    expect(world.server.strs).toHaveLength(2);
  });

  it('does not wait for an STR that is due for a retry later', () => {
    const { world, node } = open({ requestTimeout: 100 });
    world.server.sta = () => 'silent';
    end(world, node);
    world.for(1_000);
    world.feed(STOP);
    expect(world.outputs.at(-1)).toEqual({ type: 'stopped' });
    world.for(100_000);
    expect(world.server.strs).toHaveLength(1);
  });

  it('prevents later sessions and invitations', () => {
    const world = new NasWorld();
    world.feed(STOP);
    world.node();
    world.feed({ type: 'invite', peer: { address: '2001:db8::1', port: 716, local: 'x' } });
    world.run(5_000);
    expect(world.outputs).toEqual([{ type: 'stopped' }]);
    expect(world.nas.size).toBe(0);
  });
});

describe('the deadline of the NAS', () => {
  it('is the earliest of its sessions, its STRs and its enforcement point', () => {
    const world = new NasWorld({ requestTimeout: 100, config: { enforcement: { wait: 3_000 } } });
    const node = world.node();
    world.run(5_000);
    world.server.sta = () => 'silent';
    end(world, node);
    world.run(6_000);
    // The STR is retried STR_RETRY after its first timeout.
    expect(world.nas.deadline).toBe(5_001 + 100 + STR_RETRY);
    world.node();
    world.run(6_100);
    expect(world.nas.deadline).toBe(6_021 + 3_000);
    // An unanswered PAR is retransmitted after about a second.
    const silent = world.node();
    world.run(6_104);
    silent.place = { ...silent.place, port: 1 };
    world.run(6_200);
    expect(world.nas.deadline).toBeLessThan(8_000);
  });
});

describe('an exception', () => {
  it('in a pass-through ends only its session, and is reported with the type of the input', () => {
    const { world, sessionId } = open();
    const error = new TypeError('broken');
    const handle = Access.prototype.handle;
    vi.spyOn(Access.prototype, 'handle').mockImplementation(function (this: Access, input) {
      if (input.type === 'answer') throw error;
      return handle.call(this, input);
    });
    world.node();
    world.for(1_000);
    expect(world.events.slice(1)).toMatchObject([
      { type: 'fault', during: 'answer', error },
      { type: 'ended', cause: 'fault' },
    ]);
    expect(world.sessionOf()).toMatchObject({ sessionId, state: 'OPEN' });
  });

  it('at the request of a server is answered with UNABLE_TO_COMPLY', () => {
    const { world, diameterSession } = open();
    vi.spyOn(AaaMessages.prototype, 'read').mockImplementation(() => {
      throw new TypeError('broken');
    });
    world.ask('ASR', diameterSession);
    const answer = world.answers.at(-1);
    expect(answer && grammarian.find(answer.avps, 'Result-Code')).toBe(RESULT.UNABLE_TO_COMPLY);
    expect(world.events.at(-1)).toMatchObject({ type: 'fault', during: 'serverRequest' });
    expect(world.sessionOf().state).toBe('OPEN');
  });

  it('at an answer of a server ends its session', () => {
    const { world, answer } = asking();
    vi.spyOn(AaaMessages.prototype, 'judge').mockImplementation(() => {
      throw new TypeError('broken');
    });
    world.feed(answer());
    expect(world.events).toMatchObject([
      { type: 'fault', during: 'answer' },
      { type: 'ended', cause: 'fault' },
    ]);
  });
});
