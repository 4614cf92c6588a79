import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { chmod, mkdtemp, open, readdir, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  DAY,
  issueCertificate,
  type KeyKind,
  makeCa,
  makeCrl,
  readCrlContent,
  serialOf,
  validFor,
} from '../../src/pki/certificate-authority.js';
import { PkiFolder } from '../../src/pki/folder.js';
import { readCrl } from '../../src/protocol/x509/crl.js';
import { certificatesOfPem, crlsOfFile } from '../../src/runtime/tls/certificates/pem.js';

let folder: string;
let pki: PkiFolder;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pki-folder-'));
  pki = new PkiFolder(folder);
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(folder, { recursive: true });
});

const text = (name: string) => readFile(join(folder, name), 'utf8');
const certificate = async (name: string) => new X509Certificate(await text(`${name}.pem`));
const crl = async () => readCrlContent(await text('crl.pem'));
const revoked = async () => (await crl()).entries.map(({ serialNumber }) => serialNumber.toLowerCase());

/** Steps the wall clock only. */
function later(days: number): void {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + days * DAY });
}

async function issueAll(kind: KeyKind = 'p256'): Promise<void> {
  await pki.init('Test CA', kind, 100);
  await pki.issue('aaa', { kind: 'server', hosts: ['aaa.home.example', 'b.home.example'] }, validFor(10));
  await pki.issue('mn1', { kind: 'client', nai: 'mn1@home.example' }, validFor(10));
}

describe('pki renew', () => {
  it.each<KeyKind>(['p256', 'rsa'])(
    'issues a certificate with the same names and key without needing the key file: %s',
    async (kind) => {
      await issueAll(kind);
      for (const name of ['aaa', 'mn1']) {
        const before = await certificate(name);
        const key = await text(`${name}-key.pem`);
        await unlink(join(folder, `${name}-key.pem`));
        await pki.renew(name, validFor(50));
        const after = await certificate(name);
        expect(after.serialNumber).not.toBe(before.serialNumber);
        expect(after.subjectAltName).toBe(before.subjectAltName);
        expect(after.keyUsage).toEqual(before.keyUsage);
        expect(Date.parse(after.validTo)).toBeGreaterThan(Date.now() + 49 * DAY);
        expect(after.verify((await certificate('ca')).publicKey)).toBe(true);
        await writeFile(join(folder, `${name}-key.pem`), key);
        expect(after.publicKey.equals(before.publicKey)).toBe(true);
      }
    },
  );

  it('makes a new key on request, with the old file mode but never readable by everybody', async () => {
    await issueAll();
    const before = await certificate('aaa');
    await chmod(join(folder, 'aaa-key.pem'), 0o640);
    await pki.renew('aaa', validFor(10), { kind: undefined });
    expect((await certificate('aaa')).publicKey.equals(before.publicKey)).toBe(false);
    expect((await stat(join(folder, 'aaa-key.pem'))).mode & 0o777).toBe(0o640);
    await chmod(join(folder, 'aaa-key.pem'), 0o644);
    await pki.renew('aaa', validFor(10), { kind: 'rsa' });
    expect((await certificate('aaa')).publicKey.asymmetricKeyType).toBe('rsa');
    expect((await stat(join(folder, 'aaa-key.pem'))).mode & 0o777).toBe(0o640);
  });

  it.each<KeyKind>(['p256', 'rsa'])('of the CA leaves issued certificates valid: %s', async (kind) => {
    await issueAll(kind);
    later(99);
    await pki.renew('ca', validFor(1000));
    const ca = await certificate('ca');
    expect(Date.parse(ca.validTo)).toBeGreaterThan(Date.now() + 999 * DAY);
    const leaf = await certificate('mn1');
    expect(leaf.checkIssued(ca) && leaf.verify(ca.publicKey)).toBe(true);
    await expect(pki.renew('ca', validFor(1), { kind: 'rsa' })).rejects.toThrow('is another CA');
  });

  it('rejects a revoked certificate and unknown names', async () => {
    await issueAll();
    await pki.revoke('mn1');
    await expect(pki.renew('mn1', validFor(10))).rejects.toThrow('mn1 is revoked');
    await expect(pki.renew('mn9', validFor(10))).rejects.toThrow(/no certificate .*mn9\.pem/);
    await expect(pki.renew('crl', validFor(10))).rejects.toThrow('no certificate');
  });

  it('leaves all certificates of a name revocable by that name', async () => {
    await issueAll();
    const serials = [serialOf(await text('mn1.pem'))];
    await pki.renew('mn1', validFor(10));
    serials.push(serialOf(await text('mn1.pem')));
    await pki.renew('mn1', validFor(10), { kind: undefined });
    serials.push(serialOf(await text('mn1.pem')));
    expect(await pki.revoke('mn1')).toBe(3);
    expect((await revoked()).sort()).toEqual(serials.sort());
    expect(await pki.revoke('mn1')).toBe(0);
    expect(await revoked()).toHaveLength(3);
  });
});

