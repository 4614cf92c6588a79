import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { hookPath } from '../../dist/lab/lab.js';
import type { IkeSa } from '../../dist/lab/network-lab/charon.js';
import { eventually, within } from '../eventually.js';
import { Charon } from './charon.js';

const run = promisify(execFile);
const HA = '2001:db8:1::1';
const CORRESPONDENT = '2001:db8:c::2';
export const KEYS = ['11', '22'].map((octet) => `0x${octet.repeat(64)}`);

export type Link = 'a' | 'd';

/** How many pings were sent and how many of them were answered. */
export interface Pings {
  readonly transmitted: number;
  readonly received: number;
}

let made = 0;

/**
 * Mobile nodes on two access links of a router, a home agent with a home link, and a correspondent, in network namespaces. A
 * charon with ESP in user space runs on each node and on the home agent, with the shipped hooks and MOBILITY=none. All is
 * removed when the test finishes.
 */
export class HomeNetwork {
  readonly folder: string;
  readonly #prefix: string;
  readonly #nodes: number;
  readonly #careOf = new Map<number, string>();
  #metric = 1024;
  readonly #charons = new Map<string, Charon>();

  /** More lines of hooks.conf. */
  readonly #more: string;

  private constructor(folder: string, nodes: number, more: string) {
    made += 1;
    this.folder = folder;
    this.#more = more;
    this.#prefix = `ph${process.pid}-${made}`;
    this.#nodes = nodes;
  }

