import { describe, expect, it } from 'vitest';
import { NasWorld, type WorldOptions } from './nas-world.js';

const PAA = { preAuthentication: { networks: 'any', sessions: 10 } } as const;
const THERE = '2001:db8:b::11';

/** A world with a pre-authenticated node. */
function early(options: WorldOptions = {}) {
  const world = new NasWorld({
    ...options,
    paa: PAA,
    config: { preAuthenticationLifetime: 60_000, ...options.config },
  });
  const node = world.node({ pac: { preAuthentication: true } });
  world.run(1_000);
  return { world, node };
}

/** The node comes to another address. */
function come({ world, node }: ReturnType<typeof early>): void {
  node.place = { ...node.place, address: THERE };
  world.toNode(node, { type: 'arrive' });
  world.for(1_000);
}

const types = (world: NasWorld) => world.events.map(({ type }) => type);

describe('a pre-authenticated client (RFC 5873)', () => {
  it('has no permit, no home agent, the short lifetime, and is not authorized', () => {
    const { world } = early({ hookTime: 20 });
    expect(world.takeTexts()).not.toContain('admit');
    expect(types(world)).toEqual(['preAuthenticated']);
    expect(world.nas.preAuthenticated).toBe(1);
    expect(world.server.ders[0]).not.toHaveProperty('Mobility-Capability');
    const [view] = [...world.nas.list(world.now)];
    expect(view).toMatchObject({ state: 'OPEN', preAuthenticated: true, nai: 'mn@home.example' });
    expect(view?.remaining).toBeLessThanOrEqual(60_000);
  });

  it('has no permit although its success could wait for one', () => {
    const { world } = early({ config: { enforcement: { wait: 500 } }, hookTime: 20 });
    expect(world.outputs.some(({ type }) => type === 'admit')).toBe(false);
    expect(types(world)).toEqual(['preAuthenticated']);
  });

  it('is admitted when it has come, before its message is answered', () => {
    const scene = early({ hookTime: 20 });
    scene.world.take();
    come(scene);
    const { world, node } = scene;
    const lines = world.takeTexts();
    expect(lines.indexOf('admit')).toBeGreaterThan(-1);
    expect(lines.lastIndexOf('mn1 <- PNA[P]')).toBeGreaterThan(lines.indexOf('admit'));
    expect(lines).not.toContain('move');
    expect(world.events.at(-1)).toMatchObject({ type: 'authorized', address: THERE, preAuthenticated: true });
    expect(node.said.filter(({ type }) => type === 'arrived')).toHaveLength(1);
    expect([...world.nas.list(world.now)]).toMatchObject([{ preAuthenticated: false }]);
  });

  it('is answered after half a second although the hook of the enforcement point does not end', () => {
    const scene = early({ hookTime: undefined });
    come(scene);
    expect(scene.node.said.filter(({ type }) => type === 'arrived')).toHaveLength(1);
  });

  it('gets its home agent and the whole lifetime from the authentication that follows', () => {
    const scene = early({ hookTime: 20 });
    come(scene);
    const { world, node } = scene;
    world.toNode(node, { type: 'reauthenticate' });
    world.for(1_000);
    expect(world.events.at(-1)).toMatchObject({ type: 'reauthenticated', grant: { lifetime: 600_000 } });
    expect(world.server.ders.at(-1)).toBeDefined();
    expect(world.server.ders.some((der) => der['Mobility-Capability'] !== undefined)).toBe(true);
  });

  it('is one for each subscriber, and does not count among the sessions of the subscriber', () => {
    const { world } = early({ config: { sessionsPerSubscriber: 1 }, hookTime: 20 });
    world.node();
    world.for(1_000);
    expect(world.nas.size).toBe(2);
    world.node({ pac: { preAuthentication: true } });
    world.for(1_000);
    expect(world.nas.size).toBe(2);
    expect(world.events.filter((event) => event.type === 'ended')).toMatchObject([{ cause: 'replaced' }]);
    expect([...world.nas.list(world.now)].filter(({ preAuthenticated }) => preAuthenticated)).toHaveLength(1);
  });

  it('that does not come ends with an STR, and closes nothing at the enforcement point', () => {
    const { world, node } = early({ hookTime: 20 });
    world.take();
    world.toNode(node, { type: 'terminate' });
    world.for(1_000);
    expect(world.takeTexts()).toEqual(expect.arrayContaining(['--> STR']));
    expect(world.outputs.some(({ type }) => type === 'expel' || type === 'admit')).toBe(false);
    expect([world.nas.size, world.nas.preAuthenticated]).toEqual([0, 0]);
  });
});