describe('A certificate', () => {
  const client = { kind: 'client', nai: 'mn2@home.example' } as const;

  it('is not issued or renewed for longer than the CA is valid', async () => {
    await issueAll();
    const end = (await certificate('ca')).validTo;
    const day = new Date(end).toISOString().slice(0, 10);
    const problem = `the CA expires on ${day}: --days must be at most 100, unless you first renew the CA`;
    await expect(pki.issue('mn2', client, validFor(1_000_000))).rejects.toThrow(problem);
    await expect(pki.renew('mn1', validFor(101))).rejects.toThrow(problem);
    await expect(pki.renew('mn1', validFor(101), { kind: 'p256' })).rejects.toThrow(problem);
    expect(await readdir(folder)).not.toContain('previous');
    // The CA is some moments older.
    await pki.issue('mn2', client, validFor(100));
  });

  it('ends with the CA if its days were not given', async () => {
    await issueAll();
    await pki.issue('mn2', client, { ...validFor(365), mayShorten: true });
    await pki.renew('mn1', { ...validFor(365), mayShorten: true });
    const end = (await certificate('ca')).validTo;
    expect([(await certificate('mn2')).validTo, (await certificate('mn1')).validTo]).toEqual([end, end]);
  });

  it('is not issued by a CA that has expired', async () => {
    await issueAll();
    later(101);
    const short = { ...validFor(1), mayShorten: true };
    await expect(pki.issue('mn2', client, short)).rejects.toThrow(/the CA expired on .*pki renew ca/);
  });
});

describe('The CRL', () => {
  it('is renewed with the same entries and the same number of days as before', async () => {
    await issueAll();
    await pki.revoke('mn1');
    const before = await crl();
    later(31);
    expect(before.nextUpdate?.getTime()).toBeLessThan(Date.now());
    await pki.renewCrl();
    const after = await crl();
    expect(after.entries).toEqual(before.entries);
    expect(after.number).toBe((before.number ?? 0n) + 1n);
    expect(after.nextUpdate?.getTime()).toBeGreaterThan(Date.now() + 29.9 * DAY);
    await pki.renewCrl(90);
    await pki.revoke('aaa');
    expect((await crl()).nextUpdate?.getTime()).toBeGreaterThan(Date.now() + 89.9 * DAY);
  });

  it('loses no entry when commands run at the same time', async () => {
    await issueAll();
    const names = ['mn2', 'mn3', 'mn4', 'mn5'];
    const [first, second] = [new PkiFolder(folder), new PkiFolder(folder)];
    await Promise.all(names.map((name) => first.issue(name, { kind: 'client', nai: `${name}@x` }, validFor(1))));
    await Promise.all(names.flatMap((name) => [first.revoke(name), second.renewCrl()]));
    expect(await revoked()).toHaveLength(4);
    // Acts as another process that holds the lock.
    const lock = new Database(join(folder, '.lock'));
    lock.exec('BEGIN EXCLUSIVE');
    await expect(new PkiFolder(folder, 10).revoke('mn1')).rejects.toThrow('another command is using');
    lock.close();
    await new PkiFolder(folder, 10).revoke('mn1');
    expect(await revoked()).toHaveLength(5);
  });
});

