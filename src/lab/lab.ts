import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { type KeyKind, validFor } from '../pki/certificate-authority.js';
import { PkiFolder } from '../pki/folder.js';
import type { Lease } from '../protocol/home/records.js';
import { PANA_PORT } from '../protocol/pana/wire/ports.js';
import type { LogLine } from '../runtime/cli/ladder.js';
import { callDaemon } from '../runtime/service/control.js';
import { makeFolder } from '../runtime/system/folder.js';
import type { OperationName } from '../store/operations.js';
import type { Page } from '../store/records.js';
import { type DaemonName, DaemonProcess } from './daemon-process.js';

export const REALM = 'home.example';
export const HOME_AGENT = '2001:db8:1::1';
const HOME_PREFIX = '2001:db8:1::/64';
const LOCAL_HOME_AGENT = '2001:db8:a::1';
const LOCAL_PREFIX = '2001:db8:a::/64';

/** A configuration, or a part of one. */
export type Tree = { [key: string]: unknown };

export interface LabOptions {
  /** The folder to use. Undefined: a new temporary folder. */
  readonly folder?: string | undefined;
  readonly family?: 'ipv4' | 'ipv6' | undefined;
  readonly keys?: KeyKind | undefined;
  readonly capacity?: number | undefined;
  readonly localHomeAgent?: boolean | undefined;
  readonly hooks?: boolean | undefined;
  readonly logLevel?: string | undefined;
  /** Content of hooks.conf for the daemon with this name. Undefined: hooks write files for racoon and start nothing. */
  readonly hookSettings?: ((name: string) => string) | undefined;
  /** A command line prefix for the daemon with this name, such as one that enters a network namespace. */
  readonly launcher?: ((daemon: DaemonName, name: string) => readonly string[]) | undefined;
  /** Merged over the configuration that the lab writes. */
  readonly paa?: Tree | undefined;
  readonly aaa?: Tree | undefined;
}

/** Source networks of the AAA server's peers: this host, and a documentation network. */
export const LAB_NETWORKS = ['::1', '127.0.0.0/8', '2001:db8::/32'];

/** Address and port on which a daemon listens. */
export interface Place {
  readonly address: string;
  readonly port: number;
}

/** The path of a hook of the package, for this system. */
export function hookPath(name: string): string {
  return fileURLToPath(new URL(`../../scripts/hooks/${name}`, import.meta.url));
}

const SYSTEM = process.platform === 'freebsd' ? 'freebsd' : 'linux';

/** Whether this host has ::1. */
export function hasIpv6(): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ host: '::1', port: 0 }, () => probe.close(() => resolve(true)));
  });
}

/**
 * A complete installation on this host: CA and certificates, configuration files, and the daemons as processes on
 * loopback with free ports and hooks in dry mode. For the demo, the bench and tests.
 */
export class Lab {
  readonly folder: string;
  readonly #options: LabOptions;
  readonly #pki: PkiFolder;
  readonly #daemons: DaemonProcess[] = [];
  readonly #onLine: (daemon: string, line: LogLine) => void;
  #paa: Place | undefined;
  #isClosed = false;
  readonly #writes = new Set<Promise<unknown>>();

  private constructor(folder: string, options: LabOptions, onLine: (daemon: string, line: LogLine) => void) {
    this.folder = folder;
    this.#options = options;
    this.#onLine = onLine;
    this.#pki = new PkiFolder(join(folder, 'pki'));
  }

