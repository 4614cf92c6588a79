import type { LogLine } from './machine.js';
import type { ListedSession, StrangeSessions } from './unauthenticated.js';
import type { World } from './world.js';

type Break = (invariant: string, detail: string) => void;

const INVARIANT = 'counters match what they count';

type Fields = LogLine['fields'];
type Counted = (fields: Fields) => string | undefined;

const hook =
  (result: string): Counted =>
  ({ event }) =>
    `hook_runs{event=${event},result=${result}}`;
const always =
  (counter: string): Counted =>
  () =>
    counter;

/** Events that every daemon counts when it logs them. */
const OF_ALL: Readonly<Record<string, Counted>> = { 'hook done': hook('ok'), 'hook failed': hook('failed') };

/** The counter that a log line increments, by kind of machine and event. */
const COUNTED: Readonly<Record<string, Readonly<Record<string, Counted>>>> = {
  mn: {
    ...OF_ALL,
    'session authorized': always('sessions{result=authorized}'),
    'session reauthenticated': always('sessions{result=reauthenticated}'),
    'session replaced': always('sessions{result=replaced}'),
    'session ended': ({ reason }) => `sessions{result=${reason}}`,
    'session refused': ({ reason }) => `sessions{result=${reason}}`,
    'session moved': always('moves'),
    'EAP failed': ({ reason }) => `eap_failures{reason=${reason}}`,
  },
  paa: {
    ...OF_ALL,
    'session authorized': always('authorizations{result=authorized}'),
    'session reauthenticated': always('authorizations{result=reauthenticated}'),
    'session refused': always('authorizations{result=refused}'),
    'reauthentication postponed': always('authorizations{result=postponed}'),
    'session ended': ({ reason }) => `sessions_ended{cause=${reason}}`,
    'session moved': always('moves'),
  },
  aaa: {
    ...OF_ALL,
    'authentication succeeded': always('authentications{result=accepted}'),
    'authentication failed': ({ reason }) => `authentications{result=${reason}}`,
    'authorization failed': ({ reason }) => `authentications{result=${reason}}`,
    'lease assigned': always('bootstraps{result=assigned}'),
    'lease renewed': always('bootstraps{result=refreshed}'),
    'lease taken over': always('takeovers'),
    'lease released': always('leases{result=released}'),
    'lease expired': always('leases{result=expired}'),
  },
};

/** Counters without a log line of their own. */
const UNSEEN: readonly string[] = ['sessions_ended{cause=pushed-out}'];

/** Counts the log lines of the daemons of a world, for each daemon since its last start. */
export class Tallies {
  readonly #tallies = new Map<string, { readonly start: number; readonly counts: Map<string, number> }>();

  /** `start`: number of the daemon's run. */
  logged({ machine, message, fields }: LogLine, start: number): void {
    const counter = COUNTED[kindOf(machine)]?.[message]?.(fields);
    if (counter === undefined) return;
    const counts = this.of(machine, start);
    counts.set(counter, (counts.get(counter) ?? 0) + 1);
  }

  of(machine: string, start: number): Map<string, number> {
    const known = this.#tallies.get(machine);
    if (known?.start === start) return known.counts;
    const counts = new Map<string, number>();
    this.#tallies.set(machine, { start, counts });
    return counts;
  }
}

function kindOf(machine: string): string {
  return machine.replace(/\d+$/, '');
}

