import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { DaemonProcess } from '../../dist/lab/daemon-process.js';
import { Lab } from '../../dist/lab/lab.js';
import { formatAddress } from '../../src/protocol/bytes/address.js';
import { fromHex } from '../../src/protocol/bytes/octets.js';
import { decodeHomeNetwork } from '../../src/protocol/dhcpv6/wire/home-network.js';
import { eventually, within } from '../eventually.js';
import { AccessNetwork, announce, missing, ROUTER } from './access-network.js';
import { askByDhcp, type Received, startKea } from './dhcp-clients.js';
import { CORRESPONDENT, ForwardingNetwork, NEIGHBOUR } from './forwarding-network.js';

const run = promisify(execFile);

/** The home agents of the AAA server, of Kea and of the rogue. */
const HOME = '2001:db8:1::1';
const VISITED = '2001:db8:c::53';
const ROGUE = '2001:db8:bad::1';

/** The home agents in an option that dhclient got; undefined: it did not get the option. */
function agentsIn(received: Received, option: 'mip6_idinf' | 'mip6_vdinf'): string[] | undefined {
  const hex = received.get(option);
  return hex === undefined ? undefined : decodeHomeNetwork(fromHex(hex)).agents.map(formatAddress);
}

/** A DHCPv6 server of a neighbour that hands out a home agent of its own. */
const ROGUE_SERVER = `
import { createSocket } from 'node:dgram';
import { decodeClientMessage, encodeClientMessage } from '${fileURLToPath(
  new URL('../../dist/protocol/dhcpv6/wire/codec.js', import.meta.url),
)}';
import { encodeHomeNetwork } from '${fileURLToPath(
  new URL('../../dist/protocol/dhcpv6/wire/home-network.js', import.meta.url),
)}';
const agent = Buffer.from('20010db80bad00000000000000000001', 'hex');
const value = encodeHomeNetwork({ prefixes: [], agents: [agent], hosts: [] });
const socket = createSocket({ type: 'udp6', ipv6Only: true });
socket.on('message', (octets, from) => {
  const { transactionId, options } = decodeClientMessage(octets);
  const own = { code: 2, value: Buffer.from('00030001020000000022', 'hex') };
  const reply = { type: 7, transactionId, options: [...options.filter(({ code }) => code === 1), own, { code: 69, value }] };
  socket.send(encodeClientMessage(reply), from.port, from.address);
});
socket.bind(547, () => {
  socket.addMembership('ff02::1:2', '::%nb0');
  console.log('ready');
});`;

interface Frames {
  readonly messages: number;
  readonly octets: number;
}

/**
 * Captures what passes the node's interface. The function that this returns waits for at least so many messages, because a
 * capture is delayed, and ends it.
 */
async function capture(namespace: string, filter: string, file: string): Promise<(least: number) => Promise<Frames>> {
  const words = ['netns', 'exec', namespace, 'dumpcap', '-q', '-i', 'mn0', '-f', filter, '-w', file];
  const child = spawn('ip', words, { stdio: ['ignore', 'ignore', 'pipe'] });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  await within(once(child.stderr, 'data'), 'capture.stderr prints something');
  return async (least) => {
    const frames = await eventually(async () => {
      const { stdout } = await run('tshark', ['-r', file, '-T', 'fields', '-e', 'frame.len']);
      const lengths = stdout.split('\n').filter((line) => line !== '');
      expect(lengths.length).toBeGreaterThanOrEqual(least);
      return { messages: lengths.length, octets: lengths.reduce((sum, length) => sum + Number(length), 0) };
    });
    child.kill('SIGINT');
    return frames;
  };
}

/** The number of PANA messages that a PaC has logged. */
function messagesOf(pac: DaemonProcess): number {
  return pac.lines.filter(({ msg }) => msg === 'message sent' || msg === 'message received').length;
}

const possible = announce(
  'home agents by DHCPv6',
  missing('kea-dhcp6', 'dhclient', 'unshare', 'node', 'dumpcap', 'tshark'),
);

