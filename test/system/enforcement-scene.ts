import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { DaemonProcess } from '../../dist/lab/daemon-process.js';
import { hookPath, type Lab } from '../../dist/lab/lab.js';
import { AccessNetwork, NODE, ROUTER } from './access-network.js';
import {
  CORRESPONDENT,
  CORRESPONDENT4,
  ForwardingNetwork,
  NEIGHBOUR,
  NODE4,
  ROUTER_LINK_LOCAL,
  ROUTER4,
} from './forwarding-network.js';

interface SceneOptions {
  /** The hook of the enforcement point; default: ep-nft.sh. */
  readonly ep?: string;
  readonly batch?: boolean;
  readonly settings?: string;
  readonly lifetime?: string;
  readonly wait?: string;
}

/** A PAA with an enforcement point on the router of a forwarding network. */
export class Scene {
  readonly net: ForwardingNetwork;
  readonly made: Lab;
  readonly paa: DaemonProcess;

  private constructor(net: ForwardingNetwork, made: Lab, paa: DaemonProcess) {
    this.net = net;
    this.made = made;
    this.paa = paa;
  }

  static async make(given: SceneOptions = {}): Promise<Scene> {
    const { ep = 'ep-nft.sh', batch = true, settings = '', lifetime = '1h', wait = '0s' } = given;
    const net = new ForwardingNetwork(await AccessNetwork.make());
    await net.build();
    const made = await net.access.lab({ aaa: { session: { lifetime } } });
    const state = made.path('ep');
    await mkdir(state);
    await writeFile(join(state, 'hooks.conf'), settings);
    const { place } = await made.startAaa();
    const { daemon: paa } = await made.startPaa(place, 'paa', {
      pana: { listen: [ROUTER, ROUTER4, `${ROUTER_LINK_LOCAL}%br0`], port: 716, interface: 'br0' },
      hooks: { ep: hookPath(ep), 'ep-batch': batch, 'state-dir': state, wait },
    });
    await made.addSubscriber('mn1@home.example', 'mn1');
    return new Scene(net, made, paa);
  }

  /** Authenticates the node, which does not retry after the end of its session. */
  async enter(pana: object = {}): Promise<DaemonProcess> {
    const retry = { first: '1h', longest: '1h' };
    const pac = await this.made.startPac('mn1', { pana: { interface: 'mn0', ...pana }, retry });
    await pac.line('bootstrap completed');
    await this.paa.line('hook done', ({ event }) => event === 'permit');
    return pac;
  }

  fate(from = NODE, to = CORRESPONDENT): Promise<string> {
    return this.net.fate(this.net.access.node, from, to);
  }

  neighbourFate(from: string, to = CORRESPONDENT): Promise<string> {
    return this.net.fate(this.net.neighbour, from, to);
  }

  toClient(to: string, from = CORRESPONDENT): Promise<string> {
    return this.net.fate(this.net.correspondent, from, to);
  }
}

/** Asserts that the client passes with all its addresses, and with none after its session. */
export async function expectForwardsAll(scene: Scene, pac: DaemonProcess, address: string): Promise<void> {
  expect(await scene.fate(address)).toBe('answered');
  expect(await scene.toClient(address)).toBe('answered');
  expect(await scene.fate(NODE4, CORRESPONDENT4)).toBe('answered');
  expect(await scene.neighbourFate(NEIGHBOUR)).toBe('dropped');
  expect(await scene.toClient(NEIGHBOUR)).toBe('dropped');
  expect(await pac.stop()).toBe(0);
  await scene.paa.line('hook done', ({ event }) => event === 'revoke');
  const passed = await scene.net.passed();
  expect(await scene.fate(address)).toBe('dropped');
  expect(await scene.toClient(address)).toBe('dropped');
  expect(await scene.fate(NODE4, CORRESPONDENT4)).toBe('dropped');
  // Packets pass in neither direction.
  expect(await scene.net.passed()).toEqual(passed);
}
