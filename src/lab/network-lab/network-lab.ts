import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DIAMETER_PORT } from '../../protocol/diameter/wire/ports.js';
import { PANA_PORT } from '../../protocol/pana/wire/ports.js';
import type { LogLine } from '../../runtime/cli/ladder.js';
import { callDaemon } from '../../runtime/service/control.js';
import { OperatorError } from '../../runtime/system/failure.js';
import type { DaemonProcess } from '../daemon-process.js';
import { HOME_AGENT, hookPath, Lab, REALM } from '../lab.js';
import { charonProgram, HostCharon, hasEsp } from './charon.js';
import { hasProgram, link, makeFolder, NetworkHost, removeLeftovers } from './hosts.js';
import { type Finding, PHASES, type Phase } from './report.js';
import { BindingWatch, Echo, Prober } from './traffic.js';

const NODE = '2001:db8:a::11';
const ROUTER = '2001:db8:a::1';
const ROUTER_INSIDE = '2001:db8:b::1';
const HOME = '2001:db8:b::2';
const HOME_OUTSIDE = '2001:db8:c::1';
const CORRESPONDENT = '2001:db8:c::2';
const NAI = `mn1@${REALM}`;

const PICTURE = `
   MN ─────────────── AR ─────────────── HA ─────────────── CN
   pana-pac           pana-paa           pana-aaa           a correspondent
   strongSwan         nftables           strongSwan
   …:a::11      …:a::1  …:b::1     …:b::2  …:c::1     …:c::2        (2001:db8)
                                         home link 2001:db8:1::/64`;

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
  const lab = new NetworkLab(folder, options);
  const ended = new Promise<never>((_, reject) => {
    options.signal.addEventListener('abort', () => reject(new OperatorError('interrupted')));
  });
  try {
    return await Promise.race([lab.run(), ended]);
  } finally {
    await lab.close();
  }
}

class NetworkLab {
  readonly #folder: string;
  readonly #options: NetworkLabOptions;
  readonly #findings: Finding[] = [];
  /** Clean-up actions, run in reverse order. */
  readonly #ends: (() => Promise<unknown>)[] = [];
  #closed = false;
  #lab!: Lab;
  #hosts!: Readonly<Record<'MN' | 'AR' | 'HA' | 'CN', NetworkHost>>;
  #charons: { readonly mn: HostCharon; readonly ha: HostCharon } | undefined;
  #esp = false;

  constructor(folder: string, options: NetworkLabOptions) {
    this.#folder = folder;
    this.#options = options;
  }

