import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { CodedError } from '../errors/coded-error.js';
import { identity } from '../runtime/config/sections.js';
import { makeFolder } from '../runtime/system/folder.js';
import { systemHost } from '../runtime/system/host.js';
import { isEncryptedKey } from '../runtime/tls/files.js';
import {
  BACKDATED,
  type CertificateSubject,
  certifyKey,
  DAY,
  endAfter,
  type Issued,
  issueCertificate,
  type KeyKind,
  makeCa,
  makeCrl,
  type RevokedCertificate,
  readCrlContent,
  renewCa,
  serialOf,
  subjectOf,
  type Validity,
  validFor,
  within,
} from './certificate-authority.js';

/** Default validity of a CRL in days, unless the CRL that it replaces had another one. */
const CRL_DAYS = 30;

/** How long a command waits for another command on the same folder, in milliseconds. */
const LOCK_TIMEOUT = 10_000;

/** An invalid request of the operator, shown without a stack. */
export class PkiError extends CodedError<'ERR_PKI'> {
  override readonly name = 'PkiError';

  constructor(message: string) {
    super('ERR_PKI', message);
  }
}

/** A certificate or the CRL of a folder. */
export interface PkiEntry {
  readonly name: string;
  readonly kind: 'ca' | 'crl' | 'server' | 'client' | 'other';
  /** Host names, the NAI, or the common name. */
  readonly subject: string;
  /** The serial number in hexadecimal; of a CRL, its number in decimal. */
  readonly serial: string;
  /** Milliseconds since 1970, UTC. */
  readonly notAfter: number;
  readonly state: 'valid' | 'expired' | 'revoked';
}

/** Names that no issued certificate can have. */
const RESERVED = new Set(['ca', 'crl']);

const KEY_MODE = 0o600;

/** Folder of replaced certificates, which may still be valid: NAME/SERIAL.pem. */
const PREVIOUS = 'previous';

/**
 * Operations of this process on one folder run one after another, because waiting for the file lock would block the
 * event loop.
 */
const queues = new Map<string, Promise<unknown>>();

/**
 * A small CA in a folder: ca.pem, ca-key.pem, crl.pem, and NAME.pem with NAME-key.pem for each certificate. Keys have
 * mode 0600. Every file is written to disk under another name and then renamed, under a lock.
 */
export class PkiFolder {
  readonly #folder: string;
  readonly #lockTimeout: number;

  /** `lockTimeout`: milliseconds. */
  constructor(folder: string, lockTimeout = LOCK_TIMEOUT) {
    this.#folder = folder;
    this.#lockTimeout = lockTimeout;
  }

