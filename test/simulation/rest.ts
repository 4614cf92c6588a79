import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Lease, Session } from '../../src/protocol/home/records.js';
import type { HookView } from '../../src/runtime/hooks/runner.js';
import { checkGauges } from './counts.js';
import type { NodeMachine } from './machines.js';
import { SETTLED_AFTER } from './recovery.js';
import type { World } from './world.js';

type Break = (invariant: string, detail: string) => void;

/** The number of timers of a daemon at rest, besides one for each of its sessions. */
const TIMERS_AT_REST: Readonly<Record<string, number>> = { mn: 6, paa: 12, aaa: 16 };

/** Files that a daemon may have in its folder. */
const FILES: readonly string[] = ['keys', 'origin-state', 'local-leases.json'];

/** States of RFC 5609 7.5 in which a session is open, and those of a re-authentication. */
const OPEN: readonly string[] = ['OPEN', 'WAIT_PNA_PING'];
const REAUTHENTICATING: readonly string[] = ['WAIT_PNA_REAUTH', 'WAIT_PAA', 'WAIT_EAP_MSG', 'WAIT_EAP_RESULT'];

interface NodeStatus {
  readonly state?: string;
  readonly session?: string;
  readonly remainingSeconds?: number;
  readonly beside?: object;
  readonly binding?: { readonly homeAddress?: string };
  readonly hooks?: readonly HookView[];
}

interface PaaStatus {
  readonly sessions?: number;
  readonly halfOpen?: number;
  readonly hooks?: readonly HookView[];
}

interface PaaSession {
  readonly session: string;
  readonly address: string;
  readonly state: string;
  readonly nai?: string;
  readonly diameterSession?: string;
}

/** Times of the last authentications. */
export interface Authentications {
  /** Milliseconds of the world's clock; undefined: never. */
  lastOf(machine: string): number | undefined;
}

/** A snapshot of a world. */
interface Look {
  readonly at: number;
  readonly nodes: ReadonlyMap<string, NodeStatus>;
  readonly paas: ReadonlyMap<string, { readonly status: PaaStatus; readonly sessions: readonly PaaSession[] }>;
  readonly conversations: number;
  readonly leases: readonly Lease[];
  readonly sessions: readonly Session[];
  /** Nodes that are re-authenticating. */
  readonly authenticating: ReadonlySet<string>;
  /** The nodes that are re-authenticating or have just re-authenticated: their hooks may still run. */
  readonly busy: ReadonlySet<string>;
}

async function look(world: World, authentications: Authentications): Promise<Look> {
  const at = world.clock.now;
  const { engine } = world.store;
  const { items: leases } = await engine.run('listLeases', {});
  const { items: sessions } = await engine.run('listSessions', {});
  const nodes = new Map<string, NodeStatus>();
  const authenticating = new Set<string>();
  const busy = new Set<string>();
  for (const { name, ...machine } of await statusesOf(world)) {
    nodes.set(name, machine.status);
    const isRecent = at - (authentications.lastOf(name) ?? Number.NEGATIVE_INFINITY) < SETTLED_AFTER;
    if (REAUTHENTICATING.includes(machine.status.state ?? '')) authenticating.add(name);
    if (isRecent || authenticating.has(name)) busy.add(name);
  }
  const paas = new Map<string, { readonly status: PaaStatus; readonly sessions: readonly PaaSession[] }>();
  for (const paa of world.paas) {
    const status = ((await paa.ask('GET /status')) ?? {}) as PaaStatus;
    paas.set(paa.name, { status, sessions: ((await paa.ask('GET /sessions')) ?? []) as PaaSession[] });
  }
  const conversations = world.servers.reduce((sum, { conversations: count }) => sum + count, 0);
  return { at, nodes, paas, conversations, leases, sessions, authenticating, busy };
}

async function statusesOf(world: World): Promise<{ readonly name: string; readonly status: NodeStatus }[]> {
  const statuses = [];
  for (const node of world.nodes)
    statuses.push({ name: node.name, status: ((await node.ask('GET /status')) ?? {}) as NodeStatus });
  return statuses;
}

/**
 * Checks a world `recoveryTime` after its last fault: every node has access, and nothing is left over. One snapshot is taken.
 * Nodes re-authenticate at any time, so what a re-authentication explains may be in progress, but must end within
 * `SETTLED_AFTER`.
 */
export async function checkRest(world: World, authentications: Authentications, broken: Break): Promise<void> {
  const looking = look(world, authentications);
  world.clock.standStill(looking);
  const found = await world.complete(looking);
  for (const node of world.nodes) checkNode(world, node, found, broken);
  checkLeftovers(world, found, broken);
  await world.complete(checkHooks(world, found, broken));
  await world.complete(checkGauges(world, broken));
  await world.pass(found.at + SETTLED_AFTER - world.clock.now);
  for (const [name, { state = '' }] of found.nodes) {
    if (REAUTHENTICATING.includes(state) && (authentications.lastOf(name) ?? 0) < found.at)
      broken('at rest every node has access', `${name} was ${state} and has not authenticated since`);
  }
}

