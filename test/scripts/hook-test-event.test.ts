import { execFile, execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hookPath } from '../../dist/lab/lab.js';
import { announce } from '../system/access-network.js';
import { type Ended, hasProgram, runCommand, SHELLS } from './hook-rig.js';

const run = promisify(execFile);

/** What the hooks use of a system. Their own programs are substitutes. */
const BASE =
  'awk basename cat chmod cut dirname env find grep head id ls mkdir mkfifo mktemp mv od ps readlink rm rmdir sed sleep sort tail timeout tr wc';

let state: string;
let bin: string;

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'pana-test-event-'));
  bin = join(state, 'bin');
  await mkdir(bin);
  const found = execFileSync('sh', ['-c', `command -v ${BASE.split(' ').join('; command -v ')}`], { encoding: 'utf8' });
  for (const path of found.trim().split('\n')) {
    if (path.startsWith('/')) await symlink(path, join(bin, path.replace(/.*\//, '')));
  }
  await program('uname', 'echo Linux');
});

afterEach(() => rm(state, { recursive: true, force: true }));

async function program(name: string, text = ''): Promise<void> {
  await writeFile(join(bin, name), `#!/bin/sh\n${text}\n`);
  await chmod(join(bin, name), 0o755);
}

const settle = (settings: string) => writeFile(join(state, 'hooks.conf'), settings);

/** The folder of keys, with a key of each name, and the hosts. */
async function keys(...names: readonly string[]): Promise<string> {
  const folder = join(state, 'ssh');
  await mkdir(folder);
  for (const name of names) await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name)]);
  await writeFile(join(folder, 'known_hosts'), 'host ssh-ed25519 AAAA\n');
  const keygen = execFileSync('sh', ['-c', 'command -v ssh-keygen'], { encoding: 'utf8' }).trim();
  await symlink(keygen, join(bin, 'ssh-keygen'));
  return folder;
}

/** The role of a hook by its name. */
const roleOf = (script: string) => (/^(ha|probe)/.test(script) ? 'ha' : script.slice(0, 2));

const HERE = [...SHELLS, { shell: 'bash', command: ['bash'] }].filter(({ shell, command: [program = ''] }) =>
  announce(`hooks under ${shell}`, hasProgram(program) ? undefined : `they need ${program}`),
);

