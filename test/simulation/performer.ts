import { join } from 'node:path';
import { plainSubscriber } from '../../src/protocol/home/records.js';
import { encodePana, MESSAGE_TYPE } from '../../src/protocol/pana/wire/codec.js';
import type { HomeAgentChange, SubscriberChange } from '../../src/store/records.js';
import { Dice } from './clock.js';
import { credentials, writeFiles } from './credentials.js';
import { GOOD_LINK, STRANGE } from './links.js';
import type { NodeMachine, PaaMachine, ServerMachine } from './machines.js';
import { linkOfPaa, PANA_PORT, paaAddress } from './machines.js';
import type { Happening } from './plan.js';
import { GOOD_PROGRAMS } from './programs.js';
import type { World } from './world.js';

type AnyMachine = NodeMachine | PaaMachine | ServerMachine;

/** How often an operator repeats a failed request, in milliseconds. */
const OPERATOR_RETRY = 3_000;

/** Applies the events of a plan to a world and undoes them. */
export class Performer {
  readonly #world: World;
  readonly #dice: Dice;
  readonly #revoked = new Set<number>();
  /** The latest request to the store for each subject that has not succeeded yet. */
  readonly #wishes = new Map<string, { readonly operation: string; readonly given: object }>();
  #crls = 1;
  #imports = 0;

  constructor(world: World) {
    this.#world = world;
    this.#dice = new Dice(world.seed ^ 0x2545f491);
  }

