import { describe, expect, it } from 'vitest';
import type { Place } from '../../dist/lab/lab.js';
import { AccessNetwork, announce, missing, NODE, ROUTER } from './access-network.js';

const OTHER = '2001:db8:a::22';
const OTHER_ROUTER = '2001:db8:b::1';
const ELSEWHERE = '2001:db8:b::11';
const possible = announce('movement in network namespaces', missing());

describe.runIf(possible)('A mobile node whose care-of address changes', () => {
  it('updates its PAA and keeps session, home address and key', async () => {
    const net = await AccessNetwork.make();
    const made = await net.lab();
    const { daemon: aaa, place } = await made.startAaa();
    const { daemon: paa } = await made.startPaa(place);
    await made.addSubscriber('mn1@home.example', 'mn1');
    const pac = await made.startPac('mn1', { pana: { interface: 'mn0' } });
    const bound = await pac.line('bootstrap completed');
    await pac.line('hook done');
    expect(await paa.line('session authorized')).toMatchObject({ address: NODE });

    await net.ip(net.node, 'address', 'add', `${OTHER}/64`, 'dev', 'mn0', 'nodad');
    await net.ip(net.node, 'address', 'delete', `${NODE}/64`, 'dev', 'mn0');
    expect(await pac.line('session moved')).toMatchObject({ careOfAddress: OTHER });
    expect(await paa.line('session moved')).toMatchObject({ fromAddress: NODE, address: OTHER });
    await pac.line('hook done', ({ event }) => event === 'move');
    await paa.line('hook done', ({ event }) => event === 'move');
    expect(pac.lines.some(({ msg }) => msg === 'session ended')).toBe(false);
    expect(await made.leases()).toMatchObject([{ homeAddress: bound['homeAddress'] }]);
    expect(aaa.lines.some(({ msg }) => msg === 'lease released')).toBe(false);
    expect(await pac.stop()).toBe(0);
    await aaa.line('lease released');
  });

  it('continues its session after its link was down', async () => {
    const net = await AccessNetwork.make();
    const made = await net.lab({ hooks: false });
    const { place } = await made.startAaa();
    const { daemon: paa } = await made.startPaa(place);
    await made.addSubscriber('mn1@home.example', 'mn1');
    const pac = await made.startPac('mn1', { pana: { 'ping-interval': '1s' } });
    await pac.line('bootstrap completed');
    await net.ip(net.node, 'link', 'set', 'mn0', 'down');
    await net.ip(net.node, 'link', 'set', 'mn0', 'up');
    await net.ip(net.node, 'address', 'add', `${OTHER}/64`, 'dev', 'mn0', 'nodad');
    expect(await pac.line('session moved')).toMatchObject({ careOfAddress: OTHER });
    expect(await paa.line('session moved')).toMatchObject({ address: OTHER });
  });
});

it.runIf(possible)('A node that moves to another PAA keeps its home address', async () => {
  const net = await AccessNetwork.make();
  const made = await net.lab();
  await net.ip(net.router, 'address', 'add', `${OTHER_ROUTER}/64`, 'dev', 'ar0', 'nodad');
  const { daemon: aaa, place } = await made.startAaa();
  const { daemon: first, place: at } = await made.startPaa(place);
  const { daemon: second } = await made.startPaa(place, 'paa2', {
    pana: { listen: [OTHER_ROUTER], port: at.port },
    diameter: { host: 'paa2.access.example' },
  });
  await made.addSubscriber('mn1@home.example', 'mn1');
  await net.ip(net.node, 'route', 'add', 'default', 'via', ROUTER);
  const pac = await made.startPac('mn1', { pana: { paa: [], port: at.port, interface: 'mn0' } });
  const { homeAgent, homeAddress } = await pac.line('bootstrap completed');
  await first.line('session authorized');
  await pac.line('hook done', ({ event }) => event === 'up');

  await net.ip(net.node, 'address', 'add', `${ELSEWHERE}/64`, 'dev', 'mn0', 'nodad');
  await net.ip(net.node, 'route', 'replace', 'default', 'via', OTHER_ROUTER);
  await net.ip(net.node, 'address', 'delete', `${NODE}/64`, 'dev', 'mn0');
  expect(await second.line('session authorized')).toMatchObject({ address: ELSEWHERE, homeAgent, homeAddress });
  expect(await pac.line('session replaced')).toMatchObject({ fromAddress: ROUTER, address: OTHER_ROUTER });
  expect(await pac.line('bootstrap refreshed')).toMatchObject({ homeAgent, homeAddress });
  await pac.line('hook done', ({ event }) => event === 'refresh');
  await aaa.line('hook done', ({ event }) => event === 'refresh');

  // The end of the old session releases nothing.
  await first.line('session ended');
  expect(await made.leases()).toMatchObject([{ homeAddress }]);
  expect(pac.lines.some(({ msg }) => msg === 'bootstrap withdrawn')).toBe(false);
  expect(aaa.lines.some(({ msg }) => msg === 'lease released')).toBe(false);
  expect(await pac.stop()).toBe(0);
  await aaa.line('lease released');
});

it.runIf(possible)('A node without a configured PAA uses its default router as PAA', async () => {
  const net = await AccessNetwork.make();
  const made = await net.lab({ hooks: false });
  const { place } = await made.startAaa();
  await made.startPaa(place);
  await made.addSubscriber('mn1@home.example', 'mn1');
  const pac = await made.startPac('mn1', { pana: { paa: [] }, retry: { first: '200ms', longest: '200ms' } });
  await pac.line('PAA not found');
  await net.ip(net.node, 'route', 'add', 'default', 'via', ROUTER);
  await pac.line('bootstrap completed');
  expect(await pac.line('session authorized')).toMatchObject({ address: ROUTER });
});

it.runIf(possible)('A node reaches its PAA by a scoped link-local address', async () => {
  const net = await AccessNetwork.make();
  const text = await net.exec(net.router, 'ip', '-6', '-o', 'address', 'show', 'dev', 'ar0', 'scope', 'link');
  const linkLocal = /inet6 (fe80:[^/]+)\//.exec(text)?.[1] ?? '';
  const made = await net.lab({ hooks: false, paa: { pana: { listen: [ROUTER, `${linkLocal}%ar0`] } } });
  const { place } = await made.startAaa();
  const { daemon: paa } = await made.startPaa(place);
  await made.addSubscriber('mn1@home.example', 'mn1');
  // Here each address has a free port of its own.
  const places = (await paa.line('ready'))['listening'] as readonly Place[];
  const port = places.find(({ address }) => address.startsWith('fe80:'))?.port;
  const pac = await made.startPac('mn1', { pana: { paa: [`${linkLocal}%mn0`], port, interface: 'mn0' } });
  await pac.line('bootstrap completed');
  expect(String((await paa.line('session authorized'))['address'])).toMatch(/^fe80:.*%ar0$/);
});
