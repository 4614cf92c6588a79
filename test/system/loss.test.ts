import { describe, expect, it } from 'vitest';
import { AccessNetwork, announce, missing, ROUTER } from './access-network.js';

const possible = announce('loss in network namespaces', missing('nft'));

/** Drops ten percent of the incoming packets. */
const RULES = `
table inet loss {
  chain input {
    type filter hook input priority filter; policy accept;
    iifname { "mn0", "ar0" } meta l4proto udp numgen random mod 10 == 0 drop
  }
}
`;

describe.runIf(possible)('Ten nodes behind a link that loses 10 % of packets each way', () => {
  it('all complete their bootstrap', { timeout: 240_000 }, async () => {
    const net = await AccessNetwork.make();
    for (const namespace of [net.node, net.router]) await net.exec(namespace, 'nft', RULES);
    // Six losses in a row (one in 20,000) take a minute, so no phase may have a shorter time limit.
    const patience = { 'progress-timeout': '200s' };
    const made = await net.lab({
      hooks: false,
      aaa: { diameter: { 'round-timeout': '200s' } },
      paa: { pana: { listen: [ROUTER], ...patience } },
    });
    const { place } = await made.startAaa();
    await made.startPaa(place);
    const names = Array.from({ length: 10 }, (_, i) => `mn${i}`);
    for (const name of names) await made.addSubscriber(`${name}@home.example`, name);
    const nodes = await Promise.all(names.map((name) => made.startPac(name, { pana: patience })));
    const bound = await Promise.all(nodes.map((node) => node.line('bootstrap completed', undefined, 200_000)));
    expect(new Set(bound.map(({ homeAddress }) => homeAddress)).size).toBe(10);
    expect(nodes.flatMap(({ lines }) => lines.filter(({ msg }) => msg === 'session refused'))).toEqual([]);
  });
});
