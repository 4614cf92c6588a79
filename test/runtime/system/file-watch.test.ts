import { mkdir, mkdtemp, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileWatch } from '../../../src/runtime/system/file-watch.js';
import { VirtualHost } from '../../virtual-host.js';

let folder: string;
let reported: string[][];
let watch: FileWatch;

const at = (name: string) => join(folder, name);
const nothing = () => Promise.resolve();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'file-watch-'));
  reported = [];
  watch = new FileWatch(new VirtualHost());
  watch.start((paths) => {
    reported.push(paths.map((path) => path.slice(folder.length + 1)));
    return Promise.resolve();
  });
  await writeFile(at('a'), '1');
  await writeFile(at('b'), '1');
});
afterEach(async () => {
  watch.stop();
  await rm(folder, { recursive: true });
});

describe('FileWatch', () => {
  it('reports changed files together once they no longer change', async () => {
    await watch.watch([at('a'), at('b')], nothing);
    await watch.look();
    await writeFile(at('a'), '22');
    await watch.look();
    expect(reported).toEqual([]);
    await writeFile(at('b.new'), '22');
    await rename(at('b.new'), at('b'));
    await watch.look();
    expect(reported).toEqual([]);
    await watch.look();
    expect(reported).toEqual([['a', 'b']]);
    await watch.look();
    expect(reported).toHaveLength(1);
  });

  it('reports a file that keeps changing after five checks', async () => {
    await watch.watch([at('a')], nothing);
    for (let i = 0; i < 5; i += 1) {
      await writeFile(at('a'), 'x'.repeat(i + 2));
      await watch.look();
    }
    expect(reported).toEqual([['a']]);
  });

  it('reports a file that is deleted and one that comes back', async () => {
    await watch.watch([at('a')], nothing);
    await unlink(at('a'));
    await watch.look();
    await watch.look();
    expect(reported).toHaveLength(1);
    await writeFile(at('a'), '1');
    await watch.look();
    await watch.look();
    expect(reported).toHaveLength(2);
  });

  it('reports changes within a watched folder', async () => {
    await mkdir(at('crls'));
    await writeFile(at('crls/one'), '1');
    await watch.watch([at('crls')], nothing);
    await writeFile(at('crls/one'), '22');
    await watch.look();
    await watch.look();
    await writeFile(at('crls/two'), '1');
    await watch.look();
    await watch.look();
    expect(reported).toEqual([['crls'], ['crls']]);
  });

  it('reports files that change while they are read', async () => {
    await watch.watch([at('a')], nothing);
    await watch.watch([at('a'), at('b')], async () => {
      await writeFile(at('a'), '22');
      await writeFile(at('b'), '22');
    });
    await watch.look();
    await watch.look();
    expect(reported).toEqual([['a', 'b']]);
  });

  it('keeps watching the earlier files if others cannot be read', async () => {
    await watch.watch([at('a')], nothing);
    await expect(watch.watch([at('b')], () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await writeFile(at('a'), '22');
    await writeFile(at('b'), '22');
    await watch.look();
    await watch.look();
    expect(reported).toEqual([['a']]);
  });
});
