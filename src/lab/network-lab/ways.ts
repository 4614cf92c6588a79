import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { DaemonProcess } from '../daemon-process.js';
import type { Tree } from '../lab.js';
import { Patience } from '../patience.js';
import { type Installation, lineSince, nai, STEP_LIMIT } from './installation.js';
import { CORRESPONDENT, NODE_INTERFACE, routerAddress } from './network.js';
import type { Way } from './options.js';
import { askByDhcp, DnsServer, type Messages, startDhcpServer, whyNot } from './way-servers.js';

const run = promisify(execFile);

/** The node's access link: PAA and enforcement point are on `a`; link `d` is free. */
const LINKS = { pana: 'a', ikev2: 'a', dns: 'd', dhcpv6: 'd' } as const;

/** How long the PAA must be silent before a node asks DNS, in milliseconds. */
export const DNS_AFTER = 1_000;

/** What one way took, in milliseconds. */
export interface WayResult {
  readonly way: Way;
  /** `skipped`: it is not possible here; `detail` says why. */
  readonly result: 'yes' | 'no' | 'skipped';
  readonly detail?: string;
  /** From the first message until the home agent is known. */
  readonly agentKnown?: number;
  /** From then until the first message of IKE. */
  readonly ikeBegins?: number;
  readonly ike?: number;
  /** From the first message until a ping from the home address has come back. */
  readonly traffic?: number;
  readonly homeAddress?: string;
  /** PANA, DNS or DHCPv6. */
  readonly access?: Messages;
  readonly ikeMessages?: Messages | undefined;
}

/** Node `n` goes one way from the start of pana-pac to a ping through its tunnel. */
export async function goOneWay(made: Installation, n: number, way: Way): Promise<WayResult> {
  const why = whyNot(way);
  if (why !== undefined) return { way, result: 'skipped', detail: why };
  if (made.charons === undefined || made.abilities.esp === undefined) {
    return { way, result: 'skipped', detail: 'it needs strongSwan and ESP' };
  }
  const { network, lab } = made;
  await network.plug(n, LINKS[way]);
  await network.careOf(n);
  await lab.addSubscriber(nai(n), `mn${n}`, { ikev2HomeAddress: way !== 'pana' });
  return { way, result: 'yes', ...(await measured(made, n, way)) };
}

async function measured(made: Installation, n: number, way: Way): Promise<Omit<WayResult, 'way' | 'result'>> {
  const { lab, cleanUp, network } = made;
  const dns = way === 'dns' ? await DnsServer.start(network.router('d'), lab.folder) : undefined;
  if (dns) await cleanUp.add(dns);
  if (way === 'dhcpv6') await cleanUp.add(await startDhcpServer(network.router('d'), lab.folder));
  const pac = lab.start(`mn${n}`, 'pac', await lab.configurePac(`mn${n}`, configurationOf(made, way)));
  await pac.line('ready', () => true, STEP_LIMIT);
  let began = Date.now();
  const asked =
    way === 'dhcpv6' ? await askByDhcp(network.node(n), NODE_INTERFACE, lab.folder, agentFile(made)) : undefined;
  const known = await lineSince(pac, 'bootstrap completed', 0);
  if (way === 'pana' || way === 'ikev2') {
    const authorized = await lineSince(pac, 'session authorized', 0);
    began = authorized.at - Number(authorized.duration);
  } else if (dns) {
    // Until then the node waits for a PAA.
    began = dns.firstQueryAt ?? began;
  }
  await lineSince(pac, 'hook done', 0, ({ event }) => event === 'up');
  const traffic = await pinged(made, n);
  const times = await made.charons?.nodes.get(n)?.times();
  const [sa] = await made.ikeSas(n);
  if (!times || !sa) throw new Error(`MN${n} has no IKE_SA`);
  return {
    agentKnown: known.at - began,
    ikeBegins: times.began - known.at,
    ike: times.up - times.began,
    traffic: traffic.at - began,
    homeAddress: traffic.home,
    access: asked ?? dns?.messages ?? panaMessages(pac),
    ikeMessages: await made.charons?.nodes.get(n)?.messages(),
  };
}

function configurationOf(made: Installation, way: Way): Tree {
  const base = { ike: ['ikev2'], 'home-agent': 'home' };
  const mobility: Readonly<Record<Way, Tree>> = {
    pana: base,
    ikev2: { ...base, 'home-address': 'ikev2' },
    dns: { ...base, discovery: 'dns', 'dns-after': `${DNS_AFTER / 1_000}s`, 'dns-servers': [routerAddress('d')] },
    dhcpv6: { ...base, discovery: 'dhcpv6', 'home-agent-file': agentFile(made) },
  };
  return {
    pana: { paa: [routerAddress(LINKS[way])], interface: NODE_INTERFACE },
    mobility: mobility[way],
    tls: { 'server-name': 'aaa.home.example' },
  };
}

const agentFile = ({ lab }: Installation) => lab.path('home-agents');

/** When the first ping from the home address has come back, in milliseconds since 1970. */
async function pinged(made: Installation, n: number): Promise<{ readonly at: number; readonly home: string }> {
  const patience = new Patience();
  while (!patience.over) {
    const home = (await made.lab.leases()).find((lease) => lease.nai === nai(n))?.homeAddress ?? '';
    const [program = '', ...words] = [...made.network.node(n).launcher, 'ping', '-6', '-c', '1', '-W', '1'];
    const answered = await run(program, [...words, '-I', home, CORRESPONDENT]).then(
      () => true,
      () => false,
    );
    if (answered) return { at: Date.now(), home };
    await sleep(50);
  }
  throw new Error(`no ping from the home address of MN${n} came back after ${patience}`);
}

/** PANA messages of the node until it had its session. */
function panaMessages(pac: DaemonProcess): Messages {
  const end = pac.lines.findIndex(({ msg }) => msg === 'session authorized');
  const seen = pac.lines.slice(0, end).filter(({ msg }) => msg === 'message sent' || msg === 'message received');
  return { count: seen.length, octets: seen.reduce((sum, line) => sum + Number(line['octets']), 0) };
}
