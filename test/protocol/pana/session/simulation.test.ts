import { describe, expect, it } from 'vitest';
import { generator, type Scenario, Simulation, type SimulationEvent } from './simulation.js';

/** `PANA_SEEDS=200000` runs more of them, `PANA_SEED=17` runs one. */
const SEEDS = Number(process.env['PANA_SEEDS'] ?? 2_000);
const ONE = process.env['PANA_SEED'];

const LIVELY: readonly SimulationEvent[] = ['pac-ping', 'pac-reauthenticate', 'paa-ping', 'paa-reauthenticate', 'move'];
const DEADLY: readonly SimulationEvent[] = ['pac-terminate', 'paa-terminate', 'pac-restart', 'paa-restart'];

/** Runs seeds, and shows the first that fails with its ladder and how to see it again. */
function runSeeds(
  name: string,
  count: number,
  make: (seed: number) => Scenario,
  judge: (run: Simulation) => void,
): void {
  const seeds = ONE === undefined ? Array.from({ length: count }, (_, i) => i) : [Number(ONE)];
  for (const seed of seeds) {
    const scenario = make(seed);
    const simulation = new Simulation(scenario).run();
    judge(simulation);
    if (simulation.broken.length > 0) {
      throw new Error(
        [
          `seed ${seed}: ${simulation.broken.join('; ')}`,
          JSON.stringify(scenario),
          ...simulation.ladder.slice(-120),
          `again: PANA_SEED=${seed} npx vitest run --config test/vitest.config.ts test/protocol/pana/session/simulation --project main -t '${name}'`,
        ].join('\n'),
      );
    }
  }
}

const PATIENT = { failedSessionTimeout: 120_000 };

function pick<T>(random: () => number, list: readonly T[]): T {
  return list[Math.floor(random() * list.length)] as T;
}

function scenarioOf(seed: number, more: Partial<Scenario>): Scenario {
  const random = generator(seed ^ 0x5eed);
  return {
    seed,
    loss: random() * 0.4,
    duplication: random() * 0.3,
    delay: pick(random, [0, 20, 500, 3_000, 10_000]),
    bad: 30_000,
    good: 240_000,
    events: LIVELY,
    eventRate: pick(random, [0, 0.1, 0.5]),
    pac: { piggyback: random() < 0.8 },
    paa: random() < 0.3 ? { firstRequest: Uint8Array.of(1, 1, 0, 6, 0, 0) } : {},
    ...more,
  };
}

describe('a PaC and a PAA over a bad link', () => {
  it('a session lives through half a minute of loss, delay, glare and movement', { timeout: 300_000 }, () => {
    runSeeds(
      'lives through',
      Math.ceil(SEEDS / 2),
      // A request that was lost six times comes again after a minute: the limit of a phase leaves room for it.
      (seed) => {
        const scenario = scenarioOf(seed, {});
        return { ...scenario, pac: { ...scenario.pac, ...PATIENT }, paa: { ...scenario.paa, ...PATIENT } };
      },
      (run) => {
        // Nothing may end it: both ends are willing, and the link comes back before any limit.
        if (run.closed.length > 0) run.broken.push(`the PaC gave up: ${run.closed.join(', ')}`);
        run.expectOpen();
      },
    );
  });

  it('two ends come together again whatever ends and restarts there were', { timeout: 300_000 }, () => {
    runSeeds(
      'come together again',
      Math.ceil(SEEDS / 2),
      // The longest limit of an end that hears nothing: lifetime, then a new start.
      (seed) => scenarioOf(seed, { bad: 90_000, good: 450_000, events: [...LIVELY, ...DEADLY], eventRate: 0.1 }),
      (run) => run.expectOpen(),
    );
  });

  it('loss alone never costs a PaC its home agent', { timeout: 300_000 }, () => {
    let bootstraps = 0;
    runSeeds(
      'its home agent',
      Math.ceil(SEEDS / 10),
      (seed) => scenarioOf(seed, { loss: 0.4, bad: 600_000, good: 60_000, eventRate: 0 }),
      (run) => {
        bootstraps += run.authorized;
        if (run.withHomeAgent !== run.authorized) {
          run.broken.push(`${run.authorized - run.withHomeAgent} of ${run.authorized} bootstraps had no home agent`);
        }
      },
    );
    expect(bootstraps).toBeGreaterThan(0);
  });
});
