import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { OperatorError } from '../../runtime/system/failure.js';
import { Patience } from '../patience.js';
import { hasProgram, type NetworkHost } from './hosts.js';
import { PACE } from './pace.js';

const run = promisify(execFile);

/** Where distributions install charon, and the plugins that it loads. */
const FOLDERS = ['/usr/lib', '/usr/libexec'].flatMap((folder) =>
  ['ipsec', 'strongswan'].map((name) => join(folder, name)),
);

/** In Debian the package charon-systemd has the program in another place. It also runs without systemd. */
const PROGRAMS = [...FOLDERS.map((folder) => join(folder, 'charon')), '/usr/sbin/charon-systemd'];

/** The path of charon. Undefined: strongSwan with swanctl is not installed. */
export function charonProgram(): string | undefined {
  return hasProgram('swanctl') ? PROGRAMS.find((path) => existsSync(path)) : undefined;
}

/** Whether charon can process ESP packets in user space. */
export function hasUserSpaceEsp(): boolean {
  const plugin = join('plugins', 'libstrongswan-kernel-libipsec.so');
  return existsSync('/dev/net/tun') && FOLDERS.some((folder) => existsSync(join(folder, plugin)));
}

/** Whether the kernel supports ESP. Without it there are IKE_SAs but no CHILD_SAs. */
export async function hasEsp(namespace: string): Promise<boolean> {
  const state = ['src', '2001:db8::1', 'dst', '2001:db8::2', 'proto', 'esp', 'spi', '0x1000'];
  const keys = ['enc', 'cipher_null', '', 'auth', 'hmac(sha1)', `0x${'00'.repeat(20)}`];
  try {
    await run('ip', ['-n', namespace, 'xfrm', 'state', 'add', ...state, ...keys]);
  } catch {
    return false;
  }
  await run('ip', ['-n', namespace, 'xfrm', 'state', 'delete', ...state]);
  return true;
}

/** An IKE_SA in charon's list. */
export interface IkeSa {
  readonly connection: string;
  readonly id: number;
  readonly state: string;
  readonly remoteId: string;
  readonly version: number;
  /** Whether it has a CHILD_SA. */
  readonly child: boolean;
}

/** Parses the output of `swanctl --list-sas --raw`. */
export function parseSas(text: string): IkeSa[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('list-sa event'))
    .map((line) => ({
      connection: /^list-sa event \{(\S+) /.exec(line)?.[1] ?? '',
      id: Number(/ ?uniqueid=(\d+)/.exec(line)?.[1]),
      state: /state=(\w+)/.exec(line)?.[1] ?? '',
      remoteId: /remote-id=(\S+)/.exec(line)?.[1] ?? '',
      version: Number(/ version=(\d)/.exec(line)?.[1]),
      child: line.includes('state=INSTALLED'),
    }))
    .sort((a, b) => a.id - b.id);
}

/** What charon is used for; see Abilities. */
export interface CharonUse {
  readonly esp: 'kernel' | 'charon' | undefined;
  readonly noMobility: string | undefined;
}

/** Settings for ESP in user space. charon's own packets do not take the route into its tunnel. */
const USER_SPACE_ESP = `
    kernel-libipsec {
      load = yes
      allow_peer_ts = yes
    }
    kernel-netlink {
      fwmark = !0x42
    }
    socket-default {
      fwmark = 0x42
    }`;

/** With Mobile IPv6, SAs are those of the home address: charon must not end them at a move. */
const MOBILE_IPV6 = `
    kernel-netlink {
      roam_events = no
    }`;

/** A dead home agent is detected after seconds, as in docs/hooks.md. `more`: settings of further plugins. */
export function strongswanConf({ esp, noMobility }: CharonUse, more = ''): string {
  const plugins = [esp === 'charon' ? USER_SPACE_ESP : '', noMobility === undefined ? MOBILE_IPV6 : '', more];
  return `charon {
  load_modular = yes
  retransmit_timeout = ${PACE > 1 ? 1 : 0.4}
  retransmit_base = 1.3
  retransmit_tries = 3
  plugins {
    include strongswan.d/charon/*.conf${plugins.join('')}
  }
  filelog {
    log {
      path = /run/charon.log
      time_format = %s
      time_add_ms = yes
      default = 1
      flush_line = yes
    }
  }
}
`;
}

/** strongSwan's charon on a host of the lab, with its usual paths. It ends with the host. */
export class HostCharon {
  readonly #host: NetworkHost;

  private constructor(host: NetworkHost) {
    this.#host = host;
  }

  /** `plugins`: settings of further plugins. Rejects with OperatorError if charon does not start. */
  static async start(host: NetworkHost, program: string, use: CharonUse, plugins = ''): Promise<HostCharon> {
    await writeFile(host.strongswanConf, strongswanConf(use, plugins));
    const [command = '', ...parameters] = [...host.launcher, program];
    spawn(command, parameters, { stdio: 'ignore' });
    const charon = new HostCharon(host);
    const patience = new Patience();
    // swanctl takes long to start: first wait for the socket.
    const socket = join(host.folder, 'run', 'charon.vici');
    while (!(existsSync(socket) && (await charon.#answers()))) {
      if (patience.over) throw new OperatorError(`charon on ${host.name} does not answer to swanctl`);
      await sleep(20);
    }
    return charon;
  }

  async established(): Promise<IkeSa[]> {
    const sas = parseSas(await this.#host.exec('swanctl', '--list-sas', '--raw'));
    return sas.filter(({ state }) => state === 'ESTABLISHED');
  }

  /**
   * When the last established IKE_SA began (the first message of IKE_SA_INIT) and when it was established, according to
   * charon's log, in milliseconds since 1970.
   */
  async times(): Promise<{ readonly began: number; readonly up: number } | undefined> {
    const lines = (await readFile(join(this.#host.folder, 'run', 'charon.log'), 'utf8')).split('\n');
    const up = lines.findLastIndex((line) => / IKE_SA \S+ established /.test(line));
    const began = lines.slice(0, Math.max(0, up)).findLastIndex((line) => line.includes('initiating IKE_SA'));
    const at = (line = '') => Number.parseFloat(line) * 1000;
    return began < 0 ? undefined : { began: at(lines[began]), up: at(lines[up]) };
  }

  /** Messages of IKE sent and received until the last CHILD_SA, with the octets of their UDP payload. */
  async messages(): Promise<{ readonly count: number; readonly octets: number }> {
    const lines = (await readFile(join(this.#host.folder, 'run', 'charon.log'), 'utf8')).split('\n');
    const end = lines.findLastIndex((line) => / CHILD_SA \S+ established /.test(line));
    const sizes = lines
      .slice(0, end + 1)
      .flatMap((line) => /(?:sending|received) packet: .*\((\d+) bytes\)/.exec(line)?.[1] ?? []);
    return { count: sizes.length, octets: sizes.reduce((sum, size) => sum + Number(size), 0) };
  }

  #answers(): Promise<boolean> {
    return this.#host.exec('swanctl', '--stats').then(
      () => true,
      () => false,
    );
  }
}
