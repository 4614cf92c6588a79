import { execFile } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import type { DaemonProcess } from '../../dist/lab/daemon-process.js';
import { HOME_AGENT, hookPath, Lab } from '../../dist/lab/lab.js';
import type { HookView } from '../../src/runtime/hooks/runner.js';
import { callDaemon } from '../../src/runtime/service/control.js';
import { run } from '../daemons/program.js';
import { eventually } from '../eventually.js';
import { announce } from './access-network.js';
import { SshServer, sshMissing } from './ssh-server.js';

const possible = announce('hooks of home agents over ssh', await sshMissing());
const MN = 'mn1@home.example';
let lab: Lab | undefined;
let ssh: SshServer | undefined;

afterEach(async () => {
  await lab?.close();
  await ssh?.stop();
  lab = undefined;
  ssh = undefined;
});

interface Scene {
  readonly made: Lab;
  readonly server: SshServer;
  readonly aaa: DaemonProcess;
  /** The folder on the home agent. */
  readonly remote: string;
}

/** Records argument, environment and key of a hook on the home agent, and the command lines of this machine. */
const RECORDER = `#!/bin/sh
set -eu
cd "$MIP6_STATE_DIR"
n=$(ls | grep -c '^run' || :)
{
  echo "argument=$1"
  env
  [ ! -f "\${MIP6_PSK_FILE:-}" ] || echo "psk=$(cat "$MIP6_PSK_FILE")"
} >"part.$$"
cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' >"processes.$n" || :
mv "part.$$" "run.$n"
echo "hello from the home agent"
`;

async function scene(probe = false): Promise<Scene> {
  const made = await Lab.make({ logLevel: 'trace' });
  lab = made;
  const remote = made.path('remote', 'state');
  await mkdir(remote, { recursive: true });
  const hook = made.path('remote', 'hook.sh');
  await writeFile(hook, RECORDER);
  await chmod(hook, 0o755);
  const server = await SshServer.start(made.path('ssh'), 'ha1');
  ssh = server;
  await server.authorize('ha1', `restrict,command="${hookPath('ha-receive.sh')} ${hook} ${remote}"`);
  const state = made.path('hooks', 'ssh');
  await mkdir(state, { recursive: true });
  await writeFile(join(state, 'hooks.conf'), `SSH_DIR=${server.keys}\n`);
  const { daemon: aaa, place } = await made.startAaa('aaa', {
    hooks: {
      ha: hookPath('ha-ssh.sh'),
      'state-dir': state,
      ...(probe ? { probe: hookPath('ha-ssh.sh'), 'probe-interval': '2s' } : {}),
    },
  });
  await made.administer('aaa', 'changeHomeAgent', { name: 'ha1', change: { target: server.target } });
  await made.startPaa(place);
  await made.addSubscriber(MN, 'mn1');
  return { made, server, aaa, remote };
}

async function runs(remote: string): Promise<Record<string, string>[]> {
  const names = (await readdir(remote)).filter((name) => name.startsWith('run.')).sort();
  return Promise.all(
    names.map(async (name) =>
      Object.fromEntries(
        (await readFile(join(remote, name), 'utf8'))
          .trim()
          .split('\n')
          .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
      ),
    ),
  );
}

/** The key that the mobile node's hook got. */
async function pskOf(made: Lab): Promise<string> {
  return (await readFile(made.path('hooks', 'mn1', 'psk.txt'), 'utf8')).trim().split(' ')[1] ?? '';
}