describe('pki list', () => {
  it('shows CA, CRL and certificates with their state', async () => {
    await issueAll();
    await pki.issue('mn2', { kind: 'client', nai: 'mn2@home.example' }, validFor(60));
    await pki.revoke('mn2');
    later(20);
    await writeFile(join(folder, 'notes.pem'), 'none');
    expect(await pki.list()).toMatchObject([
      { name: 'ca', kind: 'ca', state: 'valid' },
      { name: 'crl', kind: 'crl', subject: '1 revoked', serial: '2', state: 'valid' },
      { name: 'aaa', kind: 'server', subject: 'aaa.home.example, b.home.example', state: 'expired' },
      { name: 'mn1', kind: 'client', subject: 'mn1@home.example', state: 'expired' },
      { name: 'mn2', kind: 'client', subject: 'mn2@home.example', state: 'revoked' },
    ]);
    await expect(new PkiFolder(join(folder, 'no')).list()).rejects.toThrow(
      /no folder .*: name its folder with --dir, or create one .*pki init/,
    );
  });
});

describe('Names in certificates', () => {
  const NAME = 'Home, Inc. + "CA" #1 \\ = <x>; CN=Müller';

  it.each<KeyKind>(['p256', 'rsa'])(
    'of a CA are the same in every certificate and CRL that it issues, also with special characters: %s',
    async (kind) => {
      await pki.init(NAME, kind, 100);
      await pki.issue('mn1', { kind: 'client', nai: 'x,CN=admin@home.example' }, validFor(10));
      for (const _ of ['as made', 'as renewed']) {
        const [ca, leaf] = [await text('ca.pem'), await text('mn1.pem')].map((pem) => certificatesOfPem(pem)[0]);
        expect(ca?.subject.commonNames).toEqual([NAME]);
        expect(leaf?.issuer.key).toBe(ca?.subject.key);
        expect(leaf?.subject.commonNames).toEqual(['x,CN=admin@home.example']);
        const [list] = crlsOfFile(await readFile(join(folder, 'crl.pem'))).map(readCrl);
        expect(list?.issuer.key).toBe(ca?.subject.key);
        await pki.renew('ca', validFor(200));
        await pki.renew('mn1', validFor(20));
        await pki.renewCrl();
      }
    },
  );

  it('that are invalid are rejected before anything is written', async () => {
    await expect(pki.init(' ', 'p256', 1)).rejects.toThrow('a CA needs a name');
    await issueAll();
    for (const host of ['', '*.home.example', 'a b', 'a..b']) {
      await expect(pki.issue('x', { kind: 'server', hosts: ['ok', host] }, validFor(1))).rejects.toThrow(
        'is not a domain',
      );
    }
    for (const nai of ['', 'not an@nai', 'müller@home.example', 'a\n@b', 'mn1', 'mn1@', '@home.example', 'a@b@c']) {
      await expect(pki.issue('x', { kind: 'client', nai }, validFor(1))).rejects.toThrow('is not an NAI');
    }
    expect((await pki.list()).map(({ name }) => name)).not.toContain('x');
  });
});

describe('A CA made by another program', () => {
  it('keeps its subject and key identifier when it is renewed', async () => {
    const subject = '/O=Acme/OU=Access + Home/CN=Acme CA';
    const [key, ca] = [join(folder, 'ca-key.pem'), join(folder, 'ca.pem')];
    const make = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '9'];
    const options = ['-addext', 'subjectKeyIdentifier=0102030405', '-subj', subject];
    execFileSync('openssl', [...make, ...options, '-keyout', key, '-out', ca], { stdio: 'ignore' });
    await pki.issue('mn1', { kind: 'client', nai: 'mn1@home.example' }, validFor(5));
    const before = await certificate('ca');
    await pki.renew('ca', validFor(100));
    const after = await certificate('ca');
    expect(after.subject).toBe(before.subject);
    expect((await certificate('mn1')).checkIssued(after)).toBe(true);
    expect(certificatesOfPem(await text('ca.pem'))[0]?.subjectKeyId).toBe('0102030405');
  });

  it('that another CA certified is not renewed here', async () => {
    const root = await makeCa('root', 'p256', validFor(10));
    const { keyPem, certificatePem } = await issueCertificate(root, { kind: 'server', hosts: ['sub'] }, validFor(5));
    await writeFile(join(folder, 'ca-key.pem'), keyPem);
    await writeFile(join(folder, 'ca.pem'), certificatePem);
    await expect(pki.renew('ca', validFor(1))).rejects.toThrow('another CA, which must renew it');
    expect(await text('ca.pem')).toBe(certificatePem);
  });
});

