import { describe, expect, it } from 'vitest';
import { formatAddress } from '../../../src/protocol/bytes/address.js';
import { RESULT } from '../../../src/protocol/diameter/wire/result-codes.js';
import { CAPABILITY } from '../../../src/protocol/mip6/assignment.js';
import type { NasOutput } from '../../../src/protocol/nas/alphabet.js';
import { patience, seedsOf } from '../../seed.js';
import { generator } from '../pana/session/simulation.js';
import { AaaServer } from './aaa-server.js';
import { LOCAL, NasWorld, type Node } from './nas-world.js';

/** Number of seeds. `NAS_SEEDS=5000` runs more, `NAS_SEED=17` runs only seed 17. */
const SEEDS = Number(process.env['NAS_SEEDS'] ?? 16);
const ONE = process.env['NAS_SEED'];

const NODES = 5;
/** How long the links are impaired, and how long they are good before the result is checked, in milliseconds. */
const BAD = 120_000;
const GOOD = 400_000;
/** An STR is given up after five tries in 50 s. Then only the session lifetime ends the session at the server. */
const LIFETIME = 300_000;

const LOCAL_WISH = CAPABILITY.MIP6 | CAPABILITY.LOCAL_HA | CAPABILITY.HOA_ASSIGN | CAPABILITY.IKEV2_PSK;

/** A run. All random choices follow from its seed. */
class Run {
  readonly world: NasWorld;
  readonly #random: () => number;
  /** Every STR arrives and the NAS does not restart, so servers learn of each end. */
  readonly #isReliable: boolean;
  readonly #servers: readonly AaaServer[];
  #isBad = true;
  #isTerminal = false;
  #addresses = 0;
  readonly broken: string[] = [];
  #seen = 0;

