import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { unguarded } from '../../../src/runtime/service/barrier.js';
import { ControlServer, callDaemon, followDaemon } from '../../../src/runtime/service/control.js';
import { groupNumber } from '../../../src/runtime/system/user-group.js';
import { within } from '../../eventually.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'control-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('ControlServer on a socket path', () => {
  it('refuses a path that is a file, folder or link', async () => {
    const [file, inner, link] = ['file', 'inner', 'link'].map((name) => join(folder, name)) as [string, string, string];
    await writeFile(file, 'precious');
    await mkdir(inner);
    await symlink(file, link);
    for (const path of [file, inner, link]) {
      await expect(ControlServer.onSocket(path, {})).rejects.toThrow(
        `control.socket: ${path} exists and is not a socket`,
      );
      expect(existsSync(path)).toBe(true);
    }
    expect(await readFile(link, 'utf8')).toBe('precious');
  });

  it('replaces the socket of a killed daemon', async () => {
    const path = join(folder, 'socket');
    const bind = `require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
    expect(() => execFileSync(process.execPath, ['-e', bind, path])).toThrow();
    expect(lstatSync(path).isSocket()).toBe(true);
    const server = await ControlServer.onSocket(path, {});
    await server.close();
  });
});

describe('A control socket at which no daemon answers as one', () => {
  const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n';
  const STRANGE = 'the answer is not that of a daemon: does another program listen there?';
  const CUT = 'the connection ended before the answer did: the daemon stopped, or was killed';

  async function served(write: (socket: Socket) => void, ask: (path: string) => Promise<unknown>): Promise<unknown> {
    const path = join(folder, 'socket');
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.once('data', () => write(socket));
    });
    await new Promise<void>((resolve) => void server.listen(path, resolve));
    try {
      return await within(ask(path), 'an answer');
    } finally {
      server.close();
    }
  }

  it.each<[string, (socket: Socket) => void, string]>([
    ['no HTTP', (socket) => socket.end('220 mail.example ESMTP\r\n'), STRANGE],
    ['no JSON', (socket) => socket.end(`${head}Content-Length: 5\r\n\r\n{"a":`), STRANGE],
    ['nothing', (socket) => socket.end(), CUT],
    ['a reset', (socket) => socket.destroy(), CUT],
    ['half an answer', (socket) => socket.end(`${head}Content-Length: 500\r\n\r\n{"a":`), CUT],
    ['an error without a text', (socket) => socket.end('HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n'), 'status 500'],
  ])('is named if it sends %s', async (_, write, message) => {
    await expect(served(write, (path) => callDaemon(path, 'GET', '/status'))).rejects.toThrow(message);
  });

  it('is named if a line of a long answer is no JSON', async () => {
    const write = (socket: Socket) => socket.write(`${head}\r\n{"a":1}\n{"a":\n`);
    const lines: unknown[] = [];
    const asked = served(write, (path) => followDaemon(path, '/events', (line) => lines.push(line)));
    await expect(asked).rejects.toThrow(STRANGE);
    expect(lines).toEqual([{ a: 1 }]);
  });
});

describe.runIf(process.getuid?.() === 0)('ControlServer with a group', () => {
  const GROUP = 65_432;

  /** What a process of this user and group gets from the socket. */
  function asked(path: string, gid: number): string {
    const script = `const options = { socketPath: process.argv[1], path: '/who' };
      require('node:http').get(options, (answer) => answer.pipe(process.stdout)).on('error', ({ code }) => console.log(code));`;
    return execFileSync(process.execPath, ['-e', script, path], { uid: 65_431, gid, encoding: 'utf8' }).trim();
  }

  it('lets its members use the socket, and nobody else', async () => {
    await chmod(folder, 0o755);
    const path = join(folder, 'socket');
    const serve = `import('${new URL('../../../dist/runtime/service/control.js', import.meta.url).pathname}').then(
      async ({ ControlServer }) => { await ControlServer.onSocket(process.argv[1], { 'GET /who': () => 'you' }, undefined,
        process.argv[2]); console.log('ready'); })`;
    const child = spawn(process.execPath, ['-e', serve, path, String(GROUP)], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await within(once(child.stdout, 'data'), 'the daemon listens');
      expect(lstatSync(path)).toMatchObject({ mode: 0o140660, gid: GROUP });
      expect([asked(path, GROUP), asked(path, GROUP + 1)]).toEqual(['you', 'EACCES']);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('has mode 0600 without one', async () => {
    const path = join(folder, 'socket');
    const server = await ControlServer.onSocket(path, {});
    expect(lstatSync(path).mode).toBe(0o140600);
    await server.close();
  });

  it('is refused if the daemon is not in the group, and leaves no socket', async () => {
    await chmod(folder, 0o777);
    const path = join(folder, 'socket');
    const open = `import('${new URL('../../../dist/runtime/service/control.js', import.meta.url).pathname}').then(
      ({ ControlServer }) => ControlServer.onSocket(process.argv[1], {}, undefined, '${GROUP}')).catch((error) =>
        console.log(error.message, process.getActiveResourcesInfo().join()))`;
    const run = { uid: 65_431, gid: 65_431, encoding: 'utf8' } as const;
    expect(execFileSync(process.execPath, ['-e', open, path], run)).toContain(
      `control.group: the user of this daemon is not in the group ${GROUP}`,
    );
    expect(existsSync(path)).toBe(false);
  });
});

describe('groupNumber', () => {
  it('finds a group by name or number, and names one that is missing', async () => {
    const file = join(folder, 'group');
    await writeFile(file, 'root:x:0:\npana-operators:x:997:alice,bob\nodd:x::\n');
    expect(await groupNumber('pana-operators', 'control.group', file)).toBe(997);
    expect(await groupNumber('42', 'control.group', file)).toBe(42);
    for (const name of ['operators', 'odd', 'pana-operators:x', '']) {
      await expect(groupNumber(name, 'control.group', file)).rejects.toThrow(
        `control.group: no group ${name} in ${file}`,
      );
    }
  });
});

describe('A control request', () => {
  it('may have a body of at most 1 MiB', async () => {
    const path = join(folder, 'socket');
    const taken: number[] = [];
    const server = await ControlServer.onSocket(path, {
      'POST /take': ({ body }) => taken.push((body as string).length),
    });
    // Includes the two quotes.
    for (const length of [1024 * 1024, 1024 * 1024 + 1]) {
      const socket = connect(path);
      socket.resume();
      socket.write(`POST /take HTTP/1.1\r\nHost: control\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n`);
      socket.write(`"${'x'.repeat(length - 2)}"`);
      await within(new Promise((resolve) => socket.once('close', resolve)), 'socket closes');
    }
    expect(taken).toEqual([1024 * 1024 - 2]);
    await server.close();
  });

  it('gets an answer with the reason if its body is too long, even if sending it takes long', async () => {
    const path = join(folder, 'socket');
    let served = 0;
    const server = await ControlServer.onSocket(path, {
      'POST /take': () => {
        served += 1;
      },
    });
    for (const length of [1024 * 1024, 16 * 1024 * 1024]) {
      const asked = callDaemon(path, 'POST', '/take', 'x'.repeat(length));
      await expect(asked).rejects.toThrow(/^the body has more than 1048576 octets$/);
    }
    expect(served).toBe(0);
    await server.close();
  });

  it('counts no fault if its caller closes the connection early', async () => {
    const path = join(folder, 'socket');
    const faults: unknown[] = [];
    let settled: () => void = () => undefined;
    const over = new Promise<void>((resolve) => {
      settled = resolve;
    });
    const server = await ControlServer.onSocket(
      path,
      { 'POST /take': () => undefined },
      {
        ...unguarded,
        fault: (_where, error) => void faults.push(error),
        settle: async (_where, going) => {
          await going;
          settled();
        },
      },
    );
    const socket = connect(path);
    socket.write('POST /take HTTP/1.1\r\nHost: control\r\nContent-Length: 100\r\n\r\n{', () => socket.destroy());
    await within(over, 'the request ends');
    expect(faults).toEqual([]);
    await server.close();
  });

  it('fails at its time limit, with an error that names the limit in seconds', async () => {
    const path = join(folder, 'socket');
    const server = await ControlServer.onSocket(path, { 'GET /never': () => new Promise(() => undefined) });
    await expect(callDaemon(path, 'GET', '/never', undefined, 50)).rejects.toThrow(/^no answer within 0\.05 s$/);
    await server.close();
  });
});
