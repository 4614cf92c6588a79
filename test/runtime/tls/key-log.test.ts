import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../../src/protocol/bytes/secret.js';
import { KeyLog } from '../../../src/runtime/tls/key-log.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-keys-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const sessionKey = (octets: number[]) => ({
  ...({ type: 'key', sessionId: 0xab, keyId: 2, integrity: 12 } as const),
  key: Secret.take(Uint8Array.from(octets)),
});

describe('KeyLog', () => {
  it('writes a line for each key, wipes the key, and creates a file that only its user reads', async () => {
    const path = join(folder, 'keys');
    const log = await KeyLog.open(path);
    const keys = [sessionKey([1, 0xff]), sessionKey([0x10])];
    for (const key of keys) log.write(key);
    await log.close();
    expect(await readFile(path, 'utf8')).toBe(
      'PANA_AUTH_KEY 000000ab 00000002 12 01ff\nPANA_AUTH_KEY 000000ab 00000002 12 10\n',
    );
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(keys.map(({ key }) => key.isWiped)).toEqual([true, true]);
  });

  it('appends to an existing file', async () => {
    const path = join(folder, 'keys');
    await writeFile(path, 'earlier\n');
    const log = await KeyLog.open(path);
    log.write(sessionKey([1]));
    await log.close();
    expect(await readFile(path, 'utf8')).toBe('earlier\nPANA_AUTH_KEY 000000ab 00000002 12 01\n');
  });

  it('cannot be opened in a folder that does not exist', async () => {
    await expect(KeyLog.open(join(folder, 'none', 'keys'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
