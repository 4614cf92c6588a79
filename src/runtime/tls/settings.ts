import { createSecureContext, DEFAULT_CIPHERS, type SecureContextOptions, type SecureVersion } from 'node:tls';
import { type CertificatePolicy, DEFAULT_POLICY } from './certificates/policy.js';

export const TLS_VERSIONS = ['1.0', '1.1', '1.2', '1.3'] as const;
export type TlsVersion = (typeof TLS_VERSIONS)[number];

/** The TLS engine settings of a configuration section, by key. */
export interface TlsSettings {
  readonly 'min-version': TlsVersion;
  readonly 'max-version': TlsVersion;
  readonly ciphers?: string | undefined;
  readonly curves?: string | undefined;
  /** Whether TLS 1.0 and 1.1 can be configured. */
  readonly legacy?: boolean | undefined;
  readonly 'extended-master-secret'?: MasterSecretPolicy | undefined;
  readonly 'min-rsa-bits': number;
  readonly 'sha1-signatures': CertificatePolicy['sha1Signatures'];
  readonly 'extended-key-usage': CertificatePolicy['extendedKeyUsage'];
}

/** What to do with a TLS 1.2 handshake without the extended master secret (RFC 7627). */
export type MasterSecretPolicy = 'required' | 'wanted';

const ENGINE_VERSIONS: Readonly<Record<TlsVersion, SecureVersion>> = {
  '1.0': 'TLSv1',
  '1.1': 'TLSv1.1',
  '1.2': 'TLSv1.2',
  '1.3': 'TLSv1.3',
};

/** An invalid setting: its key within the section, and the reason. */
export interface TlsProblem {
  readonly key: keyof TlsSettings;
  readonly message: string;
}

/** Settings for the engine and for PeerJudge. */
export interface EngineSettings {
  readonly certificatePolicy: CertificatePolicy;
  readonly extendedMasterSecret: MasterSecretPolicy;
  readonly minVersion: SecureVersion;
  readonly maxVersion: SecureVersion;
  readonly ciphers: string;
  readonly ecdhCurve: string;
}

/** Suites without authentication or encryption are never negotiated, whatever the list contains. */
const NEVER = '!aNULL:!eNULL';

/**
 * TLS 1.0 and 1.1 sign key exchanges with SHA-1 and MD5, which OpenSSL 3 permits only at level 0. The same holds for
 * certificates with SHA-1 signatures. The certificate policy applies at every level.
 */
const LEGACY_LEVEL = '@SECLEVEL=0';

/** The platform distinguishes TLS 1.3 suites by this prefix. */
const isOfTls13 = (element: string) => element.startsWith('TLS_');

function elementsOf(ciphers: string): string[] {
  return ciphers.split(/[:,; ]+/).filter((element) => element !== '');
}

/** Whether the settings allow a version that RFC 8996 forbids. */
function allowsLegacy(settings: Pick<TlsSettings, 'min-version'>): boolean {
  return settings['min-version'] === '1.0' || settings['min-version'] === '1.1';
}

/** Converts settings to options of a secure context. The settings must have no problems. */
export function engineSettings(settings: TlsSettings): EngineSettings {
  const { 'min-version': min, 'max-version': max, ciphers = DEFAULT_CIPHERS, curves = 'auto' } = settings;
  const sha1Signatures = settings['sha1-signatures'];
  const isLow = allowsLegacy(settings) || sha1Signatures === 'allow';
  const level = isLow ? `:${LEGACY_LEVEL}` : '';
  // TLS 1.3 suites all encrypt and authenticate. Without other suites, the exclusions would be a list that matches
  // nothing, which OpenSSL rejects.
  const never = elementsOf(ciphers).every(isOfTls13) ? '' : `:${NEVER}${level}`;
  return {
    minVersion: ENGINE_VERSIONS[min],
    maxVersion: ENGINE_VERSIONS[max],
    ciphers: `${ciphers}${never}`,
    ecdhCurve: curves,
    extendedMasterSecret: settings['extended-master-secret'] ?? 'required',
    certificatePolicy: {
      minRsaBits: settings['min-rsa-bits'],
      sha1Signatures,
      extendedKeyUsage: settings['extended-key-usage'],
    },
  };
}