  static async make(
    options: LabOptions = {},
    onLine: (daemon: string, line: LogLine) => void = () => undefined,
  ): Promise<Lab> {
    const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'pana-mip6-')));
    const lab = new Lab(folder, options, onLine);
    await makeFolder(folder, 0o700);
    await lab.#pki.init('Lab CA', options.keys ?? 'p256', 30);
    await lab.issueServer('aaa', [`aaa.${REALM}`]);
    return lab;
  }

  get address(): string {
    return this.#options.family === 'ipv4' ? '127.0.0.1' : '::1';
  }

  get pki(): PkiFolder {
    return this.#pki;
  }

  path(...parts: readonly string[]): string {
    return join(this.folder, ...parts);
  }

  socket(name: string): string {
    return this.path(`${name}.sock`);
  }

  issueServer(name: string, hosts: readonly string[]): Promise<string> {
    return this.#write(() => this.#pki.issue(name, { kind: 'server', hosts }, validFor(10)));
  }

  issueClient(name: string, nai: string): Promise<string> {
    return this.#write(() => this.#pki.issue(name, { kind: 'client', nai }, validFor(10)));
  }

  /** Writes `NAME.yaml`. */
  async configure(name: string, tree: Tree): Promise<string> {
    const path = this.path(`${name}.yaml`);
    await this.#write(() => writeFile(path, stringify(tree), { mode: 0o600 }));
    return path;
  }

  /** Starts a daemon with a configuration written before. `environment` is added to this process's environment. */
  start(
    name: string,
    daemon: DaemonName,
    config: string,
    environment: Readonly<Record<string, string>> = {},
  ): DaemonProcess {
    this.#mustBeOpen();
    const launcher = this.#options.launcher?.(daemon, name) ?? [];
    const onLine = (line: LogLine) => this.#onLine(name, line);
    const started = DaemonProcess.start(name, daemon, config, onLine, environment, launcher);
    this.#daemons.push(started);
    return started;
  }

  /** The daemon that was started last with this name. */
  daemon(name: string): DaemonProcess | undefined {
    return this.#daemons.findLast((daemon) => daemon.name === name);
  }

  /** Drops a daemon that has exited, with its log lines. */
  forget(daemon: DaemonProcess): void {
    const at = this.#daemons.indexOf(daemon);
    if (at >= 0) this.#daemons.splice(at, 1);
  }

  /** Starts an AAA server. The one named `aaa` gets a home agent in its store. */
  async startAaa(name = 'aaa', more: Tree = {}): Promise<{ readonly daemon: DaemonProcess; readonly place: Place }> {
    const { capacity = 1000, logLevel = 'debug', hooks = true } = this.#options;
    const tree = merge(
      {
        log: { level: logLevel, format: 'json' },
        control: { socket: this.socket(name) },
        store: this.path(`${name}.db`),
        diameter: {
          host: `aaa.${REALM}`,
          realm: REALM,
          listen: [this.address],
          port: 0,
          peers: ['paa', 'paa2'].map((name) => ({ host: `${name}.access.example`, from: LAB_NETWORKS })),
        },
        tls: {
          ca: this.path('pki', 'ca.pem'),
          certificate: this.path('pki', 'aaa.pem'),
          key: this.path('pki', 'aaa-key.pem'),
          crl: this.path('pki', 'crl.pem'),
        },
        hooks: await this.#hooks(name, hooks ? { ha: hookPath(`ha-${SYSTEM}.sh`) } : {}),
      },
      merge(this.#options.aaa ?? {}, more),
    );
    const daemon = this.start(name, 'aaa', await this.configure(name, tree));
    const [place] = (await daemon.line('ready'))['listening'] as Place[];
    if (!place) throw new Error('the AAA server has no listening address');
    // Store the port in the configuration, so that the server listens on the same port when it is started again.
    await this.configure(name, merge(tree, { diameter: { port: place.port } }));
    if (name === 'aaa') await this.#addHomeAgent(capacity);
    return { daemon, place };
  }

  async #addHomeAgent(capacity: number): Promise<void> {
    await this.administer('aaa', 'addHomeAgent', {
      agent: {
        name: 'ha1',
        address: HOME_AGENT,
        host: `ha1.${REALM}`,
        prefix: HOME_PREFIX,
        capacity,
        weight: 1,
        ike: ['ikev1'],
      },
    });
  }

  /** Starts the PAA and waits until it is connected to the AAA server. */
  async startPaa(
    aaa: Place,
    name = 'paa',
    more: Tree = {},
  ): Promise<{ readonly daemon: DaemonProcess; readonly place: Place }> {
    const { localHomeAgent = false, logLevel = 'debug', hooks = true } = this.#options;
    const programs = { ep: hookPath('ep-list.sh'), ...(localHomeAgent ? { ha: hookPath(`ha-${SYSTEM}.sh`) } : {}) };
    const tree = merge(
      {
        log: { level: logLevel, format: 'json' },
        control: { socket: this.socket(name) },
        pana: { listen: [this.address], port: 0, interface: 'lo' },
        ...(localHomeAgent
          ? {
              'local-home-agent': {
                address: LOCAL_HOME_AGENT,
                host: 'ha.access.example',
                prefix: LOCAL_PREFIX,
                ike: 'ikev1',
              },
            }
          : {}),
        diameter: {
          host: 'paa.access.example',
          realm: 'access.example',
          peers: [{ host: `aaa.${REALM}`, address: aaa.address, port: aaa.port }],
        },
        hooks: await this.#hooks(name, hooks ? programs : {}),
      },
      merge(this.#options.paa ?? {}, more),
    );
    const daemon = this.start(name, 'paa', await this.configure(name, tree));
    const [place] = (await daemon.line('ready'))['listening'] as Place[];
    if (!place) throw new Error('the PAA has no listening address');
    await this.configure(name, merge(tree, { pana: { port: place.port } }));
    await daemon.line('peer connected');
    this.#paa = place;
    return { daemon, place };
  }

  /** Starts a relay to a PAA, which keeps its ports when it is started again. */
  async startPre(
    paa: Place,
    name = 'pre',
    more: Tree = {},
  ): Promise<{ readonly daemon: DaemonProcess; readonly place: Place }> {
    const { logLevel = 'debug' } = this.#options;
    const tree = merge(
      {
        log: { level: logLevel, format: 'json' },
        control: { socket: this.socket(name) },
        relay: { listen: [this.address], port: 0, paa: paa.address, 'paa-port': paa.port, 'source-port': 0 },
      },
      more,
    );
    const daemon = this.start(name, 'pre', await this.configure(name, tree));
    const [place] = (await daemon.line('ready'))['listening'] as Place[];
    if (!place) throw new Error('the relay has no listening address');
    const { source } = (await callDaemon(this.socket(name), 'GET', '/status')) as { readonly source: string };
    const port = Number(source.slice(source.lastIndexOf(' ') + 1));
    await this.configure(name, merge(tree, { relay: { port: place.port, 'source-port': port } }));
    return { daemon, place };
  }

  /** Adds a subscriber and issues the certificate of its node. */
  async addSubscriber(nai: string, name: string, more: Tree = {}): Promise<void> {
    await this.issueClient(name, nai);
    const subscriber = { nai, enabled: true, mip6: true, localHomeAgent: true, sessions: 'replace', ...more };
    await this.administer('aaa', 'addSubscriber', { subscriber });
  }

  /** Starts a mobile node that authenticates with the certificate `name`. */
  async startPac(name: string, more: Tree = {}): Promise<DaemonProcess> {
    return this.start(name, 'pac', await this.configurePac(name, more));
  }

  async configurePac(name: string, more: Tree = {}): Promise<string> {
    const { logLevel = 'debug', hooks = true } = this.#options;
    const { address = this.address, port = PANA_PORT } = this.#paa ?? {};
    const base = {
      log: { level: logLevel, format: 'json' },
      control: { socket: this.socket(name) },
      // In a namespace, the interface of the access link is another one.
      pana: { paa: [address], port, ...(this.#options.launcher ? {} : { interface: 'lo' }) },
      eap: { identity: `@${REALM}` },
      tls: {
        ca: this.path('pki', 'ca.pem'),
        certificate: this.path('pki', `${name}.pem`),
        key: this.path('pki', `${name}-key.pem`),
        'server-name': REALM,
      },
      hooks: await this.#hooks(name, hooks ? { mn: hookPath(`mn-${SYSTEM}.sh`) } : {}),
    };
    return this.configure(name, merge(base, more));
  }

  /** Runs a store operation through the AAA server's control socket. */
  administer(name: string, operation: OperationName, given: object): Promise<unknown> {
    return callDaemon(this.socket(name), 'POST', '/store', { operation, arguments: given });
  }

  /** The leases in the AAA server's store. */
  async leases(): Promise<readonly Lease[]> {
    return ((await this.administer('aaa', 'listLeases', {})) as Page<Lease>).items;
  }

  /** Stops all daemons in reverse order. Removes the folder unless `keep` is set. Resolves with the exit statuses. */
  async close(keep = false): Promise<number[]> {
    this.#isClosed = true;
    const statuses: number[] = [];
    for (const daemon of this.#daemons.reverse()) statuses.push(await daemon.stop());
    // A file that is still being written would make the folder again.
    await Promise.allSettled(this.#writes);
    if (!keep) await rm(this.folder, { recursive: true, force: true });
    return statuses;
  }

  /** Nothing may start or be written any more when daemons are stopped and the folder is removed. */
  #mustBeOpen(): void {
    if (this.#isClosed) throw new Error('the lab was closed');
  }

  async #write<T>(work: () => Promise<T>): Promise<T> {
    this.#mustBeOpen();
    const done = work();
    this.#writes.add(done);
    try {
      return await done;
    } finally {
      this.#writes.delete(done);
    }
  }

  async #hooks(name: string, programs: Tree): Promise<Tree> {
    const folder = this.path('hooks', name);
    await this.#write(() => makeFolder(folder, 0o700));
    const settings = this.#options.hookSettings?.(name) ?? 'DRY_RUN=yes\nIKE=racoon\n';
    await this.#write(() => writeFile(join(folder, 'hooks.conf'), settings));
    return { 'state-dir': folder, ...programs };
  }
}

/** Merges the sections of `over` into those of `base`, key by key. */
function merge(base: Tree, over: Tree = {}): Tree {
  const merged: Tree = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const under = merged[key];
    merged[key] = isTree(value) && isTree(under) ? merge(under, value) : value;
  }
  return merged;
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
