import { once } from 'node:events';
import { connect, createServer, isIP, type Socket } from 'node:net';
import { parseAddress } from '../../protocol/bytes/address.js';
import { withoutScope } from '../../protocol/bytes/address-set.js';
import type { Guard } from '../service/barrier.js';

/** Size of the read buffer in octets. */
const READ_BUFFER = 65_536;

export interface TransportAddress {
  readonly address: string;
  readonly port: number;
}

/** The octet stream of a connection, in order. */
export interface OctetStream {
  /** Whether octets can still be sent. */
  readonly writable: boolean;
  readonly closed: boolean;
  /** Octets that are buffered for sending. */
  readonly writableLength: number;
  on(event: 'data', listener: (chunk: Uint8Array) => void): unknown;
  on(event: 'close' | 'error', listener: () => void): unknown;
  /** Reads nothing until `resume`. A stream without these passes all it receives at once. */
  pause?(): unknown;
  resume?(): unknown;
  /** Calls `sent` when the octets are no longer needed. */
  write(octets: Uint8Array, sent?: () => void): unknown;
  /** Closes the stream after sending what is buffered. */
  end(): unknown;
}

/** A connection that a transport has opened: its octet stream and the addresses and identities of its ends. */
export interface TransportConnection {
  readonly stream: OctetStream;
  /** Local address in network byte order. */
  readonly localAddress: Uint8Array;
  readonly remoteAddress: string;
  /** The dNSNames of the peer's certificate. Undefined: the connection is not protected by TLS. */
  readonly identities: readonly string[] | undefined;
  /** Closes the connection at once, because its stream can no longer be trusted (RFC 6733 2.1). */
  reset(): void;
}

export interface TransportListener extends TransportAddress {
  /** Stops accepting connections. Resolves when all accepted connections are closed. */
  close(): Promise<void>;
}

/** Follows an incoming connection until it can carry messages. */
export interface IncomingConnection {
  /** The connection can carry messages now. */
  accepted(connection: TransportConnection): void;
  /** The connection was closed before it was accepted. */
  closed(): void;
}

/** Reports an incoming connection and its source address. The node calls `drop` to close it before it is accepted. */
export type OnIncoming = (address: string, drop: () => void) => IncomingConnection;

/** Opens and accepts connections. TCP is in this file, TLS in tls.ts (RFC 6733 2.2). */
export interface Transport {
  /** Rejects with the system's error, or when the signal aborts. */
  connect(to: TransportAddress, host: string, signal: AbortSignal): Promise<TransportConnection>;
  /**
   * Listens for connections. `guard` contains faults in handling them. Rejects with the system's error (EADDRINUSE,
   * EACCES, EADDRNOTAVAIL).
   */
  listen(at: TransportAddress, onIncoming: OnIncoming, guard: Guard): Promise<TransportListener>;
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
    const abort = () => socket.destroy(new Error('aborted'));
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

  async listen(at, onIncoming, guard) {
    const server = createServer({ noDelay: true }, (socket) =>
      guard.run(
        'diameter',
        () => onIncoming(socket.remoteAddress ?? '', () => socket.destroy()).accepted(tcpConnection(socket)),
        () => socket.destroy(),
      ),
    );
    server.listen({ host: at.address, port: at.port, ipv6Only: isIP(at.address) === 6 });
    await once(server, 'listening');
    // An error of accept() affects that connection only.
    server.on('error', () => undefined);
    const bound = server.address();
    const port = typeof bound === 'object' && bound ? bound.port : at.port;
    const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
    return { address: at.address, port, close };
  },
};

/**
 * Emits a copy of the octets read and overwrites the read buffer, since an answer may contain a key. With our own
 * buffer, Node makes no copy that stays in memory.
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
    stream: new GatheringStream(socket),
    localAddress: parseAddress(withoutScope(socket.localAddress)) ?? new Uint8Array(4),
    remoteAddress: socket.remoteAddress ?? '',
    identities: undefined,
    reset: () => socket.resetAndDestroy(),
  };
}

/**
 * Gathers what is written within a turn of the event loop and passes it to the system in one call. A write to a TCP
 * connection costs more than encoding the message, and many messages become ready in the same turn. The octets are
 * passed where they are and not copied, so that the writer can overwrite a key once they are sent.
 */
class GatheringStream implements OctetStream {
  readonly #socket: Socket;
  #gathers = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get writable(): boolean {
    return this.#socket.writable;
  }

  get closed(): boolean {
    return this.#socket.closed;
  }

  get writableLength(): number {
    return this.#socket.writableLength;
  }

  on(event: 'data' | 'close' | 'error', listener: (chunk: Uint8Array) => void): unknown {
    return this.#socket.on(event, listener);
  }

  write(octets: Uint8Array, sent?: () => void): unknown {
    if (!this.#gathers) {
      this.#gathers = true;
      this.#socket.cork();
      setImmediate(() => {
        this.#gathers = false;
        this.#socket.uncork();
      });
    }
    return this.#socket.write(octets, sent);
  }

  end(): unknown {
    return this.#socket.end();
  }

  pause(): unknown {
    return this.#socket.pause();
  }

  resume(): unknown {
    return this.#socket.resume();
  }
}
