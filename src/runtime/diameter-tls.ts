import { constants } from 'node:crypto';
import { once } from 'node:events';
import { isIP, type Socket } from 'node:net';
import { connect, createServer, type SecureVersion, type Server, type TLSSocket } from 'node:tls';
import { parseAddress } from '../protocol/bytes/address.js';
import {
  CER_TIMEOUT,
  type Transport,
  type TransportAddress,
  type TransportConnection,
  type TransportListener,
  withoutScope,
} from './diameter-transport.js';

/** Handshakes under way at once: each costs a socket and its keys; when there are more, the oldest is closed. */
export const MAX_HANDSHAKES = 64;

/** PEM texts and versions of TLS; the same for both directions. */
export interface DiameterTlsOptions {
  readonly caPem: string;
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly crlPem: string | undefined;
  readonly minVersion: SecureVersion;
  readonly maxVersion: SecureVersion;
  readonly ciphers: string | undefined;
  readonly ecdhCurve?: string;
}

/**
 * TLS from the first octet (RFC 6733 2.2, 13.1): both ends have a certificate of the CA, and the one of the other end bears
 * its DiameterIdentity as a dNSName.
 */
export class TlsTransport implements Transport {
  #options: DiameterTlsOptions;
  readonly #servers = new Set<Server>();
  readonly #onRefused: (reason: string) => void;

  /** `onRefused`: why a connection did not come to be. */
  constructor(options: DiameterTlsOptions, onRefused: (reason: string) => void = () => undefined) {
    this.#options = options;
    this.#onRefused = onRefused;
  }

  /** Other certificates for connections from now on. */
  reload(options: DiameterTlsOptions): void {
    this.#options = options;
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
      // By its DiameterIdentity, not by the address that it is reached at.
      checkServerIdentity: (_address, certificate) =>
        bears(certificate.subjectaltname, host) ? undefined : new Error(`its certificate does not bear ${host}`),
    });
    const abort = () => socket.destroy(new Error('given up'));
    signal.addEventListener('abort', abort, { once: true });
    try {
      await once(socket, 'secureConnect');
    } catch (error) {
      socket.destroy();
      this.#onRefused((error as Error).message);
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
    }
    socket.setNoDelay(true);
    return tlsConnection(socket);
  }

  async listen(
    at: TransportAddress,
    onConnection: (connection: TransportConnection) => void,
  ): Promise<TransportListener> {
    const server = createServer({
      ...contextOf(this.#options),
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: CER_TIMEOUT,
      // A session that is resumed would not be held against the CRL.
      sessionTimeout: 1,
      secureOptions: constants.SSL_OP_NO_TICKET,
    });
    const handshakes = new Map<string, Socket>();
    server.on('connection', (socket: Socket) => {
      const end = endOf(socket);
      handshakes.set(end, socket);
      socket.once('close', () => handshakes.delete(end));
      const [oldest] = handshakes.values();
      if (handshakes.size > MAX_HANDSHAKES) oldest?.destroy();
    });
    server.on('secureConnection', (socket) => {
      handshakes.delete(endOf(socket));
      socket.setNoDelay(true);
      onConnection(tlsConnection(socket));
    });
    server.on('tlsClientError', (error, socket) => {
      this.#onRefused(String(socket.authorizationError ?? error.message));
      socket.destroy();
    });
    server.listen({ host: at.address, port: at.port, ipv6Only: isIP(at.address) === 6 });
    await once(server, 'listening');
    // A connection that cannot be accepted is one that was not made.
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
}

function contextOf(options: DiameterTlsOptions) {
  const { caPem, certificatePem, keyPem, crlPem, minVersion, maxVersion, ciphers, ecdhCurve } = options;
  return {
    ca: caPem,
    cert: certificatePem,
    key: keyPem,
    minVersion,
    maxVersion,
    ...(crlPem === undefined ? {} : { crl: crlPem }),
    ...(ciphers === undefined ? {} : { ciphers }),
    ...(ecdhCurve === undefined ? {} : { ecdhCurve }),
  };
}

/** The other end of a connection, which only one has at a time. */
function endOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function tlsConnection(socket: TLSSocket): TransportConnection {
  const names = socket.getPeerCertificate().subjectaltname;
  return {
    stream: socket,
    secure: true,
    localAddress: parseAddress(withoutScope(socket.localAddress)) ?? new Uint8Array(4),
    remoteAddress: socket.remoteAddress ?? '',
    mayBe: (host) => bears(names, host),
    reset: () => socket.destroy(),
  };
}

/** Whether one of a certificate's subjectAltNames is this host: to the letter, but for case; no wildcards. */
function bears(subjectAltName: string | undefined, host: string): boolean {
  return (subjectAltName ?? '')
    .split(', ')
    .some((name) => name.startsWith('DNS:') && name.slice('DNS:'.length).toLowerCase() === host.toLowerCase());
}
