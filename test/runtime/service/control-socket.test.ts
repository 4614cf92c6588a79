import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ControlServer } from '../../../src/runtime/service/control.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'control-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('the path of a control socket', () => {
  it('is not taken from a file, folder or link that somebody has there', async () => {
    const [file, inner, link] = ['file', 'inner', 'link'].map((name) => join(folder, name)) as [string, string, string];
    await writeFile(file, 'precious');
    await mkdir(inner);
    await symlink(file, link);
    for (const path of [file, inner, link]) {
      await expect(ControlServer.onSocket(path, {})).rejects.toThrow(
        `control.socket: ${path} is there and is no socket`,
      );
      expect(existsSync(path)).toBe(true);
    }
    expect(await readFile(link, 'utf8')).toBe('precious');
  });

  it('is taken from a daemon that was killed', async () => {
    const path = join(folder, 'socket');
    const bind = `require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
    expect(() => execFileSync(process.execPath, ['-e', bind, path])).toThrow();
    expect(lstatSync(path).isSocket()).toBe(true);
    const server = await ControlServer.onSocket(path, {});
    await server.close();
  });
});
