import { execFileSync, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hookPath } from '../../../dist/lab/lab.js';

const SHELLS = [['dash'], ['busybox', 'sh']].filter(([program = '']) => {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
});
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const A = 'MIP6_SESSION=0000000a MIP6_COA=2001:db8:a::11';
const B = 'MIP6_SESSION=0000000b MIP6_COA=fe80::b%eth9';
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-remote-ep-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

interface Ended {
  readonly status: number | null;
  readonly output: string;
}

function run(command: readonly string[], input: string, environment: Record<string, string> = {}): Promise<Ended> {
  const [program = '', ...parameters] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, parameters, { env: { PATH, HOME: '/', ...environment } });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
    }
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, output }));
    // The script may end without reading all input.
    child.stdin.on('error', () => undefined).end(input);
  });
}

async function script(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\n${text}\n`);
  await chmod(path, 0o755);
  return path;
}

const message = (event: string, expects: string, token: string, ...lines: readonly string[]) =>
  [`event ${event}`, `expects ${expects}`, `token ${token}`, ...lines, 'END', ''].join('\n');

describe.each(SHELLS)('ep-receive.sh under %s %s', (...shell) => {
  const receive = (input: string, hook = hookPath('ep-list.sh'), interfaces = 'br0', more = {}) =>
    run([...shell.filter(Boolean), hookPath('ep-receive.sh'), interfaces, hook, join(folder, 'state')], input, more);
  const clients = () => readFile(join(folder, 'state', 'clients'), 'utf8').catch(() => undefined);

  it('runs the hook with the clients, and its own interface as the scope of link-local addresses', async () => {
    const batch = `permit ${B} MIP6_LIFETIME=60 MIP6_MN_ID=mn1@home.example MIP6_INTERFACE=eth9`;
    expect(await receive(message('start', 'none', 'a1', `permit ${A}`))).toEqual({
      status: 0,
      output: 'pana-ep none\n',
    });
    expect(await receive(message('batch', 'a1', 'a2', batch))).toEqual({ status: 0, output: 'pana-ep a1\n' });
    expect(await clients()).toContain('0000000a 2001:db8:a::11 0\n');
    expect(await clients()).toContain('0000000b fe80::b%br0 60\n');
    expect(await receive(message('check', 'a2', 'b'))).toMatchObject({ status: 0 });
    expect(await receive(message('batch', 'a2', 'a3', 'revoke MIP6_SESSION=0000000a'))).toMatchObject({ status: 0 });
    expect(await clients()).toBe('0000000b fe80::b%br0 60\n');
    expect(await receive(message('stop', 'a3', 'a4'))).toMatchObject({ status: 0 });
    const { status, output } = await receive(message('check', 'a4', 'b'));
    expect([status, output]).toEqual([1, 'pana-ep a4\nerror: the enforcement point was not set up by the PAA\n']);
    expect((await readdir(join(folder, 'state'))).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('refuses a message that is late: its token has been replaced', async () => {
    await receive(message('start', 'none', 'a1', `permit ${A}`));
    await receive(message('batch', 'a1', 'a2', 'revoke MIP6_SESSION=0000000a'));
    for (const late of [message('batch', 'a1', 'x', `permit ${A}`), message('start', 'none', 'x', `permit ${A}`)]) {
      expect(await receive(late)).toEqual({ status: 75, output: 'pana-ep a2\nerror: another message came first\n' });
    }
    expect(await clients()).toBe('');
    expect((await receive(message('check', 'a1', 'x'))).output).toContain('not those of the PAA');
  });

  it('refuses events before start, and after a boot', async () => {
    const refused = 'error: the enforcement point was not set up by the PAA\n';
    expect((await receive(message('batch', 'none', 'a1', `permit ${A}`))).output).toContain(refused);
    await receive(message('start', 'none', 'a1'));
    await writeFile(join(folder, 'state', 'ep-set-up'), 'another-boot\n');
    expect((await receive(message('batch', 'a1', 'a2', `permit ${A}`))).output).toContain(refused);
    expect(await clients()).toBe('');
  });

  it('ends a hook that hangs, and accepts the next message', async () => {
    await mkdir(join(folder, 'state'));
    await writeFile(join(folder, 'state', 'hooks.conf'), 'HOOK_SECONDS=1\n');
    const hangs = await script('hangs', 'sleep 60');
    expect((await receive(message('start', 'none', 'a1', `permit ${A}`), hangs)).status).toBeGreaterThan(100);
    expect(await receive(message('start', 'a1', 'a2', `permit ${A}`))).toMatchObject({ status: 0 });
  });

  it('maps the interfaces of several links, and refuses an interface that it does not know', async () => {
    const lines = ['fe80::1%eth1', 'fe80::2%eth2'].map((coa, n) => `permit MIP6_SESSION=${n} MIP6_COA=${coa}`);
    const links = 'eth1=br1,eth2=br2';
    expect(await receive(message('start', 'none', 'a1', ...lines), undefined, links)).toMatchObject({ status: 0 });
    expect((await clients())?.split('\n').sort()).toEqual(['', '0 fe80::1%br1 0', '1 fe80::2%br2 0']);
    const { output } = await receive(message('batch', 'a1', 'a2', `permit ${B}`), undefined, links);
    expect(output).toContain('MIP6_COA is not an address of the access link');
    for (const wrong of ['', '-x', 'a b', 'a=', '=b', 'a,b', 'a=b,c', 'a=b=c', '$(id)', 'a;b']) {
      expect((await receive('', undefined, wrong)).status).toBe(65);
    }
  });

  it.each([
    ['an unknown event', message('up', 'none', 'a1'), 'the event is unknown'],
    ['no event', `expects none\n`, 'it is not "event"'],
    ['an invalid token', message('start', 'none', 'a b'), 'it is not "token"'],
    ['a path as a token', message('start', '../x', 'a1'), 'the token is not plain'],
    ['events of stop', message('stop', 'none', 'a1', `permit ${A}`), 'the event is not for this message'],
    ['a revoke in start', message('start', 'none', 'a1', `revoke ${A}`), 'the event is not for this message'],
    ['a command', message('start', 'none', 'a1', 'permit MIP6_SESSION=1 MIP6_COA=2001:db8::1;id'), 'MIP6_COA'],
    ['a substitution', message('start', 'none', 'a1', 'permit MIP6_SESSION=$(id) MIP6_COA=::2'), 'MIP6_SESSION'],
    ['a path', message('start', 'none', 'a1', `permit ${A} MIP6_MN_ID=../../x`), 'MIP6_MN_ID'],
    ['an unknown name', message('start', 'none', 'a1', `permit ${A} LD_PRELOAD=/x`), 'a name is unknown'],
    ['a name twice', message('start', 'none', 'a1', `permit ${A} ${A}`), 'comes twice'],
    ['a scope of a global address', message('start', 'none', 'a1', `permit ${A}%br0`), 'MIP6_COA'],
    ['no scope', message('start', 'none', 'a1', 'permit MIP6_SESSION=1 MIP6_COA=fe80::1'), 'MIP6_COA'],
    ['no session', message('start', 'none', 'a1', 'permit MIP6_COA=2001:db8::1'), 'MIP6_SESSION is missing'],
    ['no address', message('start', 'none', 'a1', 'permit MIP6_SESSION=1'), 'MIP6_COA is missing'],
    ['a lifetime', message('start', 'none', 'a1', `permit ${A} MIP6_LIFETIME=1e9`), 'MIP6_LIFETIME'],
    ['a carriage return', message('start', 'none', 'a1', `permit ${A}\r`), 'MIP6_COA'],
    ['non-ASCII letters', message('start', 'none', 'a1', `permit ${A} MIP6_MN_ID=m\u00fcller`), 'MIP6_MN_ID'],
    ['no end', 'event start\nexpects none\ntoken a1\n', 'cut off'],
    ['nothing', '', 'cut off'],
    ['text after the end', `${message('start', 'none', 'a1')}permit ${A}\n`, 'after the end'],
    ['a long line', message('start', 'none', 'a1', `permit ${A} MIP6_MN_ID=${'x'.repeat(2_000)}`), 'too long'],
  ])('refuses %s', async (_what, input, complaint) => {
    const hook = await script('hook', `touch "${folder}/ran"`);
    const { status, output } = await receive(input, hook);
    expect(output).toContain(complaint);
    expect(status).toBe(65);
    expect(await readdir(folder)).toEqual(['hook', 'state']);
    expect(await readdir(join(folder, 'state'))).toEqual([]);
  });

  it('passes no variable of the caller to the hook', async () => {
    const hook = await script('hook', 'env; cat');
    const { output } = await receive(message('start', 'none', 'a1', `permit ${A}`), hook, 'br0', {
      HOOK: 'x',
      MIP6_COA: '::1',
    });
    const names = output.split('\n').flatMap((line) => /^([A-Z0-9_]+)=/.exec(line)?.[1] ?? []);
    const own = ['HOME', 'LANG', 'MIP6_EVENT', 'MIP6_INTERFACE', 'MIP6_ROLE', 'MIP6_STATE_DIR', 'PATH', 'SOLICIT'];
    expect(names.filter((name) => !['PWD', 'OLDPWD', 'SHLVL', '_'].includes(name)).sort()).toEqual(own);
    expect(output).toContain(`\npermit ${A}\n`);
  });

  it('lists a hundred thousand clients', async () => {
    const lines = Array.from(
      { length: 100_000 },
      (_, n) =>
        `permit MIP6_SESSION=${n.toString(16)} MIP6_COA=2001:db8:a::${n
          .toString(16)
          .replace(/(.{4})$/, ':$1')
          .replace(/^:/, '')}`,
    );
    const hook = await script('hook', 'wc -l');
    expect(await receive(message('start', 'none', 'a1', ...lines), hook)).toEqual({
      status: 0,
      output: 'pana-ep none\n100000\n',
    });
  });
});

describe.each(SHELLS)('ep-ssh.sh under %s %s', (...shell) => {
  /** Runs it with a substitute for ssh that runs the other end on this machine. */
  async function send(event: string, values: Record<string, string> = {}, input = '', ssh?: string): Promise<Ended> {
    const [bin, keys, state] = ['bin', 'ssh', 'near'].map((name) => join(folder, name)) as [string, string, string];
    for (const each of [bin, keys, state]) await mkdir(each, { recursive: true });
    const far = [
      ...shell.filter(Boolean),
      hookPath('ep-receive.sh'),
      'br0',
      hookPath('ep-list.sh'),
      join(folder, 'far'),
    ];
    await script('bin/ssh', ssh ?? `echo "$@" >>"${folder}/arguments"; exec ${far.join(' ')}`);
    for (const name of ['ep', 'known_hosts']) await writeFile(join(keys, name), '');
    await writeFile(join(state, 'hooks.conf'), `SSH_DIR=${keys}\nEP_TARGET=root@[2001:db8:a::1]:2222\n`);
    return run([...shell.filter(Boolean), hookPath('ep-ssh.sh'), event], input, {
      PATH: `${bin}:${PATH}`,
      MIP6_EVENT: event,
      MIP6_ROLE: 'ep',
      MIP6_STATE_DIR: state,
      MIP6_INTERFACE: 'eth9',
      ...values,
    });
  }
  const clients = () => readFile(join(folder, 'far', 'clients'), 'utf8');
  const told = {
    MIP6_SESSION: '0000000b',
    MIP6_COA: 'fe80::b%eth9',
    MIP6_LIFETIME: '60',
    MIP6_MN_ID: 'mn1@home.example',
  };

  it('sends lists, batches and single events, none in arguments, and checks what is there', async () => {
    expect(await send('start', {}, `permit ${A}\n`)).toEqual({ status: 0, output: '' });
    expect(await send('permit', told)).toEqual({ status: 0, output: '' });
    expect((await clients()).split('\n').sort()).toEqual(['', '0000000a 2001:db8:a::11 0', '0000000b fe80::b%br0 60']);
    expect(await send('check')).toEqual({ status: 0, output: '' });
    expect(await send('batch', {}, 'revoke MIP6_SESSION=0000000a\n')).toEqual({ status: 0, output: '' });
    expect(await clients()).toBe('0000000b fe80::b%br0 60\n');
    // Somebody else has changed the clients.
    await writeFile(join(folder, 'far', 'ep-token'), 'other\n');
    expect(await send('check')).toEqual({ status: 1, output: 'error: the clients here are not those of the PAA\n' });
    expect(await send('start', {}, '')).toEqual({ status: 0, output: '' });
    expect(await send('check')).toEqual({ status: 0, output: '' });
    expect(await send('stop')).toEqual({ status: 0, output: '' });
    const sent = await readFile(join(folder, 'arguments'), 'utf8');
    expect(sent).toContain(' -l root -p 2222 -- 2001:db8:a::1 ep-receive\n');
    expect(sent).not.toMatch(/mn1|0000000/);
    expect((await readdir(join(folder, 'near'))).sort()).toEqual(['ep-ssh-token', 'hooks.conf']);
  });

  it.each([
    ['exits with the status of ssh', 'echo "no route" >&2; exit 255', { status: 255, output: 'no route\n' }],
    [
      'exits with the status of the other end',
      'echo "pana-ep none"; cat >/dev/null; exit 75',
      { status: 75, output: '' },
    ],
    [
      'reports another program at the other end',
      'cat',
      { status: 1, output: 'error: the other end is not ep-receive.sh\n' },
    ],
    [
      'reports an invalid token',
      'echo "pana-ep A;B"; cat',
      { status: 1, output: 'error: the enforcement point has sent an invalid token\n' },
    ],
    ['survives the end of ssh in mid-message', 'echo "pana-ep none"; exit 3', { status: 3, output: '' }],
  ])('%s', async (_what, ssh, ended) => {
    expect(await send('permit', told, '', ssh === 'cat' ? 'exec </dev/null; cat' : ssh)).toEqual(ended);
    expect((await readdir(join(folder, 'near'))).sort()).toEqual(['hooks.conf']);
  });

  it('needs a target and a key', async () => {
    await send('start');
    const state = join(folder, 'near');
    const environment = { MIP6_EVENT: 'start', MIP6_ROLE: 'ep', MIP6_STATE_DIR: state };
    await writeFile(join(state, 'hooks.conf'), `SSH_DIR=${join(folder, 'ssh')}\n`);
    const script = [...shell.filter(Boolean), hookPath('ep-ssh.sh'), 'start'];
    expect((await run(script, '', environment)).output).toContain('EP_TARGET, in ');
    await writeFile(join(state, 'hooks.conf'), `SSH_DIR=${join(folder, 'ssh')}\nEP_TARGET=x\nEP_KEY=nosuch\n`);
    expect((await run(script, '', environment)).output).toContain('no key of the enforcement point');
  });
});