  perform(event: Happening): void {
    const world = this.#world;
    world.trace.note('world', 'world', event.type, 0, JSON.stringify(event));
    switch (event.type) {
      case 'link':
        world.links.become(linkOfPaa(event.paa), event.quality);
        this.#later(event.lasts, () => world.links.become(linkOfPaa(event.paa), GOOD_LINK));
        break;
      case 'cut':
        world.connections.cut(this.#server(event.server)?.life);
        break;
      case 'stall':
        world.connections.stall(this.#server(event.server)?.life);
        this.#later(event.lasts, () => world.connections.goOn());
        break;
      case 'unreachable':
        world.connections.isDown = true;
        world.connections.cut();
        this.#later(event.lasts, () => {
          world.connections.isDown = false;
        });
        break;
      case 'kill':
        this.#with(event.machine, (machine) => {
          world.doom(machine, event.effects, event.silent);
          this.#later(event.lasts, () => {
            world.spare(machine);
            void machine.start();
          });
        });
        break;
      case 'stop':
        this.#with(event.machine, (machine) => {
          void machine.stop();
          this.#later(event.lasts, () => void machine.start());
        });
        break;
      case 'store':
        world.store.condition = event.condition;
        this.#later(event.lasts, () => {
          world.store.condition = 'well';
        });
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
      case 'renumber':
        this.#node(event.node).renumber();
        break;
      case 'detach': {
        const node = this.#node(event.node);
        node.moveTo(undefined);
        this.#later(event.lasts, () => node.renumber());
        break;
      }
      case 'sleep': {
        const { life } = this.#node(event.node);
        life?.sleep();
        this.#later(event.lasts, () => life?.wake());
        break;
      }
      case 'certificate': {
        const node = this.#node(event.node);
        void node.present(event.choice).catch(() => undefined);
        this.#later(event.lasts, () => void node.present('own').catch(() => undefined));
        break;
      }
      case 'strangers':
        this.#strangers(event.paa, event.count);
        break;
      case 'programs':
        world.programs.trouble = event.trouble;
        this.#later(event.lasts, () => {
          world.programs.trouble = GOOD_PROGRAMS;
        });
        break;
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
        this.#subscriber(event.node, { enabled: false });
        this.#later(event.lasts, () => this.#subscriber(event.node, { enabled: true }));
        break;
      case 'revoke':
        this.#revoke(event.node, true);
        this.#later(event.lasts, () => this.#revoke(event.node, false));
        break;
      case 'agent':
        this.#agent(event.agent, { state: event.state });
        this.#later(event.lasts, () => this.#agent(event.agent, { state: 'up' }));
        break;
      case 'dead-agent': {
        const address = `2001:db8:${event.agent}::1`;
        effects.deadAgents.add(address);
        this.#later(event.lasts, () => effects.deadAgents.delete(address));
        break;
      }
      case 'disconnect':
      case 'reauthenticate': {
        const route = event.type === 'disconnect' ? 'POST /session/disconnect' : 'POST /session/reauth';
        void this.#ask(route, { of: this.#node(event.node).nai });
        break;
      }
      case 'release':
        void this.#ask('POST /store', {
          operation: 'releaseLease',
          arguments: { of: this.#node(event.node).nai, force: true },
        });
        break;
      case 'import':
        void this.#import(event.count);
        break;
    }
  }

  /** Undoes all remaining events and starts the daemons that do not run. */
  async heal(): Promise<void> {
    const world = this.#world;
    for (const { link } of world.paas) world.links.become(link, GOOD_LINK);
    world.connections.isDown = false;
    world.connections.goOn();
    world.store.condition = 'well';
    world.programs.trouble = GOOD_PROGRAMS;
    world.effects.deadAgents.clear();
    for (const machine of world.machines) {
      world.spare(machine);
      machine.life?.wake();
      await world.complete(machine.start());
    }
    for (const node of world.nodes) {
      if (node.address === undefined) node.renumber();
      if (node.certificate !== 'own') await world.complete(node.present('own').catch(() => undefined));
      this.#subscriber(node.number, { enabled: true });
    }
    this.#revoked.clear();
    this.#writeCrl();
    for (let agent = 1; agent <= world.options.homeAgents; agent += 1) this.#agent(agent, { state: 'up' });
  }

  // ------------------------------------------------------------------------------------------------------ operators

  #subscriber(node: number, change: SubscriberChange): void {
    this.#want(`subscriber ${node}`, 'changeSubscriber', { nai: this.#node(node).nai, change });
  }

  #agent(agent: number, change: HomeAgentChange): void {
    this.#want(`agent ${agent}`, 'changeHomeAgent', { name: `ha${agent}`, change });
  }

  /** Repeats a request until it succeeds or a newer one replaces it. */
  #want(subject: string, operation: string, given: object): void {
    const wish = { operation, given };
    this.#wishes.set(subject, wish);
    const attempt = async () => {
      if (this.#wishes.get(subject) !== wish) return;
      const isDone = await this.#ask('POST /store', { operation, arguments: given });
      if (isDone) return;
      this.#later(OPERATOR_RETRY, () => void attempt());
    };
    void attempt();
  }

  /** Sends a request to a running server; resolves to whether it succeeded. */
  async #ask(route: string, body: object): Promise<boolean> {
    const running = this.#world.servers.filter(({ isRunning }) => isRunning);
    if (running.length === 0) return false;
    return this.#dice
      .pick(running)
      .ask(route, { who: 'operator', ...body })
      .then(
        () => true,
        () => false,
      );
  }

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

  async #import(count: number): Promise<void> {
    this.#imports += 1;
    const importId = `import${this.#imports}`;
    const rows = Array.from({ length: count }, (_, i) => ({
      line: i + 1,
      subscriber: plainSubscriber(`extra${this.#imports}-${i}@home.example`),
    }));
    await this.#ask('POST /store', { operation: 'stageImport', arguments: { importId, rows } });
    await this.#ask('POST /store', { operation: 'finishImport', arguments: { importId, update: false } });
  }

  // ------------------------------------------------------------------------------------------------------ strangers

  #strangers(paa: number, count: number): void {
    const to = { address: paaAddress(paa), port: PANA_PORT };
    const pci = encodePana({ type: MESSAGE_TYPE.PCI, flags: 0, sessionId: 0, sequence: 0, avps: [] });
    for (let i = 0; i < count; i += 1) {
      const address = `${linkOfPaa(paa)}${STRANGE}${this.#dice.whole(1, 50).toString(16)}`;
      const octets = this.#dice.chance(0.5) ? pci : this.#dice.octets(this.#dice.whole(0, 200));
      this.#world.links.inject(octets, { address, port: 40_000, local: '' }, to);
    }
  }

  // ------------------------------------------------------------------------------------------------------- machines

  #later(milliseconds: number, action: () => void): void {
    this.#world.clock.after(milliseconds, action);
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
