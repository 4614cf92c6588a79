import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { stringify } from 'yaml';
import type { z } from 'zod';
import { aaaSchema } from '../dist/aaa/config/options.js';
import { AaaDaemon } from '../dist/aaa/daemon.js';
import { PaaDaemon } from '../dist/paa/daemon.js';
import { paaSchema } from '../dist/paa/options.js';
import { PacDaemon } from '../dist/pac/daemon.js';
import { pacSchema } from '../dist/pac/options.js';
import { type CertificateSubject, validFor } from '../dist/pki/certificate-authority.js';
import { PkiFolder } from '../dist/pki/folder.js';
import { PreDaemon } from '../dist/pre/daemon.js';
import { preSchema } from '../dist/pre/options.js';
import { loadOptions } from '../dist/runtime/config/options.js';
import type { Logger } from '../dist/runtime/log/events.js';
import { plainLine } from '../dist/runtime/log/log.js';
import { callDaemon } from '../dist/runtime/service/control.js';
import { explainFailure } from '../dist/runtime/system/failure.js';
import { eventually } from './eventually.js';

export type Tree = { readonly [key: string]: unknown };

const SCHEMAS = {
  'pana-pac': pacSchema,
  'pana-pre': preSchema,
  'pana-paa': paaSchema,
  'pana-aaa': aaaSchema,
} as const;
type Daemon = keyof typeof SCHEMAS;

interface Running {
  stop(): Promise<unknown>;
}

/**
 * A home network, an access router and a mobile node in this process, on loopback with free ports, configured right except
 * for what a test changes. Everything that they print is in `printed`, as in the journal. All ends when the test finishes.
 */
export class Network {
  readonly folder: string;
  readonly pki: PkiFolder;
  readonly #running: Running[] = [];
  readonly #lines: string[] = [];
  readonly #ports: { aaa: number; paa: number } = { aaa: 1, paa: 1 };

  private constructor(folder: string) {
    this.folder = folder;
    this.pki = new PkiFolder(this.path('pki'));
  }

