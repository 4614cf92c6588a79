import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { callDaemon } from '../../runtime/service/control.js';
import { Patience } from '../patience.js';
import { type StartedNode, startNode } from './first-start.js';
import type { NetworkHost } from './hosts.js';
import { type Installation, lineSince, STEP_LIMIT } from './installation.js';
import { type AccessLink, CORRESPONDENT, routerAddress } from './network.js';
import { PACE } from './pace.js';
import type { Traffic } from './pings.js';
import type { Finding } from './report.js';
import { Prober } from './traffic.js';

/** Programs of a home agent. pana-aaa goes on. */
const HOME_AGENT_PROGRAMS = ['charon', 'charon-systemd', 'racoon', 'mip6d', 'radvd'];

/** Within this time after its programs were killed, the home agent serves its nodes again, in milliseconds. */
const RESTART_LIMIT = 10_000 * PACE;

/** The message that deletes an IKE_SA, sent by the node, reaches the home agent within this time, in milliseconds. */
const DELETE_LIMIT = 2_000 * PACE;

/** Pings are counted for this long before a step, in milliseconds, so that the count has some that are not affected. */
const LEAD = 200 * PACE;

/** What happens to nodes whose traffic flows. Each step counts lost pings. */
export class Cases {
  readonly #made: Installation;
  readonly #nodes: StartedNode[];
  readonly #found: (finding: Finding) => void;

  constructor(made: Installation, first: StartedNode, found: (finding: Finding) => void) {
    this.#made = made;
    this.#nodes = [first];
    this.#found = found;
  }

