import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { programOf } from '../../../dist/lab/daemon-process.js';
import { Lab } from '../../../dist/lab/lab.js';
import { run } from '../../daemons/program.js';
import { eventually, within } from '../../eventually.js';
import { Fifo } from '../../runtime/system/fifo.js';

let lab: Lab | undefined;

afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

async function made(): Promise<Lab> {
  lab = await Lab.make();
  return lab;
}

/** Writes the configuration of an AAA server, with these sections replaced. */
function configureAaa(here: Lab, more: Readonly<Record<string, unknown>>): Promise<string> {
  return here.configure('aaa', {
    log: { level: 'debug', format: 'json' },
    control: { socket: here.socket('aaa') },
    store: here.path('aaa.db'),
    diameter: {
      host: 'aaa.home.example',
      realm: 'home.example',
      listen: ['::1'],
      port: 0,
      peers: [{ host: 'paa.access.example' }],
    },
    tls: {
      ca: here.path('pki', 'ca.pem'),
      certificate: here.path('pki', 'aaa.pem'),
      key: here.path('pki', 'aaa-key.pem'),
    },
    ...more,
  });
}

describe('User signals', () => {
  it.each(['SIGUSR1', 'SIGUSR2'] as const)('%s ends no daemon and opens no debugger', async (signal) => {
    const here = await made();
    const { daemon: aaa, place } = await here.startAaa();
    const { daemon: paa } = await here.startPaa(place);
    await here.addSubscriber('mn1@home.example', 'mn1');
    const pac = await here.startPac('mn1');
    await pac.line('bootstrap completed');
    for (const daemon of [aaa, paa, pac]) {
      daemon.signal(signal);
      daemon.signal('SIGHUP');
      // Signals are handled in order, so the first one has been handled.
      await Promise.race([daemon.line('configuration reloaded'), daemon.line('reload failed')]);
      expect(daemon.errors).not.toContain('Debugger');
      expect(await daemon.stop()).toBe(0);
    }
  });

  it.each(['pana-pac', 'pana-paa', 'pana-aaa'])('are handled before %s loads anything', async (name) => {
    const { bin } = JSON.parse(await readFile('package.json', 'utf8')) as { bin: Record<string, string> };
    const [, entry = ''] = /\.run\('([\w-]+\.cjs)'/.exec(await readFile(bin[name] ?? '', 'utf8')) ?? [];
    const chunk = (file: string) => readFile(join('dist/bundle/chunks', file), 'utf8');
    const loadedAtOnce = (text: string) =>
      [...text.matchAll(/^const \w+ = require\("(.+)"\);$/gm)].map(([, id = '']) => id);
    const program = await chunk(entry);
    const [handles, loads] = [
      program.indexOf('listenEarly(process.argv[2] === "run")'),
      program.indexOf('require("./program-'),
    ];
    expect(handles).toBeGreaterThan(0);
    expect(loads).toBeGreaterThan(handles);
    // All that is loaded before: small, and nothing of a package.
    const loaded = new Set<string>();
    const waiting = loadedAtOnce(program);
    for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
      if (id.startsWith('node:') || loaded.has(id)) continue;
      loaded.add(id);
      waiting.push(...loadedAtOnce(await chunk(id)));
    }
    const names = [...loaded].map((id) => id.replace(/-.{8}\.cjs$/, ''));
    expect(names.sort()).toEqual([
      './default-socket',
      './duration-text',
      './early-signals',
      './quick-status',
      './rolldown-runtime',
      './terminal',
    ]);
  });
});

describe('The start of a server', () => {
  it('that waits for its database ends at SIGTERM, and at once at a second one', async () => {
    const silent = createServer();
    silent.listen(0, '127.0.0.1');
    await within(once(silent, 'listening'), 'silent listens');
    onTestFinished(() => void silent.close());
    const place = silent.address();
    const port = typeof place === 'object' ? place?.port : 0;
    const here = await made();
    const config = await configureAaa(here, {
      store: `postgres://nobody:secret@127.0.0.1:${port}/pana?sslmode=disable`,
    });
    for (const signals of [1, 2]) {
      const connected = once(silent, 'connection');
      const aaa = here.start('aaa', 'aaa', config);
      await connected;
      aaa.signal('SIGTERM');
      await aaa.line('stopping');
      if (signals === 2) aaa.signal('SIGTERM');
      expect(await aaa.exited).toBe(signals === 2 ? 128 : 0);
    }
  });

  it.each([
    { socket: `/tmp/${'x'.repeat(110)}.sock`, status: 2, problem: /path of a UNIX socket must not exceed \d+ octets/ },
    { socket: '/proc/self/control.sock', status: 1, problem: /\/proc\/self\/control.sock: (there is|not permitted)/ },
    { socket: '/proc/self/none/control.sock', status: 1, problem: '/proc/self/none: there is no such file' },
    { socket: '/dev/null/control.sock', status: 1, problem: '/dev/null: a file with this name exists' },
  ])('fails with a control socket that cannot be created: $problem', async ({ socket, status, problem }) => {
    const config = await configureAaa(await made(), {});
    const ended = await run('aaa', ['run', '-c', config, '--control.socket', socket]);
    expect(ended).toMatchObject({ status, stderr: expect.stringMatching(problem) });
    expect(ended.stderr).not.toMatch(/ at .*\.js|port -1/);
  });
});

