import { describe, expect, it } from 'vitest';
import { callDaemon } from '../../src/runtime/service/control.js';
import { eventually } from '../eventually.js';
import { announce, missing, NODE, ROUTER } from './access-network.js';
import { expectForwardsAll, Scene } from './enforcement-scene.js';
import {
  CORRESPONDENT4,
  NEIGHBOUR,
  NEIGHBOUR4,
  NODE_MAC,
  NODE4,
  ROUTER_LINK_LOCAL,
  ROUTER4,
} from './forwarding-network.js';

const OTHER = '2001:db8:a::33';
const possible = announce('the enforcement point in network namespaces', missing('nft'));

describe.runIf(possible)('ep-nft.sh at an access router', () => {
  it.each([true, false])(
    "forwards a client's packets from its authentication to its termination (batches: %s)",
    async (batch) => {
      const scene = await Scene.make({ batch });
      expect(await scene.fate()).toBe('dropped');
      expect(await scene.toClient(NODE)).toBe('dropped');
      // Packets to the router itself and neighbour discovery are not filtered.
      expect(await scene.fate(NODE, ROUTER)).toBe('answered');
      const pac = await scene.enter();
      expect(await scene.fate()).toBe('answered');
      expect(await scene.toClient(NODE)).toBe('answered');
      // The other address family and the neighbour are still blocked.
      expect(await scene.fate(NODE4, CORRESPONDENT4)).toBe('dropped');
      expect(await scene.neighbourFate(NEIGHBOUR)).toBe('dropped');
      expect(await scene.toClient(NEIGHBOUR)).toBe('dropped');
      expect(await pac.stop()).toBe(0);
      await scene.paa.line('hook done', ({ event }) => event === 'revoke');
      expect(await scene.fate()).toBe('dropped');
      expect(await scene.toClient(NODE)).toBe('dropped');
      expect(await scene.net.elements()).toEqual({});
    },
  );

  it('forwards IPv4 packets of a client authenticated over IPv4', async () => {
    const scene = await Scene.make();
    expect(await scene.fate(NODE4, CORRESPONDENT4)).toBe('dropped');
    const pac = await scene.enter({ paa: [ROUTER4] });
    expect(await scene.fate(NODE4, CORRESPONDENT4)).toBe('answered');
    expect(await scene.toClient(NODE4, CORRESPONDENT4)).toBe('answered');
    expect(await scene.fate()).toBe('dropped');
    await scene.net.takeAddress(NODE4);
    expect(await scene.neighbourFate(NODE4, CORRESPONDENT4)).toBe('dropped');
    await scene.net.setNeighbour(NODE_MAC);
    expect(await scene.neighbourFate(NEIGHBOUR4, CORRESPONDENT4)).toBe('dropped');
    await scene.net.restoreNeighbour();
    expect(await scene.fate(NODE4, CORRESPONDENT4)).toBe('answered');
    expect(await pac.stop()).toBe(0);
    await scene.paa.line('hook done', ({ event }) => event === 'revoke');
    expect(await scene.fate(NODE4, CORRESPONDENT4)).toBe('dropped');
  });

  it('forwards no packet to link-local IPv4 addresses before authentication', async () => {
    const scene = await Scene.make();
    const { access } = scene.net;
    await access.ip(access.router, 'route', 'add', '169.254.0.0/16', 'via', CORRESPONDENT4);
    expect(await scene.fate(NODE4, '169.254.169.254')).toBe('dropped');
    expect(await scene.net.passed()).toEqual([]);
  });

  it("blocks a neighbour that uses the client's address or MAC address", async () => {
    const scene = await Scene.make();
    await scene.enter();
    expect(await scene.fate()).toBe('answered');
    await scene.net.takeAddress(NODE);
    expect(await scene.neighbourFate(NODE)).toBe('dropped');
    await scene.net.setNeighbour(NODE_MAC);
    expect(await scene.neighbourFate(NEIGHBOUR)).toBe('dropped');
    await scene.net.restoreNeighbour();
    expect(await scene.fate()).toBe('answered');
  });

  it('blocks a client when the operator ends its session', async () => {
    const scene = await Scene.make();
    const pac = await scene.enter();
    expect(await scene.fate()).toBe('answered');
    const { session } = await scene.paa.line('session authorized');
    await callDaemon(scene.made.socket('paa'), 'POST', '/session/end', { session });
    await pac.line('session ended');
    await scene.paa.line('hook done', ({ event }) => event === 'revoke');
    expect(await scene.fate()).toBe('dropped');
  });

  it('blocks a client when its lifetime is over, even if the PAA is gone', async () => {
    const scene = await Scene.make({ lifetime: '8s' });
    await scene.enter();
    scene.paa.signal('SIGKILL');
    await scene.paa.exited;
    expect(await scene.fate()).toBe('answered');
    // The entry stays for the lifetime of 8 s and the grace period of the PAA.
    await eventually(async () => expect(await scene.net.elements()).toEqual({}), { limit: 30_000 });
    expect(await scene.fate()).toBe('dropped');
  });

  it('blocks a client after a restart of the PAA, and forwards again after its authentication', async () => {
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
    // The client came back from another port. The end of the forgotten session must not block it.
    again.signal('SIGHUP');
    await again.line('configuration reloaded');
    await eventually(async () =>
      expect(await again.lines.filter(({ msg, event }) => msg === 'hook done' && event === 'start').length).toBe(2),
    );
    expect(await scene.fate()).toBe('answered');
    expect(await again.stop()).toBe(0);
    expect(await scene.fate()).toBe('dropped');
  });

  it('forwards packets of a client that moves to another address, and blocks the old one', async () => {
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
    expect(await scene.neighbourFate(NODE)).toBe('dropped');
  });

  it('forwards packets before the client learns of its success if the PAA waits for hooks', async () => {
    const scene = await Scene.make({ wait: '20s' });
    const pac = await scene.made.startPac('mn1', { pana: { interface: 'mn0' } });
    await pac.line('session authorized');
    const hooks = scene.paa.lines.filter(({ msg, event }) => msg === 'hook done' && event === 'permit');
    expect(hooks.length).toBeGreaterThan(0);
    expect(await scene.fate()).toBe('answered');
  });
});

