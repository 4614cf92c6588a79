import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { aaaSchema } from '../../src/aaa/config/options.js';
import { readCredentials as readServerCredentials } from '../../src/aaa/credentials.js';
import { AaaDaemon } from '../../src/aaa/daemon.js';
import type { AaaSurroundings } from '../../src/aaa/surroundings.js';
import { PaaDaemon } from '../../src/paa/daemon.js';
import { paaSchema } from '../../src/paa/options.js';
import { type ReadCredentials, readCredentials } from '../../src/pac/credentials.js';
import { PacDaemon } from '../../src/pac/daemon.js';
import { pacSchema } from '../../src/pac/options.js';
import { TlsServerEngine } from '../../src/runtime/eap/tls-server.js';
import type { Logger } from '../../src/runtime/log/events.js';
import type { Host } from '../../src/runtime/system/host.js';
import type { OpenOptions } from '../../src/store/store.js';
import type { Life } from './clock.js';
import { type CertificateChoice, type Credentials, naiOf } from './credentials.js';
import { type Ground, Machine } from './machine.js';
import { TIMES } from './recovery.js';
import type { SharedStore } from './shared-store.js';
import { StandInMaterial } from './stand-in.js';
import { StandInPeer, StandInServer } from './stand-in-eap.js';

/** Options that differ between worlds. */
export interface WorldOptions {
  readonly nodes: number;
  readonly paas: number;
  readonly servers: number;
  readonly homeAgents: number;
  /** Session lifetime in seconds. */
  readonly lifetime: number;
  readonly batch: boolean;
  readonly optimisedStart: boolean;
  readonly identityRequest: 'paa' | 'server';
  readonly piggyback: boolean;
  /** How long the answer waits for the home agent's hook, in milliseconds. */
  readonly hookWait: number;
  /** Whether home agents are probed. */
  readonly probes: boolean;
  /** Watchdog interval of Diameter connections, in seconds. */
  readonly watchdog: number;
}

export const PANA_PORT = 7160;
export const linkOfPaa = (paa: number) => `2001:db8:a${paa}`;
export const paaAddress = (paa: number) => `${linkOfPaa(paa)}::1`;
const paaHost = (paa: number) => `paa${paa}.access.example`;
export const paaDiameterAddress = (paa: number) => `2001:db8:e::${paa}`;
const serverHost = (server: number) => `aaa${server}.home.example`;
export const serverAddress = (server: number) => `2001:db8:d::${server}`;
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

/** Real certificates, or those of the stand-in. */
export type Material = Credentials | StandInMaterial;

const REALM = 'home.example';

/** RestartSec of scripts/systemd, in milliseconds. */
const RESTART = 3_000;

/** Value of `key-log`. The world receives the keys itself, so no such file is written. */
const KEYS = 'keys';

/** An AAA server. */
export class ServerMachine extends Machine<AaaDaemon> {
  readonly #options: WorldOptions;
  readonly #number: number;
  readonly #material: Material;
  readonly #store: SharedStore;
  readonly #crl: string;

  constructor(number: number, options: WorldOptions, material: Material, store: SharedStore, ground: Ground) {
    super(`aaa${number}`, serverAddress(number), ground);
    this.#number = number;
    this.#options = options;
    this.#material = material;
    this.#store = store;
    this.#crl = join(ground.folder, 'crl.pem');
  }