  async init(name: string, kind: KeyKind, days: number, crlDays = CRL_DAYS): Promise<void> {
    if (name.trim() === '') throw new PkiError('a CA needs a name');
    const validity = validFor(days);
    // Throws for invalid days before anything is written.
    endAfter(crlDays, systemHost.wall());
    await makeFolder(this.#folder, 0o700);
    await this.#locked(async () => {
      if ((await this.#read('ca.pem')) !== undefined) throw new PkiError(`${this.#folder} already holds a CA (ca.pem)`);
      const ca = await makeCa(name, kind, validity);
      // ca.pem is written last: if it exists, everything exists; otherwise the command can be repeated.
      await this.#writeCrl(ca, [], crlDays);
      await this.#write('ca', ca);
    });
  }

  /** Writes NAME.pem and NAME-key.pem. Returns the path of the certificate. */
  async issue(name: string, subject: CertificateSubject, validity: Validity, kind?: KeyKind): Promise<string> {
    checkFileName(name);
    if (RESERVED.has(name)) throw new PkiError(`"${name}" is the CA's own name`);
    checkSubject(subject);
    return this.#locked(async () => {
      if ((await this.#read(`${name}.pem`)) !== undefined) throw new PkiError(`${this.#path(name)} already exists`);
      const ca = await this.#ca();
      await this.#write(name, await issueCertificate(ca, subject, within(ca, validity), kind));
      return this.#path(name);
    });
  }

  /**
   * Issues a certificate again for the same names: for the same key, which need not be in the folder, or for a new key
   * of this kind. The old certificate stays valid until it expires or the name is revoked. `ca` renews the CA itself
   * with the same key. Returns the path.
   */
  renew(name: string, validity: Validity, newKey?: { readonly kind: KeyKind | undefined }): Promise<string> {
    return this.#locked(async () => {
      const old = await this.#certificate(name);
      const ca = await this.#ca();
      if (name === 'ca') {
        if (newKey)
          throw new PkiError('a CA with another key is another CA: create a folder with "pana-mip6 pki init"');
        await this.#replace('ca.pem', await renewCa(ca, validity), 0o644);
        return this.#path(name);
      }
      const subject = subjectOf(old);
      if (!subject) throw new PkiError(`${this.#path(name)} was not issued here: it names no host and no NAI`);
      const revoked = new Set((await this.#crl())?.entries.map(({ serialNumber }) => plain(serialNumber)));
      if (revoked.has(plain(serialOf(old)))) {
        throw new PkiError(`${name} is revoked: issue a certificate with another name`);
      }
      const fitting = within(ca, validity);
      await makeFolder(join(this.#folder, PREVIOUS, name), 0o700);
      await this.#replace(join(PREVIOUS, name, `${serialOf(old)}.pem`), old, 0o644);
      if (newKey) {
        await this.#write(name, await issueCertificate(ca, subject, fitting, newKey.kind));
      } else {
        const { publicKey } = new X509Certificate(old);
        await this.#replace(`${name}.pem`, await certifyKey(ca, subject, fitting, publicKey), 0o644);
      }
      return this.#path(name);
    });
  }

  /** Adds a certificate and those that it replaced to the CRL. Returns how many were added. */
  async revoke(name: string): Promise<number> {
    if (name === 'ca')
      throw new PkiError('a CA cannot revoke itself: remove its certificate from tls.ca on every host');
    return this.#locked(async () => {
      const certificates = [await this.#certificate(name), ...(await this.#previous(name))];
      const crl = await this.#crl();
      const entries = crl?.entries ?? [];
      const known = new Set(entries.map(({ serialNumber }) => plain(serialNumber)));
      const fresh = certificates.map(serialOf).filter((serial) => !known.has(plain(serial)));
      const revocationDate = new Date(systemHost.wall());
      const added = fresh.map((serialNumber) => ({ serialNumber, revocationDate }));
      await this.#writeCrl(await this.#ca(), [...entries, ...added]);
      return fresh.length;
    });
  }

  /** Writes a new CRL with the same entries, valid for this many days or as many as before. Returns its nextUpdate. */
  renewCrl(days?: number): Promise<Date> {
    return this.#locked(async () => this.#writeCrl(await this.#ca(), (await this.#crl())?.entries ?? [], days));
  }

  /** The CA, the CRL, and all certificates by name. */
  async list(now = systemHost.wall()): Promise<PkiEntry[]> {
    const crl = await this.#crl();
    const revoked = new Set(crl?.entries.map(({ serialNumber }) => plain(serialNumber)));
    const files = await readdir(this.#folder).catch(() => {
      throw new PkiError(`no folder ${this.#folder}: ${this.#remedy()}`);
    });
    const names = files
      .filter((file) => file.endsWith('.pem') && !file.endsWith('-key.pem'))
      .map((file) => file.slice(0, -'.pem'.length))
      .filter((name) => !RESERVED.has(name));
    const stateOf = (notAfter: number) => (notAfter <= now ? 'expired' : 'valid');
    const entries: PkiEntry[] = [];
    for (const name of ['ca', ...names.sort()]) {
      const pem = await this.#certificate(name).catch((error: unknown) => {
        if (name === 'ca' || !(error instanceof PkiError)) throw error;
        return undefined;
      });
      // Not a certificate of this folder.
      if (pem === undefined) continue;
      const certificate = new X509Certificate(pem);
      const subject = name === 'ca' ? undefined : subjectOf(pem);
      const serial = plain(certificate.serialNumber);
      const notAfter = Date.parse(certificate.validTo);
      entries.push({
        name,
        kind: name === 'ca' ? 'ca' : (subject?.kind ?? 'other'),
        subject: subject ? namesOf(subject) : (certificate.subject?.replaceAll('\n', ', ') ?? ''),
        serial,
        notAfter,
        state: revoked.has(serial) ? 'revoked' : stateOf(notAfter),
      });
      if (name === 'ca' && crl) {
        const until = crl.nextUpdate?.getTime() ?? Number.POSITIVE_INFINITY;
        const count = `${crl.entries.length} revoked`;
        const number = String(crl.number ?? '');
        entries.push({
          name: 'crl',
          kind: 'crl',
          subject: count,
          serial: number,
          notAfter: until,
          state: stateOf(until),
        });
      }
    }
    return entries;
  }

  /** What to do if there is no CA. The current folder may be the one that is meant. */
  #remedy(): string {
    if (existsSync('ca-key.pem')) return 'the current folder has one: --dir .';
    return `name its folder with --dir, or create one with "pana-mip6 pki init --dir ${this.#folder}"`;
  }

  async #ca(): Promise<Issued> {
    const [certificatePem, keyPem] = await Promise.all([this.#read('ca.pem'), this.#read('ca-key.pem')]);
    if (certificatePem === undefined || keyPem === undefined) {
      throw new PkiError(`no CA in ${this.#folder}: ${this.#remedy()}`);
    }
    if (isEncryptedKey(keyPem)) {
      const path = join(this.#folder, 'ca-key.pem');
      throw new PkiError(`${path} is encrypted: remove the passphrase (openssl pkey -in ${path} -out FILE)`);
    }
    const issued = new X509Certificate(certificatePem);
    if (!issued.checkPrivateKey(createPrivateKey(keyPem))) {
      throw new PkiError(`${join(this.#folder, 'ca-key.pem')} is not the key of ca.pem`);
    }
    return { certificatePem, keyPem };
  }

  async #certificate(name: string): Promise<string> {
    checkFileName(name);
    const pem = name === 'crl' ? undefined : await this.#read(`${name}.pem`);
    if (pem === undefined) throw new PkiError(`no certificate ${this.#path(name)}`);
    try {
      new X509Certificate(pem);
    } catch (error) {
      throw new PkiError(`${this.#path(name)} is not a certificate in PEM: ${(error as Error).message}`);
    }
    return pem;
  }

  /** Certificates that `renew` replaced. */
  async #previous(name: string): Promise<string[]> {
    const folder = join(PREVIOUS, name);
    const files = await readdir(join(this.#folder, folder)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    const texts = files.filter((file) => file.endsWith('.pem')).map((file) => this.#read(join(folder, file)));
    return (await Promise.all(texts)).filter((text) => text !== undefined);
  }

  async #crl() {
    const pem = await this.#read('crl.pem');
    try {
      return pem === undefined ? undefined : readCrlContent(pem);
    } catch (error) {
      throw new PkiError(`${join(this.#folder, 'crl.pem')} is not a CRL in PEM: ${(error as Error).message}`);
    }
  }

  async #writeCrl(ca: Issued, entries: readonly RevokedCertificate[], days?: number): Promise<Date> {
    const now = systemHost.wall();
    const before = await this.#crl();
    const thisUpdate = new Date(now - BACKDATED);
    const lifetime = before?.nextUpdate && before.nextUpdate.getTime() - before.thisUpdate.getTime() - BACKDATED;
    const asBefore = lifetime !== undefined && lifetime > 0 ? lifetime / DAY : CRL_DAYS;
    const nextUpdate = endAfter(days ?? asBefore, now);
    const number = (before?.number ?? 0n) + 1n;
    await this.#replace('crl.pem', await makeCrl(ca, entries, thisUpdate, nextUpdate, number), 0o644);
    return nextUpdate;
  }

  async #write(name: string, { certificatePem, keyPem }: Issued): Promise<void> {
    await this.#replace(`${name}-key.pem`, keyPem, KEY_MODE);
    await this.#replace(`${name}.pem`, certificatePem, 0o644);
  }

  async #read(file: string): Promise<string | undefined> {
    try {
      return await readFile(join(this.#folder, file), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async #replace(file: string, text: string, mode: number): Promise<void> {
    const path = join(this.#folder, file);
    const temporary = `${path}.${process.pid}.new`;
    await rm(temporary, { force: true });
    const before = await stat(path).catch(() => undefined);
    const handle = await open(temporary, 'wx', mode);
    try {
      await handle.writeFile(text);
      if (before) {
        // Keep owner and group of the old file, so that the same users can read it. A key is never readable by others.
        await handle.chown(before.uid, before.gid).catch(() => undefined);
        await handle.chmod(before.mode & (mode === KEY_MODE ? 0o770 : 0o777));
      }
      await handle.sync();
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    } finally {
      await handle.close();
    }
    const folder = await open(join(path, '..'), 'r');
    await folder.sync().finally(() => folder.close());
  }

  /**
   * Runs an action while holding a lock on the folder against other processes. The system releases the lock when the
   * process ends, even if it is killed.
   */
  async #locked<T>(run: () => Promise<T>): Promise<T> {
    const folder = resolve(this.#folder);
    const result = (queues.get(folder) ?? Promise.resolve()).then(() => this.#alone(run));
    const done = result.catch(() => undefined);
    queues.set(folder, done);
    void done.then(() => {
      if (queues.get(folder) === done) queues.delete(folder);
    });
    return result;
  }

  async #alone<T>(run: () => Promise<T>): Promise<T> {
    if ((await readdir(this.#folder).catch(() => undefined)) === undefined) {
      throw new PkiError(`no folder ${this.#folder}: ${this.#remedy()}`);
    }
    const { default: Database } = await import('better-sqlite3');
    const path = join(this.#folder, '.lock');
    await (await open(path, 'a', 0o600)).close();
    // The lock is SQLite's file lock. Nothing is written to the database.
    const lock = new Database(path, { timeout: this.#lockTimeout });
    try {
      // Without a journal on disk the lock can be taken even if the disk is full.
      lock.pragma('journal_mode = MEMORY');
      lock.exec('BEGIN EXCLUSIVE');
    } catch (error) {
      lock.close();
      const { code, message } = error as { code?: unknown; message: string };
      if (code === 'SQLITE_BUSY') throw new PkiError(`another command is using ${this.#folder}`);
      throw new PkiError(`cannot lock ${this.#folder} with ${path}: ${message}`);
    }
    try {
      return await run();
    } finally {
      lock.close();
    }
  }

  #path(name: string): string {
    return join(this.#folder, `${name}.pem`);
  }
}

/** Names that are safe as file names in the folder. Throws PkiError. */
function checkFileName(name: string): void {
  if (/^[a-zA-Z0-9][a-zA-Z0-9._@+-]{0,63}$/.test(name)) return;
  throw new PkiError(`"${name}" cannot be a file name: letters, digits and . _ @ + -, a letter or digit first`);
}

/** Names that a subjectAltName can hold (RFC 5280 4.2.1.6) and that are plausible. Throws PkiError. */
function checkSubject(subject: CertificateSubject): void {
  if (subject.kind === 'client') {
    if (/^(?=[\x21-\x7e]{1,253}$)[^@]+@[^@]+$/.test(subject.nai)) return;
    throw new PkiError(
      `"${subject.nai}" is not an NAI that a certificate can contain: ASCII without blanks, with a realm, such as mn1@home.example`,
    );
  }
  if (subject.hosts.length === 0) throw new PkiError('a server needs a host name');
  for (const host of subject.hosts) {
    const problem = identity().safeParse(host).error?.issues[0]?.message;
    if (problem !== undefined) throw new PkiError(problem);
  }
}

function namesOf(subject: CertificateSubject): string {
  return subject.kind === 'server' ? subject.hosts.join(', ') : subject.nai;
}

function plain(serial: string): string {
  return serial.toLowerCase().replace(/^0+(?=.)/, '');
}