  static async make(nodes: number, more = ''): Promise<HomeNetwork> {
    const folder = await mkdtemp(join(tmpdir(), 'pana-home-'));
    const network = new HomeNetwork(folder, nodes, more);
    onTestFinished(() => network.#remove());
    for (const host of network.#hosts) {
      await run('ip', ['netns', 'add', network.space(host)]);
      const settings = ['all', 'default'].map((which) => `echo 0 > /proc/sys/net/ipv6/conf/${which}/accept_dad`);
      await network.exec(host, 'sh', '-c', settings.join('; '));
      await network.ip(host, 'link', 'set', 'lo', 'up');
    }
    await network.#connect();
    for (const host of ['ha', ...network.#numbers.map((n) => `mn${n}`)]) await network.#startCharon(host);
    return network;
  }

  get #numbers(): readonly number[] {
    return Array.from({ length: this.#nodes }, (_, index) => index + 1);
  }

  get #hosts(): readonly string[] {
    return ['ar', 'ha', 'cn', ...this.#numbers.map((n) => `mn${n}`)];
  }

  space(host: string): string {
    return `${this.#prefix}-${host}`;
  }

  async ip(host: string, ...parameters: readonly string[]): Promise<void> {
    await run('ip', ['-n', this.space(host), ...parameters]);
  }

  async exec(host: string, ...command: readonly string[]): Promise<string> {
    return (await run('ip', ['netns', 'exec', this.space(host), ...command])).stdout;
  }

  async #connect(): Promise<void> {
    const between = async (host: string, device: string, other: string) => {
      const peer = ['type', 'veth', 'peer', 'name', other, 'netns', this.space('ar')];
      await run('ip', ['link', 'add', device, 'netns', this.space(host), ...peer]);
      await this.ip('ar', 'link', 'set', other, 'up');
      await this.ip(host, 'link', 'set', device, 'up');
    };
    const address = (host: string, text: string, device: string) =>
      this.ip(host, 'address', 'add', text, 'dev', device, 'nodad');
    for (const link of ['a', 'd']) {
      // A bridge without an address of its own takes that of a port, and another one when ports come and go.
      await this.ip('ar', 'link', 'add', `l${link}`, 'address', `02:00:00:00:00:0${link}`, 'type', 'bridge');
      await this.ip('ar', 'link', 'set', `l${link}`, 'up');
      await address('ar', `2001:db8:${link}::1/64`, `l${link}`);
      await address('ar', `fe80::${link}/64`, `l${link}`);
    }
    await between('ha', 'b0', 'ha0');
    await between('cn', 'c0', 'cn0');
    await address('ar', '2001:db8:b::1/64', 'ha0');
    await address('ar', '2001:db8:c::1/64', 'cn0');
    await address('ha', '2001:db8:b::2/64', 'b0');
    await address('cn', `${CORRESPONDENT}/64`, 'c0');
    await this.ip('ha', 'link', 'add', 'h0', 'type', 'bridge');
    await this.ip('ha', 'link', 'set', 'h0', 'up');
    await address('ha', `${HA}/64`, 'h0');
    for (const host of ['ar', 'ha']) {
      await this.exec(host, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/all/forwarding');
    }
    await this.ip('ha', '-6', 'route', 'add', 'default', 'via', '2001:db8:b::1');
    await this.ip('cn', '-6', 'route', 'add', 'default', 'via', '2001:db8:c::1');
    await this.ip('ar', '-6', 'route', 'add', '2001:db8:1::/64', 'via', '2001:db8:b::2');
    for (const n of this.#numbers) {
      await between(`mn${n}`, 'eth0', `mn${n}`);
      await this.#attach(n, 'a');
    }
  }

  /** Connects the node to a link: it gets an address and a router there, and keeps those of the former link. */
  async #attach(n: number, link: Link): Promise<string> {
    const host = `mn${n}`;
    // Without its carrier the interface forgets its neighbours.
    await this.ip('ar', 'link', 'set', host, 'down');
    await this.ip('ar', 'link', 'set', host, 'master', `l${link}`);
    await this.ip('ar', 'link', 'set', host, 'up');
    const careOf = `2001:db8:${link}::1${n}`;
    await this.ip(host, 'address', 'add', `${careOf}/64`, 'dev', 'eth0', 'nodad');
    // As from an advertisement; the kernel prefers the route of the former link.
    this.#metric += 1;
    const router = ['via', `fe80::${link}`, 'dev', 'eth0', 'proto', 'ra', 'metric', `${this.#metric}`];
    await this.ip(host, '-6', 'route', 'add', 'default', ...router);
    await eventually(() => this.exec(host, 'ping', '-6', '-c', '1', '-W', '1', `fe80::${link}%eth0`));
    this.#careOf.set(n, careOf);
    return careOf;
  }

  async #startCharon(host: string): Promise<void> {
    const charon = new Charon(this.space(host), join(this.folder, host), {
      userSpaceEsp: true,
    });
    this.#charons.set(host, charon);
    await charon.configure();
    // As an administrator would, so that a hook can do it again.
    const script = join(this.folder, host, 'charon.sh');
    await writeFile(script, `#!/bin/sh\nexec unshare -m sh -c '${charon.command.at(-1)}'\n`, { mode: 0o755 });
    spawn('ip', ['netns', 'exec', this.space(host), script], {
      stdio: 'ignore',
      detached: true,
    }).unref();
    await charon.ready();
  }

  /** Kills charon on a host. */
  async killCharon(host: string): Promise<void> {
    for (const pid of (await run('ip', ['netns', 'pids', this.space(host)])).stdout.split('\n')) {
      if (pid === '') continue;
      const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
      if (name === 'charon\n') process.kill(Number(pid), 'SIGKILL');
    }
  }

  homeAddress(n: number): string {
    return `2001:db8:1::${(0x1000 + n).toString(16)}`;
  }

  /** Runs a hook of the node's session as the daemon of a host does. Resolves with its output. */
  async hook(host: string, event: string, n: number, key = KEYS[0], former?: string): Promise<string> {
    const role = host === 'ha' ? 'ha' : 'mn';
    const state = join(this.folder, host, 'state');
    await mkdir(state, { recursive: true });
    const charon = this.#charons.get(host);
    const settings = [
      `MOBILITY=none\nINTERFACE=${role === 'ha' ? 'h0' : 'eth0'}\n${charon?.settings}`,
      `CHARON=${join(this.folder, host, 'charon.sh')}\n`,
      this.#more,
    ];
    await writeFile(join(state, 'hooks.conf'), settings.join(''));
    const keyFile = join(state, 'key');
    await writeFile(keyFile, `${key}\n`, { mode: 0o600 });
    const env = {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: '/',
      LANG: 'C',
      MIP6_EVENT: event,
      MIP6_ROLE: role,
      MIP6_STATE_DIR: state,
      MIP6_MN_ID: `mn${n}@home.example`,
      MIP6_SESSION: `s${n}`,
      MIP6_HOA: this.homeAddress(n),
      MIP6_HA: HA,
      MIP6_HA_HOST: 'ha.home.example',
      MIP6_PREFIX: '2001:db8:1::',
      MIP6_PREFIX_LEN: '64',
      MIP6_LIFETIME: '3600',
      MIP6_IKE: 'ikev2',
      MIP6_COA: this.#careOf.get(n) ?? '',
      MIP6_INTERFACE: 'eth0',
      MIP6_PSK_FILE: keyFile,
      ...(former === undefined ? {} : { MIP6_COA_OLD: former }),
    };
    const command = ['netns', 'exec', this.space(host), hookPath(`${role}-linux.sh`), event];
    const { stdout, stderr } = await run('ip', command, { env });
    return stdout + stderr;
  }

  /** Binds the node: the hook of the home agent, then that of the node. */
  async join(n: number): Promise<void> {
    await this.hook('ha', 'up', n);
    await this.hook(`mn${n}`, 'up', n);
  }

  async leave(n: number): Promise<void> {
    await this.hook(`mn${n}`, 'down', n);
    await this.hook('ha', 'down', n);
  }

  async refresh(n: number, key: string | undefined): Promise<void> {
    await this.hook('ha', 'refresh', n, key);
    await this.hook(`mn${n}`, 'refresh', n, key);
  }

  /** Moves the node to another link; resolves with the output of its hook. */
  async move(n: number, link: Link): Promise<string> {
    const former = this.#careOf.get(n);
    await this.#attach(n, link);
    return this.hook(`mn${n}`, 'move', n, KEYS[0], former);
  }

  /** One packet from the correspondent to the home address and back, and one in the other direction. */
  async reach(n: number, limit?: number): Promise<void> {
    const home = this.homeAddress(n);
    const ping = (host: string, ...parameters: readonly string[]) =>
      this.exec(host, 'ping', '-6', '-c', '1', '-W', '1', ...parameters);
    await eventually(
      async () => {
        await ping('cn', home);
        await ping(`mn${n}`, '-I', home, CORRESPONDENT);
      },
      limit === undefined ? {} : { limit },
    );
  }

  /**
   * Pings the home address of the node from the correspondent, one ping each `interval` seconds, while `act` runs and until
   * replies have come for half a second more. Counts the pings up to the last reply: a later one may still be under way.
   */
  async pingsDuring(n: number, act: () => Promise<unknown>, interval = 0.1): Promise<Pings> {
    const options = ['-6', '-i', `${interval}`, '-W', '5', this.homeAddress(n)];
    const command = ['netns', 'exec', this.space('cn'), 'ping', ...options];
    const ping = spawn('ip', command, { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    ping.stdout.on('data', (piece: Buffer) => {
      output += piece.toString();
    });
    const answered = () =>
      new Set([...output.matchAll(/ bytes from .* icmp_seq=(\d+) /g)].map(([, seq]) => Number(seq)));
    const reply = (least: number) =>
      eventually(() => {
        const last = Math.max(0, ...answered());
        if (last < least) throw new Error(`no reply after that to ping ${last}`);
        return last;
      });
    await reply(1);
    await act();
    await reply((await reply(1)) + Math.ceil(0.5 / interval));
    const ended = once(ping, 'close');
    ping.kill('SIGINT');
    await within(ended, 'ping ends');
    const received = answered();
    return { transmitted: Math.max(...received), received: received.size };
  }

  /**
   * The node makes a second IKE_SA, and forgets it while no message reaches the home agent: as if the response to IKE_AUTH had
   * come too late.
   */
  async loseNewSa(n: number): Promise<void> {
    const charon = this.#charons.get(`mn${n}`);
    if (!charon) throw new Error(`there is no node ${n}`);
    const folder = join(charon.swanctl, 'conf.d');
    const [file = ''] = await readdir(folder);
    const former = await readFile(join(folder, file), 'utf8');
    // charon treats connections that differ only in name as the same.
    const another = former
      .replace(/^ {2}(pana-\S+) \{/m, '  $1-lost {')
      .replace(/rekey_time = \d+m/, 'rekey_time = 333m');
    await writeFile(join(folder, 'lost.conf'), another.slice(0, another.indexOf('secrets {')));
    await charon.call('--load-all', '--noprompt');
    const lost = async () => (await charon.established()).find(({ connection }) => connection.endsWith('-lost'));
    const { id } = await eventually(async () => (await lost()) ?? Promise.reject(new Error('no second IKE_SA')));
    await rm(join(folder, 'lost.conf'));
    const forwarding = (to: number) =>
      this.exec('ar', 'sh', '-c', `echo ${to} >/proc/sys/net/ipv6/conf/all/forwarding`);
    await forwarding(0);
    await charon.call('--terminate', '--ike-id', `${id}`, '--force');
    await forwarding(1);
  }

  /**
   * How many ESP packets reached the node before it had the SA of its latest IKE_AUTH exchange. The home agent, as responder,
   * uses the SA before it sends the response; the node can compute the keys only from the response.
   */
  async early(n: number): Promise<number> {
    const log = (await this.#charons.get(`mn${n}`)?.log()) ?? '';
    const exchange = log.slice(log.lastIndexOf('generating IKE_AUTH request'));
    const [during = ''] = exchange.split('deleting IKE_SA', 1);
    return (
      during.match(/inbound ESP packet does not belong to an installed SA|discarding inbound IP packet/g)?.length ?? 0
    );
  }

  /** What a host still has of nodes: IKE_SAs, home addresses, proxies, files. */
  async traces(host: string): Promise<readonly string[]> {
    const charon = this.#charons.get(host);
    // A responder keeps an IKE_SA_INIT that nobody follows up for 30 s. It does not know yet whose it is.
    const isUnknown = ({ connection, state }: IkeSa) => connection === '(unnamed)' && state === 'CONNECTING';
    const sas = (await charon?.sas())?.filter((sa) => !isUnknown(sa)).map(({ connection }) => connection) ?? [];
    const files = await readdir(join(charon?.swanctl ?? '', 'conf.d'));
    const addresses = await this.exec(host, 'ip', '-6', '-o', 'address');
    const proxies = await this.exec(host, 'ip', '-6', 'neighbour', 'show', 'proxy');
    const homes = this.#numbers
      .map((n) => this.homeAddress(n))
      .filter((home) => `${addresses}${proxies}`.includes(home));
    return [...sas, ...files, ...homes];
  }

  async #remove(): Promise<void> {
    for (const host of this.#hosts) {
      const { stdout } = await run('ip', ['netns', 'pids', this.space(host)]).catch(() => ({ stdout: '' }));
      for (const pid of stdout.split('\n')) {
        try {
          if (pid !== '') process.kill(Number(pid), 'SIGKILL');
        } catch {
          // It has ended meanwhile.
        }
      }
      await run('ip', ['netns', 'delete', this.space(host)]).catch(() => undefined);
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}
