import { readFile } from 'node:fs/promises';
import type { DaemonProcess } from '../../dist/lab/daemon-process.js';
import type { Lab, Place } from '../../dist/lab/lab.js';
import { BenchNode } from '../../src/load/node.js';
import type { HomeAgent } from '../../src/protocol/home/records.js';
import type { PeerCredentials } from '../../src/runtime/eap/engine.js';
import { createPeerCredentials } from '../../src/runtime/eap/tls-peer.js';
import type { HeldLease, Page } from '../../src/store/records.js';

/** A home address that a node received, and when. */
export interface GrantedAddress {
  readonly nai: string;
  readonly homeAddress: string;
  readonly at: number;
}

export interface Conditions {
  /** How often a server has been killed so far. */
  readonly kills: () => number;
  /** Whether a server is being stopped: bootstraps that begin now may fail. */
  readonly ending?: () => boolean;
  /** Resolves when a bootstrap may begin. */
  readonly ready?: () => Promise<void>;
  /** Whether a node terminates its session after this number of bootstraps. */
  readonly terminates?: (done: number) => boolean;
  readonly onDone?: () => void;
}

/** Runs the bootstraps of one node in sequence. `failures` lists the failures that no kill explains. */
export class LoadNode {
  readonly nai: string;
  readonly #make: () => BenchNode;
  readonly #conditions: Conditions;
  #running = true;
  #why = '';
  #last: BenchNode | undefined;
  done = 0;
  interrupted = 0;
  readonly failures: string[] = [];
  readonly granted: GrantedAddress[] = [];

  constructor(nai: string, make: () => BenchNode, conditions: Conditions) {
    this.nai = nai;
    this.#make = make;
    this.#conditions = conditions;
  }

  get addresses(): ReadonlySet<string> {
    return new Set(this.granted.map(({ homeAddress }) => homeAddress));
  }

  /** Runs until `stop`, or for a number of bootstraps. */
  async run(count = Number.POSITIVE_INFINITY): Promise<void> {
    const { kills, ending = () => false, ready, terminates = () => true } = this.#conditions;
    const last = this.done + count;
    while (this.#running && this.done < last) {
      await ready?.();
      const killed = kills();
      const mayEnd = ending();
      if (await this.#bootstrap()) {
        if (this.done < last || count === Number.POSITIVE_INFINITY) await this.#leave(terminates(this.done));
      } else if (mayEnd || kills() > killed) this.interrupted += 1;
      else this.failures.push(`${this.nai} after ${this.done} bootstraps: ${this.#why}`);
    }
  }

  stop(): void {
    this.#running = false;
  }

  /** Terminates the session if there is one. */
  async end(): Promise<void> {
    await this.#leave(true);
  }

  async #bootstrap(): Promise<boolean> {
    const node = this.#make();
    try {
      await node.bootstrap();
    } catch (error) {
      this.#why = (error as Error).message;
      await node.abandon();
      return false;
    }
    if (node.homeAddress !== undefined) {
      this.granted.push({ nai: this.nai, homeAddress: node.homeAddress, at: Date.now() });
    }
    this.done += 1;
    this.#last = node;
    this.#conditions.onDone?.();
    return true;
  }

  async #leave(terminates: boolean): Promise<void> {
    const node = this.#last;
    this.#last = undefined;
    if (terminates) await node?.terminate();
    else await node?.abandon();
  }
}

/** The credentials of a node of a lab. */
export async function credentialsOf(lab: Lab, name: string): Promise<PeerCredentials> {
  const read = (file: string) => readFile(lab.path('pki', file), 'utf8');
  return createPeerCredentials({
    caPem: await read('ca.pem'),
    certificatePem: await read(`${name}.pem`),
    keyPem: await read(`${name}-key.pem`),
    serverName: 'home.example',
  });
}

/** Adds subscribers and their nodes. */
export async function makeLoad(lab: Lab, paa: Place, count: number, conditions: Conditions): Promise<LoadNode[]> {
  const nodes: LoadNode[] = [];
  for (let i = 0; i < count; i += 1) {
    const name = `mn${i}`;
    const nai = `${name}@home.example`;
    await lab.addSubscriber(nai, name);
    const credentials = await credentialsOf(lab, name);
    nodes.push(new LoadNode(nai, () => new BenchNode(paa, credentials), conditions));
  }
  return nodes;
}

