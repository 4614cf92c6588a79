import { describe, expect, it } from 'vitest';
import { FLAG } from '../../../src/protocol/diameter/wire/codec.js';
import { ASA, RAA } from '../../../src/protocol/diameter/wire/commands.js';
import { isViolation } from '../../../src/protocol/diameter/wire/grammar.js';
import { RESULT } from '../../../src/protocol/diameter/wire/result-codes.js';
import { AaaServer, grammarian } from './aaa-server.js';
import { asking, open } from './nas-rig.js';
import { type NasWorld, ORIGIN } from './nas-world.js';

describe('a request of a server', () => {
  function resultOf(world: NasWorld, spec: typeof ASA | typeof RAA = ASA) {
    const message = world.answers.at(-1);
    const content = message && grammarian.read(spec, message);
    if (!content || isViolation(content)) throw new Error(content?.text ?? 'no answer');
    return content['Result-Code'];
  }

  it('ASR, own session: ASA with success first, then PTR; the end is administrative', () => {
    const { world, diameterSession } = open();
    const before = world.outputs.length;
    world.ask('ASR', diameterSession);
    expect(world.outputs.slice(before).map(({ type }) => type)).toEqual(['answer', 'send']);
    expect(resultOf(world)).toBe(RESULT.SUCCESS);
    const [answer] = world.answers;
    expect(answer && grammarian.find(answer.avps, 'Session-Id')).toBe(diameterSession);
    expect(answer && grammarian.find(answer.avps, 'Origin-Host')).toBe(ORIGIN.host);
    world.for(100);
    expect(world.takeTexts()).toEqual([
      '<-- ASR',
      '--> ASA 2001',
      'mn1 <- PTR',
      'mn1 -> PTA',
      '--> STR',
      'expel',
      '<-- STA 2001',
    ]);
    expect(world.events.at(-1)).toMatchObject({ type: 'ended', cause: 'administrative' });
  });

  it('ASR, session not granted yet: it is over at once, and there is nothing to tell', () => {
    const { world, node } = asking();
    world.ask('ASR', world.sessionOf(node).diameterSession);
    expect(resultOf(world)).toBe(RESULT.SUCCESS);
    expect(world.nas.size).toBe(0);
    expect(world.server.strs).toEqual([]);
  });

  it('RAR, own session: RAA with success first, then a run of EAP', () => {
    const { world, diameterSession } = open();
    world.ask('RAR', diameterSession);
    expect(resultOf(world, RAA)).toBe(RESULT.SUCCESS);
    world.for(100);
    expect(world.takeTexts().slice(0, 3)).toEqual(['<-- RAR', '--> RAA 2001', 'mn1 <- PAR']);
    expect(world.events.at(-1)).toMatchObject({ type: 'reauthenticated' });
  });

  it.each(['ASR', 'RAR'] as const)('%s, no such session: UNKNOWN_SESSION_ID', (command) => {
    const { world, sessionId } = open();
    world.ask(command, 'paa.access.example;1;1');
    expect(resultOf(world, command === 'ASR' ? ASA : RAA)).toBe(RESULT.UNKNOWN_SESSION_ID);
    expect(world.sessionOf()).toMatchObject({ sessionId, state: 'OPEN' });
  });

  it('for the session of another server: UNKNOWN_SESSION_ID, and nothing else happens', () => {
    const { world, diameterSession } = open();
    const other = new AaaServer('aaa2.home.example');
    world.ask('ASR', diameterSession, other);
    expect(resultOf(world)).toBe(RESULT.UNKNOWN_SESSION_ID);
    expect(world.events.at(-1)).toMatchObject({ type: 'otherServer', peer: other.host, wish: 'abort' });
    world.for(100);
    expect(world.sessionOf().state).toBe('OPEN');
    // However its name is written, its own server may.
    world.ask('ASR', diameterSession, new AaaServer('AAA.home.EXAMPLE'));
    expect(resultOf(world)).toBe(RESULT.SUCCESS);
  });

  it.each([
    ['another one of its realm', 'aaa2.home.example', 'home.example', [], true],
    ['another realm', 'aaa.other.example', 'other.example', [], false],
    [
      'one that DERs could go to',
      'aaa2.home.example',
      'home.example',
      [{ realm: 'HOME.example', peers: ['AAA2.home.example'] }],
      true,
    ],
    [
      'one that no DER could go to',
      'aaa2.home.example',
      'home.example',
      [{ realm: 'home.example', peers: ['aaa.home.example'] }],
      false,
    ],
    [
      'one of the default route',
      'aaa2.home.example',
      'home.example',
      [{ realm: '*', peers: ['aaa2.home.example'] }],
      true,
    ],
    [
      'one of another realm only',
      'aaa2.home.example',
      'home.example',
      [{ realm: 'x', peers: ['aaa2.home.example'] }],
      false,
    ],
    [
      'one of the default route, where the realm has its own',
      'aaa2.home.example',
      'home.example',
      [
        { realm: '*', peers: ['aaa2.home.example'] },
        { realm: 'home.example', peers: ['aaa.home.example'] },
      ],
      false,
    ],
  ])('for a session that its realm shares, of %s: only who may have it', (_what, host, realm, routes, may) => {
    const { world, diameterSession } = open({ config: { routes } }, ({ server }) => {
      server.success = () => ({ 'Session-Binding': 2 });
    });
    world.ask('ASR', diameterSession, new AaaServer(host, realm));
    expect(resultOf(world)).toBe(may ? RESULT.SUCCESS : RESULT.UNKNOWN_SESSION_ID);
  });

  it('that is none of ours, or broken, gets an error and changes nothing', () => {
    const { world, diameterSession } = open();
    const asr = world.server.request('ASR', diameterSession ?? '');
    world.feed({ type: 'serverAsks', token: 7, message: { ...asr, commandCode: 271 }, peer: 'x' });
    const unsupported = world.answers.at(-1);
    expect(unsupported && grammarian.find(unsupported.avps, 'Result-Code')).toBe(RESULT.COMMAND_UNSUPPORTED);
    expect((unsupported?.flags ?? 0) & FLAG.E).toBe(FLAG.E);
    const avps = asr.avps.filter(({ code }) => code !== 258);
    world.feed({ type: 'serverAsks', token: 8, message: { ...asr, avps }, peer: 'x' });
    const missing = world.answers.at(-1);
    expect(missing && grammarian.find(missing.avps, 'Result-Code')).toBe(RESULT.MISSING_AVP);
    expect(world.outputs.slice(-2)).toMatchObject([
      { type: 'answer', token: 7 },
      { type: 'answer', token: 8 },
    ]);
    expect(world.sessionOf().state).toBe('OPEN');
  });
});