  static async make(): Promise<Network> {
    const network = new Network(await mkdtemp(join(tmpdir(), 'pana-mistakes-')));
    onTestFinished(() => network.#end());
    await network.pki.init('Test CA', 'p256', 30, 30);
    await network.issue('aaa', { kind: 'server', hosts: ['aaa.home.example'] });
    await network.issue('mn1', { kind: 'client', nai: 'mn1@home.example' });
    return network;
  }

  get printed(): string {
    return this.#lines.join('\n');
  }

  path(...parts: readonly string[]): string {
    return join(this.folder, ...parts);
  }

  issue(name: string, subject: CertificateSubject, days = 10): Promise<string> {
    return this.pki.issue(name, subject, validFor(days));
  }

  /** The configuration of a daemon, with the keys of `over` in place of its own. */
  tree(daemon: Daemon, over: Tree = {}): Tree {
    const control = { control: { socket: this.path(`${daemon}.sock`) } };
    const common = daemon === 'pana-pre' ? control : { ...control, hooks: { 'state-dir': this.path(daemon) } };
    const files = (name: string) => ({
      ca: this.path('pki', 'ca.pem'),
      certificate: this.path('pki', `${name}.pem`),
      key: this.path('pki', `${name}-key.pem`),
    });
    const own: Readonly<Record<Daemon, Tree>> = {
      'pana-aaa': {
        store: this.path('store.db'),
        diameter: {
          host: 'aaa.home.example',
          realm: 'home.example',
          listen: ['::1'],
          port: 0,
          peers: [{ host: 'paa.access.example', from: ['::1'] }],
        },
        tls: { ...files('aaa'), crl: this.path('pki', 'crl.pem') },
      },
      'pana-paa': {
        pana: { listen: ['::1'], port: 0, interface: 'lo' },
        diameter: {
          host: 'paa.access.example',
          realm: 'access.example',
          peers: [{ host: 'aaa.home.example', address: '::1', port: this.#ports.aaa }],
        },
      },
      'pana-pac': {
        pana: { paa: ['::1'], port: this.#ports.paa, interface: 'lo' },
        eap: { identity: '@home.example' },
        tls: { ...files('mn1'), 'server-name': 'home.example' },
      },
      'pana-pre': { relay: { listen: ['::1'], port: 0, paa: '::1', 'paa-port': this.#ports.paa, 'source-port': 0 } },
    };
    return merge(merge(common, own[daemon]), over);
  }

  /** Reads a configuration file, as the daemon does. Its error is printed. */
  async read<D extends Daemon>(daemon: D, text: string): Promise<z.output<(typeof SCHEMAS)[D]>> {
    const file = this.path(`${daemon}.yaml`);
    await writeFile(file, text);
    const schema = SCHEMAS[daemon];
    return this.printing(daemon, () =>
      loadOptions(schema, { flags: {}, environment: {}, prefix: 'X', file }),
    ) as Promise<z.output<(typeof SCHEMAS)[D]>>;
  }

  /** Prints the error of an action as the command line does. */
  async printing<T>(daemon: Daemon, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      const text = explainFailure(error);
      if (text === undefined) throw error;
      this.#lines.push(`${daemon}: ${text}`);
      throw error;
    }
  }

  /** Starts a daemon; a failure is printed. */
  async start(daemon: Daemon, over: Tree = {}): Promise<void> {
    const text = stringify(this.tree(daemon, over));
    const started = await this.printing(daemon, () => this.#started(daemon, text));
    this.#running.push(started);
  }

  async #started(daemon: Daemon, text: string): Promise<Running> {
    const log = this.#logOf(daemon);
    switch (daemon) {
      case 'pana-aaa':
        return AaaDaemon.start(await this.read('pana-aaa', text), log);
      case 'pana-paa':
        return PaaDaemon.start(await this.read('pana-paa', text), log);
      case 'pana-pac':
        return PacDaemon.start(await this.read('pana-pac', text), log);
      case 'pana-pre':
        return PreDaemon.start(await this.read('pana-pre', text), log);
    }
  }

  /** Starts all three: the home network with a subscriber and a home agent. */
  async startAll(over: { readonly aaa?: Tree; readonly paa?: Tree; readonly pac?: Tree } = {}): Promise<void> {
    await this.startHome(over.aaa);
    await this.startAccess(over.paa);
    await this.start('pana-pac', over.pac);
  }

  async startHome(over: Tree = {}): Promise<void> {
    await this.start('pana-aaa', over);
  }

  async startAccess(over: Tree = {}): Promise<void> {
    await this.start('pana-paa', over);
  }

  administer(operation: string, given: object): Promise<unknown> {
    return callDaemon(this.path('pana-aaa.sock'), 'POST', '/store', { operation, arguments: given });
  }

  /** Resolves when something printed matches. */
  async prints(pattern: RegExp): Promise<void> {
    await eventually(() => {
      if (!pattern.test(this.printed)) throw new Error(`not printed: ${pattern}\n${this.printed}`);
    });
  }

  #logOf(daemon: Daemon): Logger {
    const level = 'info';
    const write = (json: string) => {
      const line = plainLine(json, 'plain').trim();
      this.#lines.push(`${daemon}: ${line}`);
      const { msg, listening } = JSON.parse(json) as { msg: string; listening?: readonly { readonly port: number }[] };
      const port = listening?.[0]?.port;
      if (msg !== 'ready' || port === undefined || daemon === 'pana-pre') return;
      this.#ports[daemon === 'pana-aaa' ? 'aaa' : 'paa'] = port;
    };
    return pino({ level, base: { name: daemon } }, { write });
  }

  async #end(): Promise<void> {
    for (const running of this.#running.reverse()) await running.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

function merge(base: Tree, over: Tree): Tree {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const under = merged[key];
    merged[key] = isTree(value) && isTree(under) ? merge(under, value) : value;
  }
  return merged;
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
