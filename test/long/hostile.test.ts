import { readFile } from 'node:fs/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { Lab, REALM } from '../../dist/lab/lab.js';
import { BenchNode } from '../../src/load/node.js';
import type { PeerCredentials } from '../../src/runtime/eap/engine.js';
import { EapServer } from '../../src/runtime/eap/server.js';
import { createPeerCredentials } from '../../src/runtime/eap/tls-peer.js';
import { NOISE } from '../daemons/noise.js';
import { numbersOf } from '../daemons/numbers.js';
import { eventually } from '../eventually.js';
import { HostileNas } from '../hostile/hostile-nas.js';
import { HostilePaa } from '../hostile/hostile-paa.js';
import { HostilePac } from '../hostile/hostile-pac.js';
import { HostileServer } from '../hostile/hostile-server.js';
import { Chance, MESSAGES, PATIENCE } from '../hostile/seed.js';

/**
 * Four hostile ends, each against a daemon in its own process. Each sends HOSTILE_MESSAGES messages (25,000 by default)
 * at every point of whole conversations; most have a single fault. Afterwards the daemon must run, have logged no
 * fault, have released its memory, and authorize a correct node.
 */
const MEMORY = 'process_resident_memory_bytes';

/** How long garbage collection of an idle process may take, in milliseconds. */
const COLLECTED = 240_000;

/** Fraction of the messages after which memory is first measured. */
const WARM = 0.5;

let lab: Lab | undefined;
const closing: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  const statuses = await lab?.close();
  lab = undefined;
  expect(statuses?.every((status) => status === 0) ?? true).toBe(true);
});

async function make(more: Parameters<typeof Lab.make>[0] = {}): Promise<Lab> {
  lab = await Lab.make({
    logLevel: 'info',
    hooks: false,
    family: 'ipv4',
    capacity: 1_000_000,
    aaa: {
      limits: { 'failures-per-subscriber': 0 },
      session: { lifetime: '20s', grace: '1s' },
      diameter: { peers: ['paa', 'nas1', 'nas2', 'nas3', 'nas4'].map((name) => ({ host: `${name}.access.example` })) },
    },
    paa: {
      pana: {
        'progress-timeout': '3s',
        'reauthenticate-at': 0,
        limits: {
          'pci-per-address': 1000,
          'pci-per-network': 10_000,
          pci: 100_000,
          'half-open-per-address': 1000,
          'half-open-per-network': 20_000,
          'half-open': 20_000,
        },
      },
    },
    ...more,
  });
  return lab;
}

async function credentialsOf(of: Lab, name: string): Promise<PeerCredentials> {
  const read = (file: string) => readFile(of.path('pki', file), 'utf8');
  return createPeerCredentials({
    caPem: await read('ca.pem'),
    certificatePem: await read(`${name}.pem`),
    keyPem: await read(`${name}-key.pem`),
    serverName: REALM,
  });
}

/** The state of a daemon before and after an attack. */
class Health {
  readonly #lab: Lab;
  readonly #name: string;
  #warm: number | undefined;

  constructor(of: Lab, name: string) {
    this.#lab = of;
    this.#name = name;
  }

