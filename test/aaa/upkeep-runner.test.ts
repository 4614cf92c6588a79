import { pino } from 'pino';
import { expect, it } from 'vitest';
import type { StoreCalls } from '../../src/aaa/measured-store.js';
import { AAA_METRICS } from '../../src/aaa/metrics.js';
import { UpkeepRunner } from '../../src/aaa/upkeep-runner.js';
import { EXPIRY_INTERVAL } from '../../src/protocol/home/upkeep.js';
import { unguarded } from '../../src/runtime/service/barrier.js';
import { Metrics } from '../../src/runtime/service/metrics.js';
import { VirtualHost } from '../virtual-host.js';

const HELD = { subject: 'session s', mark: '01' };

/** Lets pending promises settle. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

it('informs the hooks of lost duties, and leaves the remaining duties to other servers at the end', async () => {
  const host = new VirtualHost();
  const lost: string[] = [];
  const reports: unknown[] = [];
  const run = async (operation: string, given: unknown) => {
    if (operation === 'ticketKey') return { value: 'ab', validFor: 86_400_000 };
    if (operation !== 'duties') return [];
    reports.push(given);
    return { lost: (given as { held: object[] }).held.length > 0 ? [HELD.subject] : [], taken: [] };
  };
  const runner = new UpkeepRunner(
    { history: 1, ticketKeyLifetime: 1 },
    {
      log: pino({ level: 'silent' }),
      metrics: new Metrics('pana_aaa', AAA_METRICS),
      host,
      guard: unguarded,
      store: { run } as unknown as StoreCalls,
      homeAgents: { run: async () => true, lose: (mark) => void lost.push(mark) },
      reauthenticate: () => undefined,
      disconnect: () => undefined,
      setTicketKey: () => undefined,
    },
  );
  await runner.start();
  await settle();
  runner.record({ type: 'dutyBegun', duty: HELD });
  host.advance(EXPIRY_INTERVAL);
  await settle();
  expect(lost).toEqual([HELD.mark]);
  runner.stop();
  await runner.leave();
  expect(reports.slice(1)).toMatchObject([{ held: [HELD] }, { held: [HELD], leaving: true }]);
  runner.close();
});