  protected launch(life: Life, log: Logger): Promise<AaaDaemon> {
    const ground = this.surroundings(life);
    const surroundings = {
      ...ground,
      ...this.#eap(ground.host),
      openStore: (_where: string, options: OpenOptions) => Promise.resolve(this.#store.portOf(life, options)),
    };
    return AaaDaemon.start(this.options(), log, undefined, surroundings);
  }

  #eap(host: Host): Pick<AaaSurroundings, 'readCredentials' | 'makeEngine'> {
    if (!(this.#material instanceof StandInMaterial)) {
      return { readCredentials: readServerCredentials, makeEngine: (options) => new TlsServerEngine(options) };
    }
    const { authority } = this.#material;
    return {
      readCredentials: () => Promise.resolve({ caPem: '', certificatePem: '', keyPem: '', host }),
      makeEngine: () => new StandInServer({ authority, name: REALM, host }),
    };
  }

  options() {
    const { folder } = this.ground;
    const [ca, certificate, key] = ['ca.pem', 'server.pem', 'server-key.pem'].map((name) => join(folder, name));
    const { paas, servers, lifetime, hookWait, probes, watchdog } = this.#options;
    return aaaSchema.parse({
      store: join(folder, 'store.db'),
      workers: 0,
      diameter: {
        host: serverHost(this.#number),
        realm: 'home.example',
        listen: [serverAddress(this.#number)],
        peers: numbers(paas).map((paa) => ({ host: paaHost(paa), from: [paaDiameterAddress(paa)] })),
        watchdog: `${watchdog}s`,
        'shared-store': servers > 1,
      },
      tls: { ca, certificate, key, crl: this.#crl },
      session: { lifetime: `${lifetime}s`, grace: `${TIMES.grace}ms` },
      hooks: {
        'state-dir': join(folder, this.name),
        ha: 'ha',
        services: 'services',
        wait: `${hookWait}ms`,
        timeout: `${TIMES.hook}ms`,
        ...(probes ? { probe: 'probe' } : {}),
      },
    });
  }

  reload(): Promise<void> {
    return this.daemon?.reload() ?? Promise.resolve();
  }

  /** The number of EAP conversations in progress. */
  get conversations(): number {
    return Number.parseInt(this.daemon?.summary() ?? '0', 10);
  }
}

/** The changes that a reload can make to a PAA. */
export const PAA_CHANGES = ['pings', 'few', 'early', 'late', 'start', 'peers'] as const;
export type PaaChange = (typeof PAA_CHANGES)[number];

/** Options of `pana` that a change replaces. */
const CHANGED: Readonly<Record<PaaChange, object>> = {
  pings: { 'ping-interval': '5s' },
  few: { limits: { 'half-open': 3, 'half-open-per-address': 1, 'sessions-per-subscriber': 1 } },
  early: { 'reauthenticate-at': 0.5 },
  late: { 'reauthenticate-at': 0 },
  start: {},
  peers: {},
};

/** An access router with its PAA. */
export class PaaMachine extends Machine<PaaDaemon> {
  readonly #options: WorldOptions;
  readonly #number: number;
  /** The change that is in force now; undefined: none. */
  change: PaaChange | undefined;

  constructor(number: number, options: WorldOptions, ground: Ground) {
    super(`paa${number}`, paaDiameterAddress(number), ground);
    this.#number = number;
    this.#options = options;
  }

  get link(): string {
    return linkOfPaa(this.#number);
  }

  get diameterHost(): string {
    return paaHost(this.#number);
  }

  protected launch(life: Life, log: Logger): Promise<PaaDaemon> {
    return PaaDaemon.start(this.options(), log, this.surroundings(life));
  }

  /** The service manager starts a PAA again that could not set up its enforcement point. */
  protected override startFailed(): void {
    this.ground.scene.clock.after(RESTART, () => void this.start());
  }

  options() {
    const { servers, batch, optimisedStart, identityRequest, watchdog } = this.#options;
    const { change } = this;
    const used = numbers(change === 'peers' ? 1 : servers);
    // Without an identity, the realm of the home network must be known.
    const routes = identityRequest === 'server' ? [{ realm: REALM, peers: used.map(serverHost) }] : [];
    return paaSchema.parse({
      pana: {
        listen: [paaAddress(this.#number)],
        port: PANA_PORT,
        'optimised-start': (change === 'start') !== optimisedStart,
        'identity-request': identityRequest,
        ...(change ? CHANGED[change] : {}),
      },
      diameter: {
        host: paaHost(this.#number),
        realm: 'access.example',
        watchdog: `${watchdog}s`,
        reconnect: `${TIMES.reconnect}ms`,
        peers: used.map((server) => ({ host: serverHost(server), address: serverAddress(server), priority: 0 })),
        routes,
      },
      'key-log': KEYS,
      hooks: {
        'state-dir': join(this.ground.folder, this.name),
        ep: 'ep',
        'ep-batch': batch,
        timeout: `${TIMES.hook}ms`,
      },
    });
  }

  reload(): Promise<void> {
    return this.daemon?.reload(this.options()) ?? Promise.resolve();
  }

  /** Reloads the PAA with a change of its options; undefined: with its usual options. */
  configure(change: PaaChange | undefined): void {
    this.change = change;
    void this.reload().catch(() => undefined);
  }
}

/** A mobile node. */
export class NodeMachine extends Machine<PacDaemon> {
  readonly number: number;
  readonly #options: WorldOptions;
  readonly #material: Material;
  certificate: CertificateChoice = 'own';
  #moves = 0;
  #paa = 1;

  constructor(number: number, options: WorldOptions, material: Material, ground: Ground) {
    super(`mn${number}`, '', ground);
    this.number = number;
    this.#options = options;
    this.#material = material;
    this.attach(((number - 1) % options.paas) + 1);
  }

  get nai(): string {
    return naiOf(this.number);
  }

  get link(): string {
    return linkOfPaa(this.#paa);
  }

  /** Moves to the link of a PAA, with a new address. A node without an address gets one later. */
  attach(paa: number): void {
    this.#paa = paa;
    if (this.address !== undefined) this.renumber();
  }

  renumber(): void {
    this.#moves += 1;
    this.moveTo(`${this.link}::${this.number}:${this.#moves}`);
  }

  protected launch(life: Life, log: Logger): Promise<PacDaemon> {
    this.#writeCertificate();
    const ground = this.surroundings(life);
    return PacDaemon.start(this.options(), log, {
      ...ground,
      readCredentials: this.#readCredentials(ground.host),
      discoverPaas: () => Promise.resolve([paaAddress(this.#paa)]),
      findHomeAgents: () => Promise.resolve({ agents: [], held: undefined }),
    });
  }

  #readCredentials(host: Host): ReadCredentials {
    const material = this.#material;
    if (!(material instanceof StandInMaterial)) return readCredentials;
    const certificate = () => material.certificateOf(this.number, this.certificate);
    const peer = new StandInPeer({ authority: material.authority, certificate, serverName: REALM, host });
    return () => Promise.resolve({ peer, used: [] });
  }

  /** Presents this certificate from the next authentication on. */
  async present(choice: CertificateChoice): Promise<void> {
    this.certificate = choice;
    this.#writeCertificate();
    await this.daemon?.reload(this.options());
  }

  #writeCertificate(): void {
    if (this.#material instanceof StandInMaterial) return;
    const pem = this.#material.certificateOf(this.number, this.certificate);
    writeFileSync(join(this.ground.folder, `${this.name}.pem`), pem, { mode: 0o600 });
  }

  options() {
    const { folder } = this.ground;
    return pacSchema.parse({
      pana: {
        port: PANA_PORT,
        'piggyback-responses': this.#options.piggyback,
        encryption: this.number % 4 === 0 ? 'off' : 'wanted',
      },
      // Every other node has its assignment sealed. The others ask for services, which are not sealed.
      mobility: this.number % 2 === 0 ? { privacy: 'wanted' } : { services: ['mip4', 'hip'] },
      eap: { identity: '@home.example' },
      tls: {
        ca: join(folder, 'ca.pem'),
        certificate: join(folder, `${this.name}.pem`),
        key: join(folder, 'client-key.pem'),
        'server-name': 'home.example',
      },
      hooks: { 'state-dir': join(folder, this.name), mn: 'mn', services: 'services', timeout: `${TIMES.hook}ms` },
      retry: { longest: `${TIMES.retry}ms` },
      'key-log': KEYS,
    });
  }
}
