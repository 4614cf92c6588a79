import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { charonProgram, type IkeSa, parseSas } from '../../dist/lab/network-lab/charon.js';
import { missing } from './access-network.js';

const run = promisify(execFile);
const CHARON = charonProgram() ?? '';
const LIMIT = 10_000;

/** The plugins that the tests need, whatever else is installed. */
const PLUGINS =
  'random nonce x509 pubkey pkcs1 pem openssl gmp hmac kdf sha1 sha2 aes drbg kernel-netlink socket-default vici updown';
const USER_SPACE_ESP = '/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so';

/** Why tests with strongSwan are skipped; undefined: they can run. */
export function charonMissing(): string | undefined {
  const why = missing('swanctl', 'unshare', 'ping');
  if (why !== undefined) return why;
  return CHARON === '' ? 'they need charon and swanctl of strongSwan' : undefined;
}

/** Why tests with ESP in user space are skipped; undefined: they can run. */
export function userSpaceEspMissing(): string | undefined {
  const why = charonMissing();
  if (why !== undefined) return why;
  if (!existsSync(USER_SPACE_ESP)) return 'they need the plugin kernel-libipsec (libcharon-extra-plugins)';
  return existsSync('/dev/net/tun') ? undefined : 'they need /dev/net/tun';
}

/** charon's own packets do not take the route into its tunnel. */
/** EAP-TLS of a node, and what asks the AAA server about it. */
const EAP_PLUGINS = ' pkcs8 md5 mgf1 eap-identity eap-tls eap-radius';

const ESP_SETTINGS = `
    kernel-netlink {
      fwmark = !0x42
    }
    socket-default {
      fwmark = 0x42
    }
    kernel-libipsec {
      allow_peer_ts = yes
    }`;

export interface CharonOptions {
  readonly userSpaceEsp?: boolean;
  /** With EAP, and these settings of the plugin eap-radius. */
  readonly eap?: string;
}

/** strongSwan's charon in a network namespace, with its own folder. */
export class Charon {
  readonly namespace: string;
  readonly folder: string;
  readonly #userSpaceEsp: boolean;
  readonly #eap: string | undefined;
  #process: ChildProcess | undefined;

  constructor(namespace: string, folder: string, { userSpaceEsp = false, eap }: CharonOptions = {}) {
    this.namespace = namespace;
    this.folder = folder;
    this.#userSpaceEsp = userSpaceEsp;
    this.#eap = eap;
  }

  /** Writes the configuration without starting charon. */
  async configure(): Promise<void> {
    await mkdir(join(this.folder, 'swanctl', 'conf.d'), { recursive: true });
    await writeFile(
      join(this.folder, 'strongswan.conf'),
      `charon {
  load = ${this.#userSpaceEsp ? 'kernel-libipsec ' : ''}${PLUGINS}${this.#eap === undefined ? '' : EAP_PLUGINS}
  i_dont_care_about_security_and_use_aggressive_mode_psk = yes
  retransmit_timeout = 0.5
  retransmit_base = 1.3
  retransmit_tries = 4
  plugins {
    vici {
      socket = ${this.socket}
    }${this.#userSpaceEsp ? ESP_SETTINGS : ''}${this.#eap ?? ''}
  }
  filelog {
    log {
      path = ${join(this.folder, 'log')}
      default = 1${this.#userSpaceEsp ? '\n      esp = 2' : ''}
      flush_line = yes
    }
  }
}
`,
    );
  }

  /** The command line that runs charon here. */
  get command(): readonly string[] {
    // A private /run, because charon writes its process id there.
    const script = `mount -t tmpfs tmpfs /run; STRONGSWAN_CONF=${join(this.folder, 'strongswan.conf')} exec ${CHARON}`;
    return ['ip', 'netns', 'exec', this.namespace, 'unshare', '-m', 'sh', '-c', script];
  }

  get socket(): string {
    return `unix://${join(this.folder, 'vici')}`;
  }

  get swanctl(): string {
    return join(this.folder, 'swanctl');
  }

  /** The lines of hooks.conf by which a hook finds this charon. */
  get settings(): string {
    return `IKE=strongswan\nSWANCTL_DIR=${this.swanctl}\nVICI=${this.socket}\n`;
  }

  async start(): Promise<void> {
    await this.configure();
    const [program = '', ...parameters] = this.command;
    this.#process = spawn(program, parameters, { stdio: 'ignore' });
    await this.ready();
  }

  async ready(): Promise<void> {
    await until(`charon in ${this.namespace}`, () =>
      this.call('--stats').then(
        () => true,
        () => false,
      ),
    );
  }

  async stop(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    await gone;
  }

  async call(command: string, ...parameters: readonly string[]): Promise<string> {
    const { stdout } = await run('swanctl', [command, '--uri', this.socket, ...parameters], {
      env: { ...process.env, SWANCTL_DIR: this.swanctl },
    });
    return stdout;
  }

  async sas(): Promise<IkeSa[]> {
    return parseSas(await this.call('--list-sas', '--raw'));
  }

  async established(): Promise<IkeSa[]> {
    return (await this.sas()).filter(({ state }) => state === 'ESTABLISHED');
  }

  log(): Promise<string> {
    return readFile(join(this.folder, 'log'), 'utf8');
  }
}

/** Polls a condition. Rejects after the time limit. */
export async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + LIMIT;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`timed out waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