  async look(progress: number): Promise<void> {
    if (progress < WARM || this.#warm !== undefined) return;
    this.#warm = (await numbersOf(this.#lab, this.#name))(MEMORY);
  }

  /** Asserts that there was no fault and that memory returns near the first measurement. */
  async expectGood(): Promise<void> {
    const faults = `pana_${this.#name.slice(0, 3).replace('mn1', 'pac')}_faults_total`;
    let grown = 0;
    const look = async () => {
      const numbers = await numbersOf(this.#lab, this.#name);
      expect(numbers(faults)).toBe(0);
      grown = numbers(MEMORY) - (this.#warm ?? 0);
      return grown;
    };
    await eventually(async () => expect(await look()).toBeLessThan(NOISE), { limit: COLLECTED, interval: 1_000 });
    process.stderr.write(`${this.#name}: no fault, memory grew by ${Math.round(grown / 1e5) / 10} MB\n`);
  }
}

/** Runs this number of conversations in parallel until enough messages were sent. */
async function inParallel(
  count: number,
  isEnough: () => boolean,
  one: (worker: number) => Promise<void>,
): Promise<void> {
  const work = async (worker: number) => {
    while (!isEnough()) await one(worker);
  };
  await Promise.all(Array.from({ length: count }, (_, worker) => work(worker)));
}

describe('Hostile ends', () => {
  it('PAA survives mutated messages of PaCs', { timeout: PATIENCE }, async () => {
    const made = await make();
    const { place: aaa } = await made.startAaa();
    const { place } = await made.startPaa(aaa);
    // A subscriber has a bounded number of sessions, so each parallel conversation has its own subscriber.
    const nodes: PeerCredentials[] = [];
    for (let i = 1; i <= 12; i += 1) {
      await made.addSubscriber(`node${i}@home.example`, `node${i}`);
      nodes.push(await credentialsOf(made, `node${i}`));
    }
    const chance = new Chance('PaC against PAA');
    const health = new Health(made, 'paa');
    let sent = 0;
    let conversations = 0;
    let authorized = 0;
    await inParallel(
      nodes.length,
      () => sent >= MESSAGES,
      async (worker) => {
        const credentials = nodes[worker];
        const pac = new HostilePac(
          {
            paa: place,
            credentials,
            identity: '@home.example',
            before: 8,
            inside: 60,
            localAddress: `127.${1 + chance.below(250)}.${chance.below(250)}.${1 + chance.below(250)}`,
          },
          chance,
        );
        await pac.run();
        sent += pac.sent;
        conversations += 1;
        if (pac.isAuthorized) authorized += 1;
        await health.look(sent / MESSAGES);
      },
    );
    const read = (await numbersOf(made, 'paa'))('pana_paa_datagrams_total{direction="in"}');
    process.stderr.write(
      `PaC against PAA: ${sent} sent, ${read} read, ${conversations} conversations, ${authorized} authorized\n`,
    );
    expect(read).toBeGreaterThan(MESSAGES * 0.8);
    // Enough conversations were completed.
    expect(authorized).toBeGreaterThan(conversations / 20);
    await made.addSubscriber('mn2@home.example', 'mn2');
    const node = new BenchNode(place, await credentialsOf(made, 'mn2'));
    await node.bootstrap();
    await node.terminate();
    await health.expectGood();
  });

  it('PaC survives mutated messages of a PAA', { timeout: PATIENCE }, async () => {
    const made = await make();
    await made.issueClient('mn1', 'mn1@home.example');
    const read = (file: string) => readFile(made.path('pki', file), 'utf8');
    const eap = new EapServer<string>({
      caPem: await read('ca.pem'),
      certificatePem: await read('aaa.pem'),
      keyPem: await read('aaa-key.pem'),
      authorize: () => Promise.resolve({ ok: true, identity: 'mn1@home.example', grant: '' }),
    });
    const chance = new Chance('PAA against PaC');
    const paa = new HostilePaa(eap, 8, chance);
    closing.push(() => paa.close());
    const port = await paa.open(made.address);
    await made.startPac('mn1', {
      pana: { paa: [made.address], port, 'progress-timeout': '500ms', 'ping-interval': 0, 'reauthenticate-at': 0 },
      retry: { first: '10ms', longest: '10ms' },
    });
    const health = new Health(made, 'mn1');
    while (paa.sent < MESSAGES) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      await health.look(paa.sent / MESSAGES);
    }
    process.stderr.write(`PAA against PaC: ${paa.sent} sent, ${paa.authorized} sessions\n`);
    expect(paa.authorized).toBeGreaterThan(MESSAGES / 2_000);
    // Without mutated messages the node gets a session.
    paa.before = 0;
    const before = paa.authorized;
    await eventually(() => expect(paa.authorized).toBeGreaterThan(before));
    await health.expectGood();
  });

  it('PAA survives mutated messages of AAA servers', { timeout: PATIENCE }, async () => {
    const made = await make();
    const chance = new Chance('AAA server against PAA');
    const of = { paa: { host: 'paa.access.example', realm: 'access.example' }, before: 8 };
    const server = new HostileServer({ ...of, host: 'aaa.fake.example', realm: 'fake.example', breaks: false }, chance);
    const broken = new HostileServer(
      { ...of, host: 'aaa.broken.example', realm: 'broken.example', breaks: true },
      chance,
    );
    closing.push(
      () => server.close(),
      () => broken.close(),
    );
    const port = await server.open(made.address);
    const brokenPort = await broken.open(made.address);
    const { place: aaa } = await made.startAaa();
    const { place } = await made.startPaa(aaa, 'paa', {
      diameter: {
        reconnect: '100ms',
        'request-timeout': '500ms',
        peers: [
          { host: `aaa.${REALM}`, address: aaa.address, port: aaa.port },
          { host: 'aaa.fake.example', address: made.address, port },
          { host: 'aaa.broken.example', address: made.address, port: brokenPort },
        ],
        routes: [
          { realm: REALM, peers: [`aaa.${REALM}`] },
          { realm: 'fake.example', peers: ['aaa.fake.example'] },
          { realm: 'broken.example', peers: ['aaa.broken.example'] },
        ],
      },
    });
    const health = new Health(made, 'paa');
    let conversations = 0;
    let authorized = 0;
    await inParallel(
      24,
      () => server.sent + broken.sent >= MESSAGES,
      async () => {
        const pac = new HostilePac(
          {
            paa: place,
            credentials: undefined,
            before: 0,
            inside: 0,
            identity: chance.in(50) ? '@broken.example' : '@fake.example',
            localAddress: `127.${1 + chance.below(250)}.${chance.below(250)}.${1 + chance.below(250)}`,
          },
          chance,
        );
        await pac.run();
        conversations += 1;
        if (pac.isAuthorized) authorized += 1;
        await health.look((server.sent + broken.sent) / MESSAGES);
      },
    );
    process.stderr.write(
      `AAA server against PAA: ${server.sent} and ${broken.sent} sent, ${server.disturbed} answers disturbed, ${conversations} conversations, ${authorized} authorized\n`,
    );
    expect(authorized).toBeGreaterThan(conversations / 20);
    server.hostile = false;
    broken.hostile = false;
    await made.addSubscriber('mn2@home.example', 'mn2');
    const node = new BenchNode(place, await credentialsOf(made, 'mn2'));
    await node.bootstrap();
    await node.terminate();
    await health.expectGood();
  });

  it('AAA server survives mutated messages of PAAs', { timeout: PATIENCE }, async () => {
    const made = await make();
    const { place } = await made.startAaa();
    await made.addSubscriber('mn1@home.example', 'mn1');
    const chance = new Chance('PAA against AAA server');
    const health = new Health(made, 'aaa');
    const nas = ['nas1', 'nas2', 'nas3', 'nas4'].map((name) => new HostileNas(place, `${name}.access.example`, chance));
    closing.push(() => {
      for (const each of nas) each.close();
    });
    const total = () => nas.reduce((sum, each) => sum + each.sent, 0);
    const credentials = await credentialsOf(made, 'mn1');
    await Promise.all(
      nas.map(async (each) => {
        while (total() < MESSAGES) {
          if (!each.isOpen) await each.open();
          await each.converse(credentials, 8);
          if (chance.in(20)) await each.breakConnection();
          if (chance.in(20)) await each.sendBadCapabilities(3);
          await health.look(total() / MESSAGES);
        }
      }),
    );
    const sum = (of: (each: HostileNas) => number) => nas.reduce((all, each) => all + of(each), 0);
    process.stderr.write(
      `PAA against AAA server: ${total()} sent, ${sum((each) => each.accepted)} accepted, ${sum((each) => each.refused)} refused, ${sum((each) => each.connections)} connections\n`,
    );
    expect(sum((each) => each.accepted)).toBeGreaterThan(MESSAGES / 2_000);
    const { place: paa } = await made.startPaa(place);
    await made.addSubscriber('mn2@home.example', 'mn2');
    const node = new BenchNode(paa, await credentialsOf(made, 'mn2'));
    await node.bootstrap();
    await node.terminate();
    await health.expectGood();
  });
});
