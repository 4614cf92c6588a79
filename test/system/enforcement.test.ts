import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DaemonProcess } from '../../dist/lab/daemon-process.js';
import { hookPath, type Lab } from '../../dist/lab/lab.js';
import { callDaemon } from '../../src/runtime/service/control.js';
import { AccessNetwork, announce, missing, NODE, ROUTER } from './access-network.js';
import {
  CORRESPONDENT,
  CORRESPONDENT4,
  ForwardingNetwork,
  NEIGHBOUR,
  NEIGHBOUR4,
  NODE_MAC,
  NODE4,
  ROUTER_LINK_LOCAL,
  ROUTER4,
} from './forwarding-network.js';

const OTHER = '2001:db8:a::33';
const possible = announce('the enforcement point in network namespaces', missing('nft'));

interface SceneOptions {
  readonly batch?: boolean;
  readonly settings?: string;
  readonly lifetime?: string;
  readonly wait?: string;
}

class Scene {
  readonly net: ForwardingNetwork;
  readonly made: Lab;
  readonly paa: DaemonProcess;

  private constructor(net: ForwardingNetwork, made: Lab, paa: DaemonProcess) {
    this.net = net;
    this.made = made;
    this.paa = paa;
  }

  static async make({ batch = true, settings = '', lifetime = '1h', wait = '0s' }: SceneOptions = {}): Promise<Scene> {
    const net = new ForwardingNetwork(await AccessNetwork.make());
    await net.build();
    const made = await net.access.lab({ aaa: { session: { lifetime } } });
    const state = made.path('ep');
    await mkdir(state);
    await writeFile(join(state, 'hooks.conf'), settings);
    const { place } = await made.startAaa();
    const { daemon: paa } = await made.startPaa(place, 'paa', {
      pana: { listen: [ROUTER, ROUTER4, `${ROUTER_LINK_LOCAL}%br0`], port: 716, interface: 'br0' },
      hooks: { ep: hookPath('ep-nft.sh'), 'ep-batch': batch, 'state-dir': state, wait },
    });
    await made.addSubscriber('mn1@home.example', 'mn1');
    return new Scene(net, made, paa);
  }

  /** The node, in, and not in again by itself once it is out. */
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

  ofNeighbour(from: string, to = CORRESPONDENT): Promise<string> {
    return this.net.fate(this.net.neighbour, from, to);
  }

  toClient(to: string, from = CORRESPONDENT): Promise<string> {
    return this.net.fate(this.net.correspondent, from, to);
  }
}

