import { X509Certificate } from 'node:crypto';
import { dirname } from 'node:path';
import { readCertificate } from '../../protocol/x509/certificate.js';
import { certificatesOfPem } from '../tls/certificates/pem.js';
import { type CredentialFiles, credentialWarnings, type UsedCredentials } from '../tls/credential-watch.js';
import type { Computer } from './computer.js';
import { error, type Finding, findingsOf, foreign, placed, warning } from './finding.js';
import { hiddenFindings } from './folders.js';

/** What to do about files of certificates and keys, unless their error says it. */
const CERTIFICATES = 'see docs/certificates.md';
const MISSING = 'correct the path, or issue it: pana-mip6 pki; see docs/certificates.md';
const RENEW = 'renew it: pana-mip6 pki renew NAME, or pana-mip6 pki crl';

/** Files of credentials that this user cannot read. They are reported together, before anything is read. */
export async function unreadableFindings(
  named: readonly (readonly [key: string, path: string | undefined])[],
  { files, user }: Pick<Computer, 'files' | 'user'>,
): Promise<Finding[]> {
  const found = await Promise.all(
    named.map(async ([key, path]): Promise<Finding[]> => {
      if (path === undefined) return [];
      if (await files.may(path, 'read')) {
        // A pipe or device might never come to an end. A folder may hold CRLs.
        const found = await files.stat(path).catch(() => undefined);
        if (!found || found.isFile() || found.isDirectory()) return [];
        return [error(key, `${path} is not a file`, MISSING)];
      }
      const code = await files.stat(path).then(
        () => 'EACCES',
        (failure: NodeJS.ErrnoException) => failure.code ?? 'unknown',
      );
      if (code === 'ENOENT') return [error(key, `cannot read ${path}: no such file`, MISSING)];
      const closed = await closedFolder(path, files);
      return closed === undefined
        ? [
            error(
              key,
              `${user} cannot read ${path}: ${code}`,
              `let ${user} read it: chgrp ${user} ${path} && chmod 640 ${path}`,
            ),
          ]
        : [
            error(
              key,
              `${user} cannot read ${path}: it may not look into ${closed}`,
              `let ${user} in: chgrp ${user} ${closed} && chmod 750 ${closed}`,
            ),
          ];
    }),
  );
  return found.flat();
}

/** The uppermost folder above a file that this user may not look into; undefined: there is none. */
async function closedFolder(path: string, files: Computer['files']): Promise<string | undefined> {
  const above = dirname(path);
  if (above === path) return undefined;
  return (await closedFolder(above, files)) ?? ((await files.may(above, 'execute')) ? undefined : above);
}

/** The files of a TLS section by their keys. */
export function namedFiles(section: string, files: CredentialFiles | undefined) {
  if (!files) return [];
  const keys = ['ca', 'certificate', 'key', 'key-passphrase-file', 'crl'] as const;
  return keys.map((key) => [`${section}.${key}`, files[key]] as const);
}

/** Reads credentials and checks them. `read` rejects with OperatorError or StartError if they cannot be used. */
export async function credentialFindings(
  named: readonly (readonly [key: string, path: string | undefined])[],
  read: () => Promise<readonly UsedCredentials[]>,
  computer: Pick<Computer, 'files' | 'user' | 'host' | 'service'>,
  judge: (used: UsedCredentials) => readonly Finding[] = () => [],
): Promise<Finding[]> {
  const hidden = [...(await unreadableFindings(named, computer)), ...hiddenFindings(named, computer)];
  if (hidden.length > 0) return hidden;
  let used: readonly UsedCredentials[];
  try {
    used = await read();
  } catch (failure) {
    return findingsOf(failure, 'tls', CERTIFICATES);
  }
  const notices = credentialWarnings(used, computer.host.wall()).map((line) => {
    const { place = 'tls', what } = placed(line);
    return warning(place, what, /has expired|expires/.test(what) ? RENEW : CERTIFICATES);
  });
  return [...notices, ...used.flatMap(orderFindings), ...used.flatMap(judge)];
}

/** The file of our certificate must have the certificates of its CAs after it, in order, and none of others. */
function orderFindings({ section, files, certificatePem }: UsedCredentials): Finding[] {
  const [leaf, next] = certificatesOfPem(certificatePem);
  if (!leaf || !next || leaf.issuer.text === next.subject.text) return [];
  return [
    warning(
      `${section}.certificate`,
      `the second certificate in ${files.certificate} is not that of the CA which issued the first`,
      'put the certificates of the intermediate CAs after it, in order',
    ),
  ];
}

/** Our certificate must contain this host name. */
export function hostFindings({ section, files, certificatePem }: UsedCredentials, host: string): Finding[] {
  const names = namesOf(certificatePem).dnsNames;
  if (names.some((name) => name.toLowerCase() === host.toLowerCase())) return [];
  return [
    error(
      `${section}.certificate`,
      `${files.certificate} has ${shown(names, 'no dNSName')}, not diameter.host ${host}`,
      `issue one with this name: pana-mip6 pki issue NAME --server ${host}`,
    ),
  ];
}

/** The certificate of an EAP server must contain a name that nodes can compare. */
export function serverFindings({ section, files, certificatePem }: UsedCredentials): Finding[] {
  if (namesOf(certificatePem).dnsNames.length > 0) return [];
  return [
    error(
      `${section}.certificate`,
      `${files.certificate} has no dNSName, and nodes compare it with their tls.server-name`,
      'issue one: pana-mip6 pki issue NAME --server HOST',
    ),
  ];
}

/** The realm of a node's identity decides which server is asked; that server looks its certificate up. */
export function identityFindings({ certificatePem }: UsedCredentials, identity: string): Finding[] {
  const { emails, upns } = namesOf(certificatePem);
  const names = [...emails, ...upns];
  const realm = realmOf(identity);
  if (names.length === 0 || realm === undefined) return [];
  if (names.some((name) => realmOf(name) === realm)) return [];
  return [
    warning(
      'eap.identity',
      `its realm is ${realm}, and the certificate is of ${shown(names, '')}`,
      'correct the realm, unless a server of that realm knows this node',
    ),
  ];
}

function realmOf(name: string): string | undefined {
  return /@([^@]+)$/.exec(name)?.[1]?.toLowerCase();
}

function shown(names: readonly string[], none: string): string {
  return names.length === 0 ? none : foreign(names.slice(0, 3).join(', '));
}

function namesOf(pem: string) {
  const [leaf] = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (leaf === undefined) return { dnsNames: [], emails: [], upns: [] };
  return readCertificate(new Uint8Array(new X509Certificate(leaf).raw)).alternativeNames;
}
