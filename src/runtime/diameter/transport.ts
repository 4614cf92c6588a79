import { once } from 'node:events';
import { connect, createServer, isIP, type Socket } from 'node:net';
import { parseAddress } from '../../protocol/bytes/address.js';
import { withoutScope } from '../../protocol/bytes/address-set.js';
import type { Guard } from '../service/barrier.js';

/** Octets that are read at once. */
const READ_BUFFER = 65_536;

export interface TransportAddress {
  readonly address: string;
  readonly port: number;
}

/** Octets of a connection, in order. */
export interface OctetStream {
  /** What is sent from now on may still arrive. */
  readonly writable: boolean;
  /** Nothing comes any more. */
  readonly closed: boolean;
  /** Octets that wait to be sent. */
  readonly writableLength: number;
  on(event: 'data', listener: (chunk: Uint8Array) => void): unknown;
  on(event: 'close' | 'error', listener: () => void): unknown;
  /** `sent`: the octets are not needed any more. */
  write(octets: Uint8Array, sent?: () => void): unknown;
  /** Closes it once everything is sent. */
  end(): unknown;
}

/** A connection as a transport gives it: a stream of octets, and what is known of its ends. */
export interface TransportConnection {
  readonly stream: OctetStream;
  /** Octets of our own address. */
  readonly localAddress: Uint8Array;
  readonly remoteAddress: string;
  /** DiameterIdentities that the certificate of the other end bears; undefined: TLS does not protect the connection. */
  readonly identities: readonly string[] | undefined;
  /** Closes without ceremony: the stream is not to be trusted any more (RFC 6733 2.1). */
  reset(): void;
}

export interface TransportListener extends TransportAddress {
  /** Takes no more connections; resolves when the last one that was taken is closed. */
  close(): Promise<void>;
}

/** An incoming connection before it can carry messages. */
export interface Guest {
  /** It can carry messages. */
  accepted(connection: TransportConnection): void;
  /** It closed before. */
  closed(): void;
}

/** Reports an incoming connection from this address; the node calls `drop` to close it before it is accepted. */
export type Knock = (address: string, drop: () => void) => Guest;

/** How connections are made: TCP here, TLS in the same form (RFC 6733 2.2). */
export interface Transport {
  /** Rejects with the system's error, or when the signal aborts. */
  connect(to: TransportAddress, host: string, signal: AbortSignal): Promise<TransportConnection>;
  /**
   * Takes connections; `guard` stands around what happens to them. Rejects with the system's error (EADDRINUSE, EACCES,
   * EADDRNOTAVAIL).
   */
  listen(at: TransportAddress, knock: Knock, guard: Guard): Promise<TransportListener>;
}

export const tcpTransport: Transport = {
  async connect(to, _host, signal) {
    signal.throwIfAborted();
    const socket: Socket = connect({
      host: to.address,
      port: to.port,
      noDelay: true,
      onread: { buffer: Buffer.alloc(READ_BUFFER), callback: (length, buffer) => take(socket, buffer, length) },
    });
    const abort = () => socket.destroy(new Error('given up'));
    signal.addEventListener('abort', abort, { once: true });
    try {
      await once(socket, 'connect');
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
    }
    return tcpConnection(socket);
  },

  async listen(at, knock, guard) {
    const server = createServer({ noDelay: true }, (socket) =>
      guard.run(
        'diameter',
        () => knock(socket.remoteAddress ?? '', () => socket.destroy()).accepted(tcpConnection(socket)),
        () => socket.destroy(),
      ),
    );
    server.listen({ host: at.address, port: at.port, ipv6Only: isIP(at.address) === 6 });
    await once(server, 'listening');
    // An error of accept() costs that connection only.
    server.on('error', () => undefined);
    const bound = server.address();
    const port = typeof bound === 'object' && bound ? bound.port : at.port;
    const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
    return { address: at.address, port, close };
  },
};

/**
 * Hands on what was read, and overwrites it: an answer may hold a key. Without a buffer of ours Node reads into one of its
 * own, copies that and frees it as it is.
 */
function take(socket: Socket, buffer: Uint8Array, length: number): boolean {
  const read = buffer.subarray(0, length);
  const chunk = Buffer.from(read);
  read.fill(0);
  socket.emit('data', chunk);
  return true;
}

function tcpConnection(socket: Socket): TransportConnection {
  return {
    stream: socket,
    localAddress: parseAddress(withoutScope(socket.localAddress)) ?? new Uint8Array(4),
    remoteAddress: socket.remoteAddress ?? '',
    identities: undefined,
    reset: () => socket.resetAndDestroy(),
  };
}
