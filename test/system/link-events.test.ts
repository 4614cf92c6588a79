import { describe, expect, it } from 'vitest';
import type { DaemonProcess } from '../../dist/lab/daemon-process.js';
import { AccessNetwork, announce, missing, NODE, ROUTER } from './access-network.js';
import { ROUTER_LINK_LOCAL, TwoLinks } from './two-links.js';

const OTHER = '2001:db8:a::22';
const possible = announce('events of links in network namespaces', missing());
const advertised = announce('router advertisements', missing('radvd'));

/** Every care-of address that the node has moved to. */
function movedTo(pac: DaemonProcess): unknown[] {
  return pac.lines.filter(({ msg }) => msg === 'session moved').map(({ careOfAddress }) => careOfAddress);
}

describe.runIf(possible)('A mobile node whose next link has the same prefix and the same router addresses', () => {
  it.each([
    ['global', ROUTER, []],
    ['link-local', `${ROUTER_LINK_LOCAL}%mn0`, []],
    ['link-local', `${ROUTER_LINK_LOCAL}%mn0`, ['env', 'PATH=/nowhere']],
  ])(
    'attaches to the PAA of that link at once and keeps its home address: PAA at a %s address %s, in %j',
    async (_kind, paa, node) => {
      const links = await TwoLinks.make();
      const { lab, paas } = await links.lab({}, node);
      const pac = await lab.startPac('mn1', { pana: { paa: [paa], interface: 'mn0' } });
      const { homeAgent, homeAddress } = await pac.line('bootstrap completed');
      await paas.a.line('session authorized');
      await links.unplug();
      await pac.line('network changed');
      await links.plug('b');
      expect(await paas.b.line('session authorized')).toMatchObject({ homeAgent, homeAddress });
      expect(await pac.line('session replaced')).toMatchObject({ fromAddress: paa, address: paa });
      expect(await pac.line('bootstrap refreshed')).toMatchObject({ homeAgent, homeAddress });
      // The session was not lost first.
      expect(pac.lines.some(({ msg }) => msg === 'session ended' || msg === 'PAA not responding')).toBe(false);
    },
  );

  it('attaches to the PAA of that link although its kernel reports no loss of the carrier', async () => {
    const links = await TwoLinks.make();
    const { lab } = await links.lab();
    const pac = await lab.startPac('mn1', { pana: { paa: [ROUTER], interface: 'mn0' } });
    await pac.line('bootstrap completed');
    // An idle kernel reports no loss of about every fourth, a busy one of most.
    for (const link of ['b', 'a', 'b', 'a'] as const) {
      const known = new Set(pac.lines);
      await links.swap(link);
      await pac.line('session replaced', (line) => !known.has(line));
    }
    expect(pac.lines.some(({ msg }) => msg === 'session ended' || msg === 'PAA not responding')).toBe(false);
  });

  it('keeps its session if it returns to the link of its PAA', async () => {
    const links = await TwoLinks.make();
    const { lab } = await links.lab();
    const pac = await lab.startPac('mn1', { pana: { paa: [ROUTER], interface: 'mn0' } });
    await pac.line('bootstrap completed');
    await links.unplug();
    await pac.line('network changed');
    await links.plug('a');
    await pac.line('network changed', ({ reason }) => reason === 'link-up');
    // Without a sign of movement, the first ping would be sent after half a minute.
    await pac.line('message received', ({ message }) => message === 'PNA[P]');
    expect(pac.lines.filter(({ msg }) => msg === 'session authorized')).toHaveLength(1);
  });
});

describe.runIf(advertised)('A mobile node that hears router advertisements', () => {
  it('attaches to its default router, and after a move to the new one, by their link-local address', async () => {
    const links = await TwoLinks.make();
    const { lab, paas } = await links.lab();
    await links.advertise('a', lab);
    await links.advertise('b', lab);
    const pac = await lab.startPac('mn1', { pana: { paa: [], port: 716 } });
    const { homeAddress } = await pac.line('bootstrap completed');
    expect(await pac.line('session authorized')).toMatchObject({ address: `${ROUTER_LINK_LOCAL}%mn0` });
    await links.unplug();
    await links.plug('b');
    expect(await paas.b.line('session authorized')).toMatchObject({ homeAddress });
    expect(await pac.line('session replaced')).toMatchObject({ address: `${ROUTER_LINK_LOCAL}%mn0` });
  });
});

describe.runIf(possible)('A mobile node whose home address appears on one of its interfaces', () => {
  it('keeps its care-of address: home address with the flag home, without it, and on a tunnel with the default route', async () => {
    const net = await AccessNetwork.make();
    const lab = await net.lab({ hooks: false });
    const { place } = await lab.startAaa();
    const { daemon: paa } = await lab.startPaa(place);
    await lab.addSubscriber('mn1@home.example', 'mn1');
    const pac = await lab.startPac('mn1');
    const home = String((await pac.line('bootstrap completed'))['homeAddress']);
    const change = async (...parameters: readonly string[]) => {
      const known = new Set(pac.lines);
      await net.ip(net.node, ...parameters);
      await pac.line('network changed', (line) => !known.has(line));
    };
    await change('address', 'add', `${home}/128`, 'dev', 'mn0', 'home', 'nodad');
    await change('address', 'delete', `${home}/128`, 'dev', 'mn0');
    await change('address', 'add', `${home}/128`, 'dev', 'lo');
    await change('address', 'add', `${home}/128`, 'dev', 'mn0', 'nodad');
    await change('link', 'add', 'ip6tnl1', 'type', 'veth', 'peer', 'name', 'inner');
    await net.ip(net.node, 'link', 'set', 'inner', 'up');
    await change('link', 'set', 'ip6tnl1', 'up');
    await change('address', 'add', '2001:db8:1::77/128', 'dev', 'ip6tnl1', 'nodad');
    await change('route', 'add', 'default', 'dev', 'ip6tnl1', 'src', home);
    expect(movedTo(pac)).toEqual([]);
    // The care-of address itself changes.
    await net.ip(net.node, 'address', 'add', `${OTHER}/64`, 'dev', 'mn0', 'nodad');
    await net.ip(net.node, 'address', 'delete', `${NODE}/64`, 'dev', 'mn0');
    expect(await paa.line('session moved')).toMatchObject({ fromAddress: NODE, address: OTHER });
    expect(movedTo(pac)).toEqual([OTHER]);
  });
});