describe.runIf(possible)('A home agent by DHCPv6', () => {
  it('comes from the AAA server to its client, and from a rogue that PANA refuses', { timeout: 180_000 }, async () => {
    const hostFile = await readFile('/etc/resolv.conf', 'utf8');
    const net = new ForwardingNetwork(await AccessNetwork.make());
    await net.build();
    const { node } = net.access;
    const made = await net.access.lab({
      paa: {
        pana: { listen: [ROUTER], port: 716, interface: 'br0' },
        dhcpv6: { relay: { servers: [CORRESPONDENT] } },
      },
    });
    await startKea({
      namespace: net.correspondent,
      folder: made.path('kea'),
      listen: `cn0/${CORRESPONDENT}`,
      visitedAgent: VISITED,
    });
    const { place } = await made.startAaa();
    const { daemon: paa } = await made.startPaa(place);
    await made.addSubscriber('mn1@home.example', 'mn1');
    const ask = (name: string) => askByDhcp(node, 'mn0', made.path(name));

    // Without a session the client gets what the server of the access network has.
    const stranger = await ask('before');
    expect([agentsIn(stranger, 'mip6_vdinf'), agentsIn(stranger, 'mip6_idinf')]).toEqual([[VISITED], undefined]);
    await paa.line('DHCPv6 message relayed', ({ reason }) => reason === 'no-session');

    // PANA without and with Mobile IPv6, each with its own session.
    const figures: Record<string, Frames> = {};
    let current: DaemonProcess | undefined;
    for (const mode of ['off', 'wanted']) {
      const ended = await capture(node, 'udp port 716', made.path(`pana-${mode}.pcap`));
      const pac = await made.startPac('mn1', { mobility: { mode }, pana: { interface: 'mn0' } });
      await pac.line(mode === 'off' ? 'session authorized' : 'bootstrap completed');
      await paa.line('session authorized', ({ homeAgent }) => (homeAgent !== undefined) === (mode === 'wanted'));
      figures[`PANA, Mobile IPv6 ${mode}`] = await ended(messagesOf(pac));
      if (mode === 'off') await pac.stop();
      else current = pac;
    }

    // The client's PANA address is a global one, dhclient's link-local: they have the same MAC address.
    const ended = await capture(node, 'udp port 546 or udp port 547', made.path('dhcp.pcap'));
    const own = await ask('after');
    figures['DHCPv6'] = await ended(2);
    expect([agentsIn(own, 'mip6_vdinf'), agentsIn(own, 'mip6_idinf')]).toEqual([[VISITED], [HOME]]);
    await paa.line('DHCPv6 message relayed', ({ reason }) => reason === 'home-network');
    process.stderr.write(`on the access link: ${JSON.stringify(figures)}\n`);
    // A neighbour answers faster than the relay agent and the server behind it, and dhclient believes it.
    const rogue = spawn('ip', ['netns', 'exec', net.neighbour, 'node', '--input-type=module', '-e', ROGUE_SERVER], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => {
      rogue.kill('SIGKILL');
    });
    await within(once(rogue.stdout, 'data'), 'the rogue prints ready');
    let tries = 0;
    await eventually(async () => {
      tries += 1;
      expect(agentsIn(await ask(`rogue${tries}`), 'mip6_idinf')).toEqual([ROGUE]);
    });

    await current?.stop();

    // The same neighbour as a PAA with a AAA server of its own is refused: nothing proves its certificate.
    const theirs = await Lab.make({
      launcher: () => ['ip', 'netns', 'exec', net.neighbour],
      paa: { pana: { listen: [NEIGHBOUR], port: 716, interface: 'nb0' } },
      hooks: false,
    });
    onTestFinished(async () => {
      await theirs.close();
    });
    const { place: rogueAaa } = await theirs.startAaa();
    await theirs.startPaa(rogueAaa);
    await theirs.addSubscriber('mn1@home.example', 'mn1');
    const pac = await made.startPac('mn1', { pana: { interface: 'mn0', paa: [NEIGHBOUR] }, stay: false });
    await pac.line('EAP failed', ({ reason }) => reason === 'server-certificate');
    expect(await pac.exited).not.toBe(0);
    expect(await readFile('/etc/resolv.conf', 'utf8')).toBe(hostFile);
  });
});