describe.runIf(possible)('a client at an access router with nftables', () => {
  it.each([true, false])(
    'passes from its authentication until it terminates (events in batches: %s)',
    async (batch) => {
      const scene = await Scene.make({ batch });
      expect(await scene.fate()).toBe('dropped');
      expect(await scene.toClient(NODE)).toBe('dropped');
      // What is for the router itself, and neighbour discovery before it, is not the enforcement point's.
      expect(await scene.fate(NODE, ROUTER)).toBe('answered');
      const pac = await scene.enter();
      expect(await scene.fate()).toBe('answered');
      expect(await scene.toClient(NODE)).toBe('answered');
      // The other family, and the neighbour.
      expect(await scene.fate(NODE4, CORRESPONDENT4)).toBe('dropped');
      expect(await scene.ofNeighbour(NEIGHBOUR)).toBe('dropped');
      expect(await scene.toClient(NEIGHBOUR)).toBe('dropped');
      expect(await pac.stop()).toBe(0);
      await scene.paa.line('hook done', ({ event }) => event === 'revoke');
      expect(await scene.fate()).toBe('dropped');
      expect(await scene.toClient(NODE)).toBe('dropped');
      expect(await scene.net.elements()).toEqual({});
    },
  );

  it('passes over IPv4, too', async () => {
    const scene = await Scene.make();
    expect(await scene.fate(NODE4, CORRESPONDENT4)).toBe('dropped');
    const pac = await scene.enter({ paa: [ROUTER4] });
    expect(await scene.fate(NODE4, CORRESPONDENT4)).toBe('answered');
    expect(await scene.toClient(NODE4, CORRESPONDENT4)).toBe('answered');
    expect(await scene.fate()).toBe('dropped');
    await scene.net.takeAddress(NODE4);
    expect(await scene.ofNeighbour(NODE4, CORRESPONDENT4)).toBe('dropped');
    await scene.net.beNeighbour(NODE_MAC);
    expect(await scene.ofNeighbour(NEIGHBOUR4, CORRESPONDENT4)).toBe('dropped');
    await scene.net.beItself();
    expect(await scene.fate(NODE4, CORRESPONDENT4)).toBe('answered');
    expect(await pac.stop()).toBe(0);
    await scene.paa.line('hook done', ({ event }) => event === 'revoke');
    expect(await scene.fate(NODE4, CORRESPONDENT4)).toBe('dropped');
  });

  it('sends nothing to link-local addresses of IPv4 past the router before', async () => {
    const scene = await Scene.make();
    const { access } = scene.net;
    await access.ip(access.router, 'route', 'add', '169.254.0.0/16', 'via', CORRESPONDENT4);
    expect(await scene.fate(NODE4, '169.254.169.254')).toBe('dropped');
    expect(await scene.net.passed()).toEqual([]);
  });

  it('is not imitated by a neighbour with its address, or with its MAC address', async () => {
    const scene = await Scene.make();
    await scene.enter();
    expect(await scene.fate()).toBe('answered');
    await scene.net.takeAddress(NODE);
    expect(await scene.ofNeighbour(NODE)).toBe('dropped');
    await scene.net.beNeighbour(NODE_MAC);
    expect(await scene.ofNeighbour(NEIGHBOUR)).toBe('dropped');
    await scene.net.beItself();
    expect(await scene.fate()).toBe('answered');
  });

  it('is out when the operator ends its session', async () => {
    const scene = await Scene.make();
    const pac = await scene.enter();
    expect(await scene.fate()).toBe('answered');
    const { session } = await scene.paa.line('session authorized');
    await callDaemon(scene.made.socket('paa'), 'POST', '/session/end', { session });
    await pac.line('session ended');
    await scene.paa.line('hook done', ({ event }) => event === 'revoke');
    expect(await scene.fate()).toBe('dropped');
  });

  it('is out when its session is over, even when there is no PAA to say so', async () => {
    const scene = await Scene.make({ lifetime: '8s' });
    await scene.enter();
    scene.paa.signal('SIGKILL');
    await scene.paa.exited;
    expect(await scene.fate()).toBe('answered');
    await expect.poll(() => scene.net.elements(), { timeout: 30_000 }).toEqual({});
    expect(await scene.fate()).toBe('dropped');
  });

  it('is out when the PAA has restarted and forgotten it, and in again when it authenticates', async () => {
    const scene = await Scene.make();
    const pac = await scene.enter();
    scene.paa.signal('SIGKILL');
    await scene.paa.exited;
    expect(await scene.fate()).toBe('answered');
    const again = scene.made.start('paa again', 'paa', scene.made.path('paa.yaml'));
    await again.line('ready');
    expect(await scene.net.elements()).toEqual({});
    expect(await scene.fate()).toBe('dropped');
    await again.line('peer connected');
    pac.signal('SIGKILL');
    await pac.exited;
    await scene.enter();
    await again.line('hook done', ({ event }) => event === 'permit');
    expect(await scene.fate()).toBe('answered');
    // It started anew from another port: the end of the forgotten session does not shut it out.
    again.signal('SIGHUP');
    await again.line('configuration reloaded');
    await expect
      .poll(() => again.lines.filter(({ msg, event }) => msg === 'hook done' && event === 'start').length)
      .toBe(2);
    expect(await scene.fate()).toBe('answered');
    expect(await again.stop()).toBe(0);
    expect(await scene.fate()).toBe('dropped');
  });

  it('takes its access along to another address', async () => {
    const scene = await Scene.make();
    const { access } = scene.net;
    const pac = await scene.enter();
    await access.ip(access.node, 'address', 'add', `${OTHER}/64`, 'dev', 'mn0', 'nodad');
    await access.ip(access.node, 'address', 'delete', `${NODE}/64`, 'dev', 'mn0');
    await pac.line('session moved');
    await scene.paa.line('hook done', ({ event }) => event === 'move');
    expect(await scene.fate(OTHER)).toBe('answered');
    expect(JSON.stringify(await scene.net.elements())).not.toContain(NODE);
    await scene.net.takeAddress(NODE);
    expect(await scene.ofNeighbour(NODE)).toBe('dropped');
  });

  it('passes before it hears of its success where the PAA waits for that', async () => {
    const scene = await Scene.make({ wait: '20s' });
    const pac = await scene.made.startPac('mn1', { pana: { interface: 'mn0' } });
    await pac.line('session authorized');
    const hooks = scene.paa.lines.filter(({ msg, event }) => msg === 'hook done' && event === 'permit');
    expect(hooks.length).toBeGreaterThan(0);
    expect(await scene.fate()).toBe('answered');
  });
});

