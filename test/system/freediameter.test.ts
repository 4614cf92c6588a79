import { describe, expect, it } from 'vitest';
import type { DaemonProcess } from '../../dist/lab/daemon-process.js';
import type { Lab, Place } from '../../dist/lab/lab.js';
import type { LogLine } from '../../dist/runtime/cli/ladder.js';
import { AccessNetwork, announce, missing } from './access-network.js';
import { Relay } from './relay.js';

const AAA = '2001:db8:a::3';
const RELAYS = ['2001:db8:a::4', '2001:db8:a::5'] as const;
const NODES = 10;

const possible = announce('freeDiameter as a relay', missing('freeDiameterd'));

interface Scene {
  readonly made: Lab;
  readonly net: AccessNetwork;
  readonly aaa: DaemonProcess;
  readonly paa: DaemonProcess;
  readonly aaaPlace: Place;
  readonly relays: readonly Relay[];
}

const relayHost = (i: number) => `relay${i + 1}.visited.example`;

/** PAA → relays → AAA server, each on its own address; the PAA has no other route. */
async function scene(tls: boolean): Promise<Scene> {
  const net = await AccessNetwork.make();
  for (const address of [AAA, ...RELAYS]) {
    await net.ip(net.router, 'address', 'add', `${address}/64`, 'dev', 'ar0', 'nodad');
  }
  const made = await net.lab({ hooks: false });
  await made.issueServer('paa', ['paa.access.example']);
  const files = (name: string) => ({
    ca: made.path('pki', 'ca.pem'),
    certificate: made.path('pki', `${name}.pem`),
    key: made.path('pki', `${name}-key.pem`),
  });
  const { daemon: aaa } = await made.startAaa('aaa', {
    diameter: {
      listen: [AAA],
      port: 3868,
      plain: !tls,
      watchdog: '60s',
      peers: RELAYS.map((_, i) => ({ host: relayHost(i), relay: true, tls, from: ['2001:db8:a::/64'] })),
      ...(tls ? { tls: files('aaa') } : {}),
    },
  });
  const aaaPlace = { address: AAA, port: tls ? 5868 : 3868 };
  const relays: Relay[] = [];
  for (const [i, address] of RELAYS.entries()) {
    const peers = [{ host: 'aaa.home.example', place: aaaPlace }, { host: 'paa.access.example' }];
    relays.push(await Relay.start(made, net, { host: relayHost(i), address, tls, peers, watchdog: i === 0 ? 6 : 60 }));
  }
  for (const [i] of RELAYS.entries()) await aaa.line('peer connected', (line) => line['peer'] === relayHost(i));
  const { daemon: paa } = await made.startPaa(aaaPlace, 'paa', {
    diameter: {
      watchdog: '6s',
      reconnect: '1s',
      peers: RELAYS.map((address, i) => ({ host: relayHost(i), address, relay: true, tls, priority: i })),
      routes: [{ realm: '*', peers: RELAYS.map((_, i) => relayHost(i)) }],
      ...(tls ? { tls: files('paa') } : {}),
    },
  });
  for (const [i] of RELAYS.entries()) await paa.line('peer connected', (line) => line['peer'] === relayHost(i));
  return { made, net, aaa, paa, aaaPlace, relays };
}

const messages = ({ lines }: DaemonProcess, direction: 'message sent' | 'message received', name: string) =>
  lines.filter(({ msg, message }) => msg === direction && message === name);

describe.runIf(possible)('freeDiameter between PAA and AAA server', () => {
  it.each([false, true])('relays ten bootstraps; TLS: %s', { timeout: 120_000 }, async (tls) => {
    const { made, aaa, paa } = await scene(tls);
    for (let i = 0; i < NODES; i += 1) {
      await made.addSubscriber(`mn${i}@home.example`, `mn${i}`);
      await (await made.startPac(`mn${i}`)).line('bootstrap completed');
    }
    expect(messages(paa, 'message sent', 'DER').every((line) => line['peer'] === relayHost(0))).toBe(true);
    // A DWR from each end is answered by the other. The ends of a connection have different watchdogs, because any message
    // makes the next DWR of its receiver needless (RFC 3539): the first relay asks the AAA server, the PAA asks the second.
    const [first, second] = [relayHost(0), relayHost(1)];
    const is = (name: string, host: string) => (line: LogLine) => line['message'] === name && line['peer'] === host;
    await paa.line('message sent', is('DWR', second));
    await paa.line('message received', is('DWA', second));
    await aaa.line('message received', is('DWR', first), 30_000);
    await aaa.line('message sent', is('DWA', first));
    expect(paa.lines.some(({ msg }) => msg === 'peer disconnected')).toBe(false);
    expect(aaa.lines.some(({ msg }) => msg === 'peer disconnected')).toBe(false);
  });

  it('is replaced by the other relay when the first is killed during an exchange', {
    timeout: 120_000,
  }, async () => {
    const {
      made,
      paa,
      relays: [first],
    } = await scene(false);
    await made.addSubscriber('mn1@home.example', 'mn1');
    const killed = paa.line('message sent', ({ message }) => message === 'DER').then(() => first?.kill());
    const pac = await made.startPac('mn1');
    await killed;
    await pac.line('bootstrap completed');
    expect(await paa.line('peer disconnected')).toMatchObject({ peer: relayHost(0) });
    expect(messages(paa, 'message sent', 'DER').some((line) => line['peer'] === relayHost(1))).toBe(true);
    expect(pac.lines.some(({ msg }) => msg === 'session refused')).toBe(false);
  });

  it('causes 3002 for an unknown realm, and 3010 if the relay is not listed', { timeout: 120_000 }, async () => {
    const { made, net, aaa, paa, aaaPlace } = await scene(false);
    await made.addSubscriber('mn1@home.example', 'mn1');
    await made.startPac('mn1', { eap: { identity: '@nowhere.example' } });
    expect(await paa.line('AAA server not responding')).toMatchObject({ reason: 'UNABLE_TO_DELIVER' });
    const address = '2001:db8:a::6';
    await net.ip(net.router, 'address', 'add', `${address}/64`, 'dev', 'ar0', 'nodad');
    const host = 'stranger.visited.example';
    const peers = [{ host: 'aaa.home.example', place: aaaPlace }];
    await Relay.start(made, net, { host, address, tls: false, peers });
    expect(await aaa.line('peer refused', ({ reason }) => reason === 'unknown-peer')).toMatchObject({ peer: host });
    expect(aaa.lines.some((line) => line.msg === 'peer connected' && line['peer'] === host)).toBe(false);
  });
});