  get #first(): StartedNode {
    const [first] = this.#nodes;
    if (!first) throw new Error('no node has started');
    return first;
  }

  /** Another node joins. The others lose nothing. */
  async join(n: number): Promise<void> {
    const others = [...this.#nodes];
    const began = Date.now();
    await sleep(LEAD);
    const node = await startNode(this.#made, n);
    const up = Date.now();
    this.#nodes.push(node);
    const flows = await allFlow([node], up);
    const traffic = await this.#count(others, began);
    this.#found({
      what: `MN${n} joins, its PAA at a link-local address`,
      result: flows && lostNothing(traffic) ? 'yes' : 'no',
      detail: flows ? '' : 'its own traffic does not flow',
      traffic,
    });
  }

  /** A new key for the first node: another IKE_SA. */
  async reauthenticate(): Promise<void> {
    const { n, pac } = this.#first;
    const before = (await this.#made.ikeSas(n)).map(({ id }) => id);
    const began = Date.now();
    await sleep(LEAD);
    await callDaemon(this.#made.lab.socket(`mn${n}`), 'POST', '/reauth');
    const { at } = await lineSince(pac, 'session reauthenticated', began);
    await lineSince(pac, 'hook done', began, ({ event }) => event === 'refresh');
    const flows = await allFlow(this.#nodes, Date.now());
    const traffic = await this.#count(this.#nodes, began);
    if (!this.#made.charons) {
      this.#found({ what: 're-authentication: another key', result: 'yes', traffic });
      return;
    }
    const { hasAnother, left } = await this.#replaced(n, before);
    const times = await this.#made.charons.nodes.get(n)?.times();
    const after = times ? `${Math.round(times.up - at)} ms after the new key` : '';
    this.#found({
      what: 're-authentication: another key, another IKE_SA',
      result: flows && hasAnother && left === 0 ? 'yes' : 'no',
      detail: hasAnother && left > 0 ? `${after}, but the home agent still has ${left} from before` : after,
      traffic,
    });
  }

  /** Whether the home agent has an IKE_SA of a node besides those with the ids of `before`, and how many of these it still has. */
  async #replaced(
    n: number,
    before: readonly number[],
  ): Promise<{ readonly hasAnother: boolean; readonly left: number }> {
    const patience = new Patience(DELETE_LIMIT);
    for (;;) {
      const now = (await this.#made.ikeSas(n)).map(({ id }) => id);
      const left = now.filter((id) => before.includes(id)).length;
      if ((now.length > 0 && left === 0) || patience.over) return { hasAnother: now.length > left, left };
      await sleep(20);
    }
  }

  /**
   * The first node moves to another link with another PAA, and back. The second node, if there is one, does the same: it
   * finds its PAAs as default routers, by their link-local addresses. Before that the first node moves once to a PAA to
   * which it has authenticated before (RFC 5873). Only once: afterwards its kernel takes the prefix of the former link for
   * one of the present link, so that it cannot reach the PAA there.
   */
  async handovers(): Promise<void> {
    await this.#handover(this.#first, 'd', true);
    await this.#handover(this.#first, 'a');
    for (const node of this.#nodes.slice(0, 2)) {
      for (const at of ['d', 'a'] as const) await this.#handover(node, at);
    }
  }

  /** The node authenticates to the PAA of another link. */
  async #preAuthenticate({ n, pac }: StartedNode, at: AccessLink): Promise<void> {
    const began = Date.now();
    await callDaemon(this.#made.lab.socket(`mn${n}`), 'POST', '/preauth', { paa: routerAddress(at) });
    await lineSince(pac, 'session pre-authenticated', began);
  }

  async #handover(node: StartedNode, at: AccessLink, early = false): Promise<void> {
    const { n, pac, homeAddress, discovery } = node;
    if (early) await this.#preAuthenticate(node, at);
    const began = Date.now();
    await sleep(LEAD);
    const moved = Date.now();
    await this.#made.network.plug(n, at);
    const replaced = await lineSince(pac, 'session replaced', moved);
    const letIn = await lineSince(pac, 'session authorized', moved);
    const refreshed = await lineSince(pac, 'bootstrap refreshed', moved);
    await lineSince(pac, 'hook done', moved, ({ event }) => event === 'refresh');
    const flows = await allFlow(this.#nodes, Date.now());
    const traffic = await this.#count(this.#nodes, began, [node]);
    this.#found({
      what: `handover of MN${n} to AR${at === 'a' ? 1 : 2}, ${early ? 'authenticated there before' : `its PAA at a ${discovery} address`}`,
      result: flows && refreshed['homeAddress'] === homeAddress ? 'yes' : 'no',
      detail: `session with ${String(replaced['address'])} ${Math.round(letIn.at - moved)} ms after the link change`,
      traffic,
    });
  }

  /** The home agent's programs are killed and its kernel forgets SAs and policies. */
  async restartHomeAgent(): Promise<void> {
    const { HA } = this.#made.network;
    const what = 'home agent restarts: traffic comes back';
    const observed = this.#nodes.filter(({ traffic }) => traffic);
    if (observed.length === 0) {
      this.#found({ what, result: 'skipped', detail: 'there is no traffic' });
      return;
    }
    const began = Date.now();
    await sleep(LEAD);
    const killed = Date.now();
    const programs = await HA.kill(...HOME_AGENT_PROGRAMS);
    // A kernel without IPsec has nothing to flush.
    for (const part of ['state', 'policy']) await HA.ip(`xfrm ${part} flush`).catch(() => undefined);
    const patience = new Patience(RESTART_LIMIT);
    // The tunnels of Mobile IPv6 stay, so that no packet need be lost.
    const broke =
      this.#made.abilities.noMobility === undefined ||
      (await Promise.all(observed.map(({ traffic }) => traffic?.breaks(killed, STEP_LIMIT)))).every(Boolean);
    const haveSas = await this.#haveSas(observed, patience);
    const flows = await allFlow(observed, killed);
    const inTime = !patience.over;
    const traffic = await this.#count(observed, began, observed);
    const pause = Math.max(...traffic.flatMap(({ fromNode, toNode }) => [fromNode.pause, toNode.pause]));
    this.#found({
      what,
      result: flows && haveSas && inTime && broke ? 'yes' : 'no',
      detail: `${programs.join(', ')} killed, traffic back after ${(pause / 1000).toFixed(1)} s`,
      traffic,
    });
  }

  /** Waits until the home agent has an IKE_SA of each node. Resolves with false when there is no time left. */
  async #haveSas(nodes: readonly StartedNode[], patience: Patience): Promise<boolean> {
    if (!this.#made.charons) return true;
    for (;;) {
      // There may be no charon yet.
      const all = await Promise.all(nodes.map(({ n }) => this.#made.ikeSas(n).catch(() => [])));
      if (all.every((sas) => sas.length > 0)) return true;
      if (patience.over) return false;
      await sleep(20);
    }
  }

  /** The nodes leave one after another, except the first. The others lose nothing. */
  async leave(): Promise<void> {
    while (this.#nodes.length > 1) {
      const node = this.#nodes.pop();
      if (node) await this.#leave(node);
    }
  }

  async #leave({ n, pac, homeAddress }: StartedNode): Promise<void> {
    const began = Date.now();
    await sleep(LEAD);
    await pac.stop();
    await lineSince(this.#made.aaa, 'lease released', began, (line) => line['homeAddress'] === homeAddress);
    const traffic = await this.#count(this.#nodes, began);
    this.#found({ what: `MN${n} leaves`, result: lostNothing(traffic) ? 'yes' : 'no', traffic });
  }

  /** The first node ends its session: nothing is left of it. */
  async end(): Promise<void> {
    const { aaa, abilities, network, cleanUp } = this.#made;
    const { n, pac } = this.#first;
    const began = Date.now();
    await pac.stop();
    const released = await lineSince(aaa, 'lease released', began);
    this.#found({
      what: 'after: the home address is free again',
      result: 'yes',
      detail: `${Math.max(0, Math.round(released.at - began))} ms after the node received SIGTERM`,
    });
    if (abilities.enforcement.why === undefined) {
      const prober = await cleanUp.add(new Prober(network.node(n), await network.careOf(n), CORRESPONDENT));
      const state = await prober.first();
      await prober.stop();
      this.#found({ what: 'after: no packet of the node passes', result: state === 'closed' ? 'yes' : 'no' });
    }
    if (!this.#made.charons) return;
    const patience = new Patience();
    let left = await this.#traces();
    while (left.length > 0 && !patience.over) {
      await sleep(20);
      left = await this.#traces();
    }
    this.#found({
      what: 'after: no SA, address, file or watch is left on node and home agent',
      result: left.length === 0 ? 'yes' : 'no',
      detail: left.join(', '),
    });
  }

  /** Counts the pings of nodes since a time, once those sent from now on come back. `broke`: nodes that have lost some. */
  async #count(nodes: readonly StartedNode[], began: number, broke: readonly StartedNode[] = []): Promise<Traffic[]> {
    await allFlow(nodes, Date.now());
    return Promise.all(
      nodes.flatMap((node) => (node.traffic ? [node.traffic.since(began, broke.includes(node))] : [])),
    );
  }

  /** What node and home agent still have of the first node. */
  async #traces(): Promise<string[]> {
    const { network, charons } = this.#made;
    const { n, homeAddress } = this.#first;
    const sas = [...((await charons?.ha.established()) ?? []), ...((await charons?.nodes.get(n)?.established()) ?? [])];
    const hosts = await Promise.all([network.HA, network.node(n)].map((host) => tracesOn(host, homeAddress)));
    return [...sas.map(({ connection }) => `IKE_SA ${connection}`), ...hosts.flat()];
  }
}

