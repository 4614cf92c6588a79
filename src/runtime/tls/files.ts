import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { readCertificate } from '../../protocol/x509/certificate.js';
import { OperatorError, StartError } from '../system/failure.js';
import { certificatesOfPem } from './certificates/pem.js';
import { isSelfSigned } from './certificates/trust.js';

/** The files of a TLS configuration section, by key. */
export interface TlsFiles {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
  readonly 'key-passphrase-file'?: string | undefined;
}

export interface TlsMaterial {
  readonly caPem: string;
  readonly certificatePem: string;
  /** Not encrypted. */
  readonly keyPem: string;
}

/**
 * Reads and checks CA, certificate and key of a configuration section. `now`: milliseconds since 1970, UTC. `ciphers`:
 * the cipher list, whose security level limits how weak a certificate may be. Throws OperatorError with the
 * configuration key, the file, and the problem: missing, not PEM, expired, no root CA, key of another certificate,
 * encrypted, readable by everybody. Throws StartError for a certificate that is not valid yet. An expired CA is
 * accepted if another one is valid.
 */
export async function readTlsFiles(
  files: TlsFiles,
  section: string,
  { now, ciphers }: { readonly now: number; readonly ciphers?: string },
): Promise<TlsMaterial> {
  const [caPem, certificatePem, key] = await Promise.all([
    readText(`${section}.ca`, files.ca),
    readText(`${section}.certificate`, files.certificate),
    readKey(
      { name: `${section}.key`, path: files.key },
      { name: `${section}.key-passphrase-file`, path: files['key-passphrase-file'] },
    ),
  ]);
  const anchors = certificatesOf(`${section}.ca`, files.ca, caPem).filter(({ raw }) =>
    isSelfSigned(readCertificate(new Uint8Array(raw))),
  );
  const [certificate] = certificatesOf(`${section}.certificate`, files.certificate, certificatePem);
  const [anchor] = anchors;
  if (!anchor) {
    throw new OperatorError(
      `${section}.ca: ${files.ca} contains no root CA (a self-signed certificate): without one no certificate is trusted`,
    );
  }
  if (!anchors.some((one) => isValid(one, now))) checkValidity(`${section}.ca`, files.ca, anchor, now);
  if (certificate) {
    checkValidity(`${section}.certificate`, files.certificate, certificate, now);
    checkPair(certificate, files.certificate, key, { name: `${section}.key`, path: files.key });
  }
  const keyPem = key.export({ type: 'pkcs8', format: 'pem' }).toString();
  attempt(`${section}.certificate: ${files.certificate} cannot be used`, () =>
    createSecureContext({
      ca: caPem,
      cert: certificatePem,
      key: keyPem,
      ...(ciphers === undefined ? {} : { ciphers }),
    }),
  );
  return { caPem, certificatePem, keyPem };
}

/** A file and the configuration key that names it. */
interface NamedFile<P = string> {
  readonly name: string;
  readonly path: P;
}

/**
 * Reads a certificate and its key, for a server whose clients have no certificates. The validity is not checked: browsers
 * say that a certificate has expired. The key must not be encrypted. Throws OperatorError as `readTlsFiles` does.
 */
export async function readServerFiles(
  certificateFile: NamedFile,
  keyFile: NamedFile,
): Promise<Pick<TlsMaterial, 'certificatePem' | 'keyPem'>> {
  const { name, path } = certificateFile;
  const [certificatePem, key] = await Promise.all([readText(name, path), readKey(keyFile)]);
  const [certificate] = certificatesOf(name, path, certificatePem);
  if (certificate) checkPair(certificate, path, key, keyFile);
  const keyPem = key.export({ type: 'pkcs8', format: 'pem' }).toString();
  attempt(`${name}: ${path} cannot be used`, () => createSecureContext({ cert: certificatePem, key: keyPem }));
  return { certificatePem, keyPem };
}

function checkPair(certificate: X509Certificate, path: string, key: KeyObject, keyFile: NamedFile): void {
  if (certificate.checkPrivateKey(key)) return;
  throw new OperatorError(`${keyFile.name}: ${keyFile.path} is not the key of the certificate ${path}`);
}

