import type { Logger } from '../log/events.js';
import type { Metrics } from '../service/metrics.js';
import type { FileWatch } from '../system/file-watch.js';
import type { Host } from '../system/host.js';
import { certificatesOfPem } from './certificates/pem.js';
import { DEFAULT_POLICY, type PeerRole, violation } from './certificates/policy.js';
import type { Revocation } from './certificates/revocation.js';
import { type Dated, datedCertificates, ExpiryWatch, nextEnds, notices, noticeText, validityText } from './expiry.js';
import type { TlsFiles } from './files.js';
import { type TlsSettings, weakSettings } from './settings.js';

/** Files and TLS settings of a configuration section. */
export interface CredentialFiles extends TlsFiles, TlsSettings {
  readonly crl?: string | undefined;
}

/** The configuration sections of a daemon that name credentials. */
interface Sections {
  readonly tls?: CredentialFiles | undefined;
  readonly diameter?: { readonly tls?: CredentialFiles | undefined };
  readonly radius?: { readonly tls?: CredentialFiles | undefined };
}

/** Credentials in use, as read from the files of a section. */
export interface UsedCredentials {
  readonly section: 'tls' | 'diameter.tls' | 'radius.tls';
  readonly files: CredentialFiles;
  readonly caPem: string;
  readonly certificatePem: string;
  readonly revocation?: Revocation | undefined;
  /** The TLS roles in which our own certificate is used. */
  readonly roles: readonly PeerRole[];
}

/** All files and folders that credentials are read from. */
export function credentialFiles({ tls, diameter, radius }: Sections): string[] {
  return [tls, diameter?.tls, radius?.tls].flatMap((files) => {
    if (!files) return [];
    const { ca, certificate, key, 'key-passphrase-file': passphrase, crl } = files;
    return [ca, certificate, key, passphrase, crl].filter((path) => path !== undefined);
  });
}

/**
 * Warnings about weak, unverifiable and expiring credentials, for `check-config`. `now`: milliseconds since 1970, UTC.
 */
export function credentialWarnings(used: readonly UsedCredentials[], now: number): string[] {
  const dated = used.flatMap((one) => datedOf(one, now));
  return [...used.flatMap(weaknesses), ...used.flatMap(unverified), ...notices(dated, now).map(noticeText)];
}

/** CRLs of unknown issuers; the configured file may be the wrong one. */
function unverified({ section, revocation }: UsedCredentials): string[] {
  return (revocation?.unverified ?? []).map(
    ({ list, path }) =>
      `${section}.crl: ${path}: the CRL of ${list.issuer.text} cannot be verified, since that CA is not in ${section}.ca`,
  );
}

/** Weak settings, and reasons why peers may refuse our own certificate. */
function weaknesses({ section, files, certificatePem, roles }: UsedCredentials): string[] {
  const [leaf] = certificatesOfPem(certificatePem);
  // The leaf is also passed as its own issuer, so that its signature algorithm is checked too.
  const problems = leaf ? roles.map((role) => violation([leaf, leaf], role, DEFAULT_POLICY)?.detail) : [];
  const own = [...new Set(problems)].flatMap((problem) =>
    problem === undefined ? [] : [`${section}.certificate: ${files.certificate}: others may refuse it: ${problem}`],
  );
  return [...weakSettings(files, section), ...own];
}

function datedOf({ section, files, caPem, certificatePem, revocation }: UsedCredentials, now: number): Dated[] {
  const inForce = revocation?.inForce(now).map(({ list }) => list) ?? [];
  const unverified = revocation?.unverified.map(({ list }) => list) ?? [];
  const lists = [...inForce, ...unverified].flatMap(({ issuer, thisUpdate, nextUpdate }) => {
    if (nextUpdate === undefined) return [];
    const subject = `CRL of ${issuer.text}`;
    return [{ key: `${section}.crl`, file: files.crl ?? '', subject, notBefore: thisUpdate, notAfter: nextUpdate }];
  });
  return [
    ...datedCertificates(`${section}.certificate`, files.certificate, certificatePem),
    ...datedCertificates(`${section}.ca`, files.ca, caPem),
    ...lists,
  ];
}

export interface CredentialParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** The watch that already polls the files. */
  readonly files: FileWatch;
  readonly host: Host;
  readonly used: () => readonly UsedCredentials[];
  /** Reads all files again; applies all or nothing. */
  readonly reload: () => Promise<void>;
}

/** Reloads credentials whose files have changed, and logs those about to expire. */
export class CredentialWatch {
  readonly #parts: CredentialParts;
  readonly #expiry: ExpiryWatch;

  constructor(parts: CredentialParts) {
    this.#parts = parts;
    const { log, metrics, host, used } = parts;
    this.#expiry = new ExpiryWatch(log, metrics, host, () => used().flatMap((one) => datedOf(one, host.wall())));
  }

  start(): void {
    const { log, used } = this.#parts;
    for (const warning of used().flatMap(weaknesses)) log.warn({ reason: warning }, 'weak setting');
    this.#expiry.look();
    this.#parts.files.start((paths) => this.#changed(paths));
  }

  /** Checks the expiry of the credentials again. Call when other credentials are in use. */
  changed(): void {
    this.#expiry.look();
  }

  /** Until when the credentials in use are valid, by configuration key: `8 days, until 2026-12-04`. For `status`. */
  days(): Readonly<Record<string, string>> {
    const { host, used } = this.#parts;
    const now = host.wall();
    const dated = used().flatMap((one) => datedOf(one, now));
    return Object.fromEntries([...nextEnds(dated, now)].map(([key, seconds]) => [key, validityText(seconds, now)]));
  }

  stop(): void {
    this.#expiry.stop();
    this.#parts.files.stop();
  }

  async #changed(paths: readonly string[]): Promise<void> {
    const { log, used, reload } = this.#parts;
    const lists = new Set(used().map(({ files }) => files.crl));
    const isCrl = paths.every((path) => lists.has(path));
    const file = paths.join(', ');
    try {
      await reload();
      log.info({ file }, isCrl ? 'CRL reloaded' : 'certificates reloaded');
    } catch (error) {
      const reason = (error as Error).message;
      // The old credentials remain in use.
      log.error({ file, reason }, isCrl ? 'CRL not reloaded' : 'certificates not reloaded');
    }
  }
}