describe('Standard output', () => {
  /** Runs an AAA server with this standard output until it answers. */
  async function running(stdout: number) {
    const here = await made();
    const config = await configureAaa(here, { log: { level: 'trace', format: 'json' } });
    const child = spawn(process.execPath, [programOf('aaa'), 'run', '-c', config], {
      stdio: ['ignore', stdout, 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const ended = once(child, 'exit');
    await eventually(async () =>
      expect((await run('aaa', ['status', '--control.socket', here.socket('aaa')])).status).toBe(0),
    );
    return { child, ended };
  }

  it('on a full disk blocks neither a daemon nor its shutdown', async () => {
    const full = openSync('/dev/full', 'w');
    onTestFinished(() => closeSync(full));
    const { child, ended } = await running(full);
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  });

  it('that is not read blocks neither a daemon nor its shutdown', async () => {
    const fifo = new Fifo();
    fifo.fill();
    const { child, ended } = await running(fifo.writer);
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  });
});

describe('A hook that ignores signals', () => {
  it('is killed with its daemon, and hook down still runs', async () => {
    const here = await made();
    const { place } = await here.startAaa();
    await here.startPaa(place);
    await here.addSubscriber('mn1@home.example', 'mn1');
    const hook = here.path('stubborn.sh');
    const script =
      '#!/bin/sh\n[ "$1" = up ] || exit 0\ntrap "" HUP INT TERM\necho "process $$"\nwhile :; do sleep 600; done\n';
    await writeFile(hook, script, { mode: 0o755 });
    const pac = here.start('mn1', 'pac', await here.configurePac('mn1', { hooks: { mn: hook } }));
    const { line } = await pac.line('hook output');
    const group = Number(String(line).split(' ')[1]);
    expect(alive(group)).toBe(true);
    pac.signal('SIGTERM');
    expect(await pac.exited).toBe(0);
    expect(alive(group)).toBe(false);
    expect(pac.lines.some(({ msg, event }) => msg === 'hook done' && event === 'down')).toBe(true);
  });
});

describe('endProcess', () => {
  /** Runs a process that calls endProcess with status 3; resolves to its exit. */
  async function endOf(before: string) {
    const code = `const { endProcess } = await import('${new URL('../../../dist/runtime/system/process-end.js', import.meta.url)}');
      ${before}
      await endProcess(3);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: 'inherit' });
    onTestFinished(() => void child.kill('SIGKILL'));
    return once(child, 'exit');
  }

  it('exits with the status while a worker is busy', async () => {
    expect(
      await endOf(`new (await import('node:worker_threads')).Worker('setInterval(() => 0, 9)', { eval: true });`),
    ).toEqual([3, null]);
  });

  it('kills the process while a thread is in a blocking system call', async () => {
    const { path } = new Fifo();
    expect(await endOf(`(await import('node:fs')).readFile('${path}', () => 0);`)).toEqual([null, 'SIGKILL']);
  });

  it('kills the process while a worker is in a blocking system call', async () => {
    const { path } = new Fifo();
    const ends: unknown[] = [];
    // Whether the worker is already in the call cannot be seen from outside, so the wait increases with each try.
    for (let wait = 100; wait < 10_000 && ends.at(-1) !== 'SIGKILL'; wait *= 4) {
      const worker = `new (await import('node:worker_threads')).Worker("(await import('node:fs')).readFileSync('${path}')", { eval: true });
        await new Promise((resolve) => setTimeout(resolve, ${wait}));`;
      ends.push((await endOf(worker))[1]);
    }
    expect(ends.at(-1)).toBe('SIGKILL');
  });
});

function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
