import { generateKeyPairSync } from 'node:crypto';
import forge from 'node-forge';
import type { Issued } from '../../../src/pki/certificate-authority.js';

/** A certificate that our own PKI does not issue. */
export interface Oddity {
  readonly name: string;
  readonly bits?: number;
  readonly hash?: 'sha1' | 'sha256';
  /** Undefined: no extendedKeyUsage. */
  readonly usage?: readonly ('clientAuth' | 'serverAuth' | 'codeSigning')[];
  readonly ca?: boolean;
  readonly email?: string;
  readonly host?: string;
  /** Undefined: self-signed. */
  readonly issuer?: Issued;
}

let serial = 1;

/** Issues it with an RSA key. */
export function issueOdd(oddity: Oddity): Issued {
  const { name, bits = 2048, hash = 'sha256', usage, ca = false, email, host, issuer } = oddity;
  const { pki, md } = forge;
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: bits });
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const certificate = pki.createCertificate();
  certificate.publicKey = pki.publicKeyFromPem(publicKey.export({ type: 'spki', format: 'pem' }).toString());
  serial += 1;
  certificate.serialNumber = serial.toString(16).padStart(4, '0');
  certificate.validity.notBefore = new Date(Date.now() - 3_600_000);
  certificate.validity.notAfter = new Date(Date.now() + 86_400_000);
  const subject = [{ name: 'commonName', value: name }];
  certificate.setSubject(subject);
  certificate.setIssuer(issuer ? pki.certificateFromPem(issuer.certificatePem).subject.attributes : subject);
  const altNames = [
    ...(email === undefined ? [] : [{ type: 1, value: email }]),
    ...(host === undefined ? [] : [{ type: 2, value: host }]),
  ];
  certificate.setExtensions([
    { name: 'basicConstraints', cA: ca, critical: true },
    ca ? { name: 'keyUsage', keyCertSign: true, cRLSign: true } : { name: 'keyUsage', digitalSignature: true },
    ...(usage ? [{ name: 'extKeyUsage', ...Object.fromEntries(usage.map((one) => [one, true])) }] : []),
    ...(altNames.length > 0 ? [{ name: 'subjectAltName', altNames }] : []),
  ]);
  certificate.sign(pki.privateKeyFromPem(issuer?.keyPem ?? keyPem), (hash === 'sha1' ? md.sha1 : md.sha256).create());
  return { certificatePem: pki.certificateToPem(certificate), keyPem };
}
