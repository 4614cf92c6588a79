import { isLoopback } from '../../protocol/bytes/address-set.js';
import { hasSources } from '../../protocol/diameter/node/peer-sources.js';
import { OperatorError } from '../system/failure.js';
import type { Host } from '../system/host.js';
import { type CrlSection, readRevocation } from '../tls/certificates/crl-files.js';
import { certificatesOfPem } from '../tls/certificates/pem.js';
import type { UsedCredentials } from '../tls/credential-watch.js';
import { readTlsFiles, type TlsFiles } from '../tls/files.js';
import { engineSettings, type TlsSettings } from '../tls/settings.js';
import type { DiameterListenOptions, DiameterPeerOptions } from './node.js';
import { type OnTlsRefused, TlsTransport } from './tls.js';

/** The section `diameter.tls` of a configuration. */
export interface DiameterTlsSection extends TlsFiles, TlsSettings, CrlSection {
  readonly port: number;
}

/** An element of `diameter.peers` in a configuration. */
export interface DiameterPeerSection {
  readonly host: string;
  readonly address?: string | undefined;
  readonly addresses?: readonly string[] | undefined;
  readonly from?: readonly string[] | undefined;
  readonly port?: number | undefined;
  readonly tls: boolean;
  readonly relay: boolean;
  readonly priority: number;
  readonly weight: number;
}

interface DiameterSection {
  /** Servers only: also accept connections without TLS. */
  readonly plain?: boolean | undefined;
  /** Servers only: the addresses to listen on. */
  readonly listen?: readonly string[] | undefined;
  readonly tls?: DiameterTlsSection | undefined;
  readonly peers: readonly DiameterPeerSection[];
}

/**
 * Without TLS, a peer is identified by its source address. A peer without addresses could connect from this host only.
 */
function checkPeers({ tls, peers, plain = true, listen = [] }: DiameterSection): void {
  if (tls || !plain || listen.every(isLoopback)) return;
  const lost = peers.find((peer) => !peer.tls && !hasSources(peer));
  if (!lost) return;
  throw new OperatorError(
    `diameter.peers: ${lost.host} has no address: without TLS it could connect from this host only. ` +
      'Set its source addresses, such as from: ["2001:db8:1::/64"], or configure diameter.tls',
  );
}

/**
 * Reads and checks the TLS section, the peers, and the files that they name. Returns undefined if there is no TLS
 * section. Throws OperatorError.
 */
export async function readDiameterTls(diameter: DiameterSection, host: Host) {
  checkPeers(diameter);
  const { tls, peers, plain } = diameter;
  const wanting = peers.find((peer) => peer.tls);
  if (!tls) {
    if (wanting) throw new OperatorError(`diameter.tls is missing: the peer ${wanting.host} requires TLS`);
    if (plain === false)
      throw new OperatorError('diameter.tls is missing: no peer could connect with diameter.plain off');
    return undefined;
  }
  const section = 'diameter.tls';
  const settings = engineSettings(tls);
  const { caPem, certificatePem, keyPem } = await readTlsFiles(tls, section, { ...settings, now: host.wall() });
  return {
    caPem,
    certificatePem,
    keyPem,
    revocation: await readRevocation(tls, certificatesOfPem(caPem), section),
    ...settings,
  } as const;
}

/** The credentials of `diameter.tls` in use, for expiry checks and warnings. */
export function usedForDiameter(
  { tls }: Pick<DiameterSection, 'tls'>,
  options: Omit<UsedCredentials, 'section' | 'files' | 'roles'> | undefined,
): UsedCredentials[] {
  return tls && options ? [{ ...options, section: 'diameter.tls', files: tls, roles: ['client', 'server'] }] : [];
}

/** Opens the TLS transport of a configuration; undefined if it has no TLS section. Throws OperatorError. */
export async function openDiameterTls(
  section: DiameterSection,
  host: Host,
  onRefused: OnTlsRefused,
): Promise<TlsTransport | undefined> {
  const options = await readDiameterTls(section, host);
  return options && new TlsTransport(options, host, onRefused);
}

/** Converts configured peers to node options. */
export function peerOptions(
  peers: readonly DiameterPeerSection[],
  transport: TlsTransport | undefined,
): DiameterPeerOptions[] {
  return peers.map(({ tls, ...peer }) => ({ ...peer, secure: tls, ...(tls && transport ? { transport } : {}) }));
}

/** The listeners of a server: plain ones unless `plain` is off, and TLS ones if TLS is configured. */
export function listenOptions(
  section: DiameterSection & { readonly listen: readonly string[]; readonly port: number; readonly plain: boolean },
  transport: TlsTransport | undefined,
): DiameterListenOptions[] {
  const { listen, port, plain, tls } = section;
  return listen.flatMap((address) => [
    ...(plain ? [{ address, port }] : []),
    ...(tls && transport ? [{ address, port: tls.port, transport }] : []),
  ]);
}
