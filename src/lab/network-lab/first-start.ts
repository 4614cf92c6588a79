import type { LogLine } from '../../runtime/cli/ladder.js';
import type { DaemonProcess } from '../daemon-process.js';
import { type Discovery, type Installation, lineSince, STEP_LIMIT } from './installation.js';
import { CORRESPONDENT, NODE_INTERFACE } from './network.js';
import { NodeTraffic } from './pings.js';
import { type Finding, PHASES, type Phase } from './report.js';
import { BindingWatch, Prober } from './traffic.js';

/** A node whose session is established. */
export interface StartedNode {
  readonly n: number;
  readonly pac: DaemonProcess;
  readonly homeAddress: string;
  readonly discovery: Discovery;
  /** Undefined: no traffic reaches the home address here. */
  readonly traffic: NodeTraffic | undefined;
}

/** When the steps of the first start happened, in milliseconds since 1970. */
export interface StartTimes {
  /** First PCI. */
  readonly began: number;
  /** PAN[C]. */
  readonly authorized: number;
  /** The node's packets pass the enforcement point. */
  opened?: number;
  /** First message of IKE, and IKE_SA established. */
  ikeBegan?: number;
  ikeUp?: number;
  /** Binding update and acknowledgement. */
  update?: number;
  acknowledged?: number;
}

/** The first node starts: the phases of the paper, one after another. */
export class FirstStart {
  readonly #made: Installation;
  readonly #found: (finding: Finding) => void;

  constructor(made: Installation, found: (finding: Finding) => void) {
    this.#made = made;
    this.#found = found;
  }

  async run(say: (text: string) => void): Promise<{ readonly node: StartedNode; readonly times: StartTimes }> {
    const { network, abilities, cleanUp } = this.#made;
    await network.plug(1, 'a');
    const careOf = await network.careOf(1);
    const prober = await cleanUp.add(new Prober(network.node(1), careOf, CORRESPONDENT));
    await this.#before(prober);
    const binding =
      abilities.noMobility === undefined
        ? await cleanUp.add(await BindingWatch.start(network.node(1), NODE_INTERFACE, careOf))
        : undefined;
    say('Starting pana-pac on MN1 …');
    const pac = await this.#made.startPac(1, 'global');
    const authorized = await lineSince(pac, 'session authorized', 0);
    const times: StartTimes = { began: authorized.at - Number(authorized.duration), authorized: authorized.at };
    await this.#pana(pac, prober, authorized, times);
    await this.#exchange(pac, times);
    await this.#mobility(pac, binding, times);
    const home = String((await pac.line('bootstrap completed'))['homeAddress']);
    const traffic = await this.#traffic(home, times);
    return { node: { n: 1, pac, homeAddress: home, discovery: 'global', traffic }, times };
  }

