import { afterEach, describe, expect, it } from 'vitest';
import type { Lab, Place } from '../../src/tool/lab.js';
import { AccessNetwork, announce, missing, NODE, ROUTER } from './access-network.js';

const OTHER = '2001:db8:a::22';
const possible = announce('movement in network namespaces', missing());
let network: AccessNetwork | undefined;
let lab: Lab | undefined;

afterEach(async () => {
  await lab?.close();
  await network?.remove();
  lab = undefined;
  network = undefined;
});

describe.runIf(possible)('a mobile node whose care-of address changes', () => {
  it('notices it, and keeps session, home address and key', async () => {
    const net = await AccessNetwork.make();
    network = net;
    const made = await net.lab();
    lab = made;
    const { daemon: aaa, place } = await made.startAaa();
    const { daemon: paa } = await made.startPaa(place);
    await made.addSubscriber('mn1@home.example', 'mn1');
    const pac = await made.startPac('mn1', { pana: { interface: 'mn0' } });
    const bound = await pac.line('bootstrapped');
    await pac.line('hook done');
    expect(await paa.line('authorized')).toMatchObject({ client: NODE });

    await net.ip(net.node, 'address', 'add', `${OTHER}/64`, 'dev', 'mn0', 'nodad');
    await net.ip(net.node, 'address', 'delete', `${NODE}/64`, 'dev', 'mn0');
    expect(await pac.line('moved')).toMatchObject({ careOfAddress: OTHER });
    expect(await paa.line('client moved')).toMatchObject({ from: NODE, client: OTHER });
    await pac.line('hook done', ({ event }) => event === 'move');
    await paa.line('hook done', ({ event }) => event === 'move');
    expect(pac.lines.some(({ msg }) => msg === 'session ended')).toBe(false);
    expect(await made.administer('aaa', 'listLeases', {})).toMatchObject([{ homeAddress: bound['homeAddress'] }]);
    expect(aaa.lines.some(({ msg }) => msg === 'lease released')).toBe(false);
    expect(await pac.stop()).toBe(0);
    await aaa.line('lease released');
  });

  it('goes on when its link was away for a while', async () => {
    const net = await AccessNetwork.make();
    network = net;
    const made = await net.lab({ hooks: false });
    lab = made;
    const { place } = await made.startAaa();
    const { daemon: paa } = await made.startPaa(place);
    await made.addSubscriber('mn1@home.example', 'mn1');
    const pac = await made.startPac('mn1', { pana: { 'ping-interval': '1s' } });
    await pac.line('bootstrapped');
    await net.ip(net.node, 'link', 'set', 'mn0', 'down');
    await net.ip(net.node, 'link', 'set', 'mn0', 'up');
    await net.ip(net.node, 'address', 'add', `${OTHER}/64`, 'dev', 'mn0', 'nodad');
    expect(await pac.line('moved')).toMatchObject({ careOfAddress: OTHER });
    expect(await paa.line('client moved')).toMatchObject({ client: OTHER });
  });
});

it.runIf(possible)('a node on another host than the router reaches it by a scoped address, too', async () => {
  const net = await AccessNetwork.make();
  network = net;
  const text = await net.exec(net.router, 'ip', '-6', '-o', 'address', 'show', 'dev', 'ar0', 'scope', 'link');
  const linkLocal = /inet6 (fe80:[^/]+)\//.exec(text)?.[1] ?? '';
  const made = await net.lab({ hooks: false, paa: { pana: { listen: [ROUTER, `${linkLocal}%ar0`] } } });
  lab = made;
  const { place } = await made.startAaa();
  const { daemon: paa } = await made.startPaa(place);
  await made.addSubscriber('mn1@home.example', 'mn1');
  // Each address has a free port of its own here.
  const places = (await paa.line('ready'))['listening'] as readonly Place[];
  const port = places.find(({ address }) => address.startsWith('fe80:'))?.port;
  const pac = await made.startPac('mn1', { pana: { paa: [`${linkLocal}%mn0`], port, interface: 'mn0' } });
  await pac.line('bootstrapped');
  expect(String((await paa.line('authorized'))['client'])).toMatch(/^fe80:.*%ar0$/);
});
