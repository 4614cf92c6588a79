import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { DIAMETER_PORT } from '../../protocol/diameter/wire/ports.js';
import { PANA_PORT } from '../../protocol/pana/wire/ports.js';
import type { LogLine } from '../../runtime/cli/ladder.js';
import { callDaemon } from '../../runtime/service/control.js';
import { OperatorError } from '../../runtime/system/failure.js';
import type { DaemonProcess } from '../daemon-process.js';
import { HOME_AGENT, hookPath, Lab, REALM } from '../lab.js';
import { charonProgram, HostCharon, hasEsp } from './charon.js';
import { CleanUp } from './clean-up.js';
import { type Enforcement, enforcementOn } from './enforcement.js';
import { hasProgram, makeFolder, type NetworkHost, removeLeftovers } from './hosts.js';
import { buildNetwork, CORRESPONDENT, HOME, type Network, NODE, PICTURE, ROUTER } from './network.js';
import { type Finding, PHASES, type Phase } from './report.js';
import { BindingWatch, Echo, Prober } from './traffic.js';

const NAI = `mn1@${REALM}`;

export interface NetworkLabOptions {
  /** Called before the session ends, with commands to inspect the lab. */
  readonly look?: ((commands: string) => Promise<void>) | undefined;
  /** Shows the current step to the user. */
  readonly say: (text: string) => void;
  /** Ends the lab early. */
  readonly signal: AbortSignal;
}

/** Builds the lab, runs the paper's phases, and removes what it built. Rejects with OperatorError. */
export async function runNetworkLab(options: NetworkLabOptions): Promise<Finding[]> {
  if (process.platform !== 'linux') throw new OperatorError('the lab needs Linux network namespaces');
  if (process.getuid?.() !== 0) throw new OperatorError('network namespaces need root: run it with sudo');
  if (!hasProgram('ip')) throw new OperatorError('the program "ip" is missing: install iproute2');
  const left = await removeLeftovers();
  if (left.length > 0) options.say(`Removed the remains of a killed lab: ${left.join(', ')}`);
  const folder = await makeFolder();
  const cleanUp = new CleanUp();
  await cleanUp.add({ stop: () => rm(folder, { recursive: true, force: true }) });
  const ended = new Promise<never>((_, reject) => {
    options.signal.addEventListener('abort', () => reject(new OperatorError('interrupted')));
  });
  try {
    return await Promise.race([findingsOf(folder, options, cleanUp), ended]);
  } finally {
    await cleanUp.run();
  }
}

/** Builds the lab and runs the phases. If a step fails, the failure is the last finding. */
async function findingsOf(folder: string, options: NetworkLabOptions, cleanUp: CleanUp): Promise<Finding[]> {
  const findings: Finding[] = [];
  try {
    options.say(`Four hosts, each a network namespace:\n${PICTURE}\n`);
    const hosts = await buildNetwork(folder, cleanUp);
    const ike = await startIke(hosts, options, cleanUp);
    const enforcement = await enforcementOn(hosts.AR);
    const lab = await makeLab(folder, hosts, ike, enforcement);
    // Clean-up ends the daemons before the hosts, and removes the folder last.
    await cleanUp.add({ stop: () => lab.close(true) });
    await new NetworkLab({ hosts, ike, enforcement, lab, options, cleanUp, findings }).run();
  } catch (error) {
    if (cleanUp.begun) return findings;
    const [reason = '', ...more] = (error as Error).message.split('\n');
    options.say(more.join('\n').trim());
    findings.push({ what: 'further steps', result: 'no', detail: reason });
  }
  return findings;
}

/** The IKE daemons of the node and of the home agent. */
interface IkeDaemons {
  readonly mn: HostCharon;
  readonly ha: HostCharon;
  /** Whether the kernel supports ESP. */
  readonly esp: boolean;
}

