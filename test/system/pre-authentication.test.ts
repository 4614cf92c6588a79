// Long, because it follows a node from one network to the next and judges both PAAs, the AAA server and the node.

import { describe, expect, it } from 'vitest';
import { callDaemon } from '../../dist/runtime/service/control.js';
import { AccessNetwork, announce, missing, NODE, ROUTER } from './access-network.js';

const OTHER_ROUTER = '2001:db8:b::1';
const ELSEWHERE = '2001:db8:b::11';
const possible = announce('pre-authentication in network namespaces', missing());

/** Two access routers, each with a PAA, and a node at the first one. */
async function scene(allow: boolean, candidates: readonly string[]) {
  const net = await AccessNetwork.make();
  const made = await net.lab();
  await net.ip(net.router, 'address', 'add', `${OTHER_ROUTER}/64`, 'dev', 'ar0', 'nodad');
  const { daemon: aaa, place } = await made.startAaa();
  const { daemon: first, place: at } = await made.startPaa(place);
  const { daemon: second } = await made.startPaa(place, 'paa2', {
    pana: { listen: [OTHER_ROUTER], port: at.port, 'pre-authentication': { allow } },
    diameter: { host: 'paa2.access.example' },
  });
  await made.addSubscriber('mn1@home.example', 'mn1');
  await net.ip(net.node, 'route', 'add', 'default', 'via', ROUTER);
  const pac = await made.startPac('mn1', {
    pana: { paa: [], candidates, port: at.port, interface: 'mn0', 'pci-limit': '1s' },
  });
  const bound = await pac.line('bootstrap completed');
  await pac.line('hook done', ({ event }) => event === 'up');
  const go = async () => {
    await net.ip(net.node, 'address', 'add', `${ELSEWHERE}/64`, 'dev', 'mn0', 'nodad');
    await net.ip(net.node, 'route', 'replace', 'default', 'via', OTHER_ROUTER);
    await net.ip(net.node, 'address', 'delete', `${NODE}/64`, 'dev', 'mn0');
  };
  return { net, made, aaa, first, second, pac, bound, go };
}

describe.runIf(possible)('A node that knows the PAA to which it moves', () => {
  it('is authenticated there before, let in by two round trips, and keeps its home address', async () => {
    const { made, aaa, first, second, pac, bound, go } = await scene(true, [OTHER_ROUTER]);
    const { homeAgent, homeAddress } = bound;
    expect(await pac.line('session pre-authenticated')).toMatchObject({ address: OTHER_ROUTER, lifetime: 600 });
    expect(await second.line('session pre-authenticated')).toMatchObject({ address: NODE, nai: 'mn1@home.example' });
    // Nothing changes where the node is: no permit, no lease, no hook of the home agent.
    expect(second.lines.some(({ event }) => event === 'permit')).toBe(false);
    expect(await callDaemon(made.socket('paa2'), 'GET', '/sessions')).toMatchObject([
      { state: 'PRE_AUTHENTICATED', address: NODE },
    ]);
    expect(await callDaemon(made.socket('mn1'), 'GET', '/status')).toMatchObject({
      paa: expect.stringContaining(ROUTER),
      candidates: [{ paa: OTHER_ROUTER, state: 'PRE_AUTHENTICATED' }],
    });
    expect(await made.leases()).toHaveLength(1);
    expect(aaa.lines.some(({ msg, event }) => msg === 'hook done' && event === 'refresh')).toBe(false);

    await go();
    expect(await second.line('session authorized')).toMatchObject({ address: ELSEWHERE, preAuthenticated: true });
    await second.line('hook done', ({ event }) => event === 'permit');
    expect(await pac.line('session authorized', ({ preAuthenticated }) => preAuthenticated === true)).toMatchObject({
      address: OTHER_ROUTER,
    });
    await pac.line('hook done', ({ event }) => event === 'move');
    // The authentication that follows brings the same home agent, and only then the former session ends.
    expect(await second.line('session reauthenticated')).toMatchObject({ homeAgent, homeAddress });
    expect(await pac.line('session replaced')).toMatchObject({ fromAddress: ROUTER, address: OTHER_ROUTER });
    expect(await pac.line('bootstrap refreshed')).toMatchObject({ homeAgent, homeAddress });
    await aaa.line('hook done', ({ event }) => event === 'refresh');
    await first.line('session ended');
    expect(await made.leases()).toMatchObject([{ homeAddress }]);
    expect(aaa.lines.some(({ msg }) => msg === 'lease released')).toBe(false);
    expect(pac.lines.some(({ msg }) => msg === 'bootstrap withdrawn')).toBe(false);
    expect(await pac.stop()).toBe(0);
    await aaa.line('lease released');
  });

  it('stays where it is if the PAA ends, and keeps the lease', async () => {
    const { made, aaa, second, pac, bound } = await scene(true, []);
    await callDaemon(made.socket('mn1'), 'POST', '/preauth', { paa: OTHER_ROUTER });
    await second.line('session pre-authenticated');
    expect(await second.stop()).toBe(0);
    await pac.line('session ended', ({ preAuthenticated }) => preAuthenticated === true);
    expect(await made.leases()).toMatchObject([{ homeAddress: bound['homeAddress'] }]);
    expect(aaa.lines.some(({ msg }) => msg === 'lease released')).toBe(false);
    expect(await pac.stop()).toBe(0);
  });

  it('is told if the PAA allows none, and then moves as always', async () => {
    const { second, pac, go } = await scene(false, [OTHER_ROUTER]);
    expect(await pac.line('session refused')).toMatchObject({
      address: OTHER_ROUTER,
      reason: 'pre-authentication-refused',
    });
    await go();
    expect(await second.line('session authorized')).toMatchObject({ address: ELSEWHERE });
    await pac.line('bootstrap refreshed');
    expect(await pac.stop()).toBe(0);
  });
});
