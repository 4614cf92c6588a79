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
import { TlsTransport } from './tls.js';

/** What a configuration says of TLS between Diameter nodes. */
export interface DiameterTlsSection extends TlsFiles, TlsSettings, CrlSection {
  readonly port: number;
}

/** What a configuration says of a peer. */
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
  /** Of a server: connections without TLS are taken, too. */
  readonly plain?: boolean | undefined;
  /** Of a server: where it takes connections. */
  readonly listen?: readonly string[] | undefined;
  readonly tls?: DiameterTlsSection | undefined;
  readonly peers: readonly DiameterPeerSection[];
}

/** Without TLS a peer is told by its address: one without any could never connect from another host. */
function checkPeers({ tls, peers, plain = true, listen = [] }: DiameterSection): void {
  if (tls || !plain || listen.every(isLoopback)) return;
  const lost = peers.find((peer) => !peer.tls && !hasSources(peer));
  if (!lost) return;
  throw new OperatorError(
    `diameter.peers: ${lost.host} has no address: without TLS it could connect from this host only. ` +
      'Say from where it connects, such as from: ["2001:db8:1::/64"], or configure diameter.tls',
  );
}

/** Reads and checks what a configuration says of TLS and peers, and what its files hold. Throws OperatorError. */
export async function readDiameterTls(diameter: DiameterSection, host: Host) {
  checkPeers(diameter);
  const { tls, peers, plain } = diameter;
  const wanting = peers.find((peer) => peer.tls);
  if (!tls) {
    if (wanting) throw new OperatorError(`diameter.tls is missing: the peer ${wanting.host} is to be reached with TLS`);
    if (plain === false)
      throw new OperatorError('diameter.tls is missing: with diameter.plain off nobody could connect');
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

/** What of it is in use, by its files. */
export function usedForDiameter(
  { tls }: Pick<DiameterSection, 'tls'>,
  options: Omit<UsedCredentials, 'section' | 'files' | 'roles'> | undefined,
): UsedCredentials[] {
  return tls && options ? [{ ...options, section: 'diameter.tls', files: tls, roles: ['client', 'server'] }] : [];
}

/** The transport of a configuration that has TLS. Throws OperatorError. */
export async function openDiameterTls(
  section: DiameterSection,
  host: Host,
  onRefused: (reason: string) => void,
): Promise<TlsTransport | undefined> {
  const options = await readDiameterTls(section, host);
  return options && new TlsTransport(options, host, onRefused);
}

/** Peers as a node takes them. */
export function peerOptions(
  peers: readonly DiameterPeerSection[],
  transport: TlsTransport | undefined,
): DiameterPeerOptions[] {
  return peers.map(({ tls, ...peer }) => ({ ...peer, secure: tls, ...(tls && transport ? { transport } : {}) }));
}

/** Where a server takes connections: with TLS where that is configured, without unless that is switched off. */
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
