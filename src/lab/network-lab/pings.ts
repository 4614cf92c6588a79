import { setTimeout as sleep } from 'node:timers/promises';
import { Patience } from '../patience.js';
import type { CleanUp } from './clean-up.js';
import type { NetworkHost } from './hosts.js';
import { CORRESPONDENT, type Network } from './network.js';
import { PACE } from './pace.js';
import { ECHO_PORT, Echo, LabProgram } from './traffic.js';

/** Milliseconds between two pings. */
export const PING_INTERVAL = 20 * PACE;

/** Replies are looked for this long after a ping was sent, in milliseconds: the programs report every 100 ms. */
const GRACE = 200 * PACE;

/** A ping counts as lost if it has not come back after this time, in milliseconds. */
const LATE = 1_000 * PACE;

/** Traffic flows if all pings of this time came back, in milliseconds. */
const STEADY = 300 * PACE;

/** How few pings of that time prove it: on a busy computer there are fewer than usual. */
const FEWEST = 5;

/** Pings in one direction during a step of the lab. */
export interface Count {
  readonly sent: number;
  readonly lost: number;
  /** The longest time between two pings that came back, in milliseconds; 0 if none was lost. */
  readonly pause: number;
}

/** The pings between the home address of a node and the correspondent during a step. */
export interface Traffic {
  readonly node: number;
  /** Requests from the home address; requests to it. */
  readonly fromNode: Count;
  readonly toNode: Count;
}

/** Pings from one host, as long as the lab runs. */
export class Pings {
  readonly #sent: number[] = [];
  readonly #back = new Set<number>();

  /** `from`: the source address. Undefined: any. */
  static async start(cleanUp: CleanUp, host: NetworkHost, to: string, from?: string): Promise<Pings> {
    const pings = new Pings();
    const parameters = [to, `${ECHO_PORT}`, `${PING_INTERVAL}`, ...(from === undefined ? [] : [from])];
    await cleanUp.add(new LabProgram(host, 'pinger', parameters, (line) => pings.#read(line)));
    return pings;
  }

  #read(line: string): void {
    const { sent, back } = JSON.parse(line) as { readonly sent: number[]; readonly back: number[] };
    this.#sent.push(...sent);
    for (const number of back) this.#back.add(number);
  }

  /** Counts the pings that were sent between two times, in milliseconds since 1970. */
  count(begin: number, end: number): Count {
    let [sent, lost, pause, lostSince] = [0, 0, 0, 0];
    let last = begin;
    for (const [number, at] of this.#sent.entries()) {
      if (at < begin || at >= end) continue;
      sent += 1;
      if (!this.#back.has(number)) {
        lost += 1;
        lostSince += 1;
        continue;
      }
      if (lostSince > 0) pause = Math.max(pause, at - last);
      lostSince = 0;
      last = at;
    }
    if (lostSince > 0) pause = Math.max(pause, end - last);
    return { sent, lost, pause };
  }

  /** Whether pings sent after a time come back without a loss for STEADY ms. */
  flows(after: number): boolean {
    const end = Date.now() - GRACE;
    const begin = Math.max(after, end - STEADY);
    const { sent, lost } = this.count(begin, end);
    return end - after >= STEADY && sent >= FEWEST && lost === 0;
  }

  /** When the first ping after a time was sent that did not come back; undefined if there was none. */
  firstLost(after: number): number | undefined {
    const end = Date.now() - GRACE;
    return this.#sent.find((at, number) => at >= after && at < end && !this.#back.has(number));
  }
}

/** Pings between the home address of a node and the correspondent, in both directions. */
export class NodeTraffic {
  readonly node: number;
  readonly #fromNode: Pings;
  readonly #toNode: Pings;

  private constructor(node: number, fromNode: Pings, toNode: Pings) {
    this.node = node;
    this.#fromNode = fromNode;
    this.#toNode = toNode;
  }

  /** Needs a home address that the node has, and an echo on the correspondent. */
  static async start(cleanUp: CleanUp, network: Network, node: number, home: string): Promise<NodeTraffic> {
    await cleanUp.add(await Echo.start(network.node(node), home));
    const fromNode = await Pings.start(cleanUp, network.node(node), CORRESPONDENT, home);
    return new NodeTraffic(node, fromNode, await Pings.start(cleanUp, network.CN, home));
  }

  /** Waits until pings sent after a time flow in both directions. Resolves with false after `limit` ms (see Patience). */
  async flows(after: number, limit?: number): Promise<boolean> {
    const patience = new Patience(limit);
    while (!(this.#fromNode.flows(after) && this.#toNode.flows(after))) {
      if (patience.over) return false;
      await sleep(20);
    }
    return true;
  }

  /** Waits until a ping sent after a time is lost. Resolves with false after `limit` ms. */
  async breaks(after: number, limit: number): Promise<boolean> {
    const patience = new Patience(limit);
    while ([this.#fromNode, this.#toNode].every((pings) => pings.firstLost(after) === undefined)) {
      if (patience.over) return false;
      await sleep(20);
    }
    return true;
  }

  /**
   * The pings since a time, in milliseconds since 1970. Call it when traffic flows. Waits up to LATE ms for those that a busy
   * computer delays, unless some were lost anyway (`broke`).
   */
  async since(begin: number, broke = false): Promise<Traffic> {
    const end = Date.now() - GRACE;
    const count = () => ({
      node: this.node,
      fromNode: this.#fromNode.count(begin, end),
      toNode: this.#toNode.count(begin, end),
    });
    const patience = new Patience(LATE);
    let counted = count();
    while (!broke && counted.fromNode.lost + counted.toNode.lost > 0 && !patience.over) {
      await sleep(50);
      counted = count();
    }
    return counted;
  }
}
