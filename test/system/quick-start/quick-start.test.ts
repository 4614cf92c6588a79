import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { eventually } from '../../eventually.js';
import { blocksOf, type PageBlock, shows } from '../../page.js';
import { announce, missing } from '../access-network.js';
import { debianRoot, rootMissing } from '../packages/debian-root.js';
import { BootedHost, Workstation } from './booted-host.js';

const run = promisify(execFile);
const PROJECT = fileURLToPath(new URL('../../..', import.meta.url));
const NAMES = ['home', 'router', 'node'] as const;
const ALL = 'all hosts';

/** Time for what is downloaded and unpacked, in milliseconds. */
const PATIENCE = 900_000;

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

/** The hosts are thrown away: nothing has to be on the disk after a power failure. */
const UNSAFE_IO = 'force-unsafe-io\n';

function whyNot(): string | undefined {
  const why = rootMissing() ?? missing('systemd-nspawn', 'nsenter');
  if (why !== undefined) return why;
  return existsSync('/dev/net/tun') ? undefined : 'it needs /dev/net/tun';
}

const canRun = announce('the quick start', whyNot());

/** How this machine reaches the mirror of Debian. */
const PROXIES = Object.fromEntries(Object.entries(process.env).filter(([name]) => /^(https?|no)_proxy$/i.test(name)));

class Scene {
  readonly #folder: string;
  readonly #workstation: Workstation;
  #hosts: ReadonlyMap<string, BootedHost> = new Map();

  constructor(folder: string) {
    this.#folder = folder;
    this.#workstation = new Workstation(PROJECT, folder);
  }

