import { readFile, rm, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { hookPath, type Lab } from '../../dist/lab/lab.js';
import { AccessNetwork, announce, missing, NODE, ROUTER } from './access-network.js';
import { askByDhcp, startKea } from './dhcp-clients.js';
import { startDns } from './dns-server.js';

const MN = 'mn1@home.example';
const HOME = '2001:db8:1::1';
const OTHER = '2001:db8:2::1';

const RECORDS = [
  'srv-host=_mip6._ipv6.home.example,ha1.home.example,500,1',
  'srv-host=_mip6._ipv6.home.example,ha2.home.example,500,2',
  // The first address is one that no home agent can have.
  'host-record=ha1.home.example,fe80::5',
  `host-record=ha1.home.example,${HOME}`,
  `host-record=ha2.home.example,${OTHER}`,
];

/** A hook that writes its environment; the last run wins. */
async function writeHook(lab: Lab): Promise<string> {
  const path = lab.path('mn-hook.sh');
  await writeFile(
    path,
    `#!/bin/sh\nenv >'${lab.path('environment.new')}'\nmv '${lab.path('environment.new')}' '${lab.path('environment')}'\n`,
    {
      mode: 0o755,
    },
  );
  return path;
}

async function environment(lab: Lab): Promise<Map<string, string>> {
  const text = await readFile(lab.path('environment'), 'utf8');
  return new Map(text.split('\n').map((line) => [line.split('=', 1)[0] ?? '', line.slice(line.indexOf('=') + 1)]));
}

const canDns = announce('home agents by DNS', missing('dnsmasq'));

describe.skipIf(!canDns)('A node that no PAA answers', () => {
  it('finds its home agent by DNS, and changes to that of PANA when a PAA is there', async () => {
    const net = await AccessNetwork.make();
    const lab = await net.lab({ paa: { pana: { listen: [ROUTER], port: 716 } } });
    await startDns(net, lab, RECORDS);
    await lab.issueClient('mn1', MN);
    const pac = await lab.startPac('mn1', {
      pana: { paa: [ROUTER], interface: 'mn0', 'pci-limit': '2s' },
      mobility: { discovery: 'dns', 'dns-after': '1s', 'dns-servers': [ROUTER], ike: ['ikev2', 'ikev1'] },
      hooks: { mn: await writeHook(lab) },
      retry: { first: '1s', longest: '1s' },
    });
    expect(await pac.line('bootstrap completed')).toMatchObject({
      source: 'dns',
      homeAgent: HOME,
      homeAgentHost: 'ha1.home.example',
      ikeIdentity: MN,
    });
    await pac.line('hook done', ({ event }) => event === 'up');
    const given = await environment(lab);
    expect(Object.fromEntries([...given].filter(([name]) => name.startsWith('MIP6_')))).toEqual({
      MIP6_EVENT: 'up',
      MIP6_ROLE: 'mn',
      MIP6_STATE_DIR: expect.any(String),
      MIP6_MN_ID: MN,
      MIP6_HA: HOME,
      MIP6_HA_HOST: 'ha1.home.example',
      MIP6_IKE: 'ikev2',
      MIP6_SOURCE: 'dns',
      MIP6_HOA_BY: 'ikev2',
      MIP6_CERTIFICATE_FILE: lab.path('pki', 'mn1.pem'),
      MIP6_KEY_FILE: lab.path('pki', 'mn1-key.pem'),
      MIP6_CA_FILE: lab.path('pki', 'ca.pem'),
      MIP6_AAA_HOST: 'home.example',
      MIP6_COA: NODE,
      MIP6_INTERFACE: 'mn0',
    });

    const { place } = await lab.startAaa();
    await lab.startPaa(place);
    const subscriber = { nai: MN, enabled: true, mip6: true, localHomeAgent: true, sessions: 'replace' };
    await lab.administer('aaa', 'addSubscriber', { subscriber });
    await pac.line('bootstrap withdrawn', ({ source }) => source === 'dns');
    expect(await pac.line('bootstrap completed', ({ source }) => source === undefined)).toMatchObject({
      homeAgent: HOME,
      homeAddress: expect.any(String),
    });
  });

  it('uses nothing that hostile DNS servers name', async () => {
    const net = await AccessNetwork.make();
    const lab = await net.lab();
    const bad = Array.from({ length: 300 }, (_, i) => `srv-host=_mip6._ipv6.home.example,h${i}.home.example,500,${i}`);
    const addresses = ['fe80::5', 'ff02::1', '::1', '::ffff:192.0.2.1'];
    const hosts = Array.from({ length: 300 }, (_, i) => `host-record=h${i}.home.example,${addresses[i % 4]}`);
    await startDns(net, lab, ['edns-packet-max=4096', ...bad, ...hosts]);
    await lab.issueClient('mn1', MN);
    const pac = await lab.startPac('mn1', {
      pana: { paa: [ROUTER], interface: 'mn0' },
      mobility: { discovery: 'dns', 'dns-after': '1s', 'dns-servers': [ROUTER] },
      hooks: { mn: await writeHook(lab) },
    });
    expect(await pac.line('home agent not found')).toMatchObject({ source: 'dns', reason: 'no home agent is named' });
    expect(pac.lines.filter(({ msg }) => msg === 'bootstrap completed' || msg === 'hook done')).toEqual([]);
  });
});

const canDhcp = announce('the home agent of a DHCPv6 client', missing('kea-dhcp6', 'dhclient', 'unshare'));

describe.skipIf(!canDhcp)('A node with a DHCPv6 client', () => {
  it('uses the home agent that dhclient got, until it is not offered any more', async () => {
    const hostFile = await readFile('/etc/resolv.conf', 'utf8');
    const net = await AccessNetwork.make();
    const lab = await net.lab();
    await startKea({
      namespace: net.router,
      folder: lab.path('kea'),
      listen: 'ar0',
      visitedAgent: OTHER,
      identifiedAgent: HOME,
    });
    await lab.issueClient('mn1', MN);
    const file = lab.path('home-agents');
    const pac = await lab.startPac('mn1', {
      pana: { paa: [ROUTER], interface: 'mn0' },
      mobility: { discovery: 'dhcpv6', 'home-agent-file': file },
      hooks: { mn: await writeHook(lab) },
    });
    await pac.line('home agent not found', ({ reason }) => reason === 'ENOENT');
    await askByDhcp(net.node, 'mn0', lab.path('dhcp'), `MIP6_HOME_FILE='${file}'\n. '${hookPath('dhcp-mip6.sh')}'`);
    expect(await pac.line('bootstrap completed')).toMatchObject({ source: 'dhcpv6', homeAgent: HOME });
    await pac.line('hook done', ({ event }) => event === 'up');
    const given = await environment(lab);
    expect([given.get('MIP6_HA'), given.get('MIP6_SOURCE'), given.get('MIP6_COA')]).toEqual([HOME, 'dhcpv6', NODE]);
    expect(given.has('MIP6_PSK_FILE')).toBe(false);
    await rm(file);
    await pac.line('bootstrap withdrawn');
    await pac.line('hook done', ({ event }) => event === 'down');
    expect(await readFile('/etc/resolv.conf', 'utf8')).toBe(hostFile);
  });
});