  #phase(phase: Phase, finding: Omit<Finding, 'phase' | 'what'>): void {
    this.#found({ phase, what: PHASES[phase].what, ...finding });
  }

  async #before(prober: Prober): Promise<void> {
    const what = 'before: no packet of the node passes the router';
    const { why } = this.#made.abilities.enforcement;
    if (why !== undefined) this.#found({ what, result: 'skipped', detail: why });
    else this.#found({ what, result: (await prober.first()) === 'closed' ? 'yes' : 'no' });
  }

  async #pana(pac: DaemonProcess, prober: Prober, authorized: LogLine, times: StartTimes): Promise<void> {
    this.#phase('PANA', {
      result: 'yes',
      milliseconds: times.authorized - times.began,
      detail: `EAP-TLS, PANA protected with ${String(authorized['protection'])}`,
    });
    const { hook, why } = this.#made.abilities.enforcement;
    if (why !== undefined) this.#found({ what: 'enforcement point', result: 'skipped', detail: why });
    else {
      const opened = await prober.change('open', 0);
      times.opened = Math.max(opened, times.authorized);
      this.#found({
        what: 'enforcement point: the node’s packets reach CN',
        result: 'yes',
        detail: `${(times.opened - times.authorized).toFixed(1)} ms after PAN[C], ${hook}`,
      });
    }
    // Its packets would delay the next phases.
    await prober.stop();
    const given = await pac.line('bootstrap completed');
    this.#found({ what: 'home agent assigned', result: 'yes', detail: String(given['homeAgent']) });
    this.#found({ what: 'home address assigned', result: 'yes', detail: String(given['homeAddress']) });
  }

  async #exchange(pac: DaemonProcess, times: StartTimes): Promise<void> {
    const { charons } = this.#made;
    if (!charons) {
      const detail = 'strongSwan (charon, swanctl) is not installed';
      this.#phase('PANA → IKE', { result: 'skipped', detail });
      this.#phase('IKE', { result: 'skipped', detail });
      return;
    }
    // A failed hook is run again by the daemon.
    const isUp = await pac
      .line('hook output', ({ line }) => String(line).startsWith('IKE_SA up'), STEP_LIMIT)
      .then(() => true, unlessExited(pac));
    const failures = pac.lines.filter(({ msg }) => msg === 'hook failed');
    const found = await charons.nodes.get(1)?.times();
    const [sa] = await this.#made.ikeSas(1);
    if (!isUp || !found || !sa) {
      this.#phase('IKE', { result: 'no', detail: String(failures.at(-1)?.['reason'] ?? 'no IKE_SA') });
      return;
    }
    const tries = failures.length === 0 ? '' : `, after ${failures.length} failed runs of the hook`;
    times.ikeBegan = Math.max(found.began, times.authorized);
    times.ikeUp = found.up;
    this.#phase('PANA → IKE', { result: 'yes', milliseconds: times.ikeBegan - times.authorized });
    this.#phase('IKE', {
      result: 'yes',
      milliseconds: found.up - found.began,
      detail: `IKEv${sa.version}, ${sa.remoteId}, key from the MSK${tries}`,
    });
    const { esp } = this.#made.abilities;
    const what = 'CHILD_SA: ESP between the node and the home agent';
    if (esp === undefined) this.#found({ what, result: 'skipped', detail: 'there is no ESP here' });
    else
      this.#found({ what, result: sa.child ? 'yes' : 'no', detail: esp === 'kernel' ? 'in the kernel' : 'in charon' });
  }

  /** Binding update and acknowledgement are encrypted with ESP. They are identified by their position after IKE. */
  async #mobility(pac: DaemonProcess, binding: BindingWatch | undefined, times: StartTimes): Promise<void> {
    const why = this.#made.abilities.noMobility ?? (times.ikeUp === undefined ? 'there is no IKE_SA' : undefined);
    if (why !== undefined || !binding || times.ikeUp === undefined) {
      for (const phase of ['IKE → BU', 'BU/BA'] as const) this.#phase(phase, { result: 'skipped', detail: why ?? '' });
      return;
    }
    await pac.line('hook done', () => true, STEP_LIMIT).catch(unlessExited(pac));
    const update = await binding.first('out', times.ikeUp);
    if (update === undefined) {
      this.#phase('IKE → BU', { result: 'no', detail: 'the node sent no binding update' });
      this.#phase('BU/BA', { result: 'no' });
      return;
    }
    times.update = update;
    this.#phase('IKE → BU', { result: 'yes', milliseconds: update - times.ikeUp });
    const answer = await binding.first('in', update);
    if (answer === undefined) {
      this.#phase('BU/BA', { result: 'no', detail: 'no answer from the home agent' });
      return;
    }
    times.acknowledged = answer;
    this.#phase('BU/BA', { result: 'yes', milliseconds: answer - update });
  }

  async #traffic(home: string, times: StartTimes): Promise<NodeTraffic | undefined> {
    const { network, cleanUp, abilities } = this.#made;
    const what = 'traffic between home address and CN, both directions';
    if (abilities.esp === undefined || times.ikeUp === undefined) {
      this.#found({ what, result: 'skipped', detail: 'it needs ESP' });
      return undefined;
    }
    const began = Date.now();
    const traffic = await NodeTraffic.start(cleanUp, network, 1, home);
    const flows = await traffic.flows(began, STEP_LIMIT);
    this.#found({ what, result: flows ? 'yes' : 'no' });
    return flows ? traffic : undefined;
  }
}

/** Starts a further node. Rejects if it gets no session. */
export async function startNode(made: Installation, n: number): Promise<StartedNode> {
  const { network, cleanUp, abilities } = made;
  await network.plug(n, 'a');
  await network.careOf(n);
  const pac = await made.startPac(n, 'link-local');
  const given = await lineSince(pac, 'bootstrap completed', 0);
  await lineSince(pac, 'hook done', 0, ({ event }) => event === 'up');
  const homeAddress = String(given['homeAddress']);
  const traffic = abilities.esp === undefined ? undefined : await NodeTraffic.start(cleanUp, network, n, homeAddress);
  return { n, pac, homeAddress, discovery: 'link-local', traffic };
}

/** For a wait that may fail while the daemon runs: resolves with false. Rejects if the daemon has ended. */
function unlessExited(daemon: DaemonProcess): (error: Error) => false {
  return (error) => {
    if (!daemon.isRunning) throw error;
    return false;
  };
}