/** Warnings about settings that only old peers need, each with its key. `section`: the section of the settings. */
export function weakSettings(settings: TlsSettings, section: string): string[] {
  const weak: string[] = [];
  if (allowsLegacy(settings)) {
    weak.push(`${section}.min-version: TLS ${settings['min-version']} is obsolete and weak (RFC 8996)`);
  }
  if (settings['sha1-signatures'] === 'allow') {
    weak.push(`${section}.sha1-signatures: signatures over SHA-1 can be forged`);
  }
  if (settings['min-rsa-bits'] < DEFAULT_POLICY.minRsaBits) {
    weak.push(`${section}.min-rsa-bits: RSA keys of ${settings['min-rsa-bits']} bits can be broken`);
  }
  if (settings['extended-key-usage'] === 'if-present') {
    weak.push(`${section}.extended-key-usage: a certificate without it is accepted for clients and servers`);
  }
  if (settings['extended-master-secret'] === 'wanted') {
    weak.push(`${section}.extended-master-secret: keys of TLS 1.2 may be shared with another connection (RFC 7627)`);
  }
  return weak;
}

/** Settings that would prevent the engine from starting, or leave it without a version, suite or curve to negotiate. */
export function tlsProblems(settings: TlsSettings): TlsProblem[] {
  const problems = [...versionProblems(settings), ...cipherProblems(settings), ...curveProblems(settings)];
  if (problems.length > 0) return problems;
  const { minVersion, maxVersion, ciphers, ecdhCurve } = engineSettings(settings);
  const refusal = refusalOf({ minVersion, maxVersion, ciphers, ecdhCurve });
  return refusal === undefined ? [] : [{ key: 'ciphers', message: `the list cannot be used: ${refusal}` }];
}

function* versionProblems(settings: TlsSettings): Generator<TlsProblem> {
  const { 'min-version': min, 'max-version': max, legacy = false } = settings;
  if (TLS_VERSIONS.indexOf(min) > TLS_VERSIONS.indexOf(max)) {
    yield { key: 'min-version', message: `${min} is above max-version, ${max}: no version is left` };
  }
  if (allowsLegacy(settings) && !legacy) {
    yield { key: 'min-version', message: `${min} is obsolete (RFC 8996): it also needs "legacy: true"` };
  }
}

function* cipherProblems({ ciphers, ...settings }: TlsSettings): Generator<TlsProblem> {
  if (ciphers === undefined) return;
  const added = elementsOf(ciphers).filter((element) => !/^[!+@-]/.test(element));
  const unknown = added.filter((element) => refusalOf({ ciphers: element }) !== undefined);
  if (unknown.length > 0) {
    yield { key: 'ciphers', message: `no such cipher suite: ${unknown.join(', ')}` };
    return;
  }
  const open = added.filter((one) => !isOfTls13(one) && refusalOf({ ciphers: `${one}:${NEVER}` }) !== undefined);
  if (open.length > 0) {
    yield { key: 'ciphers', message: `${open.join(', ')}: without encryption or without authentication` };
    return;
  }
  if (added.length > 0 && settings['max-version'] !== '1.3' && added.every(isOfTls13)) {
    const message = `only suites of TLS 1.3, and max-version is ${settings['max-version']}`;
    yield { key: 'ciphers', message };
  }
  if (added.length > 0 && settings['min-version'] === '1.3' && !added.some(isOfTls13)) {
    yield { key: 'ciphers', message: 'no suite of TLS 1.3, and min-version is 1.3: the list would have no effect' };
  }
}

function* curveProblems({ curves }: TlsSettings): Generator<TlsProblem> {
  if (curves === undefined) return;
  const unknown = curves.split(':').filter((curve) => refusalOf({ ecdhCurve: curve }) !== undefined);
  if (unknown.length > 0) yield { key: 'curves', message: `no such curve: ${unknown.join(', ')}` };
}

/** Why the engine refuses these options; undefined if it accepts them. */
function refusalOf(options: SecureContextOptions): string | undefined {
  try {
    createSecureContext(options);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
