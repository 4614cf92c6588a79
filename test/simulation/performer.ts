import { join } from 'node:path';
import { Dice } from './clock.js';
import { type CertificateChoice, credentials, writeFiles } from './credentials.js';
import { GOOD_LINK } from './links.js';
import type { NodeMachine, PaaMachine, ServerMachine } from './machines.js';
import { linkOfPaa } from './machines.js';
import { Operators } from './operators.js';
import type { Happening } from './plan.js';
import { GOOD_PROGRAMS } from './programs.js';
import { Strangers } from './strangers.js';
import type { World } from './world.js';

type AnyMachine = NodeMachine | PaaMachine | ServerMachine;

/** Applies the events of a plan to a world and undoes them. */
export class Performer {
  readonly #world: World;
  readonly #dice: Dice;
  readonly #operators: Operators;
  readonly #strangers: Strangers;
  readonly #revoked = new Set<number>();
  /** For each subject, the functions that begin its states that are still in force, the newest last. */
  readonly #states = new Map<string, readonly (() => void)[]>();
  #crls = 1;

  /** `bounded` is called when strangers cause more work than they may. */
  constructor(world: World, bounded: (detail: string) => void) {
    this.#world = world;
    this.#dice = new Dice(world.seed ^ 0x2545f491);
    this.#operators = new Operators(world, this.#dice);
    this.#strangers = new Strangers(world, this.#dice, bounded);
  }

