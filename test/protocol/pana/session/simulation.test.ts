import { describe, expect, it } from 'vitest';
import { patience, seedsOf } from '../../../seed.js';
import { generator, type Scenario, Simulation, type SimulationEvent } from './simulation.js';

/** Number of seeds. `PANA_SEEDS=200000` runs more, `PANA_SEED=17` runs only seed 17. */
const SEEDS = Number(process.env['PANA_SEEDS'] ?? 2_000);
const ONE = process.env['PANA_SEED'];

const LIVELY: readonly SimulationEvent[] = ['pac-ping', 'pac-reauthenticate', 'paa-ping', 'paa-reauthenticate', 'move'];
const DEADLY: readonly SimulationEvent[] = ['pac-terminate', 'paa-terminate', 'pac-restart', 'paa-restart'];

/** Runs the seeds. The first one that fails is reported with its ladder and the command that replays it. */
function runSeeds(
  name: string,
  count: number,
  make: (seed: number) => Scenario,
  judge: (run: Simulation) => void,
): void {
  const seeds = ONE === undefined ? seedsOf(count) : [Number(ONE)];
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
  const scenario = {
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
  // `required` only where the other end can.
  const [pac, paa] = pick(random, [
    ['off', 'off'],
    ['off', 'wanted'],
    ['wanted', 'wanted'],
    ['wanted', 'required'],
    ['required', 'wanted'],
  ] as const);
  return { ...scenario, pac: { encryption: pac, ...scenario.pac }, paa: { encryption: paa, ...scenario.paa } };
}

describe('PaC and PAA over an impaired link', () => {
  it('keep the session through 30 s of loss, duplication, delay, concurrent requests and moves', {
    timeout: patience(300_000),
  }, () => {
    runSeeds(
      'keep the session',
      Math.ceil(SEEDS / 2),
      // A request that is lost six times is sent again after a minute: FAILED_SESS_TIMEOUT allows that.
      (seed) => {
        const scenario = scenarioOf(seed, {});
        return { ...scenario, pac: { ...scenario.pac, ...PATIENT }, paa: { ...scenario.paa, ...PATIENT } };
      },
      (run) => {
        // No event may end the session: neither end terminates, and the link recovers before any time limit.
        if (run.closed.length > 0) run.broken.push(`the PaC gave up: ${run.closed.join(', ')}`);
        run.expectOpen();
      },
    );
  });

  it('have an open session again after terminations and restarts at either end', { timeout: patience(300_000) }, () => {
    runSeeds(
      'have an open session again',
      Math.ceil(SEEDS / 2),
      // An end that hears nothing keeps the session for at most its lifetime, then starts again.
      (seed) => scenarioOf(seed, { bad: 90_000, good: 450_000, events: [...LIVELY, ...DEADLY], eventRate: 0.1 }),
      (run) => run.expectOpen(),
    );
  });

  it('assign a home agent in every bootstrap, whatever the loss', { timeout: patience(300_000) }, () => {
    let bootstraps = 0;
    runSeeds(
      'assign a home agent',
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
