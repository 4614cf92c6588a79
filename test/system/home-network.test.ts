import { describe, expect, it } from 'vitest';
import { announce } from './access-network.js';
import { userSpaceEspMissing } from './charon.js';
import { HomeNetwork, KEYS, type Pings } from './home-network.js';

const possible = announce('traffic of home addresses under ESP in user space', userSpaceEspMissing());

/** Milliseconds until traffic must be back after a program was killed: dead peer detection takes up to 8 s on an idle host. */
const RECOVERY = 40_000;

const show = (what: string, { transmitted, received }: Pings, interval = 0.1) =>
  process.stderr.write(
    `*** ${what}: ${transmitted - received} of ${transmitted} pings lost (one every ${interval} s) ***\n`,
  );

describe.runIf(possible)('With strongSwan alone', () => {
  it('a node attaches, gets a new key, moves, and leaves no trace', async () => {
    const network = await HomeNetwork.make(1);
    await network.join(1);
    await network.reach(1);

    // Every 2 ms, so that a break between the old SA and the new one shows. Only early ESP packets may be lost.
    const renewed = await network.pingsDuring(1, () => network.refresh(1, KEYS[1]), 0.002);
    const early = await network.early(1);
    show(`new key, ${early} early ESP packets`, renewed, 0.002);
    expect(renewed.transmitted - renewed.received).toBe(early);

    for (const link of ['d', 'a'] as const) {
      let said = '';
      const moved = await network.pingsDuring(1, async () => {
        said = await network.move(1, link);
      });
      show(`move to link ${link}`, moved);
      expect(said).toContain(`move: no router fe80::${link === 'd' ? 'a' : 'd'} on eth0 any more`);
      await network.reach(1);
    }
    await network.leave(1);
    expect(await network.traces('mn1')).toEqual([]);
    expect(await network.traces('ha')).toEqual([]);
  });

  it('three nodes share a home agent, and one that joins or leaves costs the others no packet', async () => {
    const network = await HomeNetwork.make(3);
    await network.join(1);
    await network.join(2);
    const pings = await network.pingsDuring(1, async () => {
      await network.join(3);
      for (const n of [2, 3]) await network.reach(n);
      await network.leave(2);
    });
    show('another joins and leaves', pings);
    expect(pings.received).toBe(pings.transmitted);
    await network.reach(3);
  });

  it('a home agent deletes an IKE_SA that the node has given up without a message', async () => {
    const network = await HomeNetwork.make(1, 'DPD_SECONDS=1\n');
    await network.join(1);
    await network.reach(1);
    await network.loseNewSa(1);
    expect(await network.traces('ha')).toHaveLength(4);
    // The home agent sends on the newer SA, which the node does not have.
    await network.reach(1, RECOVERY);
    expect(await network.traces('ha')).toHaveLength(3);
  });

  it.each(['ha', 'mn1'])('traffic comes back after charon on %s was killed', async (host) => {
    const network = await HomeNetwork.make(1);
    await network.join(1);
    await network.reach(1);
    const began = performance.now();
    await network.killCharon(host);
    await network.reach(1, RECOVERY);
    process.stderr.write(
      `*** charon on ${host} killed: traffic after ${Math.round(performance.now() - began)} ms ***\n`,
    );
    expect(await network.hook('ha', 'probe', 1)).toContain('nodes: 1');
  });
});
