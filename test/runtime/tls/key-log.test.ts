import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toHex } from '../../../src/protocol/bytes/octets.js';
import { Secret } from '../../../src/protocol/bytes/secret.js';
import { emskName, sealingKey } from '../../../src/protocol/keys/kdf.js';
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
    await writeFile(path, 'earlier\n', { mode: 0o600 });
    const log = await KeyLog.open(path);
    log.write(sessionKey([1]));
    await log.close();
    expect(await readFile(path, 'utf8')).toBe('earlier\nPANA_AUTH_KEY 000000ab 00000002 12 01\n');
  });

  it('does not write to a file that others may read', async () => {
    const path = join(folder, 'keys');
    await writeFile(path, '', { mode: 0o640 });
    await expect(KeyLog.open(path)).rejects.toThrow(/^key-log: .* belongs to another user, or others may read it/);
    expect((await stat(path)).size).toBe(0);
  });

  it('writes the key of a sealed assignment, and not the EMSK', async () => {
    const path = join(folder, 'keys');
    const log = await KeyLog.open(path);
    const emsk = Secret.take(new Uint8Array(64).fill(0xe5));
    const sessionId = new Uint8Array(65);
    log.writeSealing({ emsk, sessionId, wish: 0x105 });
    await log.close();
    const [name, key] = [toHex(emskName(sessionId)), sealingKey(emsk).use(toHex)];
    expect(await readFile(path, 'utf8')).toBe(`MIP6_SEALING_KEY ${name} 00000105 ${key}\n`);
    expect(key).not.toContain('e5e5');
  });

  it('cannot be opened in a folder that does not exist', async () => {
    await expect(KeyLog.open(join(folder, 'none', 'keys'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