/** The counters that are compared with the log lines, by kind of machine. */
const COMPARED: Readonly<Record<string, RegExp>> = {
  mn: /^(sessions|moves|eap_failures|hook_runs)\b/,
  paa: /^(authorizations|sessions_ended|moves|hook_runs)\b/,
  aaa: /^(authentications|bootstraps\{result=(assigned|refreshed)|takeovers|leases|hook_runs)\b/,
};

/**
 * Compares the counts of the store with its rows, those of PAAs with their lists, and the counters of all daemons with their
 * logs. Takes no virtual time.
 */
export async function checkCounts(
  world: World,
  { tallies, strangeSessions }: { readonly tallies: Tallies; readonly strangeSessions: StrangeSessions },
  broken: Break,
): Promise<void> {
  const say = (detail: string) => broken(INVARIANT, detail);
  const { engine } = world.store;
  const agents = await engine.run('listHomeAgents', {});
  const { items: leases } = await engine.run('listLeases', {});
  const { items: sessions } = await engine.run('listSessions', {});
  const statistics = await engine.run('statistics', {});
  for (const { name, address, leases: count } of agents) {
    const held = leases.filter(({ homeAgent }) => homeAgent.address === address).length;
    if (held !== count) say(`${name} counts ${count} leases and has ${held}`);
  }
  if (statistics.leases !== leases.length)
    say(`${statistics.leases} leases counted in the store, which has ${leases.length}`);
  if (statistics.sessions !== sessions.length)
    say(`${statistics.sessions} sessions counted in the store, which has ${sessions.length}`);
  const addresses = new Set(leases.map(({ homeAddress }) => homeAddress));
  if (addresses.size !== leases.length)
    broken('no home address has two subscribers', 'the store has two leases of one address');
  for (const paa of world.paas) {
    const { sessions: count, halfOpen } = ((await paa.ask('GET /status')) ?? {}) as Record<string, number>;
    const listed = (await paa.ask('GET /sessions')) as readonly Listed[] | undefined;
    if (!listed) continue;
    for (const problem of strangeSessions.look(paa.name, listed, world.clock.now))
      broken('work for unauthenticated input is bounded', problem);
    if (count !== listed.length) say(`${paa.name} counts ${count} sessions and lists ${listed.length}`);
    const first = listed.filter(({ remainingSeconds }) => remainingSeconds === undefined);
    // A session that ends no longer has a lifetime, whether it was half-open or not.
    const ending = first.filter(({ state }) => state === 'SESS_TERM').length;
    if (halfOpen === undefined || halfOpen > first.length || halfOpen < first.length - ending)
      say(`${paa.name} counts ${halfOpen} half-open sessions and lists ${first.length}`);
  }
  for (const { name, life, starts, metrics } of world.machines) {
    if (!life?.alive || !metrics) continue;
    const counters = await metrics.counters();
    const { received, sent } = life.datagrams;
    const tally = new Map(tallies.of(name, starts));
    if (!name.startsWith('aaa')) tally.set('datagrams{direction=in}', received).set('datagrams{direction=out}', sent);
    for (const [counter, count] of tally) {
      const counted = counters[counter] ?? 0;
      if (counted !== count) say(`${name} counts ${counted} ${counter} instead of ${count}`);
    }
    for (const counter of Object.keys(counters)) {
      if (COMPARED[kindOf(name)]?.test(counter) && !tally.has(counter) && !UNSEEN.includes(counter))
        say(`${name} counts ${counters[counter]} ${counter}, of which it has logged none`);
    }
  }
}

interface Listed extends ListedSession {
  readonly state: string;
  readonly remainingSeconds?: number;
}

/** Compares the gauges of the daemons with what they count. Takes virtual time, since servers query their store. */
export async function checkGauges(world: World, broken: Break): Promise<void> {
  const { engine } = world.store;
  for (const { name, metrics, life } of world.machines) {
    if (!metrics || !life?.alive) continue;
    const gauges = readGauges(await metrics.text());
    const compare = (gauge: string, count: number) => {
      const shown = gauges.get(`pana_${kindOf(name) === 'mn' ? 'pac' : kindOf(name)}_${gauge}`);
      if (shown !== count) broken(INVARIANT, `${name} shows ${shown} for ${gauge} instead of ${count}`);
    };
    if (name.startsWith('paa')) {
      const listed = (await world.machine(name)?.ask('GET /sessions')) as readonly unknown[];
      compare('sessions', listed.length);
      compare('half_open_sessions', 0);
    }
    if (name.startsWith('aaa')) {
      compare('sessions', (await engine.run('listSessions', {})).items.length);
      const leases = (await engine.run('listLeases', {})).items;
      compare('leases', leases.length);
      for (const agent of await engine.run('listHomeAgents', {})) {
        const held = leases.filter(({ homeAgent }) => homeAgent.address === agent.address).length;
        compare(`home_agent_leases{home_agent="${agent.name}"}`, held);
        compare(`home_agent_capacity{home_agent="${agent.name}"}`, agent.capacity);
        compare(`home_agent_state{home_agent="${agent.name}",state="up"}`, 1);
      }
      for (const paa of world.paas) compare(`diameter_peer_up{peer="${paa.diameterHost}"}`, 1);
    }
  }
}

/** Samples of Prometheus' text form, by name and labels. */
function readGauges(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, name, value] = /^([a-z_]+(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
    if (name !== undefined) samples.set(name, Number(value));
  }
  return samples;
}
