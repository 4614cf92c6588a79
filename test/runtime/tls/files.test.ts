import { execFileSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DAY, type Issued, issueCertificate, makeCa, validFor } from '../../../src/pki/certificate-authority.js';
import { MAX_PEM_FILE, readTlsFiles, type TlsFiles } from '../../../src/runtime/tls/files.js';

let folder: string;
let ca: Issued;
let server: Issued;

const EXPIRED = { notBefore: new Date(Date.now() - 3 * DAY), notAfter: new Date(Date.now() - DAY) };
const FUTURE = { notBefore: new Date(Date.now() + DAY), notAfter: new Date(Date.now() + 3 * DAY) };

async function file(name: string, text: string, mode = 0o600): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  await chmod(path, mode);
  return path;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tls-files-'));
  ca = await makeCa('New CA', 'p256', validFor(2));
  server = await issueCertificate(ca, { kind: 'server', hosts: ['aaa.home.example'] }, validFor(1));
  await file('ca.pem', ca.certificatePem, 0o644);
  await file('server.pem', server.certificatePem, 0o644);
  await file('server-key.pem', server.keyPem);
});
afterAll(() => rm(folder, { recursive: true }));

function read(more: Partial<TlsFiles> = {}, now = Date.now()): Promise<unknown> {
  const files = { ca: 'ca.pem', certificate: 'server.pem', key: 'server-key.pem', ...more };
  const paths = Object.entries(files).map(([key, name]) => [key, join(folder, name ?? '')]);
  return readTlsFiles(Object.fromEntries(paths) as TlsFiles, 'tls', { now });
}

describe('readTlsFiles with a CA bundle', () => {
  it('accepts the bundle while one CA is valid, in any order', async () => {
    const old = await makeCa('Old CA', 'p256', EXPIRED);
    const next = await makeCa('Next CA', 'p256', FUTURE);
    await file('bundle.pem', old.certificatePem + ca.certificatePem + next.certificatePem);
    await expect(read({ ca: 'bundle.pem' })).resolves.toBeDefined();
    await file('old.pem', old.certificatePem + old.certificatePem);
    await expect(read({ ca: 'old.pem' })).rejects.toThrow(/tls\.ca: .*old\.pem \(CN=Old CA\) has expired/);
    await file('next.pem', next.certificatePem);
    await expect(read({ ca: 'next.pem' })).rejects.toThrow(/is not valid before/);
  });

  it('requires a valid root CA', async () => {
    await expect(read({ ca: 'server.pem' })).rejects.toThrow(/tls\.ca: .*server\.pem contains no root CA/);
    const old = await makeCa('Old CA', 'p256', EXPIRED);
    await file('helped.pem', server.certificatePem + old.certificatePem);
    await expect(read({ ca: 'helped.pem' })).rejects.toThrow(/tls\.ca: .*helped\.pem \(CN=Old CA\) has expired/);
  });
});

describe('readTlsFiles with a key', () => {
  const encrypt = (passphrase: string, type: 'pkcs8' | 'sec1') =>
    createPrivateKey(server.keyPem)
      .export({ type, format: 'pem', cipher: 'aes-256-cbc', passphrase } as never)
      .toString();

  it.each(['pkcs8', 'sec1'] as const)('opens an encrypted private key with a passphrase file: %s', async (type) => {
    await file('encrypted.pem', encrypt('to be or not', type));
    await file('passphrase', 'to be or not\n');
    await expect(read({ key: 'encrypted.pem' })).rejects.toThrow(
      /tls\.key: .*encrypted\.pem is encrypted: set tls\.key-passphrase-file, or remove the passphrase/,
    );
    await expect(read({ key: 'encrypted.pem', 'key-passphrase-file': 'passphrase' })).resolves.toMatchObject({
      keyPem: server.keyPem,
    });
    await file('wrong', 'to be\n');
    const wrong = read({ key: 'encrypted.pem', 'key-passphrase-file': 'wrong' });
    await expect(wrong).rejects.toThrow(
      /tls\.key: .*encrypted\.pem cannot be decrypted with the passphrase in .*wrong/,
    );
    await expect(wrong).rejects.not.toThrow(/to be/);
    await file('empty', '\n');
    await expect(read({ key: 'encrypted.pem', 'key-passphrase-file': 'empty' })).rejects.toThrow(/empty is empty/);
  });

  it('rejects a key or passphrase readable by everybody, and accepts one readable by a group', async () => {
    await file('encrypted.pem', encrypt('x', 'pkcs8'));
    await file('open-key.pem', server.keyPem, 0o644);
    await expect(read({ key: 'open-key.pem' })).rejects.toThrow(
      /tls\.key: every user of this host can access .*open-key\.pem: chmod o= /,
    );
    await file('group-key.pem', server.keyPem, 0o640);
    await expect(read({ key: 'group-key.pem' })).resolves.toBeDefined();
    await file('open-passphrase', 'x\n', 0o604);
    await expect(read({ key: 'encrypted.pem', 'key-passphrase-file': 'open-passphrase' })).rejects.toThrow(
      /tls\.key-passphrase-file: every user of this host can access/,
    );
  });
});

describe('readTlsFiles with a path that is no regular file, or too large', () => {
  it.each(['ca', 'certificate', 'key', 'key-passphrase-file'] as const)(
    'rejects the path without blocking: %s',
    async (key) => {
      await file(
        'locked.pem',
        createPrivateKey(server.keyPem)
          .export({
            type: 'pkcs8',
            format: 'pem',
            cipher: 'aes-256-cbc',
            passphrase: 'x',
          })
          .toString(),
      );
      const fifo = `fifo-${key}`;
      execFileSync('mkfifo', ['-m', '600', join(folder, fifo)]);
      await mkdir(join(folder, `folder-${key}`), { mode: 0o700 });
      await truncate(await file(`huge-${key}`, ''), MAX_PEM_FILE + 1);
      const use = (name: string) => read({ key: 'locked.pem', [key]: name });
      for (const name of [fifo, `folder-${key}`]) {
        await expect(use(name)).rejects.toThrow(`tls.${key}: ${join(folder, name)} is not a file`);
      }
      await expect(use(`huge-${key}`)).rejects.toThrow(/huge-.* has \d+ octets: at most/);
    },
  );
});
