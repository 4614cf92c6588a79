import { expect, it } from 'vitest';
import { type Plan, STILL } from './plan.js';
import { run } from './run.js';
import type { StoreCondition } from './shared-store.js';

/** A plan with overlapping events of one kind: the second one begins and ends during the first. */
const PLAN: Plan = {
  seed: 1,
  options: {
    nodes: 1,
    paas: 1,
    servers: 1,
    homeAgents: 1,
    lifetime: 60,
    watchdog: 6,
    batch: false,
    optimisedStart: false,
    identityRequest: 'paa',
    piggyback: true,
    hookWait: 500,
    probes: false,
  },
  events: [
    { at: 1_000, type: 'store', condition: 'slow', lasts: 8_000 },
    { at: 2_000, type: 'store', condition: 'full', lasts: 1_000 },
    { at: 4_000, type: 'store', condition: 'deaf', lasts: 7_000 },
  ],
  trouble: 13_000,
  rest: STILL,
};

it('The end of an event does not undo a later event of its kind, and restores an earlier one that is still in force', async () => {
  const seen: StoreCondition[] = [];
  await run(PLAN, {
    fidelity: 'plain',
    until: 15_000,
    meddle: (world) => {
      for (const at of [1_500, 2_500, 3_500, 4_500, 9_500, 11_500])
        world.clock.after(at, () => void seen.push(world.store.condition));
    },
  });
  expect(seen).toEqual(['slow', 'full', 'slow', 'deaf', 'deaf', 'well']);
});