/** Undefined: strongSwan is not installed. */
async function startIke(
  { MN, HA }: Network,
  { say }: NetworkLabOptions,
  cleanUp: CleanUp,
): Promise<IkeDaemons | undefined> {
  const program = charonProgram();
  if (program === undefined) return undefined;
  say('Starting strongSwan on the mobile node and on the home agent …');
  const esp = await hasEsp(MN.namespace);
  const mn = await cleanUp.add(await HostCharon.start(MN, program));
  const ha = await cleanUp.add(await HostCharon.start(HA, program));
  return { mn, ha, esp };
}

function makeLab(
  folder: string,
  { MN, AR, HA }: Network,
  ike: IkeDaemons | undefined,
  enforcement: Enforcement,
): Promise<Lab> {
  return Lab.make({
    folder,
    family: 'ipv6',
    launcher: (daemon) => (daemon === 'pac' ? MN : daemon === 'paa' ? AR : HA).launcher,
    hookSettings: (name) => (name === 'paa' ? enforcement.settings : hookSettings(name, ike)),
  });
}

function hookSettings(name: string, ike: IkeDaemons | undefined): string {
  // Nothing is started again while the lab ends its programs.
  const lines = ['IKE=strongswan', `MOBILITY=${whyNoMobility() === undefined ? 'umip' : 'none'}`, 'WATCH=no'];
  lines.push(`INTERFACE=${name === 'mn1' ? 'mn0' : 'home0'}`);
  if (!ike) lines.push('DRY_RUN=yes');
  if (!ike?.esp) lines.push('CHILD_SA=no');
  return `${lines.join('\n')}\n`;
}

interface NetworkLabParts {
  readonly hosts: Network;
  readonly ike: IkeDaemons | undefined;
  readonly enforcement: Enforcement;
  readonly lab: Lab;
  readonly options: NetworkLabOptions;
  readonly cleanUp: CleanUp;
  /** Where the findings are added. */
  readonly findings: Finding[];
}

/** The phases, on a network that is built. */
class NetworkLab {
  readonly #hosts: Network;
  readonly #ike: IkeDaemons | undefined;
  readonly #enforcement: Enforcement;
  readonly #lab: Lab;
  readonly #options: NetworkLabOptions;
  readonly #cleanUp: CleanUp;
  readonly #findings: Finding[];

  constructor({ hosts, ike, enforcement, lab, options, cleanUp, findings }: NetworkLabParts) {
    this.#hosts = hosts;
    this.#ike = ike;
    this.#enforcement = enforcement;
    this.#lab = lab;
    this.#options = options;
    this.#cleanUp = cleanUp;
    this.#findings = findings;
  }