describe.runIf(possible)('ep-nft.sh and a client with several addresses', () => {
  it('forwards packets of the authenticated address only', async () => {
    const scene = await Scene.make();
    const { access } = scene.net;
    await scene.enter({ 'local-address': NODE });
    await access.ip(access.node, 'address', 'add', `${OTHER}/64`, 'dev', 'mn0', 'nodad');
    expect(await scene.fate(OTHER)).toBe('dropped');
    expect(await scene.fate()).toBe('answered');
  });

  it('forwards packets of all addresses with ADDRESSES=mac, and of none after the session', async () => {
    const scene = await Scene.make({ settings: 'ADDRESSES=mac\n' });
    const { access } = scene.net;
    const pac = await scene.enter({ 'local-address': NODE });
    await access.ip(access.node, 'address', 'add', `${OTHER}/64`, 'dev', 'mn0', 'nodad');
    await expectForwardsAll(scene, pac, OTHER);
  });

  it('forwards packets of all addresses after authentication from a link-local address', async () => {
    const scene = await Scene.make();
    const pac = await scene.enter({ paa: [`${ROUTER_LINK_LOCAL}%mn0`] });
    await expectForwardsAll(scene, pac, NODE);
  });
});

it.runIf(possible)('ep-nft.sh lets an unauthenticated client detect duplicate addresses', async () => {
  const scene = await Scene.make();
  const { access } = scene.net;
  await access.exec(access.node, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/mn0/accept_dad');
  const shown = (address: string) =>
    access.exec(access.node, 'ip', '-6', 'address', 'show', 'dev', 'mn0', 'to', address);
  for (const address of [OTHER, NEIGHBOUR]) {
    await access.ip(access.node, 'address', 'add', `${address}/64`, 'dev', 'mn0');
  }
  await eventually(async () => expect(await shown(NEIGHBOUR)).toContain('dadfailed'));
  await eventually(async () => expect(await shown(OTHER)).not.toContain('tentative'));
});