describe.each(HERE)('The event test under $shell', ({ command }) => {
  const [shell = ''] = command;
  const path = execFileSync('sh', ['-c', `command -v ${shell}`], { encoding: 'utf8' }).trim();

  /** Runs it as doctor does; a hook of a mobile node and of a home agent has no values of either. */
  async function tests(script: string, more: NodeJS.ProcessEnv = {}): Promise<Ended> {
    const before = await readdir(state, { recursive: true });
    const ended = await runCommand([path, ...command.slice(1), hookPath(script), 'test'], '', {
      PATH: bin,
      HOME: '/',
      LANG: 'C',
      MIP6_EVENT: 'test',
      MIP6_ROLE: roleOf(script),
      MIP6_STATE_DIR: state,
      MIP6_INTERFACE: 'em1',
      TMPDIR: state,
      ...more,
    });
    expect(await readdir(state, { recursive: true })).toEqual(before);
    return ended;
  }
  const passes = (script: string, output = '', more: NodeJS.ProcessEnv = {}) =>
    expect(tests(script, more)).resolves.toEqual({ status: 0, output });
  const fails = (script: string, problem: string, more: NodeJS.ProcessEnv = {}) =>
    expect(tests(script, more)).resolves.toEqual({ status: 1, output: `error: ${problem}\n` });

  it.each([
    ['ha-freebsd.sh', ['swanctl', 'had', 'rtadvd', 'setkey', 'ifconfig'], ''],
    ['mn-freebsd.sh', ['swanctl', 'mnd', 'babymdd', 'setkey', 'ifconfig'], ''],
    ['ha-freebsd.sh', ['racoon', 'racoonctl', 'setkey'], 'IKE=racoon\nMOBILITY=none\n'],
    ['mn-freebsd.sh', ['swanctl'], 'MOBILITY=none\n'],
    ['ha-linux.sh', ['swanctl', 'mip6d', 'radvd'], 'MOBILITY=umip\n'],
    ['ha-linux.sh', ['swanctl', 'mip6d'], 'MOBILITY=umip\nRADVD=no\n'],
    ['mn-linux.sh', ['swanctl', 'mip6d'], 'MOBILITY=umip\n'],
    ['ha-linux.sh', ['racoon', 'racoonctl', 'setkey', 'ip'], 'IKE=racoon\nMOBILITY=none\n'],
  ])('%s needs %s', async (script, needs, settings) => {
    await settle(settings.includes('IKE=') ? settings : `IKE=strongswan\n${settings}`);
    await program('uname', `echo ${script.includes('freebsd') ? 'FreeBSD' : 'Linux'}`);
    for (const name of needs) {
      const { status, output } = await tests(script);
      expect({ status, output }).toMatchObject({ status: 1 });
      expect(output).toMatch(
        new RegExp(`^error: ${name} is not installed( \\(UMIP\\), or .*|: (apt|pkg) install [a-z0-9-]+)?\n$`),
      );
      await program(name);
    }
    await passes(script);
  });

  it('ep-pf.sh needs pfctl, and asks it without a change', async () => {
    await program('uname', 'echo FreeBSD');
    await fails('ep-pf.sh', 'pfctl is not installed');
    await program(
      'pfctl',
      `
        case "$*" in
        '-q -s info') [ ! -e ${bin}/denied ] && echo 'Status: Enabled' ;;
        '-q -s rules') echo 'anchor "pana" all' ;;
        '-q -a pana -n -f -') grep -q '^block drop in quick on em1' ;;
        *) echo "changed: $*" ;;
        esac`,
    );
    await passes('ep-pf.sh', 'warning: interface em1 does not exist (yet)\n');
    await program('ifconfig', '[ "$1" = em1 ]');
    await passes('ep-pf.sh');
    await writeFile(join(bin, 'denied'), '');
    await fails('ep-pf.sh', 'pfctl may not ask the packet filter');
  });

  it('probe-ping.sh needs ping, and the right to use it', async () => {
    await fails('probe-ping.sh', 'ping is not installed: apt install iputils-ping');
    await program('ping', 'for last; do :; done; [ "$last" = ::1 ] && [ -e "$0.may" ]');
    await fails('probe-ping.sh', 'ping ::1 fails: under systemd, the service needs the drop-in ping-probe.conf');
    await writeFile(join(bin, 'ping.may'), '');
    await passes('probe-ping.sh');
  });

  it.each([
    ['ep-nft.sh', 'nft'],
    ['ep-ip6tables.sh', 'ip6tables iptables'],
  ])('%s warns of a router that does not forward or advertise itself', async (script, programs) => {
    const forwarding = join(state, 'net/ipv6/conf/em1');
    const conf = join(state, 'radvd.conf');
    await mkdir(forwarding, { recursive: true });
    await writeFile(join(forwarding, 'forwarding'), '1\n');
    await settle(`SYSCTL=${state}\nRADVD_CONF=${conf}\n`);
    for (const name of ['ip', ...programs.split(' ')]) await program(name, 'exit 0');
    await passes(script);
    await writeFile(join(forwarding, 'forwarding'), '0\n');
    const set = 'sysctl -w net.ipv6.conf.all.forwarding=1';
    await passes(script, `warning: this host does not forward IPv6 packets from em1: ${set}\n`);
    await writeFile(join(forwarding, 'forwarding'), '1\n');
    await writeFile(conf, '');
    await fails(script, 'radvd is not installed: apt install radvd');
    await program('radvd');
    await program('pgrep', `[ -e ${bin}/runs ]`);
    const silent = `radvd does not run, which ${conf} configures: nodes hear no router advertisement`;
    await passes(script, `warning: ${silent}\n`);
    await writeFile(join(bin, 'runs'), '');
    await passes(script);
  });

  it('ep-list.sh needs nothing', () => passes('ep-list.sh'));

  it('ha-ssh.sh needs ssh, and a key of each home agent, which it asks to test its own hook', async () => {
    const folder = join(state, 'ssh');
    const ha1 = { MIP6_HA_ID: 'ha1', MIP6_HA_HOST: 'ha1.home.example', MIP6_HA_TARGET: 'root@ha1' };
    const hook = join(bin, 'far.sh');
    const far = join(state, 'far');
    await mkdir(join(far, 'keys'), { recursive: true });
    await settle(`SSH_DIR=${folder}\n`);
    await fails('ha-ssh.sh', 'ssh is not installed: apt install openssh-client');
    await program('ssh', 'echo connected');
    await fails('ha-ssh.sh', `there is no folder ${folder}, or this user may not look into it`);
    await keys();
    await passes('ha-ssh.sh');
    await fails('ha-ssh.sh', `no key of the home agent ha1: ${folder}/ha1`, ha1);
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'ha1')]);
    await program('ssh', `exec ${[path, ...command.slice(1)].join(' ')} ${hookPath('ha-receive.sh')} ${hook} ${far}`);
    await writeFile(hook, '#!/bin/sh\n# Events: up, test.\necho "warning: $1 $MIP6_ROLE $MIP6_HA_ID"\n', {
      mode: 0o755,
    });
    await passes('ha-ssh.sh', 'warning: test ha ha1\n', ha1);
    await writeFile(hook, '#!/bin/sh\n# Events: up, test.\necho "error: no charon"; exit 1\n');
    await fails('ha-ssh.sh', 'no charon', ha1);
    // A hook that does not have the event is not run.
    await writeFile(hook, '#!/bin/sh\n# Events: up, latest.\necho changed\n');
    await passes('ha-ssh.sh', '', ha1);
    await program('ssh', 'exit 255');
    await fails('ha-ssh.sh', 'ssh to the home agent ha1 at root@ha1 failed', ha1);
    await program('ssh', 'exit 127');
    await fails('ha-ssh.sh', 'the key of the home agent ha1 is not bound to ha-receive.sh in its authorized_keys', ha1);
    await chmod(join(folder, 'ha1'), 0o640);
    await fails('ha-ssh.sh', `others can read ${folder}/ha1: chmod 600 ${folder}/ha1`, ha1);
    await chmod(join(folder, 'ha1'), 0o600);
    await run('ssh-keygen', ['-q', '-p', '-P', '', '-N', 'secret', '-f', join(folder, 'ha1')]);
    const problem = 'is not a private key, or has a passphrase, for which nobody can be asked';
    await fails('ha-ssh.sh', `${folder}/ha1 ${problem}`, ha1);
    await rm(join(folder, 'known_hosts'));
    await fails('ha-ssh.sh', `no ${folder}/known_hosts, or this user may not read it`);
    await writeFile(join(folder, 'known_hosts'), '');
    await fails('ha-ssh.sh', `${folder}/known_hosts is empty: add the host keys with ssh-keyscan`);
  });

  it('ep-ssh.sh needs a target, and asks it to test its own hook', async () => {
    const folder = await keys('ep');
    const far = join(state, 'far');
    await mkdir(far);
    const hook = join(bin, 'far.sh');
    const connect = (end: string) => program('ssh', `exec ${end}`);
    const receive = (name: string) =>
      connect(`${[path, ...command.slice(1)].join(' ')} ${hookPath('ep-receive.sh')} br0 ${name} ${far}`);
    await settle(`SSH_DIR=${folder}\n`);
    await fails('ep-ssh.sh', `EP_TARGET, in ${state}/hooks.conf, must name the machine of the enforcement point`);
    await settle(`SSH_DIR=${folder}\nEP_TARGET=router\n`);
    await fails('ep-ssh.sh', 'ssh is not installed: apt install openssh-client');
    await writeFile(hook, '#!/bin/sh\n# Events: start, test.\necho "warning: $1 $MIP6_INTERFACE"\n', { mode: 0o755 });
    await receive(hook);
    await passes('ep-ssh.sh', 'warning: test br0\n');
    await writeFile(hook, '#!/bin/sh\n# Events: start, test.\necho "error: no filter"; exit 1\n');
    await fails('ep-ssh.sh', 'no filter');
    // A hook that does not have the event is not run.
    await writeFile(hook, '#!/bin/sh\n# Events: start, latest.\necho changed\n');
    await passes('ep-ssh.sh');
    await program('ssh', 'exit 0');
    await fails('ep-ssh.sh', 'the other end is not ep-receive.sh');
    await program('ssh', 'echo "Host key verification failed." >&2; exit 255');
    const { status, output } = await tests('ep-ssh.sh');
    expect({ status, output }).toEqual({
      status: 1,
      output: 'Host key verification failed.\nerror: ssh to router failed\n',
    });
  });
});