async function tracesOn(host: NetworkHost, homeAddress: string): Promise<string[]> {
  const on = (what: string) => `${what} on ${host.name}`;
  const files = (await readdir(join(host.folder, 'swanctl', 'conf.d'))).map((file) => on(file));
  const known = await host.exec(
    'sh',
    '-c',
    'ip -6 address; ip -6 route show table all; ip -6 neigh show proxy; ip -6 rule',
  );
  const address = known.split('\n').filter((line) => line.includes(homeAddress));
  const states = (await host.exec('ip', 'xfrm', 'state').catch(() => '')).includes(homeAddress) ? [on('ESP SA')] : [];
  return [...files, ...address.map((line) => on(`"${line.trim()}"`)), ...states, ...(await watchesOn(host)).map(on)];
}

/** Programs of the hooks that should have ended with the last node. */
async function watchesOn(host: NetworkHost): Promise<string[]> {
  const commands = await Promise.all(
    (await host.pids()).map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return commands.filter((command) => command.includes('watch.sh')).map(() => 'watch.sh');
}

/** Whether the traffic of all nodes flows after a time. */
async function allFlow(nodes: readonly StartedNode[], after: number): Promise<boolean> {
  const flows = await Promise.all(nodes.map(({ traffic }) => traffic?.flows(after, STEP_LIMIT) ?? true));
  return flows.every(Boolean);
}

function lostNothing(traffic: readonly Traffic[]): boolean {
  return traffic.every(({ fromNode, toNode }) => fromNode.lost === 0 && toNode.lost === 0);
}
