import { afterEach, describe, expect, it } from 'vitest';
import type { DaemonProcess } from '../../../dist/lab/daemon-process.js';
import { Lab, type Place } from '../../../dist/lab/lab.js';
import { BenchNode } from '../../../src/load/node.js';
import type { LogEvent } from '../../../src/runtime/log/events.js';
import { callDaemon } from '../../../src/runtime/service/control.js';
import type { AuditEntry, HeldLease, Page } from '../../../src/store/records.js';
import { credentialsOf, leaseViolations } from '../../daemons/load.js';
import { Postgres, withoutPostgres } from '../../postgres.js';
import { SteppedClock, withoutSteps } from '../../stepped-clock.js';

const DAY = 86_400_000;
/** Seconds: the lifetime of the session that expires during the test, and how much longer its lease lasts. */
const LIFETIME = 4;
const GRACE = 1;

/** Names of the servers. */
const NAMES = ['aaa', 'aaa2'];

let lab: Lab | undefined;
let postgres: Postgres | undefined;
let clock: SteppedClock | undefined;

afterEach(async () => {
  await lab?.close();
  await postgres?.stop();
  await clock?.remove();
  lab = undefined;
  postgres = undefined;
  clock = undefined;
});

/** A node gets a session and leaves without terminating. */
async function visit(made: Lab, place: Place, name: string): Promise<string> {
  const node = new BenchNode(place, await credentialsOf(made, name));
  await node.bootstrap();
  await node.abandon();
  return node.homeAddress ?? '';
}

async function leaseOf(made: Lab, nai: string) {
  const lease = (await made.leases()).find((held) => held.nai === nai);
  if (!lease) throw new Error(`${nai} has no lease`);
  return lease;
}

type Server = Awaited<ReturnType<Lab['startAaa']>>;

/** Starts a PAA with all servers as peers. */
function startPaa(made: Lab, at: readonly Server[], name: string) {
  const peers = at.map(({ place: { address, port } }, i) => ({ host: `${NAMES[i]}.home.example`, address, port }));
  const limits = { 'pci-per-address': 1000, 'half-open-per-address': 1000 };
  const [{ place }] = at as [Server];
  return made.startPaa(place, name, { diameter: { host: `${name}.access.example`, peers }, pana: { limits } });
}

/** A lease of an hour and one of some seconds, then a step; checks both leases. */
async function follow(made: Lab, stepped: SteppedClock, at: readonly Server[], step: number) {
  const servers = at.map(({ daemon }) => daemon);
  const [aaa] = servers as [DaemonProcess];
  // A lease expires after its lifetime and the grace period, at the next round of the upkeep.
  const said = (message: LogEvent, of: (line: object) => boolean = () => true) =>
    Promise.any(servers.map((server) => server.line(message, of, 20_000)));
  await made.addSubscriber('long@home.example', 'long');
  await made.addSubscriber('short@home.example', 'short', { sessionLifetime: LIFETIME });
  const { daemon: paa, place } = await startPaa(made, at, 'paa');
  await visit(made, place, 'long');
  const homeAddress = await visit(made, place, 'short');
  // The PAA cannot report the end of a session.
  paa.signal('SIGKILL');
  await paa.exited;
  const long = await leaseOf(made, 'long@home.example');
  const short = await leaseOf(made, 'short@home.example');

  await stepped.step(step);
  const { step: moved = 0 } = await said('clock stepped');
  expect(Math.abs(moved - step)).toBeLessThan(1000);
  const after = await leaseOf(made, 'long@home.example');
  expect(after.acquiredAt - long.acquiredAt).toBe(moved);
  expect(after.expiresAt - long.expiresAt).toBe(moved);

  // The short lease ends on time by the monotonic clock, which also times log lines.
  const given = await said('lease assigned', (line) => 'homeAddress' in line && line.homeAddress === homeAddress);
  const expired = await said('lease expired', (line) => 'homeAddress' in line && line.homeAddress === homeAddress);
  expect(expired.at - given.at).toBeGreaterThan((LIFETIME + GRACE - 1) * 1000);
  expect((await leaseOf(made, 'long@home.example')).expiresAt).toBe(after.expiresAt);
  const [held] = ((await made.administer('aaa', 'leaseHistory', { of: homeAddress })) as Page<HeldLease>).items;
  expect(held).toMatchObject({ acquiredAt: short.acquiredAt + moved, endedAt: short.expiresAt + moved });

  // The node gets the same address again afterwards.
  const { place: elsewhere } = await startPaa(made, at, 'paa2');
  expect(await visit(made, elsewhere, 'short')).toBe(homeAddress);
  expect(await leaseViolations(made, 'aaa', [])).toEqual([]);
  expect(servers.flatMap(({ lines }) => lines.filter(({ msg }) => msg === 'clock stepped'))).toHaveLength(1);
  const audit = ((await made.administer('aaa', 'listAudit', { of: 'clockStep' })) as Page<AuditEntry>).items;
  expect(audit).toMatchObject([{ who: 'clock', detail: JSON.stringify({ milliseconds: moved }) }]);
  const metrics = String(await callDaemon(made.socket('aaa'), 'GET', '/metrics'));
  const counted = aaa.lines.some(({ msg }) => msg === 'clock stepped') ? 1 : 0;
  expect(metrics).toContain(`\npana_aaa_clock_steps_total ${counted}\n`);
}

it.skipIf(withoutSteps !== undefined)(
  'A PAA that restarts with its clock set back is recognized as restarted',
  async () => {
    const stepped = await SteppedClock.make(DAY);
    clock = stepped;
    const made = await Lab.make({
      hooks: false,
      logLevel: 'info',
      launcher: (daemon) => (daemon === 'paa' ? stepped.launcher : []),
    });
    lab = made;
    const server = await made.startAaa();
    const { daemon: paa, place } = await startPaa(made, [server], 'paa');
    await made.addSubscriber('mn1@home.example', 'mn1');
    await visit(made, place, 'mn1');
    paa.signal('SIGKILL');
    await paa.exited;
    await stepped.step(-DAY);
    await startPaa(made, [server], 'paa');
    const over = await server.daemon.line('sessions lost');
    expect(over).toMatchObject({ peer: 'paa.access.example', count: 1 });
  },
);

describe.skipIf(withoutSteps !== undefined).each([DAY, -DAY])('A step of the wall clock by %i ms', (step) => {
  it('frees no lease early or late', async () => {
    // Certificates are valid before and after the step.
    const stepped = await SteppedClock.make(2 * DAY);
    clock = stepped;
    const made = await Lab.make({
      hooks: false,
      logLevel: 'info',
      launcher: (daemon) => (daemon === 'aaa' ? stepped.launcher : []),
      aaa: { session: { grace: `${GRACE}s` } },
    });
    lab = made;
    await follow(made, stepped, [await made.startAaa()], step);
  });

  it.skipIf(withoutPostgres !== undefined)('on PostgreSQL is applied once by its servers', async () => {
    const stepped = await SteppedClock.make();
    clock = stepped;
    postgres = await Postgres.start(stepped.environment);
    const made = await Lab.make({
      hooks: false,
      logLevel: 'info',
      aaa: {
        store: await postgres.database(),
        session: { grace: `${GRACE}s` },
        diameter: { 'shared-store': true },
      },
    });
    lab = made;
    await made.issueServer('aaa2', ['aaa2.home.example']);
    const first = await made.startAaa();
    const second = await made.startAaa('aaa2', { diameter: { host: 'aaa2.home.example' } });
    await follow(made, stepped, [first, second], step);
  });
});