/**
 * The times of a store are those of its server's clock, which at the start differs from the test's by half of the time that
 * one reading of the database's clock takes. A node has its address some 4 ms after the commit. Milliseconds.
 */
const CLOCKS_DIFFER = 500;

/**
 * Checks what must hold in a store after any crash; resolves to the violations. Each node held each home address when it was
 * granted (by clocks that may differ; then the lease explains no other grant), no address has had two holders at once, no subscriber has two leases, and home agents count their leases correctly.
 */
export async function leaseViolations(lab: Lab, server: string, granted: readonly GrantedAddress[]): Promise<string[]> {
  const broken: string[] = [];
  const history = ((await lab.administer(server, 'leaseHistory', { limit: 1_000_000 })) as Page<HeldLease>).items;
  const byAddress = groupBy(history);
  const covers = (lease: HeldLease, at: number, apart = 0) =>
    lease.acquiredAt - apart <= at && (lease.endedAt ?? Number.POSITIVE_INFINITY) + apart >= at;
  const used = new Set<HeldLease>();
  const unheld: GrantedAddress[] = [];
  for (const grant of granted) {
    const row = byAddress.get(grant.homeAddress)?.find((lease) => lease.nai === grant.nai && covers(lease, grant.at));
    if (row) used.add(row);
    else unheld.push(grant);
  }
  for (const { nai, homeAddress, at } of unheld) {
    const row = byAddress
      .get(homeAddress)
      ?.find((lease) => lease.nai === nai && !used.has(lease) && covers(lease, at, CLOCKS_DIFFER));
    if (row) used.add(row);
    else broken.push(`${nai} was granted ${homeAddress} at ${new Date(at).toISOString()} without a lease`);
  }
  for (const [homeAddress, rows] of byAddress) {
    const inOrder = [...rows].sort((a, b) => a.acquiredAt - b.acquiredAt);
    for (const [i, row] of inOrder.entries()) {
      const end = row.endedAt ?? Number.POSITIVE_INFINITY;
      const next = inOrder[i + 1];
      if (next && next.acquiredAt < end) broken.push(`${homeAddress} was given to ${next.nai} while ${row.nai} had it`);
    }
  }
  const { leases, agents } = await atRest(lab, server);
  if (new Set(leases.map(({ nai }) => nai)).size !== leases.length) broken.push('a subscriber has two leases');
  for (const { name, leases: counted, capacity } of agents) {
    const real = leases.filter(({ homeAgent }) => homeAgent.name === name).length;
    if (real !== counted) broken.push(`${name} counts ${counted} leases, and has ${real}`);
    if (real > capacity) broken.push(`${name} has ${real} leases, and room for ${capacity}`);
  }
  return broken;
}

/** Leases and home agents, read without a release in between. */
async function atRest(lab: Lab, server: string) {
  const counted = async () => (await lab.administer(server, 'listHomeAgents', {})) as HomeAgent[];
  for (;;) {
    const before = await counted();
    const leases = await lab.leases();
    const agents = await counted();
    if (agents.every((agent, i) => agent.leases === before[i]?.leases)) return { leases, agents };
  }
}

/** Resolves when all leases are released or expired. Rejects if one remains. */
export async function untilFreed(lab: Lab, servers: readonly DaemonProcess[]): Promise<void> {
  for (let [lease] = await lab.leases(); lease; [lease] = await lab.leases()) {
    const { homeAddress } = lease;
    const freed = servers.flatMap((server) => {
      const since = server.lines.length;
      return (['lease expired', 'lease released'] as const).map((message) =>
        server.line(
          message,
          (line) => line['homeAddress'] === homeAddress && server.lines.indexOf(line) >= since,
          60_000,
        ),
      );
    });
    // If it was released between the list and this call, no further line is logged.
    const asked = lab.leases().then((leases) => {
      if (leases.some((other) => other.homeAddress === homeAddress)) throw new Error('still held');
    });
    await Promise.any([...freed, asked]);
  }
}

function groupBy(history: readonly HeldLease[]): Map<string, HeldLease[]> {
  const groups = new Map<string, HeldLease[]>();
  for (const row of history) {
    const group = groups.get(row.homeAddress);
    if (group) group.push(row);
    else groups.set(row.homeAddress, [row]);
  }
  return groups;
}
