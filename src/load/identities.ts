import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type PacOptions, pacSchema } from '../pac/options.js';
import { loadOptions } from '../runtime/config/options.js';
import { createPeerCredentials, TlsPeerCredentials } from '../runtime/eap/tls-peer.js';
import { OperatorError } from '../runtime/system/failure.js';
import { systemHost } from '../runtime/system/host.js';
import { readRevocation } from '../runtime/tls/certificates/crl-files.js';
import { certificatesOfPem } from '../runtime/tls/certificates/pem.js';
import { readTlsFiles } from '../runtime/tls/files.js';
import { engineSettings } from '../runtime/tls/settings.js';

/** The flags from which the configuration of the nodes comes. */
export interface NodeFlags {
  /** A configuration file of pana-pac. */
  readonly config: string | undefined;
  readonly paa: string | undefined;
  readonly port: number | undefined;
  /** A folder of certificates, as `pana-mip6 pki` makes it. */
  readonly pki: string | undefined;
  readonly ca: string | undefined;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  readonly 'server-name': string | undefined;
  readonly identity: string | undefined;
  readonly tls: '1.2' | '1.3' | undefined;
}

/** The configuration of all nodes, as that of pana-pac, and the certificates of single ones. */
export interface NodeConfiguration {
  readonly options: PacOptions;
  readonly certificates: readonly CertificateFiles[];
}

interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

/** Reads the configuration of the nodes. Flags replace keys of the file. Throws OperatorError. */
export async function nodeConfiguration(given: NodeFlags): Promise<NodeConfiguration> {
  if (given.pki !== undefined && (given.certificate !== undefined || given.key !== undefined)) {
    throw new OperatorError('--pki already names certificates', { remedy: 'remove --certificate and --key' });
  }
  const folder = given.pki === undefined ? undefined : await certificatesIn(given.pki);
  const [first] = folder ?? [];
  const { config, 'server-name': serverName } = given;
  const values: Record<string, string | undefined> = {
    'pana.paa': given.paa,
    'pana.port': given.port?.toString(),
    'eap.identity': given.identity ?? (config === undefined && serverName !== undefined ? `@${serverName}` : undefined),
    'tls.ca': given.ca ?? (given.pki === undefined ? undefined : join(given.pki, 'ca.pem')),
    'tls.certificate': first?.certificate ?? given.certificate,
    'tls.key': first?.key ?? given.key,
    'tls.server-name': serverName,
    'tls.min-version': given.tls,
    'tls.max-version': given.tls,
  };
  if (config === undefined) requireFlags(values);
  const flags = Object.fromEntries(
    Object.entries(values).filter((each): each is [string, string] => each[1] !== undefined),
  );
  const options = await loadOptions(pacSchema, { flags, environment: {}, prefix: 'PANA_PAC', file: config });
  if (options.pana.paa.length !== 1) {
    throw new OperatorError(`${options.pana.paa.length} PAAs are configured`, { remedy: 'name one with --paa' });
  }
  const { certificate, key } = options.tls;
  return { options, certificates: folder ?? [{ certificate, key }] };
}

/** The flag for each key that has no default. */
const REQUIRED: Readonly<Record<string, string>> = {
  'pana.paa': '--paa ADDRESS',
  'tls.ca': '--pki FOLDER or --ca FILE',
  'tls.certificate': '--pki FOLDER or --certificate FILE',
  'tls.key': '--pki FOLDER or --key FILE',
  'tls.server-name': '--server-name NAME',
};

function requireFlags(values: Readonly<Record<string, string | undefined>>): void {
  const missing = Object.entries(REQUIRED).flatMap(([key, flag]) => (values[key] === undefined ? [flag] : []));
  if (missing.length === 0) return;
  throw new OperatorError(`missing: ${missing.join(', ')}`, { remedy: 'or give --config FILE of a pana-pac' });
}

/** The client certificates of a folder, by name. Those of servers are left out. */
async function certificatesIn(folder: string): Promise<CertificateFiles[]> {
  const { subjectOf } = await import('../pki/certificate-authority.js');
  const { readFile } = await import('node:fs/promises');
  const files = new Set(await readdir(folder));
  const found: CertificateFiles[] = [];
  for (const file of [...files].sort()) {
    const key = file.replace(/\.pem$/, '-key.pem');
    if (!file.endsWith('.pem') || file === 'ca.pem' || !files.has(key)) continue;
    if (subjectOf(await readFile(join(folder, file), 'utf8'))?.kind === 'server') continue;
    found.push({ certificate: join(folder, file), key: join(folder, key) });
  }
  if (found.length > 0) return found;
  throw new OperatorError(`${folder}: no NAME.pem with NAME-key.pem of a client`, {
    remedy: 'pana-mip6 pki issue mn1 --client mn1@home.example',
  });
}

/**
 * Credentials of the nodes, by number. Nodes share certificates if there are more of them, but no session ticket, which
 * belongs to one node.
 */
export class Identities {
  readonly #configuration: NodeConfiguration;
  readonly #read = new Map<number, Promise<TlsPeerCredentials>>();

  constructor(configuration: NodeConfiguration) {
    this.#configuration = configuration;
  }

  get count(): number {
    return this.#configuration.certificates.length;
  }

  /** Reads the certificates of the first nodes, so that this is not measured. Throws OperatorError. */
  async read(count: number): Promise<void> {
    for (let number = 0; number < Math.min(count, this.count); number += 1) await this.#credentials(number);
  }

  async of(node: number): Promise<TlsPeerCredentials> {
    return new TlsPeerCredentials(await this.#credentials(node % this.count));
  }

  #credentials(number: number): Promise<TlsPeerCredentials> {
    let credentials = this.#read.get(number);
    if (!credentials) {
      credentials = this.#readFiles(number);
      this.#read.set(number, credentials);
    }
    return credentials;
  }

  async #readFiles(number: number): Promise<TlsPeerCredentials> {
    const { options, certificates } = this.#configuration;
    const tls = { ...options.tls, ...certificates[number] };
    const settings = engineSettings(tls);
    const { caPem, certificatePem, keyPem } = await readTlsFiles(tls, 'tls', { ...settings, now: systemHost.wall() });
    const revocation = await readRevocation(tls, certificatesOfPem(caPem));
    return createPeerCredentials({
      caPem,
      certificatePem,
      keyPem,
      serverName: tls['server-name'],
      revocation,
      ...settings,
    });
  }
}
