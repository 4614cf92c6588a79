import { constants } from 'node:crypto';
import { once } from 'node:events';
import { isIP, type Socket } from 'node:net';
import { connect, createServer, type SecureVersion, type Server, type TLSSocket } from 'node:tls';
import { parseAddress } from '../../protocol/bytes/address.js';
import { withoutScope } from '../../protocol/bytes/address-set.js';
import { CER_TIMEOUT } from '../../protocol/diameter/node/new-connections.js';
import type { VerifiedPeer } from '../../protocol/eap/verified-peer.js';
import type { Guard } from '../service/barrier.js';
import type { CancelTimer, Host } from '../system/host.js';
import { certificatesOfPem } from '../tls/certificates/pem.js';
import { type CertificatePolicy, DEFAULT_POLICY, misuse, type PeerRole, weakness } from '../tls/certificates/policy.js';
import type { Revocation } from '../tls/certificates/revocation.js';
import { type Path, Trust } from '../tls/certificates/trust.js';
import { PeerJudge, type PeerJudgeOptions } from '../tls/peer-certificate.js';
import type {
  IncomingConnection,
  OnIncoming,
  Transport,
  TransportAddress,
  TransportConnection,
  TransportListener,
} from './transport.js';

/** OpenSSL 3 option: overwrite decrypted octets after they are read. Node has no constant for it. */
const SSL_OP_CLEANSE_PLAINTEXT = 0x2;

/** Credentials in PEM and TLS settings, the same for incoming and outgoing connections. */
export interface DiameterTlsOptions {
  readonly caPem: string;
  readonly certificatePem: string;
  readonly keyPem: string;
  /** Undefined: certificates are not checked for revocation. */
  readonly revocation: Revocation | undefined;
  readonly minVersion: SecureVersion;
  readonly maxVersion: SecureVersion;
  readonly ciphers: string | undefined;
  readonly ecdhCurve?: string;
  /** Undefined: DEFAULT_POLICY. */
  readonly certificatePolicy?: CertificatePolicy;
}

/** Receives why a connection failed, and its other end. `peer`: the host that was connected to. */
export type OnTlsRefused = (
  reason: string,
  from: { readonly address: string | undefined; readonly peer?: string | undefined },
) => void;

/**
 * TLS from the first octet (RFC 6733 2.2, 13.1). Each end authenticates with a certificate that a trusted CA has issued
 * and that contains its DiameterIdentity as a dNSName.
 */
export class TlsTransport implements Transport {
  #options: DiameterTlsOptions;
  readonly #judge: PeerJudge;
  /** Open connections with the verified certificate path of each. */
  readonly #open = new Map<TLSSocket, Path>();
  readonly #servers = new Set<Server>();
  readonly #onRefused: OnTlsRefused;
  readonly #host: Host;

