import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
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

const EP = 'ep-ip6tables.sh';

/** Why a variant cannot be used here: its program is missing, or the kernel has no such table. */
function variantMissing(variant: string): string | undefined {
  const why = missing('nft', `ip6tables-${variant}`, `iptables-${variant}`);
  if (why !== undefined) return why;
  try {
    execFileSync('unshare', ['-n', `ip6tables-${variant}`, '-L', 'FORWARD'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return `the kernel has no tables for ip6tables-${variant}`;
  }
}

describe.each(['nft', 'legacy'])('ep-ip6tables.sh with ip6tables-%s', (variant) => {
  const possible = announce(`the enforcement point by ip6tables-${variant}`, variantMissing(variant));
  const settings = `IP6TABLES=ip6tables-${variant}\nIPTABLES=iptables-${variant}\n`;
  const given = { ep: EP, settings };

  const rules = async ({ net: { access } }: Scene) =>
    (await access.exec(access.router, `ip6tables-${variant}`, '-S')) +
    (await access.exec(access.router, `iptables-${variant}`, '-S'));

  it.runIf(possible).each([true, false])(
    "forwards a client's packets from its authentication to its termination (batches: %s)",
    async (batch) => {
      const scene = await Scene.make({ ...given, batch });
      expect(await scene.fate()).toBe('dropped');
      expect(await scene.toClient(NODE)).toBe('dropped');
      // Packets to the router itself are not filtered.
      expect(await scene.fate(NODE, ROUTER)).toBe('answered');
      const pac = await scene.enter();
      expect(await scene.fate()).toBe('answered');
      expect(await scene.toClient(NODE)).toBe('answered');
      expect(await scene.fate(NODE4, CORRESPONDENT4)).toBe('dropped');
      expect(await scene.neighbourFate(NEIGHBOUR)).toBe('dropped');
      expect(await scene.toClient(NEIGHBOUR)).toBe('dropped');
      // A neighbour with the client's address or MAC address.
      await scene.net.takeAddress(NODE);
      expect(await scene.neighbourFate(NODE)).toBe('dropped');
      await scene.net.setNeighbour(NODE_MAC);
      expect(await scene.neighbourFate(NEIGHBOUR)).toBe('dropped');
      await scene.net.restoreNeighbour();
      expect(await scene.fate()).toBe('answered');
      // The next event restores rules that somebody has removed.
      const { access } = scene.net;
      await access.exec(access.router, `ip6tables-${variant}`, '-F', 'FORWARD');
      expect(await scene.neighbourFate(NEIGHBOUR)).toBe('answered');
      expect(await pac.stop()).toBe(0);
      await scene.paa.line('hook done', ({ event }) => event === 'revoke');
      expect(await scene.fate()).toBe('dropped');
      expect(await scene.neighbourFate(NEIGHBOUR)).toBe('dropped');
      expect(await rules(scene)).not.toContain(NODE);
      expect(await scene.paa.stop()).toBe(0);
      expect(await scene.fate()).toBe('dropped');
    },
  );

  it.runIf(possible)('forwards IPv4 packets of a client authenticated over IPv4', async () => {
    const scene = await Scene.make(given);
    expect(await scene.fate(NODE4, CORRESPONDENT4)).toBe('dropped');
    await scene.enter({ paa: [ROUTER4] });
    expect(await scene.fate(NODE4, CORRESPONDENT4)).toBe('answered');
    expect(await scene.fate()).toBe('dropped');
    expect(await scene.neighbourFate(NEIGHBOUR4, CORRESPONDENT4)).toBe('dropped');
  });

  it.runIf(possible)('forwards packets of all addresses after authentication from a link-local address', async () => {
    const scene = await Scene.make(given);
    const pac = await scene.enter({ paa: [`${ROUTER_LINK_LOCAL}%mn0`] });
    await expectForwardsAll(scene, pac, NODE);
  });

  it.runIf(possible)('removes its rules at the end with AT_STOP=open', async () => {
    const scene = await Scene.make({ ...given, settings: `${settings}AT_STOP=open\n` });
    expect(await scene.fate()).toBe('dropped');
    expect(await scene.paa.stop()).toBe(0);
    expect(await scene.fate()).toBe('answered');
    expect(await rules(scene)).not.toContain('pana');
  });
});