  perform(event: Happening): void {
    const world = this.#world;
    world.trace.note('world', 'world', event.type, 0, JSON.stringify(event));
    switch (event.type) {
      case 'link':
        this.#lasting(
          `link ${event.paa}`,
          event.lasts,
          () => world.links.become(linkOfPaa(event.paa), event.quality),
          () => world.links.become(linkOfPaa(event.paa), GOOD_LINK),
        );
        break;
      case 'cut':
        world.connections.cut(this.#server(event.server)?.life);
        break;
      case 'stall': {
        const { life } = this.#server(event.server) ?? {};
        this.#lasting(
          `stall ${event.server}`,
          event.lasts,
          () => world.connections.stall(life),
          () => world.connections.goOn(life),
        );
        break;
      }
      case 'unreachable':
        world.connections.cut();
        this.#lasting(
          'unreachable',
          event.lasts,
          () => {
            world.connections.isDown = true;
          },
          () => {
            world.connections.isDown = false;
          },
        );
        break;
      case 'repeats': {
        const { repeats } = world.connections;
        this.#lasting(
          'repeats',
          event.lasts,
          () => {
            repeats.trouble = event.repetition;
          },
          () => {
            repeats.trouble = undefined;
          },
        );
        break;
      }
      case 'kill':
        this.#with(event.machine, (machine) => {
          world.doom(machine, event.effects, event.silent);
          this.#down(machine, event.lasts);
        });
        break;
      case 'stop':
        this.#with(event.machine, (machine) => {
          void machine.stop();
          this.#down(machine, event.lasts);
        });
        break;
      case 'store':
        this.#lasting(
          'store',
          event.lasts,
          () => {
            world.store.condition = event.condition;
          },
          () => {
            world.store.condition = 'well';
          },
        );
        break;
      case 'clock':
        if (event.machine === 'store') world.storeHost.wallError += event.step;
        else
          this.#with(event.machine, ({ host }) => {
            host.wallError += event.step;
          });
        break;
      default:
        this.#performOther(event);
    }
  }

  #performOther(event: Happening): void {
    const world = this.#world;
    switch (event.type) {
      case 'move':
        this.#node(event.node).attach(event.paa);
        break;
      case 'renumber': {
        const node = this.#node(event.node);
        if (node.address !== undefined) node.renumber();
        break;
      }
      case 'detach': {
        const node = this.#node(event.node);
        node.moveTo(undefined);
        this.#lasting(
          `detach ${event.node}`,
          event.lasts,
          () => undefined,
          () => node.renumber(),
        );
        break;
      }
      case 'sleep': {
        const node = this.#node(event.node);
        node.life?.sleep();
        this.#lasting(
          `sleep ${event.node}`,
          event.lasts,
          () => undefined,
          () => node.life?.wake(),
        );
        break;
      }
      case 'certificate': {
        const node = this.#node(event.node);
        const present = (choice: CertificateChoice) => void node.present(choice).catch(() => undefined);
        this.#lasting(
          `certificate ${event.node}`,
          event.lasts,
          () => present(event.choice),
          () => present('own'),
        );
        break;
      }
      case 'strangers':
        this.#strangers.visit(event.paa, event.count);
        break;
      case 'intruders':
        this.#strangers.intrude(event.server, event.count);
        break;
      case 'programs':
        this.#lasting(
          'programs',
          event.lasts,
          () => {
            world.programs.trouble = event.trouble;
          },
          () => {
            world.programs.trouble = GOOD_PROGRAMS;
          },
        );
        break;
      case 'configure': {
        const paa = world.paas[event.paa - 1];
        this.#lasting(
          `configure ${event.paa}`,
          event.lasts,
          () => paa?.configure(event.change),
          () => paa?.configure(undefined),
        );
        break;
      }
      case 'reload':
        this.#with(event.machine, (machine) => {
          const going = 'certificate' in machine ? machine.present(machine.certificate) : machine.reload();
          void going.catch(() => undefined);
        });
        break;
      default:
        this.#operate(event);
    }
  }

  #operate(event: Happening): void {
    const { effects } = this.#world;
    switch (event.type) {
      case 'disable':
        this.#operators.enable(event.node, false);
        this.#lasting(
          `disable ${event.node}`,
          event.lasts,
          () => undefined,
          () => this.#operators.enable(event.node, true),
        );
        break;
      case 'revoke':
        this.#revoke(event.node, true);
        this.#lasting(
          `revoke ${event.node}`,
          event.lasts,
          () => undefined,
          () => this.#revoke(event.node, false),
        );
        break;
      case 'agent':
        this.#lasting(
          `agent ${event.agent}`,
          event.lasts,
          () => this.#operators.changeAgent(event.agent, { state: event.state }),
          () => this.#operators.changeAgent(event.agent, { state: 'up' }),
        );
        break;
      case 'dead-agent': {
        const address = `2001:db8:${event.agent}::1`;
        effects.deadAgents.add(address);
        this.#lasting(
          `dead ${event.agent}`,
          event.lasts,
          () => undefined,
          () => effects.deadAgents.delete(address),
        );
        break;
      }
      case 'disconnect':
      case 'reauthenticate': {
        const route = event.type === 'disconnect' ? 'POST /session/disconnect' : 'POST /session/reauth';
        void this.#operators.ask(route, { of: this.#node(event.node).nai });
        break;
      }
      case 'release':
        void this.#operators.ask('POST /store', {
          operation: 'releaseLease',
          arguments: { of: this.#node(event.node).nai, force: true },
        });
        break;
      case 'policy':
        this.#lasting(
          `policy ${event.node}`,
          event.lasts,
          () => this.#operators.set(event.node, event.policy),
          () => this.#operators.set(event.node, undefined),
        );
        break;
      case 'import':
        this.#operators.importOthers(event.count);
        break;
    }
  }

  /** Undoes all remaining events and starts the daemons that do not run. */
  async heal(): Promise<void> {
    const world = this.#world;
    this.#states.clear();
    for (const { link } of world.paas) world.links.become(link, GOOD_LINK);
    world.connections.isDown = false;
    world.connections.goOn();
    world.connections.repeats.trouble = undefined;
    world.store.condition = 'well';
    world.programs.trouble = GOOD_PROGRAMS;
    world.effects.deadAgents.clear();
    for (const paa of world.paas) if (paa.change) paa.configure(undefined);
    for (const machine of world.machines) {
      world.spare(machine);
      machine.life?.wake();
      await world.complete(machine.start());
    }
    for (const node of world.nodes) {
      if (node.address === undefined) node.renumber();
      if (node.certificate !== 'own') await world.complete(node.present('own').catch(() => undefined));
      this.#operators.restore(node.number);
    }
    this.#revoked.clear();
    this.#writeCrl();
    for (let agent = 1; agent <= world.options.homeAgents; agent += 1)
      this.#operators.changeAgent(agent, { state: 'up' });
  }

  // ---------------------------------------------------------------------------------------------------- certificates

  #revoke(node: number, isRevoked: boolean): void {
    if (isRevoked) this.#revoked.add(node);
    else this.#revoked.delete(node);
    this.#writeCrl();
  }

  #writeCrl(): void {
    const { folder, ground, material, clock } = this.#world;
    this.#crls += 1;
    const path = join(folder, 'crl.pem');
    const isRead = () => ground.versions.set(path, this.#crls);
    if (material) {
      material.revokeOnly([...this.#revoked].map((node) => material.certificateOf(node, 'own')));
      isRead();
      return;
    }
    const number = this.#crls;
    const revoked = [...this.#revoked];
    clock.standStill(
      credentials().then(async (made) => {
        const crl = await made.revoke(
          revoked.map((node) => made.certificateOf(node, 'own')),
          number,
        );
        if (number !== this.#crls) return;
        writeFiles(folder, { 'crl.pem': crl });
        isRead();
      }),
    );
  }

  // ------------------------------------------------------------------------------------------------------- machines

  #later(milliseconds: number, action: () => void): void {
    this.#world.clock.after(milliseconds, action);
  }

  /**
   * Begins a state of a subject and ends it after this time. If states of one subject overlap, the newest one that is
   * still in force applies: when one ends, it undoes no other.
   */
  #lasting(subject: string, milliseconds: number, begin: () => void, undo: () => void): void {
    const states = this.#states.get(subject) ?? [];
    this.#states.set(subject, [...states, begin]);
    begin();
    this.#later(milliseconds, () => {
      const all = this.#states.get(subject);
      if (!all?.includes(begin)) return;
      const left = all.filter((one) => one !== begin);
      this.#states.set(subject, left);
      if (all.at(-1) === begin) (left.at(-1) ?? undo)();
    });
  }

  /** Starts a machine again after this time, unless it runs then or another event keeps it down for longer. */
  #down(machine: AnyMachine, milliseconds: number): void {
    this.#lasting(
      `runs ${machine.name}`,
      milliseconds,
      () => undefined,
      () => {
        this.#world.spare(machine);
        void machine.start();
      },
    );
  }

  #node(number: number): NodeMachine {
    const node = this.#world.nodes[number - 1];
    if (!node) throw new Error(`there is no node ${number}`);
    return node;
  }

  #server(number: number): ServerMachine | undefined {
    return this.#world.servers[number - 1];
  }

  #with(name: string, action: (machine: AnyMachine) => void): void {
    const machine = this.#world.machines.find((one) => one.name === name);
    if (machine) action(machine);
  }
}
