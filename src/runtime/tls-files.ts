import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { OperatorError, StartError } from './failure.js';
import { type RevocationList, readRevocationList } from './peer-certificate.js';

/** Files of a TLS end, by the keys of the configuration. */
export interface TlsFiles {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

export interface TlsMaterial {
  readonly caPem: string;
  readonly certificatePem: string;
  readonly keyPem: string;
  /** Milliseconds since 1970: the first of the certificate and the CAs to expire. */
  readonly notAfter: number;
}

/**
 * Reads and checks CA, certificate and key of this section. Throws OperatorError with the key of the configuration, the file, and what is
 * wrong: not there, not PEM, expired, a key of another certificate; StartError for one that is not valid yet.
 */
export async function readTlsFiles(files: TlsFiles, section = 'tls', now = Date.now()): Promise<TlsMaterial> {
  const [caPem, certificatePem, keyPem] = await Promise.all([
    readPem(`${section}.ca`, files.ca),
    readPem(`${section}.certificate`, files.certificate),
    readPem(`${section}.key`, files.key),
  ]);
  const authorities = certificatesOf(`${section}.ca`, files.ca, caPem);
  const [certificate] = certificatesOf(`${section}.certificate`, files.certificate, certificatePem);
  const dates = authorities.map((authority) => checkValidity(`${section}.ca`, files.ca, authority, now));
  if (certificate) {
    dates.push(checkValidity(`${section}.certificate`, files.certificate, certificate, now));
    const key = attempt(`${section}.key: ${files.key} is not a private key in PEM`, () => createPrivateKey(keyPem));
    if (!certificate.checkPrivateKey(key)) {
      throw new OperatorError(`${section}.key: ${files.key} is not the key of the certificate ${files.certificate}`);
    }
  }
  attempt(`${section}.certificate: ${files.certificate} cannot be used`, () =>
    createSecureContext({ ca: caPem, cert: certificatePem, key: keyPem }),
  );
  return { caPem, certificatePem, keyPem, notAfter: Math.min(...dates) };
}

/** Reads a CRL file. Throws OperatorError. */
export async function readCrlFile(
  path: string,
  expired: RevocationList['expired'],
  section = 'tls',
): Promise<RevocationList> {
  const pem = await readPem(`${section}.crl`, path);
  return attempt(`${section}.crl: ${path} is not a CRL in PEM`, () => readRevocationList(pem, expired));
}

async function readPem(key: string, path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new OperatorError(`${key}: cannot read ${path}: ${error.code === 'ENOENT' ? 'no such file' : error.code}`);
  });
}

function certificatesOf(key: string, path: string, pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new OperatorError(`${key}: ${path} holds no certificate in PEM`);
  return blocks.map((block) => attempt(`${key}: ${path} holds a broken certificate`, () => new X509Certificate(block)));
}

function checkValidity(key: string, path: string, certificate: X509Certificate, now: number): number {
  const notAfter = Date.parse(certificate.validTo);
  const subject = certificate.subject?.replaceAll('\n', ', ') ?? '';
  if (notAfter <= now) throw new OperatorError(`${key}: ${path} (${subject}) has expired: ${certificate.validTo}`);
  if (Date.parse(certificate.validFrom) > now) {
    // More often than not it is the clock of a machine that has just booted.
    const clock = new Date(now).toISOString();
    throw new StartError(
      `${key}: ${path} (${subject}) is not valid before ${certificate.validFrom}, and the clock says ${clock}`,
    );
  }
  return notAfter;
}

function attempt<T>(what: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw new OperatorError(`${what}: ${(error as Error).message}`);
  }
}