  async run(): Promise<void> {
    const { say } = this.#options;
    say('Starting pana-aaa in the home network and pana-paa on the access router …');
    const { daemon: aaa, place } = await this.#lab.startAaa('aaa', {
      diameter: { listen: [HOME], port: DIAMETER_PORT },
    });
    await this.#lab.administer('aaa', 'changeHomeAgent', { name: 'ha1', change: { ike: ['ikev2'] } });
    const { daemon: paa } = await this.#lab.startPaa(place, 'paa', {
      pana: { listen: [ROUTER], port: PANA_PORT, interface: 'ar0' },
      hooks: { ep: hookPath(this.#enforcement.hook), 'ep-batch': true },
    });
    await this.#lab.addSubscriber(NAI, 'mn1');
    await this.#cleanUp.add(await Echo.start(this.#hosts.CN));
    await this.#cleanUp.add(await Echo.start(this.#hosts.HA));

    const prober = await this.#cleanUp.add(new Prober(this.#hosts.MN, NODE, CORRESPONDENT));
    await this.#before(prober);
    const binding = whyNoMobility() === undefined ? await BindingWatch.start(this.#hosts.MN, 'mn0', NODE) : undefined;
    if (binding) await this.#cleanUp.add(binding);
    say('Starting pana-pac on the mobile node …');
    const pac = await this.#lab.startPac('mn1', {
      pana: { interface: 'mn0' },
      mobility: { ike: ['ikev2'], 'home-agent': 'home' },
    });
    const authorized = await pac.line('session authorized');
    await this.#pana(pac, paa, prober, authorized);
    const established = await this.#exchange(pac, authorized);
    await this.#mobility(pac, established, binding);
    await this.#again(pac, prober);
    await this.#options.look?.(this.#lookAround());
    await this.#over(pac, aaa, prober);
  }

  // ---------------------------------------------------------------------------------------------------------- phases

  #found(finding: Finding): void {
    this.#findings.push(finding);
  }

  #phase(phase: Phase, finding: Omit<Finding, 'phase' | 'what'>): void {
    this.#found({ phase, what: PHASES[phase].what, ...finding });
  }

  async #before(prober: Prober): Promise<void> {
    const what = 'before: no packet of the node passes the router';
    const { why } = this.#enforcement;
    if (why === undefined) this.#found({ what, result: (await prober.first()) === 'closed' ? 'yes' : 'no' });
    else this.#found({ what, result: 'skipped', detail: why });
  }

  async #pana(pac: DaemonProcess, paa: DaemonProcess, prober: Prober, authorized: LogLine): Promise<void> {
    this.#phase('PANA', {
      result: 'yes',
      milliseconds: Number(authorized.duration),
      detail: `EAP-TLS, PANA protected with ${String(authorized['protection'])}`,
    });
    await paa.line('hook done', ({ event }) => event === 'permit');
    const { why } = this.#enforcement;
    if (why === undefined) {
      const opened = await prober.change('open', 0);
      const later = Math.max(0, opened - authorized.at);
      this.#found({
        what: 'enforcement point: the node’s packets reach CN',
        result: 'yes',
        detail: `${later.toFixed(1)} ms after PAN[C]`,
      });
    } else {
      this.#found({ what: 'enforcement point', result: 'skipped', detail: why });
    }
    const given = await pac.line('bootstrap completed');
    this.#found({ what: 'home agent assigned', result: 'yes', detail: String(given['homeAgent']) });
    this.#found({ what: 'home address assigned', result: 'yes', detail: String(given['homeAddress']) });
  }

  /** Resolves with the time when the IKE_SA was established; undefined if there is none. */
  async #exchange(pac: DaemonProcess, authorized: LogLine): Promise<number | undefined> {
    const ike = this.#ike;
    if (!ike) {
      const detail = 'strongSwan (charon, swanctl) is not installed';
      this.#phase('PANA → IKE', { result: 'skipped', detail });
      this.#phase('IKE', { result: 'skipped', detail });
      return undefined;
    }
    const said = await Promise.race([
      pac.line('hook output', ({ line }) => String(line).startsWith('IKE_SA up')),
      pac.line('hook failed'),
    ]);
    const times = await ike.mn.times();
    const [sa] = await ike.ha.established();
    if (said.msg === 'hook failed' || !times || !sa) {
      this.#phase('IKE', { result: 'no', detail: String(said['reason'] ?? 'no IKE_SA') });
      return undefined;
    }
    const gap = Math.max(0, times.began - authorized.at);
    this.#phase('PANA → IKE', { result: 'yes', milliseconds: gap });
    this.#phase('IKE', {
      result: 'yes',
      milliseconds: times.up - times.began,
      detail: `IKEv${sa.version}, ${sa.remoteId}, key from the MSK`,
    });
    await this.#childSa(pac, sa.child);
    return times.up;
  }

  async #childSa(pac: DaemonProcess, isThere: boolean): Promise<void> {
    const what = 'CHILD_SA: the home address reaches the home link under ESP';
    if (!this.#ike?.esp) {
      this.#found({ what, result: 'skipped', detail: 'this kernel does not support ESP' });
      return;
    }
    if (whyNoMobility() === undefined) {
      this.#found({ what: 'CHILD_SA: ESP for binding updates', result: isThere ? 'yes' : 'no' });
      return;
    }
    const { homeAddress } = await pac.line('bootstrap completed');
    const prober = new Prober(this.#hosts.MN, String(homeAddress), HOME_AGENT);
    const isOpen = await prober.change('open', 0).then(
      () => true,
      () => false,
    );
    await prober.stop();
    this.#found({ what, result: isOpen ? 'yes' : 'no' });
  }

  /** Binding update and acknowledgement are encrypted with ESP. They are identified by their position after IKE. */
  async #mobility(pac: DaemonProcess, ike: number | undefined, binding: BindingWatch | undefined): Promise<void> {
    if (ike !== undefined) await Promise.race([pac.line('hook done'), pac.line('hook failed')]);
    const missing = whyNoMobility();
    const why = missing ?? (ike === undefined ? 'there is no IKE_SA' : undefined);
    if (why !== undefined || !binding || ike === undefined) {
      for (const phase of ['IKE → BU', 'BU/BA'] as const) this.#phase(phase, { result: 'skipped', detail: why ?? '' });
      return;
    }
    const update = await binding.first('out', ike);
    this.#phase('IKE → BU', update === undefined ? { result: 'no' } : { result: 'yes', milliseconds: update - ike });
    const answer = update === undefined ? undefined : await binding.first('in', update);
    this.#phase(
      'BU/BA',
      update === undefined || answer === undefined
        ? { result: 'no', detail: 'no answer from the home agent' }
        : { result: 'yes', milliseconds: answer - update },
    );
  }

  /** Tests a new key while traffic flows. */
  async #again(pac: DaemonProcess, prober: Prober): Promise<void> {
    const [before] = (await this.#ike?.ha.established()) ?? [];
    await callDaemon(this.#lab.socket('mn1'), 'POST', '/reauth');
    const { at } = await pac.line('session reauthenticated');
    await pac.line('hook done', ({ event }) => event === 'refresh');
    const detail = prober.pause > 0 ? `packets paused for ${Math.round(prober.pause)} ms` : 'no pause in the packets';
    if (!this.#ike) {
      this.#found({ what: 're-authentication: another key', result: 'yes', detail });
      return;
    }
    const [now] = await this.#ike.ha.established();
    const times = await this.#ike.mn.times();
    const isAnother = now !== undefined && now.id !== before?.id;
    this.#found({
      what: 're-authentication: another key, another IKE_SA',
      result: isAnother ? 'yes' : 'no',
      detail: times ? `${Math.round(times.up - at)} ms after it; ${detail}` : detail,
    });
  }

  async #over(pac: DaemonProcess, aaa: DaemonProcess, prober: Prober): Promise<void> {
    this.#options.say('Ending the session …');
    const began = Date.now();
    await pac.stop();
    const { at } = await aaa.line('lease released');
    this.#found({ what: 'after: the home address is free again', result: 'yes', detail: since(at, began) });
    if (this.#enforcement.why === undefined) {
      const closed = await prober.change('closed', began - 1000);
      this.#found({ what: 'after: no packet of the node passes', result: 'yes', detail: since(closed, began) });
    }
    if (!this.#ike) return;
    const limit = performance.now() + 10_000;
    let sas = await this.#ike.ha.established();
    while (sas.length > 0 && performance.now() < limit) {
      await sleep(20);
      sas = await this.#ike.ha.established();
    }
    this.#found({ what: 'after: no IKE_SA is left', result: sas.length === 0 ? 'yes' : 'no' });
  }

  #lookAround(): string {
    const on = (host: NetworkHost, command = '') => `  sh ${host.enter} ${command}`.trimEnd();
    const { MN, AR, HA } = this.#hosts;
    return [
      `  pana-pac status --control.socket ${this.#lab.socket('mn1')}`,
      `  pana-paa session list --control.socket ${this.#lab.socket('paa')}`,
      `  pana-aaa lease list -c ${this.#lab.path('aaa.yaml')}`,
      on(AR, this.#enforcement.show),
      on(HA, 'swanctl --list-sas'),
      on(MN),
    ].join('\n');
  }
}

/** Why Mobile IPv6 is unavailable here, or cannot be tested; undefined if it is available. */
function whyNoMobility(): string | undefined {
  const missing = ['mip6d', 'radvd', 'tcpdump'].filter((name) => !hasProgram(name));
  return missing.length > 0 ? `not installed: ${missing.join(', ')}` : undefined;
}

function since(at: number, began: number): string {
  return `${Math.max(0, Math.round(at - began))} ms after the node received SIGTERM`;
}