  constructor(seed: number) {
    this.#random = generator(seed ^ 0xa45);
    const loss = this.#draw() * 0.4;
    const delay = [5, 500, 5_000][Math.floor(this.#draw() * 3)] ?? 5;
    this.#isReliable = seed % 2 === 0;
    const cut = this.#isReliable ? 0 : this.#draw() * 0.3;
    const wait = this.#draw() < 0.5 ? 500 : 0;
    this.world = new NasWorld({
      seed: String(seed),
      config: { enforcement: { wait }, local: { ...LOCAL, capacity: 3 }, sessionsPerSubscriber: NODES + 2 },
      paa: { reauthenticateAt: 0.6, lifetimeGrace: 2_000, pingInterval: 15_000 },
      copies: () => (this.#isBad ? ([0, 1, 2][this.#draw() < loss ? 0 : this.#draw() < 0.1 ? 2 : 1] ?? 1) : 1),
      delay: () => 3 + (this.#isBad ? this.#draw() * delay : 0),
      diameterDelay: () => 2 + (this.#isBad ? this.#draw() * 300 : 0),
      hookTime: this.#draw() < 0.5 ? 50 : 2_000,
      requestTimeout: 4_000,
      isCut: () => this.#isBad && this.#draw() < cut,
    });
    const { server } = this.world;
    this.#servers = [server, new AaaServer('aaa2.home.example')];
    this.world.route = (host) => this.#servers.find((each) => each.host === host) ?? server;
    for (const each of this.#servers) this.#script(each);
  }

  run(): this {
    const { world } = this;
    for (let n = 0; n < NODES; n += 1) {
      const mobility = n % 2 === 0 ? ({ mode: 'wanted', wish: LOCAL_WISH } as const) : undefined;
      const pac = { pingInterval: 20_000, reauthenticateAt: 0.7, mobility };
      world.node({ address: this.#freshAddress(), pac });
    }
    while (world.now < BAD && this.broken.length === 0) {
      this.#advance(1_000);
      if (this.#draw() < 0.15) this.#happen();
    }
    this.#isBad = false;
    for (const each of this.#servers) {
      each.success = () => this.#granting();
      each.other = () => ({});
      each.sta = () => RESULT.SUCCESS;
    }
    while (world.now < BAD + GOOD && this.broken.length === 0) this.#advance(5_000);
    return this;
  }

  /** Checks that every node has a session and is admitted, and that nothing else is left. */
  judge(): void {
    const { world } = this;
    const sessions = [...world.nas.list(world.now)];
    for (const { name, session } of world.nodes) {
      if (session.sessionId === undefined) this.broken.push(`${name} has no session: ${session.state}`);
    }
    this.#equal(
      'sessions and nodes',
      sessions.map(({ sessionId }) => sessionId),
      world.nodes.map(({ session }) => session.sessionId ?? -1),
    );
    this.#equal(
      'admitted sessions and sessions',
      [...world.passing.keys()],
      sessions.map(({ sessionId }) => sessionId),
    );
    for (const { sessionId, peer } of sessions) {
      if (world.passing.get(sessionId) !== peer.address) this.broken.push('the enforcement point has another address');
    }
  }

  /** Terminates all nodes and stops the NAS. Checks that nothing is left. */
  leave(): void {
    const { world } = this;
    this.#isTerminal = true;
    for (const node of world.nodes) world.toNode(node, { type: 'terminate' });
    this.#advance(10_000);
    if (world.nas.size > 0) this.broken.push(`${world.nas.size} sessions are left`);
    if (world.passing.size > 0) this.broken.push(`${world.passing.size} are still admitted`);
    if (world.nas.localHomeAgent?.used !== 0) this.broken.push('home addresses are left');
    const told = this.#servers.reduce((sum, { sessions }) => sum + sessions.size, 0) === 0;
    if (this.#isReliable && !told) this.broken.push('a server was not informed that a session ended');
    if (world.waiting.size > 0) this.broken.push('requests are left');
    if (world.nas.deadline !== undefined) this.broken.push(`a timer is left at ${world.nas.deadline}`);
    world.feed({ type: 'stop' });
    if (world.outputs.at(-1)?.type !== 'stopped') this.broken.push('the NAS has not stopped');
  }

  #draw(): number {
    return this.#random();
  }

  #freshAddress(): string {
    this.#addresses += 1;
    return `2001:db8:a::${(0x100 + this.#addresses).toString(16)}`;
  }

  #granting() {
    return { 'Session-Timeout': LIFETIME / 1000, 'MIP6-Feature-Vector': 3n };
  }

  /** Gives a server random answers while the links are impaired. */
  #script(server: AaaServer): void {
    server.success = () => {
      const draw = this.#draw();
      if (draw < 0.05) return 'silent';
      if (draw < 0.1) return { 'Auth-Request-Type': 1 };
      if (draw < 0.15) return { 'EAP-Master-Session-Key': undefined };
      if (draw < 0.2) return { 'Result-Code': 5003, 'EAP-Payload': undefined, 'EAP-Master-Session-Key': undefined };
      if (draw < 0.3) return { ...this.#granting(), 'Session-Server-Failover': 1 };
      if (draw < 0.4) return { ...this.#granting(), 'MIP6-Feature-Vector': 1n };
      return this.#granting();
    };
    server.other = () => {
      const draw = this.#draw();
      if (draw < 0.03) return 'silent';
      if (draw < 0.06) return { 'Result-Code': 3004, 'EAP-Payload': undefined };
      if (draw < 0.08) return { 'Result-Code': 4001, 'EAP-Payload': undefined };
      return {};
    };
    if (!this.#isReliable)
      server.sta = () => (this.#draw() < 0.2 ? 'silent' : this.#draw() < 0.1 ? RESULT.TOO_BUSY : RESULT.SUCCESS);
  }

  #happen(): void {
    const { world } = this;
    const node = world.nodes[Math.floor(this.#draw() * world.nodes.length)];
    const sessions = [...world.nas.list(world.now)];
    const session = sessions[Math.floor(this.#draw() * sessions.length)];
    const draw = this.#draw();
    if (!node) return;
    if (draw < 0.2) this.#move(node);
    else if (draw < 0.3) world.reboot(node);
    else if (draw < 0.4) world.toNode(node, { type: 'terminate' });
    else if (draw < 0.5) world.toNode(node, { type: 'reauthenticate' });
    else if (draw < 0.6) world.ask('ASR', session?.diameterSession);
    else if (draw < 0.7) world.ask('RAR', session?.diameterSession);
    else if (draw < 0.75 && !this.#isReliable) world.restart();
    else if (session) {
      const command = (['terminate', 'reauthenticate', 'ping', 'abandon'] as const)[Math.floor(this.#draw() * 4)];
      if (command) world.feed({ type: 'command', sessionId: session.sessionId, command });
    }
  }

  #move(node: Node): void {
    node.place = { ...node.place, address: this.#freshAddress() };
    if (node.session.protected) this.world.toNode(node, { type: 'moved' });
    else this.world.reboot(node);
  }

  #advance(milliseconds: number): void {
    const { world } = this;
    world.for(milliseconds);
    if (!this.#isTerminal) {
      for (const node of world.nodes) if (node.session.state === 'CLOSED') world.reboot(node);
    }
    this.#check();
  }

  /** Checks the invariants that hold at every moment. */
  #check(): void {
    const { world } = this;
    const sessions = new Map([...world.nas.list(world.now)].map((view) => [view.sessionId, view]));
    for (const sessionId of world.passing.keys()) {
      if (!sessions.has(sessionId)) this.broken.push(`${sessionId} is admitted but has no session`);
    }
    for (const { sessionId, state } of sessions.values()) {
      if (state === 'OPEN' && !world.passing.has(sessionId)) this.broken.push(`${sessionId} is open but not admitted`);
    }
    const homes = [...sessions.values()].flatMap(({ assignment }) => assignment?.homeAddress ?? []).map(formatAddress);
    if (new Set(homes).size !== homes.length) this.broken.push('a home address is given twice');
    if ((world.nas.localHomeAgent?.used ?? 0) < homes.length) this.broken.push('a home address is not counted');
    if ((world.nas.localHomeAgent?.used ?? 0) > 3) this.broken.push('more home addresses than the capacity');
    if (world.nas.deadline !== undefined && world.nas.deadline > world.now + LIFETIME + 2_000) {
      this.broken.push(`the deadline ${world.nas.deadline} is out of bounds`);
    }
    this.#checkOutputs(world.outputs.slice(this.#seen));
    this.#seen = world.outputs.length;
  }

  #checkOutputs(outputs: readonly NasOutput[]): void {
    for (const output of outputs) {
      if (output.type === 'event' && output.event.type === 'fault') this.broken.push(String(output.event.error));
      if (output.type === 'admit' && (output.lifetime ?? 0) > LIFETIME + 2_000)
        this.broken.push('admitted for too long');
    }
  }

  #equal(what: string, one: readonly (number | string)[], other: readonly (number | string)[]): void {
    if ([...one].sort().join() !== [...other].sort().join())
      this.broken.push(`${what}: ${one.join()} and ${other.join()}`);
  }
}

describe('nodes, a NAS and AAA servers over impaired links', () => {
  it('end with every node admitted, and leave nothing behind', { timeout: patience(300_000) }, () => {
    const seeds = ONE === undefined ? seedsOf(SEEDS) : [Number(ONE)];
    let authorized = 0;
    for (const seed of seeds) {
      const run = new Run(seed).run();
      if (run.broken.length === 0) run.judge();
      if (run.broken.length === 0) run.leave();
      authorized += run.world.events.filter(({ type }) => type === 'authorized').length;
      if (run.broken.length > 0) {
        const again = `NAS_SEED=${seed} npx vitest run --config test/vitest.config.ts test/protocol/nas/nas-simulation.test.ts`;
        throw new Error([`seed ${seed}: ${run.broken.join('; ')}`, ...run.world.take().slice(-120), again].join('\n'));
      }
    }
    expect(authorized).toBeGreaterThanOrEqual(seeds.length * NODES);
  });
});
