import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { unguarded } from '../../../src/runtime/service/barrier.js';
import { ControlServer, callDaemon } from '../../../src/runtime/service/control.js';
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