function checkNode(world: World, node: NodeMachine, found: Look, broken: Break): void {
  const { name, nai } = node;
  const out = (detail: string) => broken('at rest every node has access', `${name} ${detail}`);
  const { state = 'not running', remainingSeconds, beside, session, binding } = found.nodes.get(name) ?? {};
  if (remainingSeconds === undefined || !(OPEN.includes(state) || REAUTHENTICATING.includes(state))) {
    out(`is ${state}`);
    return;
  }
  if (beside) out('begins a second session');
  const held = [...found.paas].flatMap(([paa, { sessions }]) => sessions.map((one) => ({ paa, ...one })));
  const own = held.filter((one) => one.nai === nai);
  const [there] = own;
  if (own.length !== 1 || !there) out(`has ${own.length} sessions at PAAs`);
  else {
    if (there.session !== session) out(`has session ${session}, and its PAA has ${there.session}`);
    if (there.address !== node.address) out(`has address ${node.address}, but ${there.address} at ${there.paa}`);
    const stored = found.sessions.filter((one) => one.nai === nai).map(({ sessionId }) => sessionId);
    if (stored.join() !== there.diameterSession)
      out(`has session ${there.diameterSession}, and the store has ${stored.join(', ') || 'none'}`);
  }
  checkLease(world, node, found, binding?.homeAddress, broken);
}

function checkLease(
  world: World,
  { name, nai }: NodeMachine,
  { leases, busy }: Look,
  bound: string | undefined,
  broken: Break,
): void {
  const out = (detail: string) => broken('at rest every node has access', `${name} ${detail}`);
  const own = leases.filter((lease) => lease.nai === nai);
  const [lease] = own;
  if (own.length !== 1 || !lease) {
    out(`has ${own.length} leases`);
    return;
  }
  const { homeAddress } = lease;
  if (bound !== homeAddress) out(`has ${bound ?? 'no home address'}, and its lease is ${homeAddress}`);
  const node = world.effects.nodes.get(name);
  if (node?.homeAddress !== homeAddress)
    out(`has set up ${node?.homeAddress ?? 'nothing'}, and its lease is ${homeAddress}`);
  const home = world.effects.homeAddresses.get(homeAddress);
  if (home?.nai !== nai) out(`has ${homeAddress}, which its home agent has set up for ${home?.nai ?? 'no subscriber'}`);
  else if (home.key === undefined)
    broken('both ends have the same key', `the home agent has no key for ${homeAddress}`);
  else if (home.key !== node?.key && !busy.has(name))
    broken('both ends have the same key', `${name} and its home agent have different keys`);
}

function checkLeftovers(world: World, found: Look, broken: Break): void {
  const left = (detail: string) => broken('at rest nothing is left over', detail);
  const { leases, sessions, paas, authenticating, busy, conversations } = found;
  if (leases.length !== world.nodes.length) left(`${leases.length} leases for ${world.nodes.length} nodes`);
  if (sessions.length !== world.nodes.length) left(`${sessions.length} sessions for ${world.nodes.length} nodes`);
  for (const [homeAddress, { nai }] of world.effects.homeAddresses) {
    if (!leases.some((lease) => lease.homeAddress === homeAddress && lease.nai === nai))
      left(`a home agent has ${homeAddress} of ${nai}, which has no lease`);
  }
  if (world.effects.nodes.size > world.nodes.length) left('a home address of an unknown node');
  // The server ends a conversation before its node has the result.
  if (conversations > authenticating.size)
    left(`${conversations} conversations, and ${authenticating.size} nodes authenticate`);
  // Each authentication may run a program at the node, its home agent and its enforcement point.
  if (world.programs.running > 3 * busy.size)
    left(`${world.programs.running} programs, and ${busy.size} nodes authenticate`);
  for (const [name, { status, sessions: held }] of paas) {
    if (status.halfOpen !== 0) left(`${name} has ${status.halfOpen} half-open sessions`);
    const expected = world.nodes.filter(({ link }) => link === world.linkOf(name)).length;
    if (held.length !== expected) left(`${name} has ${held.length} sessions of ${expected} nodes on its link`);
  }
  if (world.connections.open !== world.paas.length * world.servers.length)
    left(`${world.connections.open} Diameter connections`);
  for (const machine of world.machines) {
    const { name, life } = machine;
    const sockets = world.links.socketsOf(name);
    const expected = name.startsWith('aaa') ? 0 : 1;
    if (sockets !== expected) left(`${name} has ${sockets} sockets`);
    const most = (TIMERS_AT_REST[name.replace(/\d+$/, '')] ?? 0) + 2 * busy.size;
    if ((life?.timers ?? 0) > most) left(`${name} has ${life?.timers} timers`);
    for (const file of filesIn(join(world.folder, name)))
      if (!FILES.includes(file)) left(`${name} has the file ${file}`);
    const keys = filesIn(join(world.folder, name, 'keys'));
    if (keys.length > 0) left(`${name} has ${keys.length} key files`);
  }
}

/** Pending hooks must belong to nodes that have just authenticated. */
async function checkHooks(world: World, { busy, paas }: Look, broken: Break): Promise<void> {
  const naiOf = new Map(
    [...paas.values()].flatMap(({ sessions }) => sessions.map(({ session, nai }) => [session, nai])),
  );
  const isBusy = (nai: string | undefined) => world.nodes.some((node) => node.nai === nai && busy.has(node.name));
  for (const machine of world.machines) {
    const { hooks = [] } = ((await machine.ask('GET /status')) ?? {}) as NodeStatus;
    for (const { subject, event, problem } of hooks) {
      const [kind = '', of = ''] = subject.split(' ');
      const nai = 'nai' in machine ? machine.nai : kind === 'ep' ? naiOf.get(of) : of;
      if (problem !== undefined || !isBusy(nai))
        broken('at rest nothing is left over', `${machine.name} has the hook ${event} of ${subject}: ${problem}`);
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
