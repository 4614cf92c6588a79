import { expect, it } from 'vitest';
import { type Plan, STILL } from './plan.js';
import { recoveryTime } from './recovery.js';
import { run } from './run.js';

const LIFETIMES = { lifetime: 60, watchdog: 6 };

const PLAN: Plan = {
  seed: 1,
  options: {
    nodes: 1,
    paas: 1,
    servers: 1,
    homeAgents: 1,
    ...LIFETIMES,
    batch: false,
    optimisedStart: false,
    identityRequest: 'paa',
    piggyback: true,
    hookWait: 500,
    probes: false,
  },
  events: [
    { at: 10_000, type: 'sleep', node: 1, lasts: 5_000 },
    { at: 11_000, type: 'renumber', node: 1 },
    { at: 12_000, type: 'renumber', node: 1 },
    { at: 13_000, type: 'renumber', node: 1 },
  ],
  trouble: 20_000,
  rest: recoveryTime(LIFETIMES) + STILL,
};

it('A node that learns of several address changes at the same time keeps one socket', { timeout: 60_000 }, async () => {
  expect((await run(PLAN, { fidelity: 'plain' })).broken).toEqual([]);
});