  /**
   * Makes three hosts with bare Debians, and boots them. What the page tells to type first, on all hosts, is typed on one,
   * of which the three are copies.
   */
  async make(first: readonly PageBlock[], times: Times): Promise<void> {
    const base = await times.of('(a bare Debian 13)', () => debianRoot('trixie', join(this.#folder, 'base')));
    const settings = { folder: this.#folder, others: NAMES, environment: PROXIES };
    const files = {
      'etc/strongswan.d/user-space.conf': STRONGSWAN,
      'etc/apt/apt.conf.d/90yes': ASSUME_YES,
      'etc/dpkg/dpkg.cfg.d/unsafe-io': UNSAFE_IO,
    };
    const model = new BootedHost('model', { ...settings, others: [], roots: [base] });
    this.#hosts = new Map([['model', model]]);
    await model.prepare(files);
    await times.of('(boot)', () => model.boot());
    for (const { section, text } of first) {
      await times.of(section, () => model.type(text, { online: true, limit: PATIENCE }));
    }
    await model.remove();

    const roots = [model.changes, base];
    this.#hosts = new Map(NAMES.map((name) => [name, new BootedHost(name, { ...settings, roots })]));
    for (const host of this.#hosts.values()) await host.prepare({});
    await this.#connect('node', 'eth0', 'router', 'eth1');
    await this.#connect('router', 'eth0', 'home', 'eth0');
    await this.#workstation.prepare(NAMES, this.#folder, { npm_config_ignore_scripts: 'true' });
    await times.of('(boot)', () => Promise.all([...this.#hosts.values()].map((host) => host.boot())));
  }

  host(name: string): BootedHost {
    const host = this.#hosts.get(name);
    if (!host) throw new Error(`no host ${name}`);
    return host;
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
    const names = on === ALL ? NAMES : on.split(' and ');
    const online = section.includes('Packages') || section.includes('Install');
    const typed = await Promise.all(
      names.map((name) => this.host(name).type(text, { online, limit: online ? PATIENCE : 60_000 })),
    );
    return typed.at(-1)?.output ?? '';
  }

  /** The journals of all hosts, to explain a failure. */
  async #journals(): Promise<string> {
    const all = await Promise.all(NAMES.map(async (name) => `--- ${name} ---\n${await this.host(name).journal()}`));
    return all.join('\n');
  }

  /** Installs what charon needs on a kernel without ESP. */
  async installUserSpaceEsp(): Promise<void> {
    const command = 'apt install --no-install-recommends libcharon-extra-plugins';
    const options = { online: true, limit: PATIENCE };
    await Promise.all(['home', 'node'].map((name) => this.host(name).type(command, options)));
  }

  /** Asserts that doctor finds nothing on the hosts. */
  async healthy(): Promise<void> {
    for (const [name, daemon] of [
      ['home', 'pana-aaa'],
      ['router', 'pana-paa'],
      ['node', 'pana-pac'],
    ] as const) {
      const { stdout } = await this.host(name).type(`${daemon} doctor || echo "status $?"`);
      const rest = stdout.replace(CLOCK, '').replace('1 warning', 'no problem found').trim();
      expect(rest.split('\n')).toEqual([
        expect.stringMatching(new RegExp(`^${daemon} as \\w+, /etc/pana-mip6/${daemon}\\.yaml: no problem found`)),
        ...(CLOCK.test(stdout) ? ['status 1'] : []),
      ]);
    }
  }

  async remove(): Promise<void> {
    await Promise.all([...this.#hosts.values()].map((host) => host.remove()));
    await this.#workstation.remove();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** How long the steps took. */
class Times {
  readonly #steps = new Map<string, number>();

  async of<T>(step: string, work: () => Promise<T>): Promise<T> {
    const began = performance.now();
    const result = await work();
    this.#steps.set(step, (this.#steps.get(step) ?? 0) + performance.now() - began);
    return result;
  }

  /** Those in parentheses are not on the page. */
  toString(): string {
    const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(1)} s`;
    const typed = [...this.#steps].filter(([step]) => !step.startsWith('('));
    const total = typed.reduce((sum, [, time]) => sum + time, 0);
    const lines = [...this.#steps].map(([step, time]) => `  ${step}: ${seconds(time)}\n`);
    return `docs/quick-start.md, typed without pauses: ${seconds(total)}\n${lines.join('')}`;
  }
}

/** What doctor may find on the hosts of the test, whose clock nothing synchronises. */
const CLOCK = /^warning: clock: .*not synchronised.*$/m;

describe.skipIf(!canRun)('docs/quick-start.md', () => {
  it('brings a mobile node from nothing to traffic on three bare Debians, typed as it is', {
    timeout: 2 * PATIENCE,
  }, async () => {
    const blocks = blocksOf(await readFile(join(PROJECT, 'docs/quick-start.md'), 'utf8'));
    const scene = new Scene(await mkdtemp(join(tmpdir(), 'pana-quick-start-')));
    onTestFinished(() => scene.remove());
    const times = new Times();
    onTestFinished(() => void process.stderr.write(`${times}`));
    const common = blocks.findIndex(({ on, kind }) => on !== ALL || kind === 'output');
    await scene.make(blocks.slice(0, common), times);
    let printed = '';
    for (const [index, block] of [...blocks.entries()].slice(common)) {
      if (block.kind === 'output') {
        expect(shows(block.text, printed), `${block.text}\n--- is not in ---\n${printed}`).toBe(true);
        continue;
      }
      expect([...NAMES, 'home and node', ALL, 'workstation']).toContain(block.on);
      const next = blocks[index + 1];
      const look = async () => {
        printed = await scene.type(block);
        if (next?.kind === 'output') expect(shows(next.text, printed), printed).toBe(true);
      };
      // Before charon starts: on Debian when it is installed.
      if (block.text.includes('charon-systemd')) await scene.installUserSpaceEsp();
      if (block.text.includes('pki revoke')) await scene.healthy();
      // What the last section shows may take a moment to become true, such as the first IKE_SA.
      await times.of(block.section, () =>
        block.section.includes('Look') ? eventually(look, { limit: 120_000 }) : look(),
      );
    }
    expect(blocks.length).toBeGreaterThan(25);
  });
});
