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

  it('is answered with SUCCESS before PTR if it is an ASR, and the session ends with the cause administrative', () => {
    const { world, diameterSession } = open();
    const before = world.outputs.length;
    world.ask('ASR', diameterSession);
    expect(world.outputs.slice(before).map(({ type }) => type)).toEqual(['answer', 'event', 'expel', 'ask', 'send']);
    expect(resultOf(world)).toBe(RESULT.SUCCESS);
    const [answer] = world.answers;
    expect(answer && grammarian.find(answer.avps, 'Session-Id')).toBe(diameterSession);
    expect(answer && grammarian.find(answer.avps, 'Origin-Host')).toBe(ORIGIN.host);
    world.for(100);
    expect(world.takeTexts()).toEqual([
      '<-- ASR',
      '--> ASA 2001',
      'expel',
      '--> STR',
      'mn1 <- PTR',
      'mn1 -> PTA',
      '<-- STA 2001',
    ]);
    expect(world.events.at(-1)).toMatchObject({ type: 'ended', cause: 'administrative' });
    expect(world.outputs.filter(({ type }) => type === 'expel')).toHaveLength(1);
  });

  it('expels a node at once that does not answer the PTR, and does not admit it again', () => {
    let heard = true;
    const { world, node, sessionId, diameterSession } = open({ copies: () => (heard ? 1 : 0) });
    expect([...world.passing.keys()]).toEqual([sessionId]);
    heard = false;
    world.ask('ASR', diameterSession);
    expect(world.passing.size).toBe(0);
    expect(world.nas.size).toBe(1);
    world.toNode(node, { type: 'reauthenticate' });
    node.place = { ...node.place, address: '2001:db8:a::99' };
    heard = true;
    world.toNode(node, { type: 'moved' });
    world.for(100);
    expect(world.passing.size).toBe(0);
    // The server releases the lease now, not after the last PTR.
    expect(world.server.strs).toHaveLength(1);
    expect(world.nas.size).toBe(1);
    world.for(600_000);
    expect(world.nas.size).toBe(0);
    expect(world.server.strs).toHaveLength(1);
  });

  it('ends a session that is not granted yet at once and without STR if it is an ASR', () => {
    const { world, node } = asking();
    world.ask('ASR', world.sessionOf(node).diameterSession);
    expect(resultOf(world)).toBe(RESULT.SUCCESS);
    expect(world.nas.size).toBe(0);
    expect(world.server.strs).toEqual([]);
  });

  it('is answered with SUCCESS before EAP starts if it is an RAR', () => {
    const { world, diameterSession } = open();
    world.ask('RAR', diameterSession);
    expect(resultOf(world, RAA)).toBe(RESULT.SUCCESS);
    world.for(100);
    expect(world.takeTexts().slice(0, 3)).toEqual(['<-- RAR', '--> RAA 2001', 'mn1 <- PAR']);
    expect(world.events.at(-1)).toMatchObject({ type: 'reauthenticated' });
  });

  it.each(['ASR', 'RAR'] as const)('%s is answered with UNKNOWN_SESSION_ID for an unknown session', (command) => {
    const { world, sessionId } = open();
    world.ask(command, 'paa.access.example;1;1');
    expect(resultOf(world, command === 'ASR' ? ASA : RAA)).toBe(RESULT.UNKNOWN_SESSION_ID);
    expect(world.sessionOf()).toMatchObject({ sessionId, state: 'OPEN' });
  });

  it('is answered with UNKNOWN_SESSION_ID and has no effect for a session of another server', () => {
    const { world, diameterSession } = open();
    const other = new AaaServer('aaa2.home.example');
    world.ask('ASR', diameterSession, other);
    expect(resultOf(world)).toBe(RESULT.UNKNOWN_SESSION_ID);
    expect(world.events.at(-1)).toMatchObject({ type: 'otherServer', peer: other.host, wish: 'abort' });
    world.for(100);
    expect(world.sessionOf().state).toBe('OPEN');
    // The session's own server may send the request, whatever the case of its name.
    world.ask('ASR', diameterSession, new AaaServer('AAA.home.EXAMPLE'));
    expect(resultOf(world)).toBe(RESULT.SUCCESS);
  });

  it.each([
    ['another server of the realm', 'aaa2.home.example', 'home.example', [], true],
    ['a server of another realm', 'aaa.other.example', 'other.example', [], false],
    [
      'a server in the route of the realm',
      'aaa2.home.example',
      'home.example',
      [{ realm: 'HOME.example', peers: ['AAA2.home.example'] }],
      true,
    ],
    [
      'a server not in the route of the realm',
      'aaa2.home.example',
      'home.example',
      [{ realm: 'home.example', peers: ['aaa.home.example'] }],
      false,
    ],
    [
      'a server in the default route',
      'aaa2.home.example',
      'home.example',
      [{ realm: '*', peers: ['aaa2.home.example'] }],
      true,
    ],
    [
      'a server in the route of another realm only',
      'aaa2.home.example',
      'home.example',
      [{ realm: 'x', peers: ['aaa2.home.example'] }],
      false,
    ],
    [
      'a server in the default route beside that of the realm',
      'aaa2.home.example',
      'home.example',
      [
        { realm: '*', peers: ['aaa2.home.example'] },
        { realm: 'home.example', peers: ['aaa.home.example'] },
      ],
      false,
    ],
  ])('for a session of the whole realm follows the routes of DERs: %s', (_what, host, realm, routes, may) => {
    const { world, diameterSession } = open({ config: { routes } }, ({ server }) => {
      server.success = () => ({ 'Session-Binding': 2 });
    });
    world.ask('ASR', diameterSession, new AaaServer(host, realm));
    expect(resultOf(world)).toBe(may ? RESULT.SUCCESS : RESULT.UNKNOWN_SESSION_ID);
  });

  it('is answered with an error and has no effect if it is unsupported or lacks an AVP', () => {
    const { world, diameterSession } = open();
    const asr = world.server.request('ASR', diameterSession ?? '');
    world.feed({ type: 'serverRequest', token: 7, message: { ...asr, commandCode: 271 }, peer: 'x' });
    const unsupported = world.answers.at(-1);
    expect(unsupported && grammarian.find(unsupported.avps, 'Result-Code')).toBe(RESULT.COMMAND_UNSUPPORTED);
    expect((unsupported?.flags ?? 0) & FLAG.E).toBe(FLAG.E);
    const avps = asr.avps.filter(({ code }) => code !== 258);
    world.feed({ type: 'serverRequest', token: 8, message: { ...asr, avps }, peer: 'x' });
    const missing = world.answers.at(-1);
    expect(missing && grammarian.find(missing.avps, 'Result-Code')).toBe(RESULT.MISSING_AVP);
    expect(world.outputs.slice(-2)).toMatchObject([
      { type: 'answer', token: 7 },
      { type: 'answer', token: 8 },
    ]);
    expect(world.sessionOf().state).toBe('OPEN');
  });
});
