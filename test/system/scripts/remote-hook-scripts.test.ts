import { execFileSync, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hookPath } from '../../../dist/lab/lab.js';

const KEY = `0x${'5a'.repeat(64)}`;
const SHELLS = [['sh'], ['dash'], ['busybox', 'sh'], ['bash']].filter(([program = '']) => {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
});
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-remote-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

interface Ended {
  readonly status: number | null;
  readonly output: string;
}

function run(command: readonly string[], environment: Record<string, string>, input = ''): Promise<Ended> {
  const [program = '', ...parameters] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, parameters, { env: { PATH: SYSTEM_PATH, HOME: '/', ...environment } });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output += chunk;
      });
    }
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, output }));
    // The script may end without reading all input.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

async function script(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\n${text}\n`);
  await chmod(path, 0o755);
  return path;
}

const MESSAGE = [
  'MIP6_EVENT=up',
  'MIP6_MN_ID=mn1@home.example',
  'MIP6_SESSION=paa.access.example;1;2',
  'MIP6_HA=2001:db8:1::1',
  'MIP6_HA_HOST=ha1.home.example',
  'MIP6_HA_ID=ha1',
  'MIP6_HOA=2001:db8:1::1234',
  'MIP6_PREFIX=2001:db8:1::',
  'MIP6_PREFIX_LEN=64',
  'MIP6_LIFETIME=3600',
  'MIP6_IKE=ikev1',
];
const text = (...lines: readonly string[]) => lines.map((line) => `${line}\n`).join('');

describe.each(SHELLS)('ha-receive.sh under %s %s', (...shell) => {
  const receive = (hook: string, input: string, environment: Record<string, string> = {}) =>
    run([...shell.filter(Boolean), hookPath('ha-receive.sh'), hook, join(folder, 'state')], environment, input);
  const recorder = () =>
    script(
      'hook',
      `echo "argument $1"; env; cat "$MIP6_PSK_FILE"; ls -ld "$MIP6_PSK_FILE"; ls -ld "\${MIP6_PSK_FILE%/*}"`,
    );

  it('runs the hook with the received values only, and removes the key', async () => {
    const { status, output } = await receive(await recorder(), text(...MESSAGE, `PSK=${KEY}`, 'END'), {
      SSH_CONNECTION: '2001:db8::1 1 2001:db8::2 22',
      HOOK: 'other',
      MIP6_COA: '::1',
    });
    expect(status).toBe(0);
    const lines = output.split('\n');
    for (const line of ['argument up', 'MIP6_ROLE=ha', 'LANG=C', KEY, ...MESSAGE]) expect(lines).toContain(line);
    const names = lines.flatMap((line) => /^([A-Z0-9_]+)=/.exec(line)?.[1] ?? []).filter((name) => name !== '_');
    const known = [...MESSAGE.map((line) => line.split('=')[0]), 'MIP6_ROLE', 'MIP6_STATE_DIR', 'MIP6_PSK_FILE'];
    const shellOwn = ['PWD', 'OLDPWD', 'SHLVL'];
    expect(names.filter((name) => !shellOwn.includes(name)).sort()).toEqual([...known, 'HOME', 'LANG', 'PATH'].sort());
    expect(output).toMatch(/^-rw-------/m);
    expect(output).toMatch(/^drwx------/m);
    expect(await readdir(join(folder, 'state', 'keys'))).toEqual([]);
  });

  it("exits with the hook's status, and removes the key after a failure", async () => {
    const hook = await script('hook', 'echo no luck >&2; exit 7');
    expect(await receive(hook, text(...MESSAGE, `PSK=${KEY}`, 'END'))).toEqual({ status: 7, output: 'no luck\n' });
    expect(await readdir(join(folder, 'state', 'keys'))).toEqual([]);
    expect(await receive(hook, text('MIP6_EVENT=probe', 'END'))).toMatchObject({ status: 7 });
  });

  it.each([
    ['an unknown name', ['MIP6_EVENT=down', 'LD_PRELOAD=/tmp/x', 'END'], 'a name is unknown'],
    ['a name that the receiver sets itself', ['MIP6_EVENT=down', 'MIP6_STATE_DIR=/tmp', 'END'], 'a name is unknown'],
    ['a command in a value', ['MIP6_EVENT=down', 'MIP6_MN_ID=$(touch pwned)', 'END'], 'MIP6_MN_ID'],
    ['a second command', ['MIP6_EVENT=down', 'MIP6_HA=2001:db8::1;reboot', 'END'], 'MIP6_HA'],
    ['a quote', ['MIP6_EVENT=down', 'MIP6_HA_HOST=a"b', 'END'], 'MIP6_HA_HOST'],
    ['a path', ['MIP6_EVENT=down', 'MIP6_MN_ID=../../etc/passwd', 'END'], 'MIP6_MN_ID'],
    ['a path in the middle', ['MIP6_EVENT=down', 'MIP6_MN_ID=a/b', 'END'], 'MIP6_MN_ID'],
    ['an option', ['MIP6_EVENT=down', 'MIP6_MN_ID=-rf', 'END'], 'MIP6_MN_ID'],
    ['an empty value', ['MIP6_EVENT=down', 'MIP6_MN_ID=', 'END'], 'MIP6_MN_ID'],
    ['non-ASCII letters', ['MIP6_EVENT=down', 'MIP6_MN_ID=m\u00fcller', 'END'], 'MIP6_MN_ID'],
    ['a carriage return', ['MIP6_EVENT=down', 'MIP6_MN_ID=mn1\r', 'END'], 'MIP6_MN_ID'],
    ['an invalid address', ['MIP6_EVENT=down', 'MIP6_HOA=:::', 'END'], 'MIP6_HOA'],
    ['an invalid number', ['MIP6_EVENT=down', 'MIP6_LIFETIME=1e9', 'END'], 'MIP6_LIFETIME'],
    ['an unknown IKE version', ['MIP6_EVENT=down', 'MIP6_IKE=ikev3', 'END'], 'MIP6_IKE'],
    ['an unknown event', ['MIP6_EVENT=permit', 'END'], 'the event is unknown'],
    ['no event', ['MIP6_MN_ID=mn1', 'END'], 'no event'],
    ['an event twice', ['MIP6_EVENT=down', 'MIP6_EVENT=probe', 'END'], 'twice'],
    ['up without a key', ['MIP6_EVENT=up', 'END'], 'without a key'],
    ['an invalid key', ['MIP6_EVENT=up', 'PSK=secret', 'END'], 'the key is not'],
    ['a key with down', ['MIP6_EVENT=down', `PSK=${KEY}`, 'END'], 'with a key'],
    ['a line without NAME=value', ['MIP6_EVENT=down', 'reboot', 'END'], 'NAME=value'],
    ['no end', ['MIP6_EVENT=down'], 'cut off'],
    ['text after the end', ['MIP6_EVENT=down', 'END', 'MIP6_MN_ID=mn1'], 'after the end'],
    ['nothing', [], 'cut off'],
    ['too much', ['MIP6_EVENT=down', `MIP6_MN_ID=${'x'.repeat(9_000)}`, 'END'], 'longer than'],
    ['a long name', ['MIP6_EVENT=down', `MIP6_MN_ID=${'x'.repeat(254)}`, 'END'], 'MIP6_MN_ID'],
  ])('rejects %s', async (_what, lines, complaint) => {
    const hook = await script('hook', `touch "${folder}/ran"`);
    const { status, output } = await receive(hook, text(...lines));
    expect(output).toContain(complaint);
    expect(output).not.toContain(KEY);
    expect(status).toBe(65);
    expect(await readdir(folder)).toEqual(['hook']);
  });

  it('rejects a message without a final line feed', async () => {
    const hook = await script('hook', `touch "${folder}/ran"`);
    expect(await receive(hook, 'MIP6_EVENT=down\nEND')).toMatchObject({ status: 65 });
    expect(await readdir(folder)).toEqual(['hook']);
  });
});

describe.each(SHELLS)('ha-ssh.sh under %s %s', (...shell) => {
  /** Runs it with a substitute for ssh that prints its arguments and its input. */
  async function send(environment: Record<string, string>, event = 'up'): Promise<Ended> {
    const [bin, keys, state] = ['bin', 'ssh', 'state'].map((name) => join(folder, name)) as [string, string, string];
    for (const each of [bin, keys, state]) await mkdir(each, { recursive: true });
    await script('bin/ssh', 'printf "%s\\n" "$@" END-OF-ARGUMENTS; cat; exit $FAKE_STATUS');
    for (const name of ['ha1', 'known_hosts']) await writeFile(join(keys, name), '');
    await writeFile(join(folder, 'psk'), `${KEY}\n`);
    await writeFile(join(state, 'hooks.conf'), `SSH_DIR=${keys}\nSSH_CONNECT_TIMEOUT=3\n`);
    const values = Object.fromEntries(MESSAGE.map((line) => line.split('=') as [string, string]));
    return run([...shell.filter(Boolean), hookPath('ha-ssh.sh'), event], {
      FAKE_STATUS: '0',
      ...values,
      PATH: `${bin}:${SYSTEM_PATH}`,
      MIP6_EVENT: event,
      MIP6_ROLE: 'ha',
      MIP6_STATE_DIR: state,
      MIP6_PSK_FILE: join(folder, 'psk'),
      ...environment,
    });
  }

  it('sends all values on standard input, and none in arguments', async () => {
    const { status, output } = await send({ FAKE_STATUS: '7' });
    const [before = '', after = ''] = output.split('END-OF-ARGUMENTS\n');
    expect(status).toBe(7);
    expect(after).toBe(text(...MESSAGE, `PSK=${KEY}`, 'END'));
    expect(before.split('\n').slice(-10)).toEqual([
      '-i',
      join(folder, 'ssh', 'ha1'),
      '-l',
      'root',
      '-p',
      '22',
      '--',
      'ha1.home.example',
      'ha-receive',
      '',
    ]);
    for (const option of ['BatchMode=yes', 'StrictHostKeyChecking=yes', 'ConnectTimeout=3']) {
      expect(before.split('\n')).toContain(option);
    }
    expect(before).not.toContain('mn1');
    expect(before).not.toContain(KEY);
  });

  it('sends no key with down', async () => {
    const { output } = await send({}, 'down');
    expect(output).toContain('MIP6_EVENT=down\n');
    expect(output).not.toContain('PSK');
  });

  it.each([
    ['ha.example', 'root', '22', 'ha.example'],
    ['pana@ha.example', 'pana', '22', 'ha.example'],
    ['ha.example:2222', 'root', '2222', 'ha.example'],
    ['pana@ha.example:2222', 'pana', '2222', 'ha.example'],
    ['192.0.2.1', 'root', '22', '192.0.2.1'],
    ['2001:db8::1', 'root', '22', '2001:db8::1'],
    ['[2001:db8::1]', 'root', '22', '2001:db8::1'],
    ['[2001:db8::1]:2222', 'root', '2222', '2001:db8::1'],
    ['pana@[2001:db8::1]:2222', 'pana', '2222', '2001:db8::1'],
  ])('accepts the target %s', async (target, user, port, host) => {
    const { status, output } = await send({ MIP6_HA_TARGET: target });
    expect(output).toContain(`\n-l\n${user}\n-p\n${port}\n--\n${host}\nha-receive\n`);
    expect(status).toBe(0);
  });

  it.each([
    'root@-oProxyCommand=x',
    '-oProxyCommand=x',
    '-l@ha.example',
    'ha.example:ssh',
    'ha.example:',
    'a b',
    '@ha.example',
    'root@',
    '[2001:db8::1]x',
  ])('rejects the target %s', async (target) => {
    const { status, output } = await send({ MIP6_HA_TARGET: target });
    expect(output).toContain('error: the target');
    expect(output).not.toContain('END-OF-ARGUMENTS');
    expect(status).toBe(1);
  });

  it('rejects a home agent without its own ssh key', async () => {
    expect((await send({ MIP6_HA_ID: 'ha2' })).output).toContain('no key of the home agent ha2');
    expect((await send({ MIP6_HA_ID: '../ha1' })).output).toContain('MIP6_HA_ID is not a plain name');
  });
});

describe('probe-ping.sh', () => {
  const probe = async (event: string, status: number) => {
    await mkdir(join(folder, 'bin'), { recursive: true });
    await script('bin/ping', `echo "$@" >"${folder}/arguments"; exit ${status}`);
    return run([hookPath('probe-ping.sh'), event], {
      PATH: `${folder}/bin:${SYSTEM_PATH}`,
      MIP6_EVENT: event,
      MIP6_ROLE: 'ha',
      MIP6_STATE_DIR: folder,
      MIP6_HA: '2001:db8:1::1',
    });
  };

  it("exits with ping's status, and limits the time of ping", async () => {
    expect(await probe('probe', 0)).toEqual({ status: 0, output: '' });
    expect(await readFile(join(folder, 'arguments'), 'utf8')).toMatch(/-c 1 -[wt] 2 2001:db8:1::1\n$/);
    expect(await probe('probe', 1)).toEqual({ status: 1, output: '' });
    expect(await probe('up', 0)).toMatchObject({ status: 1 });
  });
});

describe.each(['ha-linux.sh', 'ha-freebsd.sh'])('%s probe', (name) => {
  const probe = async () => {
    await mkdir(join(folder, 'bin'), { recursive: true });
    // No daemon runs.
    await script('bin/pgrep', 'exit 1');
    const places = { PATH: `${folder}/bin:${SYSTEM_PATH}`, MIP6_STATE_DIR: folder };
    return run([hookPath(name), 'probe'], { ...places, MIP6_EVENT: 'probe', MIP6_ROLE: 'ha' });
  };

  it('succeeds until there is a node, then fails if a daemon does not run and cannot be started', async () => {
    expect(await probe()).toMatchObject({ status: 0 });
    await mkdir(join(folder, 'nodes'));
    await writeFile(join(folder, 'nodes', 'mn1'), '');
    await writeFile(join(folder, 'hooks.conf'), 'IKE=racoon\nWATCH=no\n');
    expect(await probe()).toEqual({
      status: 1,
      output: 'racoon was not running\nerror: racoon is not installed\n',
    });
  });
});
