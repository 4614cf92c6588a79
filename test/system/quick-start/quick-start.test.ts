import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { eventually } from '../../eventually.js';
import { blocksOf, type PageBlock, shows } from '../../page.js';
import { announce, missing } from '../access-network.js';
import { userSpaceEspMissing } from '../charon.js';
import { BootedHost, Workstation } from './booted-host.js';

const run = promisify(execFile);
const PROJECT = fileURLToPath(new URL('../../..', import.meta.url));
const NAMES = ['home', 'router', 'node'] as const;

/**
 * The root of the Debian system that each host has a copy of. PANA_QUICK_START_ROOT names another one, such as a bare one of
 * debootstrap; then the packages are installed as the page says, and better-sqlite3 is compiled.
 */
const ROOT = process.env['PANA_QUICK_START_ROOT'] ?? '/';
const isBare = ROOT !== '/';

/** IPsec in user space, since the kernel of a test machine may have none: what docs/hooks.md says for such a kernel. */
const STRONGSWAN = `charon {
  plugins {
    kernel-libipsec {
      load = yes
      allow_peer_ts = yes
    }
    kernel-netlink {
      fwmark = !0x42
    }
    socket-default {
      fwmark = 0x42
    }
  }
}
`;

/** A person answers the questions of apt. */
const ASSUME_YES = 'APT::Get::Assume-Yes "true";\n';

function whyNot(): string | undefined {
  const why = missing('systemd-nspawn', 'swanctl', 'nft', 'nsenter') ?? userSpaceEspMissing();
  if (why !== undefined) return why;
  return existsSync('/usr/sbin/charon-systemd') ? undefined : 'it needs charon-systemd';
}

const canRun = announce('the quick start', whyNot());

class Scene {
  readonly #folder: string;
  readonly #hosts: ReadonlyMap<string, BootedHost>;
  readonly #workstation: Workstation;
  readonly #environment: NodeJS.ProcessEnv;

  constructor(folder: string) {
    this.#folder = folder;
    // Scripts of npm would compile the addon on each host; the project's own is copied instead.
    const npm = { npm_config_ignore_scripts: 'true', npm_config_prefer_offline: 'true' };
    this.#environment = isBare ? {} : npm;
    const settings = { root: ROOT, folder, others: NAMES, environment: this.#environment };
    this.#hosts = new Map(NAMES.map((name) => [name, new BootedHost(name, settings)]));
    this.#workstation = new Workstation(PROJECT, folder);
  }

  host(name: string): BootedHost {
    const host = this.#hosts.get(name);
    if (!host) throw new Error(`no host ${name}`);
    return host;
  }

  async make(): Promise<void> {
    const files = { 'etc/strongswan.d/user-space.conf': STRONGSWAN, 'etc/apt/apt.conf.d/90yes': ASSUME_YES };
    for (const host of this.#hosts.values()) await host.prepare(files);
    await this.#connect('node', 'eth0', 'router', 'eth1');
    await this.#connect('router', 'eth0', 'home', 'eth0');
    await this.#workstation.prepare(NAMES, this.#folder, { npm_config_ignore_scripts: 'true' });
    await Promise.all([...this.#hosts.values()].map((host) => host.boot()));
  }

  async #connect(one: string, device: string, other: string, otherDevice: string): Promise<void> {
    const [first, second] = [this.host(one), this.host(other)];
    const peer = ['type', 'veth', 'peer', 'name', otherDevice, 'netns', second.namespace];
    await run('ip', ['link', 'add', device, 'netns', first.namespace, ...peer]);
  }

  /** Types a block on its hosts; resolves with what it printed on the last one. */
  async type(block: PageBlock): Promise<string> {
    try {
      return await this.#type(block);
    } catch (error) {
      if (error instanceof Error) error.message += `\n${await this.#journals()}`;
      throw error;
    }
  }

  async #type({ text, on, section }: PageBlock): Promise<string> {
    if (on === 'workstation') return (await this.#workstation.type(text)).output;
    const names = on === 'all hosts' ? NAMES : on.split(' and ');
    const online = section.includes('Packages') || section.includes('Install');
    const typed = await Promise.all(
      names.map((name) => this.host(name).type(text, { online, limit: online ? 600_000 : 60_000 })),
    );
    return typed.at(-1)?.output ?? '';
  }

  /** The journals of all hosts, to explain a failure. */
  async #journals(): Promise<string> {
    const all = await Promise.all(NAMES.map(async (name) => `--- ${name} ---\n${await this.host(name).journal()}`));
    return all.join('\n');
  }

  /** Gives the installed package of a host the addon that was compiled for this project. */
  async copyAddon(name: string): Promise<void> {
    const addon = 'node_modules/better-sqlite3/build';
    const to = join(this.host(name).root, 'usr/local/lib/node_modules/pana-mip6', addon);
    await cp(join(PROJECT, addon), to, { recursive: true });
  }

  /** Installs what charon needs on a kernel without ESP. */
  async installUserSpaceEsp(): Promise<void> {
    const command = 'apt install --no-install-recommends libcharon-extra-plugins';
    const options = { online: true, limit: 600_000 };
    await Promise.all(['home', 'node'].map((name) => this.host(name).type(command, options)));
  }

  async remove(): Promise<void> {
    await Promise.all([...this.#hosts.values()].map((host) => host.remove()));
    await this.#workstation.remove();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

describe.skipIf(!canRun)('docs/quick-start.md', () => {
  it('brings a mobile node from nothing to traffic on three hosts, typed as it is', { timeout: 900_000 }, async () => {
    const blocks = blocksOf(await readFile(join(PROJECT, 'docs/quick-start.md'), 'utf8'));
    const scene = new Scene(await mkdtemp(join(tmpdir(), 'pana-quick-start-')));
    onTestFinished(() => scene.remove());
    await scene.make();
    const times = new Map<string, number>();
    let printed = '';
    for (const [index, block] of blocks.entries()) {
      if (block.kind === 'output') {
        expect(shows(block.text, printed), `${block.text}\n--- is not in ---\n${printed}`).toBe(true);
        continue;
      }
      expect([...NAMES, 'home and node', 'all hosts', 'workstation']).toContain(block.on);
      if (block.section.includes('Packages') && !isBare) continue;
      const next = blocks[index + 1];
      const look = async () => {
        printed = await scene.type(block);
        if (next?.kind === 'output') expect(shows(next.text, printed), printed).toBe(true);
      };
      // What the last section shows may take a moment to become true, such as the first IKE_SA.
      const began = performance.now();
      await (block.section.includes('Look') ? eventually(look, { limit: 120_000 }) : look());
      times.set(block.section, (times.get(block.section) ?? 0) + performance.now() - began);
      if (block.section.includes('Install') && block.on === 'all hosts' && !isBare) await scene.copyAddon('home');
      if (block.section.includes('Packages') && block.on === 'home and node') await scene.installUserSpaceEsp();
    }
    const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(1)} s`;
    const steps = [...times].map(([section, time]) => `  ${section}: ${seconds(time)}\n`).join('');
    const total = [...times.values()].reduce((sum, time) => sum + time, 0);
    process.stderr.write(`docs/quick-start.md, typed without pauses: ${seconds(total)}\n${steps}`);
    expect(blocks.length).toBeGreaterThan(25);
  });
});