  /** Returns the findings. If a step fails, the failure is the last finding. */
  async run(): Promise<Finding[]> {
    try {
      await this.#goThrough();
    } catch (error) {
      // The lab is being removed, so failures are expected.
      if (this.#closed) return this.#findings;
      const [reason = '', ...more] = (error as Error).message.split('\n');
      this.#options.say(more.join('\n').trim());
      this.#found({ what: 'further steps', result: 'no', detail: reason });
    }
    return this.#findings;
  }

  async #goThrough(): Promise<void> {
    const { say } = this.#options;
    say(`Four hosts, each a network namespace:\n${PICTURE}\n`);
    this.#lab = await this.#make();
    await this.#build();
    await this.#startIke();
    say('Starting pana-aaa in the home network and pana-paa on the access router …');
    const { daemon: aaa, place } = await this.#lab.startAaa('aaa', {
      diameter: { listen: [HOME], port: DIAMETER_PORT },
    });
    await this.#lab.administer('aaa', 'changeHomeAgent', { name: 'ha1', change: { ike: ['ikev2'] } });
    const ep = hookPath(hasProgram('nft') ? 'ep-nft.sh' : 'ep-list.sh');
    const { daemon: paa } = await this.#lab.startPaa(place, 'paa', {
      pana: { listen: [ROUTER], port: PANA_PORT, interface: 'ar0' },
      hooks: { ep, 'ep-batch': true },
    });
    await this.#lab.addSubscriber(NAI, 'mn1');
    await this.#end(await Echo.start(this.#hosts.CN));
    await this.#end(await Echo.start(this.#hosts.HA));

    const prober = new Prober(this.#hosts.MN, NODE, CORRESPONDENT);
    await this.#end(prober);
    await this.#before(prober);
    const binding = whyNoMobility() === undefined ? await BindingWatch.start(this.#hosts.MN, 'mn0', NODE) : undefined;
    if (binding) await this.#end(binding);
    say('Starting pana-pac on the mobile node …');
    const pac = await this.#lab.startPac('mn1', {
      pana: { interface: 'mn0' },
      mobility: { ike: ['ikev2'], 'home-agent': 'home' },
    });
    const authorized = await pac.line('session authorized');
    await this.#pana(pac, paa, prober, authorized);
    const ike = await this.#ike(pac, authorized);
    await this.#mobility(pac, ike, binding);
    await this.#again(pac, prober);
    await this.#options.look?.(this.#lookAround());
    await this.#over(pac, aaa, prober);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const end of this.#ends.reverse()) await end().catch(() => undefined);
  }

  // ---------------------------------------------------------------------------------------------------------- set-up

  async #make(): Promise<Lab> {
    const lab = await Lab.make({
      folder: this.#folder,
      family: 'ipv6',
      launcher: (daemon) => this.#hosts[daemon === 'pac' ? 'MN' : daemon === 'paa' ? 'AR' : 'HA'].launcher,
      hookSettings: (name) => this.#hookSettings(name),
    });
    this.#ends.push(() => lab.close());
    return lab;
  }

  #hookSettings(name: string): string {
    if (name === 'paa') return '';
    // Nothing is started again while the lab ends its programs.
    const lines = ['IKE=strongswan', `MOBILITY=${whyNoMobility() === undefined ? 'umip' : 'none'}`, 'WATCH=no'];
    lines.push(`INTERFACE=${name === 'mn1' ? 'mn0' : 'home0'}`);
    if (!this.#charons) lines.push('DRY_RUN=yes');
    if (!this.#esp) lines.push('CHILD_SA=no');
    return `${lines.join('\n')}\n`;
  }

  /** Registers a part that is stopped when the lab ends. */
  async #end(part: { stop(): Promise<unknown> }): Promise<void> {
    this.#ends.push(() => part.stop());
    // The clean-up began while the part was starting.
    if (this.#closed) await part.stop();
  }

  async #host(name: string): Promise<NetworkHost> {
    const host = await NetworkHost.make(name, join(this.#folder, 'hosts'));
    await this.#end({ stop: () => host.remove() });
    return host;
  }

  async #build(): Promise<void> {
    const hosts = {
      MN: await this.#host('MN'),
      AR: await this.#host('AR'),
      HA: await this.#host('HA'),
      CN: await this.#host('CN'),
    };
    this.#hosts = hosts;
    const { MN, AR, HA, CN } = hosts;
    await link([MN, 'mn0', `${NODE}/64`], [AR, 'ar0', `${ROUTER}/64`]);
    await link([AR, 'ar1', `${ROUTER_INSIDE}/64`], [HA, 'ha0', `${HOME}/64`]);
    await link([HA, 'ha1', `${HOME_OUTSIDE}/64`], [CN, 'cn0', `${CORRESPONDENT}/64`]);
    await HA.ip('link add home0 type bridge');
    await HA.ip('link set home0 up');
    await HA.ip(`address add ${HOME_AGENT}/64 dev home0 nodad`);
    for (const router of [AR, HA]) await router.set('ipv6/conf/all/forwarding', 1);
    await MN.ip(`route add default via ${ROUTER}`);
    await AR.ip(`route add default via ${HOME}`);
    await HA.ip(`route add 2001:db8:a::/64 via ${ROUTER_INSIDE}`);
    await CN.ip(`route add default via ${HOME_OUTSIDE}`);
  }

  async #startIke(): Promise<void> {
    const program = charonProgram();
    if (program === undefined) return;
    this.#options.say('Starting strongSwan on the mobile node and on the home agent …');
    this.#esp = await hasEsp(this.#hosts.MN.namespace);
    const mn = await HostCharon.start(this.#hosts.MN, program);
    await this.#end(mn);
    const ha = await HostCharon.start(this.#hosts.HA, program);
    await this.#end(ha);
    this.#charons = { mn, ha };
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
    if (hasProgram('nft')) this.#found({ what, result: (await prober.first()) === 'closed' ? 'yes' : 'no' });
    else this.#found({ what, result: 'skipped', detail: 'nftables is not installed' });
  }

  async #pana(pac: DaemonProcess, paa: DaemonProcess, prober: Prober, authorized: LogLine): Promise<void> {
    this.#phase('PANA', {
      result: 'yes',
      milliseconds: Number(authorized.duration),
      detail: `EAP-TLS, PANA protected with ${String(authorized['protection'])}`,
    });
    await paa.line('hook done', ({ event }) => event === 'permit');
    if (hasProgram('nft')) {
      const opened = await prober.change('open', 0);
      const later = Math.max(0, opened - authorized.at);
      this.#found({
        what: 'enforcement point: the node’s packets reach CN',
        result: 'yes',
        detail: `${later.toFixed(1)} ms after PAN[C]`,
      });
    } else {
      this.#found({ what: 'enforcement point', result: 'skipped', detail: 'nftables is not installed' });
    }
    const given = await pac.line('bootstrap completed');
    this.#found({ what: 'home agent assigned', result: 'yes', detail: String(given['homeAgent']) });
    this.#found({ what: 'home address assigned', result: 'yes', detail: String(given['homeAddress']) });
  }

  /** Resolves with the time when the IKE_SA was established; undefined if there is none. */
  async #ike(pac: DaemonProcess, authorized: LogLine): Promise<number | undefined> {
    const charons = this.#charons;
    if (!charons) {
      const detail = 'strongSwan (charon, swanctl) is not installed';
      this.#phase('PANA → IKE', { result: 'skipped', detail });
      this.#phase('IKE', { result: 'skipped', detail });
      return undefined;
    }
    const said = await Promise.race([
      pac.line('hook output', ({ line }) => String(line).startsWith('IKE_SA up')),
      pac.line('hook failed'),
    ]);
    const times = await charons.mn.times();
    const [sa] = await charons.ha.established();
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
    if (!this.#esp) {
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
    const [before] = (await this.#charons?.ha.established()) ?? [];
    await callDaemon(this.#lab.socket('mn1'), 'POST', '/reauth');
    const { at } = await pac.line('session reauthenticated');
    await pac.line('hook done', ({ event }) => event === 'refresh');
    const detail = prober.pause > 0 ? `packets paused for ${Math.round(prober.pause)} ms` : 'no pause in the packets';
    if (!this.#charons) {
      this.#found({ what: 're-authentication: another key', result: 'yes', detail });
      return;
    }
    const [now] = await this.#charons.ha.established();
    const times = await this.#charons.mn.times();
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
    if (hasProgram('nft')) {
      const closed = await prober.change('closed', began - 1000);
      this.#found({ what: 'after: no packet of the node passes', result: 'yes', detail: since(closed, began) });
    }
    if (!this.#charons) return;
    const limit = performance.now() + 10_000;
    let sas = await this.#charons.ha.established();
    while (sas.length > 0 && performance.now() < limit) {
      await sleep(20);
      sas = await this.#charons.ha.established();
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
      on(AR, 'nft list table inet pana_ep'),
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