async function passesWithAll(scene: Scene, pac: DaemonProcess, address: string): Promise<void> {
  expect(await scene.fate(address)).toBe('answered');
  expect(await scene.toClient(address)).toBe('answered');
  expect(await scene.fate(NODE4, CORRESPONDENT4)).toBe('answered');
  expect(await scene.ofNeighbour(NEIGHBOUR)).toBe('dropped');
  expect(await scene.toClient(NEIGHBOUR)).toBe('dropped');
  expect(await pac.stop()).toBe(0);
  await scene.paa.line('hook done', ({ event }) => event === 'revoke');
  const passed = await scene.net.passed();
  expect(await scene.fate(address)).toBe('dropped');
  expect(await scene.toClient(address)).toBe('dropped');
  expect(await scene.fate(NODE4, CORRESPONDENT4)).toBe('dropped');
  // Not even one way.
  expect(await scene.net.passed()).toEqual(passed);
}

describe.runIf(possible)('a client with several addresses', () => {
  it('passes with the one that it authenticated from', async () => {
    const scene = await Scene.make();
    const { access } = scene.net;
    await scene.enter({ 'local-address': NODE });
    await access.ip(access.node, 'address', 'add', `${OTHER}/64`, 'dev', 'mn0', 'nodad');
    expect(await scene.fate(OTHER)).toBe('dropped');
    expect(await scene.fate()).toBe('answered');
  });

  it('passes with all of them where the MAC address counts, and with none afterwards', async () => {
    const scene = await Scene.make({ settings: 'ADDRESSES=mac\n' });
    const { access } = scene.net;
    const pac = await scene.enter({ 'local-address': NODE });
    await access.ip(access.node, 'address', 'add', `${OTHER}/64`, 'dev', 'mn0', 'nodad');
    await passesWithAll(scene, pac, OTHER);
  });

  it('passes with all of them when it authenticated from a link-local one, which no router forwards', async () => {
    const scene = await Scene.make();
    const pac = await scene.enter({ paa: [`${ROUTER_LINK_LOCAL}%mn0`] });
    await passesWithAll(scene, pac, NODE);
  });
});

it.runIf(possible)('a client that is not in yet can tell that its address is taken', async () => {
  const scene = await Scene.make();
  const { access } = scene.net;
  await access.exec(access.node, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/mn0/accept_dad');
  const shown = (address: string) =>
    access.exec(access.node, 'ip', '-6', 'address', 'show', 'dev', 'mn0', 'to', address);
  for (const address of [OTHER, NEIGHBOUR]) {
    await access.ip(access.node, 'address', 'add', `${address}/64`, 'dev', 'mn0');
  }
  await expect.poll(() => shown(NEIGHBOUR), { timeout: 20_000 }).toContain('dadfailed');
  await expect.poll(() => shown(OTHER), { timeout: 20_000 }).not.toContain('tentative');
});
