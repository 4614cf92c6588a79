import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeMachine } from './machines.js';
import type { World } from './world.js';

/** The largest number of timers of a daemon at rest. */
const TIMERS_AT_REST = 24;

type Break = (invariant: string, detail: string) => void;

interface Status {
  readonly state?: string;
  readonly conversations?: number;
  readonly sessions?: number;
  readonly halfOpen?: number;
  readonly hooks?: readonly unknown[];
}

/** Counts equal what they count. Must be called while no commit is pending. */
export async function checkCounts(world: World, broken: Break): Promise<void> {
  const { store } = world;
  const agents = await store.engine.run('listHomeAgents', {});
  const { items: leases } = await store.engine.run('listLeases', {});
  const { items: sessions } = await store.engine.run('listSessions', {});
  const statistics = await store.engine.run('statistics', {});
  for (const { name, address, leases: count } of agents) {
    const held = leases.filter(({ homeAgent }) => homeAgent.address === address).length;
    if (held !== count) broken('counts equal what they count', `${name} counts ${count} leases and has ${held}`);
  }
  if (statistics.leases !== leases.length)
    broken('counts equal what they count', `${statistics.leases} leases, which are ${leases.length}`);
  if (statistics.sessions !== sessions.length)
    broken('counts equal what they count', `${statistics.sessions} sessions, which are ${sessions.length}`);
  const addresses = new Set(leases.map(({ homeAddress }) => homeAddress));
  if (addresses.size !== leases.length) broken('no home address has two subscribers', 'the store has one twice');
  for (const paa of world.paas) {
    const { sessions: count } = ((await paa.ask('GET /status')) ?? {}) as Status;
    const listed = (await paa.ask('GET /sessions')) as readonly unknown[] | undefined;
    if (listed && count !== listed.length)
      broken('counts equal what they count', `${paa.name} counts ${count} sessions and lists ${listed.length}`);
  }
}

/**
 * What must hold once links and machines were well for the stated time: every node has a session and nothing is left
 * over.
 */
export async function checkRest(world: World, broken: Break): Promise<void> {
  await checkCounts(world, broken);
  const { items: leases } = await world.store.engine.run('listLeases', {});
  const { items: sessions } = await world.store.engine.run('listSessions', {});
  for (const node of world.nodes) await checkNode(world, node, leases, broken);
  const left = (detail: string) => broken('at rest nothing is left over', detail);
  if (leases.length !== world.nodes.length) left(`${leases.length} leases for ${world.nodes.length} nodes`);
  if (sessions.length !== world.nodes.length) left(`${sessions.length} sessions for ${world.nodes.length} nodes`);
  for (const [homeAddress, { nai }] of world.effects.homeAddresses) {
    if (!leases.some((lease) => lease.homeAddress === homeAddress && lease.nai === nai))
      left(`a home agent has ${homeAddress} of ${nai}, which has no lease`);
  }
  if (world.programs.running > 0) left(`${world.programs.running} programs`);
  for (const machine of world.machines) {
    const { conversations = 0, halfOpen = 0, hooks = [] } = ((await machine.ask('GET /status')) ?? {}) as Status;
    if (conversations > 0) left(`${machine.name} has ${conversations} conversations`);
    if (halfOpen > 0) left(`${machine.name} has ${halfOpen} half-open sessions`);
    if (hooks.length > 0) left(`${machine.name} has hooks: ${JSON.stringify(hooks)}`);
    const timers = machine.life?.timers ?? 0;
    if (timers > TIMERS_AT_REST) left(`${machine.name} has ${timers} timers`);
    const keys = filesIn(join(world.folder, machine.name, 'keys'));
    if (keys.length > 0) left(`${machine.name} has ${keys.length} key files`);
  }
  checkEnforcement(world, await sessionsOfPaas(world), broken);
}

async function checkNode(
  world: World,
  node: NodeMachine,
  leases: readonly { readonly nai: string; readonly homeAddress: string }[],
  broken: Break,
): Promise<void> {
  const out = (detail: string) => broken('at rest every willing node is in', `${node.name} ${detail}`);
  const { state } = ((await node.ask('GET /status')) ?? {}) as Status;
  if (state !== 'OPEN') {
    out(`is ${state ?? 'not running'}`);
    return;
  }
  const lease = leases.find(({ nai }) => nai === node.nai);
  const own = world.effects.nodes.get(node.name);
  if (!lease) out('has no lease');
  else if (own?.homeAddress !== lease.homeAddress)
    out(`has set up ${own?.homeAddress ?? 'nothing'}, and its lease is ${lease.homeAddress}`);
  else {
    const home = world.effects.homeAddresses.get(lease.homeAddress);
    if (home?.nai !== node.nai) out(`has ${lease.homeAddress}, which its home agent has for ${home?.nai ?? 'nobody'}`);
    else if (home.key !== own.key) broken('both ends have one key', `${node.name} and its home agent have two`);
  }
}

interface PaaSession {
  readonly session: string;
  readonly address: string;
  readonly state: string;
}

async function sessionsOfPaas(world: World): Promise<Map<string, readonly PaaSession[]>> {
  const all = new Map<string, readonly PaaSession[]>();
  for (const paa of world.paas) all.set(paa.name, ((await paa.ask('GET /sessions')) ?? []) as PaaSession[]);
  return all;
}

/** An enforcement point admits exactly the authorized sessions. */
function checkEnforcement(world: World, paas: ReadonlyMap<string, readonly PaaSession[]>, broken: Break): void {
  for (const [machine, sessions] of paas) {
    const admitted = world.effects.admitted.get(machine) ?? new Map<string, string>();
    const say = (detail: string) =>
      broken('the enforcement point admits exactly the authorised', `at rest ${machine} ${detail}`);
    for (const { session, address, state } of sessions) {
      if (state === 'OPEN' && admitted.get(address) !== session) say(`does not admit ${address} of ${session}`);
    }
    for (const [address, session] of admitted) {
      if (!sessions.some((one) => one.session === session && one.address === address))
        say(`admits ${address} of ${session}, which is no session`);
    }
  }
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