/** `passphraseFile`: undefined where there is no such configuration key. */
async function readKey({ name, path }: NamedFile, passphraseFile?: NamedFile<string | undefined>): Promise<KeyObject> {
  const pem = await readSecret(name, path);
  if (!isEncryptedKey(pem)) return attempt(`${name}: ${path} is not a private key in PEM`, () => createPrivateKey(pem));
  const passphrasePath = passphraseFile?.path;
  if (!passphraseFile || passphrasePath === undefined) {
    const set = passphraseFile ? `set ${passphraseFile.name}, or ` : '';
    const remedy = `${set}remove the passphrase (openssl pkey -in ${path} -out FILE)`;
    throw new OperatorError(`${name}: ${path} is encrypted`, { remedy });
  }
  const passphrase = passphraseOf(await readSecret(passphraseFile.name, passphrasePath));
  if (passphrase === '') throw new OperatorError(`${passphraseFile.name}: ${passphrasePath} is empty`);
  return attempt(`${name}: ${path} cannot be decrypted with the passphrase in ${passphrasePath}`, () =>
    createPrivateKey({ key: pem, passphrase }),
  );
}

/** Whether a PEM private key needs a passphrase: RFC 5958 3 and RFC 1421 4.6.1.1. */
export function isEncryptedKey(pem: string): boolean {
  return pem.includes('-----BEGIN ENCRYPTED PRIVATE KEY-----') || /^Proc-Type: *4, *ENCRYPTED/m.test(pem);
}

/** The first line, without the newline that editors add. */
function passphraseOf(text: string): string {
  return text.split(/\r?\n/, 1)[0] ?? '';
}

/** Permission bits that let everybody read or change a file. A group may read, for daemons that do not run as root. */
const EVERYBODY = 0o007;

/** Reads a file that only its owner and group may access. */
async function readSecret(key: string, path: string): Promise<string> {
  return readText(key, path, ({ mode }) => {
    if ((mode & EVERYBODY) === 0) return;
    throw new OperatorError(`${key}: every user of this host can access ${path}`, { remedy: `chmod o= ${path}` });
  });
}

/** Maximum size of a PEM file in octets: some thousand certificates. */
export const MAX_PEM_FILE = 16 * 1024 * 1024;

/**
 * Reads a text file. `check` may refuse it first. Only regular files are read, because a FIFO could block the reader
 * forever.
 */
async function readText(key: string, path: string, check: (status: Stats) => void = () => undefined): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: NodeJS.ErrnoException) => {
    throw unreadable(key, path, error);
  });
  try {
    const status = await file.stat();
    if (!status.isFile()) throw new OperatorError(`${key}: ${path} is not a file`);
    if (status.size > MAX_PEM_FILE) {
      throw new OperatorError(`${key}: ${path} has ${status.size} octets: at most ${MAX_PEM_FILE} are read`);
    }
    check(status);
    return await file.readFile('utf8').catch((error: NodeJS.ErrnoException) => {
      throw unreadable(key, path, error);
    });
  } finally {
    await file.close();
  }
}

function unreadable(key: string, path: string, error: NodeJS.ErrnoException): OperatorError {
  return new OperatorError(`${key}: cannot read ${path}: ${error.code === 'ENOENT' ? 'no such file' : error.code}`);
}

function certificatesOf(key: string, path: string, pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new OperatorError(`${key}: ${path} contains no certificate in PEM`);
  return attempt(`${key}: ${path} contains a malformed certificate`, () => {
    // Paths are built from our own parser, so it must accept every certificate that the platform accepts.
    certificatesOfPem(pem);
    return blocks.map((block) => new X509Certificate(block));
  });
}

function isValid(certificate: X509Certificate, now: number): boolean {
  return Date.parse(certificate.validFrom) <= now && now < Date.parse(certificate.validTo);
}

function checkValidity(key: string, path: string, certificate: X509Certificate, now: number): void {
  const subject = certificate.subject?.replaceAll('\n', ', ') ?? '';
  if (Date.parse(certificate.validTo) <= now) {
    throw new OperatorError(`${key}: ${path} (${subject}) has expired: ${certificate.validTo}`);
  }
  if (Date.parse(certificate.validFrom) > now) {
    // The usual cause is the clock of a machine that has just booted.
    const clock = new Date(now).toISOString();
    throw new StartError(
      `${key}: ${path} (${subject}) is not valid before ${certificate.validFrom}, and the clock says ${clock}`,
    );
  }
}

function attempt<T>(what: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw new OperatorError(`${what}: ${(error as Error).message}`);
  }
}
