import { execFile } from 'node:child_process';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished } from 'vitest';
import type { DaemonProcess } from '../../dist/lab/daemon-process.js';
import { hookPath, Lab } from '../../dist/lab/lab.js';
import { eventually } from '../eventually.js';
import { AccessNetwork, NODE, ROUTER } from './access-network.js';
import { CORRESPONDENT, ForwardingNetwork } from './forwarding-network.js';
import { SshServer } from './ssh-server.js';

const run = promisify(execFile);

export const PAA = '2001:db8:a::2';
export const PAA_LINK_LOCAL = 'fe80::2';
const PORT = 2222;
/** hooks.conf of the router: packets to the PAA traverse its bridge, whose frames it may filter (br_netfilter). */
const SETTINGS = `PAA=${PAA}\n`;

/** Kills the sshd that has started this program. */
const CUT = `p=$PPID
until grep -q sshd "/proc/$p/comm"; do p=$(sed -n 's/^PPid:\\t//p' "/proc/$p/status"); done
kill -KILL "$p"`;

/** A PAA on a host of the access link, and the enforcement point on the router of that link, which it reaches over ssh. */
export class RemoteScene {
  readonly net: ForwardingNetwork;
  readonly made: Lab;
  readonly ssh: SshServer;
  /** The namespace of the PAA. */
  readonly host: string;
  /** The state folder of the enforcement point's hook. */
  readonly state: string;
  readonly #hook: string;
  paa: DaemonProcess;

  private constructor(
    net: ForwardingNetwork,
    made: Lab,
    ssh: SshServer,
    host: string,
    hook: string,
    paa: DaemonProcess,
  ) {
    this.net = net;
    this.made = made;
    this.ssh = ssh;
    this.host = host;
    this.state = made.path('far');
    this.#hook = hook;
    this.paa = paa;
  }

  /** `hook`: the hook of the router. */
  static async make(hook: string, wait = '0s'): Promise<RemoteScene> {
    const net = new ForwardingNetwork(await AccessNetwork.make());
    await net.build();
    const { node, router } = net.access;
    const host = `${node}p`;
    onTestFinished(async () => {
      await run('ip', ['netns', 'delete', host]).catch(() => undefined);
    });
    await run('ip', ['netns', 'add', host]);
    const ip = (space: string, text: string) => net.access.ip(space, ...text.split(' '));
    await net.access.exec(host, 'sh', '-c', 'echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad');
    await net.access.exec(host, 'sh', '-c', 'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad');
    await ip(router, `link add pa1 type veth peer name pa0 netns ${host}`);
    await ip(router, 'link set pa1 master br0 up');
    await ip(host, 'link set lo up');
    await ip(host, 'link set pa0 up');
    for (const address of [PAA, PAA_LINK_LOCAL]) await ip(host, `address add ${address}/64 dev pa0 nodad`);

    const within = (daemon: string) => ['ip', 'netns', 'exec', daemon === 'pac' ? node : host];
    const made = await Lab.make({ launcher: within });
    onTestFinished(async () => {
      await made.close();
    });
    const launcher = ['ip', 'netns', 'exec', router];
    const ssh = await SshServer.start(made.path('ssh'), 'ep', { address: ROUTER, port: PORT, launcher });
    onTestFinished(() => ssh.stop());
    const program = made.path('hook.sh');
    const lost = made.path('lost');
    await writeFile(
      program,
      `#!/bin/sh\n"${hookPath(hook)}" "$1" || exit\n[ ! -f ${lost} ] || { rm ${lost}; ${CUT}; }\n`,
    );
    await chmod(program, 0o755);
    await mkdir(made.path('far'));
    await writeFile(made.path('far', 'hooks.conf'), SETTINGS);
    await ssh.authorize('ep', `restrict,command="${hookPath('ep-receive.sh')} br0 ${program} ${made.path('far')}"`);

    await mkdir(made.path('near'));
    const near = [`SSH_DIR=${ssh.keys}`, `EP_TARGET=${ssh.target}`, 'SSH_CONNECT_TIMEOUT=2'];
    await writeFile(made.path('near', 'hooks.conf'), near.map((line) => `${line}\n`).join(''));
    const { place } = await made.startAaa();
    const { daemon } = await made.startPaa(place, 'paa', {
      pana: { listen: [PAA, `${PAA_LINK_LOCAL}%pa0`], port: 716, interface: 'pa0' },
      hooks: {
        ep: hookPath('ep-ssh.sh'),
        'ep-batch': true,
        'ep-check-interval': '1s',
        timeout: '20s',
        'state-dir': made.path('near'),
        wait,
      },
    });
    await made.addSubscriber('mn1@home.example', 'mn1');
    return new RemoteScene(net, made, ssh, host, hook, daemon);
  }

  /** Authenticates the node, which does not retry after the end of its session. */
  async enter(paa = PAA): Promise<DaemonProcess> {
    const retry = { first: '1h', longest: '1h' };
    const pac = await this.made.startPac('mn1', { pana: { interface: 'mn0', paa: [paa] }, retry });
    await pac.line('bootstrap completed');
    await this.paa.line('hook done', ({ event }) => event === 'permit');
    return pac;
  }

  fate(from = NODE): Promise<string> {
    return this.net.fate(this.net.access.node, from, CORRESPONDENT);
  }

  async expectFate(expected: string, from = NODE): Promise<void> {
    await eventually(async () => expect(await this.fate(from)).toBe(expected));
  }

  /** The router comes back after a loss of power: closed, as its unit does at boot, and without its state. */
  async restartRouter(): Promise<void> {
    const { access } = this.net;
    await rm(this.state, { recursive: true });
    await mkdir(this.state);
    await writeFile(join(this.state, 'hooks.conf'), SETTINGS);
    await access.exec(
      access.router,
      'env',
      'MIP6_ROLE=ep',
      'MIP6_EVENT=close',
      `MIP6_STATE_DIR=${this.state}`,
      'MIP6_INTERFACE=br0',
      hookPath(this.#hook),
      'close',
    );
  }

  /** Cuts the connection after the next run of the router's hook: the PAA does not learn its result. */
  loseResult(): Promise<void> {
    return writeFile(this.made.path('lost'), '');
  }

  startPaa(): DaemonProcess {
    this.paa = this.made.start('paa again', 'paa', this.made.path('paa.yaml'));
    return this.paa;
  }

  get near(): string {
    return join(this.made.folder, 'near');
  }
}
