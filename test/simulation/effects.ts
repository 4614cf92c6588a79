import type { ProgramRun } from './programs.js';

/** A home address that a home agent's program has set up. */
export interface HomeBinding {
  readonly nai: string;
  readonly key: string | undefined;
}

/** A binding that a mobile node's program has set up. */
export interface NodeBinding {
  readonly homeAgent: string;
  readonly homeAddress: string;
  readonly key: string | undefined;
}

/** What the programs of a world have set up at home agents, mobile nodes and enforcement points. */
export class Effects {
  /** By home address. */
  readonly homeAddresses = new Map<string, HomeBinding>();
  /** By machine. */
  readonly nodes = new Map<string, NodeBinding>();
  /** The permitted addresses and their sessions, by machine of the PAA. */
  readonly admitted = new Map<string, Map<string, string>>();
  /** Number of runs of enforcement point programs that have taken effect. */
  admissions = 0;
  /** Addresses of home agents that do not answer. */
  readonly deadAgents = new Set<string>();

  /** Applies the effect of a program; false: the program fails. */
  apply(run: ProgramRun): boolean {
    switch (run.program) {
      case 'mn':
        this.#node(run);
        return true;
      case 'ha':
        this.#homeAgent(run);
        return true;
      case 'services':
        return true;
      case 'ep':
        this.#enforcementPoint(run);
        return true;
      default:
        return !this.deadAgents.has(run.environment['MIP6_HA'] ?? '');
    }
  }

  #node({ machine, event, environment, key }: ProgramRun): void {
    const { MIP6_HA: homeAgent = '', MIP6_HOA: homeAddress = '' } = environment;
    if (event === 'down') this.nodes.delete(machine);
    else if (event === 'up' || event === 'refresh') this.nodes.set(machine, { homeAgent, homeAddress, key });
  }

  #homeAgent({ event, environment, key }: ProgramRun): void {
    const { MIP6_HOA: homeAddress = '', MIP6_MN_ID: nai = '' } = environment;
    if (event === 'down') {
      // If the address belongs to another subscriber now, its binding stays.
      if (this.homeAddresses.get(homeAddress)?.nai === nai) this.homeAddresses.delete(homeAddress);
    } else this.homeAddresses.set(homeAddress, { nai, key });
  }

  #enforcementPoint({ machine, event, environment, input = '' }: ProgramRun): void {
    this.admissions += 1;
    const admitted = this.admitted.get(machine) ?? new Map<string, string>();
    this.admitted.set(machine, admitted);
    if (event === 'start' || event === 'stop') admitted.clear();
    if (event === 'batch' || event === 'start') {
      for (const line of input.split('\n')) {
        const [word = '', ...assignments] = line.split(' ');
        if (word !== '') this.#admission(admitted, word, Object.fromEntries(assignments.map((one) => one.split('='))));
      }
    } else this.#admission(admitted, event, environment);
  }

  #admission(admitted: Map<string, string>, event: string, values: Readonly<Record<string, string>>): void {
    const { MIP6_COA: address, MIP6_COA_OLD: former, MIP6_SESSION: session = '' } = values;
    if (event === 'move' && former !== undefined) admitted.delete(former);
    if (address === undefined) return;
    if (event === 'permit' || event === 'move') admitted.set(address, session);
    if (event === 'revoke') admitted.delete(address);
  }
}