describe('The command pki revoke', () => {
  it('rejects the CA itself and names outside the folder', async () => {
    await issueAll();
    const before = await text('crl.pem');
    await expect(pki.revoke('ca')).rejects.toThrow('a CA cannot revoke itself');
    await writeFile(join(folder, '.hidden.pem'), await text('mn1.pem'));
    for (const name of ['../x', `../${basename(folder)}/mn1`, '.hidden', '']) {
      await expect(pki.revoke(name)).rejects.toThrow('cannot be a file name');
      await expect(pki.renew(name, validFor(1))).rejects.toThrow('cannot be a file name');
    }
    expect(await text('crl.pem')).toBe(before);
  });
});

describe('A validity beyond the year 9999', () => {
  it('is rejected, and files stay unchanged', async () => {
    const other = new PkiFolder(join(folder, 'other'));
    await expect(other.init('CA', 'p256', 1, 1e9)).rejects.toThrow('after the year 9999');
    await other.init('CA', 'p256', 1);
    await issueAll();
    const before = await text('crl.pem');
    await expect(pki.renewCrl(1e9)).rejects.toThrow('after the year 9999');
    expect(() => validFor(1e13)).toThrow('after the year 9999');
    expect(await text('crl.pem')).toBe(before);
  });

  it('is not derived from an existing CRL with invalid dates', async () => {
    await issueAll();
    const issued = { certificatePem: await text('ca.pem'), keyPem: await text('ca-key.pem') };
    const odd = await makeCrl(issued, [], new Date(), new Date(Date.UTC(1899, 11, 30)));
    await writeFile(join(folder, 'crl.pem'), odd);
    expect((await pki.renewCrl()).getTime()).toBeGreaterThan(Date.now() + 29 * DAY);
  });
});

describe('A pki folder on a full disk', () => {
  /** Makes every write fail with ENOSPC after the first `writes`; returns a function that undoes it. */
  async function fillAfter(writes: number): Promise<() => void> {
    const file = await open(folder);
    const prototype = Object.getPrototypeOf(file) as typeof file;
    await file.close();
    const { writeFile: original } = prototype;
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    const spy = vi.spyOn(prototype, 'writeFile').mockRejectedValue(full);
    for (let i = 0; i < writes; i += 1) spy.mockImplementationOnce(original);
    return () => spy.mockRestore();
  }

  it('keeps its files, has no partial file, and reports a broken lock file', async () => {
    await issueAll();
    const before = await readdir(folder);
    const makeRoom = await fillAfter(0);
    await expect(pki.renewCrl()).rejects.toThrow('ENOSPC');
    makeRoom();
    expect(await readdir(folder)).toEqual(before);
    await writeFile(join(folder, '.lock'), 'no database');
    await expect(pki.renewCrl()).rejects.toThrow(/cannot lock .* with .*\.lock: file is not a database/);
  });

  it.each([0, 1, 2])('can be initialized again after init failed at file %i', async (writes) => {
    const makeRoom = await fillAfter(writes);
    await expect(pki.init('CA', 'p256', 10)).rejects.toThrow('ENOSPC');
    makeRoom();
    await pki.init('CA', 'p256', 10);
    expect((await pki.list()).map(({ name, state }) => `${name} ${state}`)).toEqual(['ca valid', 'crl valid']);
  });
});
