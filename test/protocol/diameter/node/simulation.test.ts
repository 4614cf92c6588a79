import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Drbg } from '../../../../src/protocol/bytes/drbg.js';
import { patience, runs } from '../../../seed.js';
import { deaTo } from '../messages.js';
import { World, type WorldNode } from './world.js';

const REQUEST_TIMEOUT = 20_000;

/** Longest time until a peer is connected again: Tc with its jitter, two watchdog periods, exchanges in progress. */
const REST = 10 * 60_000;

/**
 * Two clients and three servers of one realm. Requests are sent while connections are cut and while nodes hang, restart, change
 * their peers, or answer late or never.
 */
class Simulation {
  readonly world = new World();
  readonly clients: WorldNode[];
  readonly servers: WorldNode[];
  readonly #random: Drbg;
  readonly #asked: { readonly client: WorldNode; readonly token: number; readonly at: number }[] = [];
  #restarts = 1;

  constructor(seed: number) {
    this.#random = new Drbg(Uint8Array.of(seed >> 24, seed >> 16, seed >> 8, seed));
    const from = ['192.0.2.0/24'];
    const names = ['one', 'two'].map((name) => `${name}.access.example`);
    this.servers = ['a', 'b', 'c'].map((name) =>
      this.world.add(
        `${name}.home.example`,
        names.map((host) => ({ host, from })),
      ),
    );
    this.clients = names.map((name) =>
      this.world.add(
        name,
        this.servers.map(({ host, address }) => ({ host, address })),
      ),
    );
    for (const server of this.servers)
      server.serves = (message) => (this.#chance(0.9) ? deaTo(message, server.host) : undefined);
  }

  run(): void {
    this.world.start();
    for (let i = 0; i < 60; i += 1) {
      this.#disturb();
      this.world.run(this.#draw(8_000));
      this.#check();
    }
    this.#heal();
    this.world.run(REST);
    this.#checkRest();
  }

  #disturb(): void {
    const client = this.#one(this.clients);
    const server = this.#one(this.servers);
    const peers = this.servers.map(({ host, address }) => ({ host, address, priority: this.#draw(2) }));
    switch (this.#draw(10)) {
      case 0:
        this.world.cut(client, server);
        break;
      case 1:
        server.hangs = !server.hangs;
        break;
      case 2:
        if (server.isUp) this.world.kill(server);
        else this.#revive(server);
        break;
      case 3:
        client.peers = peers.filter(() => this.#chance(0.8));
        this.world.feed(client, { type: 'configure', peers: client.peers });
        break;
      case 4: {
        // Answers the last request late, or a second time.
        const { token, message } = server.served.at(-1) ?? {};
        if (token && message) this.world.feed(server, { type: 'answer', token, message: deaTo(message, server.host) });
        break;
      }
      case 5: {
        const { token } = server.served.at(-1) ?? {};
        if (token) this.world.feed(server, { type: 'unserved', token });
        break;
      }
      default:
        for (let i = 0; i < 3; i += 1) {
          const token = this.world.ask(client, { realm: 'example' }, REQUEST_TIMEOUT);
          this.#asked.push({ client, token, at: this.world.now });
        }
    }
  }

  #revive(server: WorldNode): void {
    this.#restarts += 1;
    server.served.length = 0;
    this.world.revive(server, this.#restarts);
  }

  #heal(): void {
    for (const server of this.servers) {
      server.hangs = false;
      if (!server.isUp) this.#revive(server);
    }
    for (const client of this.clients) {
      client.peers = this.servers.map(({ host, address }) => ({ host, address }));
      this.world.feed(client, { type: 'configure', peers: client.peers });
    }
  }

  /** Every request gets its outcome in time, and no server gets the same token twice. */
  #check(): void {
    for (const { client, token, at } of this.#asked) {
      const settled = client.settledAt.get(token);
      if (settled === undefined) expect(this.world.now).toBeLessThan(at + REQUEST_TIMEOUT);
      else expect(settled).toBeLessThanOrEqual(at + REQUEST_TIMEOUT);
    }
    for (const { served } of this.servers) {
      const tokens = served.map(({ token }) => token);
      expect(new Set(tokens).size).toBe(tokens.length);
    }
  }

  #checkRest(): void {
    this.#check();
    for (const client of this.clients) {
      expect(client.machine.status().map(({ state, watchdog }) => `${state} ${watchdog}`)).toEqual(
        this.servers.map(() => 'I-Open OKAY'),
      );
      expect(client.machine.status().every(({ inFlight }) => inFlight === 0)).toBe(true);
      const token = this.world.ask(client);
      for (const server of this.servers) server.serves = (message) => deaTo(message, server.host);
      this.world.run(1_000);
      expect(client.outcome(token)).toMatch(/^2001 /);
    }
    for (const server of this.servers) {
      expect(server.machine.status().map(({ state }) => state)).toEqual(['R-Open', 'R-Open']);
    }
    for (const node of [...this.clients, ...this.servers]) this.world.feed(node, { type: 'stop', timeout: 2_000 });
    this.world.run(2_000);
    for (const node of [...this.clients, ...this.servers]) {
      expect(node.stoppedAt).toBeDefined();
      expect(node.machine.deadline).toBeUndefined();
    }
  }

  #draw(below: number): number {
    return Math.floor(this.#random.unit() * below);
  }

  #chance(share: number): boolean {
    return this.#random.unit() < share;
  }

  #one<T>(items: readonly T[]): T {
    return items[this.#draw(items.length)] as T;
  }
}

it(
  'NodeMachine settles every request in time, and reconnects every peer once the network has recovered',
  () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0x7fff_ffff }), (seed) => new Simulation(seed).run()),
      { numRuns: runs(40), verbose: true },
    );
  },
  patience(60_000),
);
