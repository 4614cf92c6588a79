import { expect } from 'vitest';
import type { NasOutput } from '../../../src/protocol/nas/alphabet.js';
import { NasWorld, type Node, type WorldOptions } from './nas-world.js';

/** A world with an open session. `setUp` runs before the node starts. */
export function open(options: WorldOptions = {}, setUp: (world: NasWorld) => void = () => undefined) {
  const world = new NasWorld(options);
  setUp(world);
  const node = world.node();
  world.run(1_000);
  expect(world.sessionOf().state).toBe('OPEN');
  world.take();
  return { world, node, sessionId: world.sessionOf().sessionId, diameterSession: world.sessionOf().diameterSession };
}

/** Times of the lines with this text since the last `take`. */
export function timesOf(world: NasWorld, text: string): number[] {
  return world.take().flatMap((line) => (line.endsWith(` ${text}`) ? [Number(line.split(' ', 1)[0])] : []));
}

export function end(world: NasWorld, node: Node): void {
  world.toNode(node, { type: 'terminate' });
}

/** A world in which the server has not answered the last DER of a bootstrap, and that DER. */
export function asking(options: WorldOptions = {}) {
  const world = new NasWorld(options);
  world.server.success = () => 'silent';
  const node = world.node();
  world.run(1_000);
  const asked = world.outputs.findLast(
    (output): output is Extract<NasOutput, { type: 'ask' }> => output.type === 'ask',
  );
  if (!asked) throw new Error('no DER');
  world.server.success = () => ({});
  const answer = () => {
    const message = world.server.answer(asked.message);
    if (!message) throw new Error('no answer');
    return { type: 'answer', token: asked.token, message } as const;
  };
  world.take();
  return { world, node, asked, answer };
}