  /** `onRefused` receives the reason when a connection fails. */
  constructor(options: DiameterTlsOptions, host: Host, onRefused: OnTlsRefused = () => undefined) {
    this.#host = host;
    this.#options = options;
    this.#onRefused = onRefused;
    this.#judge = new PeerJudge(judgeOptions(options));
    options.revocation?.verify(this.#judge.trust.authorities);
  }

  get options(): DiameterTlsOptions {
    return this.#options;
  }

  /**
   * Uses other credentials for new connections, and closes open connections whose certificate is now revoked. Throws
   * CrlSignatureError.
   */
  reload(options: DiameterTlsOptions): void {
    this.#judge.reload(judgeOptions(options));
    this.#options = options;
    this.#closeRevoked();
    for (const server of this.#servers) server.setSecureContext(contextOf(options));
  }

  async connect(to: TransportAddress, host: string, signal: AbortSignal): Promise<TransportConnection> {
    signal.throwIfAborted();
    const socket = connect({
      ...contextOf(this.#options),
      host: to.address,
      port: to.port,
      servername: host,
      rejectUnauthorized: true,
      // Checked below: the certificate must contain the DiameterIdentity, not the address.
      checkServerIdentity: () => undefined,
    });
    const abort = () => socket.destroy(new Error('aborted'));
    signal.addEventListener('abort', abort, { once: true });
    try {
      await once(socket, 'secureConnect');
      const peer = this.#judged(socket, 'server');
      if (!namesHost(peer, host)) throw new Error(`its certificate has ${namesOf(peer)}, not ${host}`);
      socket.setNoDelay(true);
      return tlsConnection(socket, peer);
    } catch (error) {
      socket.destroy();
      this.#onRefused((error as Error).message, { address: to.address, peer: host });
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  async listen(at: TransportAddress, onIncoming: OnIncoming, guard: Guard): Promise<TransportListener> {
    const server = createServer({
      ...contextOf(this.#options),
      requestCert: true,
      rejectUnauthorized: true,
      // Never reached, because the limit below is shorter.
      handshakeTimeout: 4 * CER_TIMEOUT,
      // Connections are long-lived, so resumption gains nothing.
      sessionTimeout: 1,
    });
    /**
     * Connections whose handshake is not complete, by remote address and port, each with the function that cancels its
     * time limit.
     */
    const handshaking = new Map<string, { readonly incoming: IncomingConnection; readonly cancel: CancelTimer }>();
    const take = (end: string) => {
      const entry = handshaking.get(end);
      handshaking.delete(end);
      entry?.cancel();
      return entry?.incoming;
    };
    const expire = (socket: Socket) =>
      guard.run('tls', () => {
        this.#onRefused('the TLS handshake took too long', { address: socket.remoteAddress });
        socket.destroy();
      });
    server.on('connection', (socket: Socket) => {
      const end = endOf(socket);
      // Computed beforehand: a closed socket no longer has a remote address.
      socket.once('close', () => guard.run('tls', () => take(end)?.closed()));
      guard.run(
        'tls',
        () =>
          handshaking.set(end, {
            incoming: onIncoming(socket.remoteAddress ?? '', () => socket.destroy()),
            cancel: this.#host.after(CER_TIMEOUT, () => expire(socket)),
          }),
        () => socket.destroy(),
      );
    });
    server.on('secureConnection', (socket) =>
      guard.run(
        'tls',
        () => this.#secured(socket, take(endOf(socket))),
        () => socket.destroy(),
      ),
    );
    server.on('tlsClientError', (error, socket) =>
      guard.run(
        'tls',
        () => {
          this.#onRefused(String(socket.authorizationError ?? error.message), { address: socket.remoteAddress });
          socket.destroy();
        },
        () => socket.destroy(),
      ),
    );
    server.listen({ host: at.address, port: at.port, ipv6Only: isIP(at.address) === 6 });
    await once(server, 'listening');
    // An error of accept() affects that connection only.
    server.on('error', () => undefined);
    this.#servers.add(server);
    const bound = server.address();
    const port = typeof bound === 'object' && bound ? bound.port : at.port;
    const close = () =>
      new Promise<void>((resolve) => {
        this.#servers.delete(server);
        server.close(() => resolve());
      });
    return { address: at.address, port, close };
  }

  #secured(socket: TLSSocket, incoming: IncomingConnection | undefined): void {
    let connection: TransportConnection;
    try {
      connection = tlsConnection(socket, this.#judged(socket, 'client'));
    } catch (error) {
      this.#onRefused((error as Error).message, { address: socket.remoteAddress });
      socket.destroy();
      incoming?.closed();
      return;
    }
    socket.setNoDelay(true);
    if (incoming) incoming.accepted(connection);
    else connection.reset();
  }

  /** Verifies the peer's certificate. Throws with the reason if it is refused. */
  #judged(socket: TLSSocket, role: PeerRole): VerifiedPeer {
    const judgement = this.#judge.judge(socket, this.#host.wall());
    if ('reason' in judgement) throw new Error(`${judgement.reason}: ${judgement.detail}`);
    const wrong = misuse(judgement.peer.path, role, this.#options.certificatePolicy ?? DEFAULT_POLICY);
    if (wrong) throw new Error(`${wrong.reason}: ${wrong.detail}`);
    this.#open.set(socket, judgement.peer.path);
    socket.once('close', () => this.#open.delete(socket));
    return judgement.peer;
  }

  #closeRevoked(): void {
    for (const [socket, path] of this.#open) {
      const refusal = this.#judge.again(path, this.#host.wall());
      if (refusal?.reason !== 'revoked') continue;
      this.#onRefused(`${refusal.reason}: ${refusal.detail}`, { address: socket.remoteAddress });
      socket.destroy();
    }
  }
}

function judgeOptions(options: DiameterTlsOptions): PeerJudgeOptions {
  const { caPem, certificatePem, revocation, certificatePolicy = DEFAULT_POLICY } = options;
  const policy = (path: Path) => weakness(path, certificatePolicy);
  return { trust: new Trust(certificatesOfPem(caPem), certificatesOfPem(certificatePem)), revocation, policy };
}

/** No CRL is passed to OpenSSL: only PeerJudge checks revocation. */
function contextOf(options: DiameterTlsOptions) {
  const { caPem, certificatePem, keyPem, minVersion, maxVersion, ciphers, ecdhCurve } = options;
  return {
    ca: caPem,
    cert: certificatePem,
    key: keyPem,
    minVersion,
    maxVersion,
    secureOptions: constants.SSL_OP_NO_TICKET | SSL_OP_CLEANSE_PLAINTEXT,
    ...(ciphers === undefined ? {} : { ciphers }),
    ...(ecdhCurve === undefined ? {} : { ecdhCurve }),
  };
}

/** Identifies a connection by its remote address and port, which are unique among open connections of a listener. */
function endOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function tlsConnection(socket: TLSSocket, peer: VerifiedPeer): TransportConnection {
  // Without _writev, Node does not merge several messages into a block that it frees without overwriting the keys in
  // it.
  Object.defineProperty(socket, '_writev', { value: undefined });
  return {
    stream: socket,
    localAddress: parseAddress(withoutScope(socket.localAddress)) ?? new Uint8Array(4),
    remoteAddress: socket.remoteAddress ?? '',
    identities: peer.dnsNames,
    reset: () => socket.destroy(),
  };
}

/** Maximum number of names of a certificate in a message. */
const SHOWN_NAMES = 4;

function namesOf({ dnsNames }: VerifiedPeer): string {
  return dnsNames.slice(0, SHOWN_NAMES).join(', ') || 'no dNSName';
}

/** Whether a dNSName of the certificate equals this host, ignoring case. Wildcards do not match. */
function namesHost({ dnsNames }: VerifiedPeer, host: string): boolean {
  return dnsNames.some((name) => name.toLowerCase() === host.toLowerCase());
}