describe.runIf(possible)('Hooks of a remote home agent over ssh', () => {
  it('get all values and the key, which no log or command line shows', async () => {
    const { made, aaa, remote } = await scene();
    const pac = await made.startPac('mn1');
    const bound = await pac.line('bootstrap completed');
    await pac.line('hook done');
    await aaa.line('hook done', ({ event }) => event === 'up');
    const keys = [await pskOf(made)];
    expect((await run('pac', ['reauth', '--control.socket', made.socket('mn1')])).status).toBe(0);
    await pac.line('hook done', ({ event }) => event === 'refresh');
    await aaa.line('hook done', ({ event }) => event === 'refresh');
    keys.push(await pskOf(made));
    expect(await pac.stop()).toBe(0);
    await aaa.line('hook done', ({ event }) => event === 'down');

    const seen = await runs(remote);
    expect(seen.map(({ argument }) => argument)).toEqual(['up', 'refresh', 'down']);
    for (const each of seen) {
      expect(each).toMatchObject({
        MIP6_EVENT: each['argument'],
        MIP6_ROLE: 'ha',
        MIP6_MN_ID: MN,
        MIP6_HA: HOME_AGENT,
        MIP6_HA_ID: 'ha1',
        MIP6_HA_HOST: 'ha1.home.example',
        MIP6_HOA: bound['homeAddress'],
        MIP6_PREFIX: '2001:db8:1::',
        MIP6_PREFIX_LEN: '64',
        MIP6_IKE: 'ikev1',
        MIP6_STATE_DIR: remote,
      });
      expect(Object.keys(each).filter((name) => name.startsWith('SSH'))).toEqual([]);
    }
    expect(seen.map(({ psk }) => psk)).toEqual([...keys, undefined]);
    expect(keys[0]).toMatch(/^0x[0-9a-f]{32,}$/);
    expect(keys[0]).not.toBe(keys[1]);
    // No key file remains at either end.
    expect(await readdir(join(remote, 'keys'))).toEqual([]);
    expect(await readdir(made.path('hooks', 'ssh', 'keys'))).toEqual([]);

    const said = aaa.lines.filter(({ msg, line }) => msg === 'hook output' && line === 'hello from the home agent');
    expect(said).toHaveLength(3);
    const shown = [JSON.stringify(aaa.lines), aaa.errors];
    for (const n of [0, 1, 2]) shown.push(await readFile(join(remote, `processes.${n}`), 'utf8'));
    for (const key of keys) expect(shown.join('\n')).not.toContain(key.slice(2, 18));
    // The command lines were recorded, and none contains the node's name except other tests' arguments.
    for (const text of shown.slice(2)) {
      expect(text).toContain('StrictHostKeyChecking=yes');
      const ours = text.split('\n').filter((argument) => argument.includes(MN) && argument !== MN);
      expect(ours).toEqual([]);
    }
  });

  it('send nothing to a host with another key, report this and retry; network access is not affected', async () => {
    const { made, server, aaa, remote } = await scene();
    await server.know('other');
    const pac = await made.startPac('mn1');
    await pac.line('bootstrap completed');
    expect(await aaa.line('hook failed')).toMatchObject({ event: 'up', try: 1, reason: 'exit status 255' });
    await aaa.line('hook failed', (line) => line['try'] === 2);
    expect(aaa.lines.some(({ line }) => String(line).includes('Host key verification failed'))).toBe(true);
    const { hooks } = (await callDaemon(made.socket('aaa'), 'GET', '/status')) as { hooks: HookView[] };
    expect(hooks).toMatchObject([{ subject: `ha ${MN}`, event: 'up', problem: 'exit status 255' }]);
    expect(await runs(remote)).toEqual([]);
    expect(pac.lines.some(({ msg }) => msg === 'session ended')).toBe(false);

    await server.know('host');
    await aaa.line('hook done', ({ event }) => event === 'up');
    expect(await runs(remote)).toMatchObject([{ argument: 'up', psk: await pskOf(made) }]);
  });

  it('execute nothing sent to a home agent without the forced command', async () => {
    const { made, server, aaa, remote } = await scene();
    await server.authorize('ha1', 'restrict');
    await (await made.startPac('mn1')).line('bootstrap completed');
    expect(await aaa.line('hook failed')).toMatchObject({ event: 'up', reason: 'exit status 127' });
    expect(await runs(remote)).toEqual([]);
  });

  it('probe the home agent, and report it dead once its sshd has ended', async () => {
    const { server, aaa, remote } = await scene(true);
    await eventually(async () => expect((await runs(remote))[0]?.['argument']).toBe('probe'));
    await server.stop();
    expect(await aaa.line('home agent not responding')).toMatchObject({ homeAgentName: 'ha1' });
  });
});

it.runIf(possible)('ha-receive.sh reports over ssh what it rejects', async () => {
  const { server } = await scene();
  const [user = '', place = ''] = server.target.split('@');
  const [host = '', port = ''] = place.split(':');
  const options = ['-F', '/dev/null', '-o', `UserKnownHostsFile=${server.keys}/known_hosts`, '-o', 'BatchMode=yes'];
  const call = promisify(execFile)('ssh', [
    ...options,
    '-i',
    join(server.keys, 'ha1'),
    '-l',
    user,
    '-p',
    port,
    '--',
    host,
    'reboot',
  ]);
  call.child.stdin?.end('MIP6_EVENT=down\nMIP6_MN_ID=$(reboot)\nEND\n');
  await expect(call).rejects.toMatchObject({ code: 65, stderr: 'error: MIP6_MN_ID is not a plain name\n' });
});
