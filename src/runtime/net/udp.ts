import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import type { PacEndpoint } from '../../protocol/pana/session/start.js';

/** Room for the datagrams of many nodes that start at once; the largest that the kernel gives is taken. */
const RECEIVE_BUFFERS = [16 * 1024 * 1024, 4 * 1024 * 1024, 1024 * 1024, 256 * 1024];

export interface UdpOptions {
  /** Address to bind, with the scope of a link-local one (`fe80::1%eth0`). */
  readonly address: string;
  /** 0: any free port. */
  readonly port: number;
}

/** A UDP socket on one of our addresses. */
export interface DatagramSocket {
  /** Our own end as it was when the socket was made. */
  readonly address: { readonly address: string; readonly port: number };
  /** What `from.local` says of datagrams that came here. */
  readonly label: string;
  /** Our own end as it was when the socket was made, for people. */
  readonly place: string;
  /**
   * A connected socket sends to its other end, whatever `to` says. False: the datagram is lost, since the socket is closed or
   * the platform takes no such address, port or length.
   */
  send(octets: Uint8Array, to: { readonly address: string; readonly port: number }): boolean;
  /** Resolves when the socket is closed. */
  close(): Promise<void>;
}

/** How UDP sockets are made: by the system, or in a simulated network. */
export interface Udp {
  /** Binds; rejects with the system's error (EADDRINUSE, EACCES, EADDRNOTAVAIL). */
  open(options: UdpOptions, onDatagram: (octets: Uint8Array, from: PacEndpoint) => void): Promise<DatagramSocket>;
  /**
   * A socket for one other end only: what comes from anywhere else is dropped, and the route there decides on our own address.
   * Rejects with the system's error.
   */
  connect(
    to: { readonly address: string; readonly port: number },
    from: Partial<UdpOptions>,
    onDatagram: (octets: Uint8Array) => void,
  ): Promise<DatagramSocket>;
}

/** One UDP socket on one address: Node cannot say which of its addresses a datagram came to. */
export class UdpSocket implements DatagramSocket {
  readonly #socket: Socket;
  readonly #label: string;
  readonly #connected: boolean;
  /** Our own end as it was when the socket was made. */
  readonly address: { readonly address: string; readonly port: number };
  #closed = false;

  private constructor(socket: Socket, connected: boolean) {
    const { address, port } = socket.address();
    this.#socket = socket;
    this.address = { address, port };
    this.#label = `${address}|${port}`;
    this.#connected = connected;
  }

  /** Binds; rejects with the system's error (EADDRINUSE, EACCES, EADDRNOTAVAIL). */
  static async open(
    options: UdpOptions,
    onDatagram: (octets: Uint8Array, from: PacEndpoint) => void,
  ): Promise<UdpSocket> {
    const { address, port } = options;
    const six = isIPv6(address);
    const socket = createSocket({ type: six ? 'udp6' : 'udp4', ipv6Only: six });
    socket.bind({ address, port, exclusive: true });
    try {
      await once(socket, 'listening');
    } catch (error) {
      socket.close();
      throw error;
    }
    widen(socket);
    const bound = socket.address();
    const label = `${bound.address}|${bound.port}`;
    socket.on('message', messageListener(label, onDatagram));
    // A datagram that cannot be sent is a lost datagram: the retransmission takes care of it.
    socket.on('error', () => undefined);
    return new UdpSocket(socket, false);
  }

  /**
   * A socket for one other end only: the kernel drops what comes from anywhere else, and chooses our own address by its
   * route. Rejects with the system's error.
   */
  static async connect(
    to: { readonly address: string; readonly port: number },
    from: Partial<UdpOptions>,
    onDatagram: (octets: Uint8Array) => void,
  ): Promise<UdpSocket> {
    const socket = createSocket({ type: isIPv6(to.address) ? 'udp6' : 'udp4' });
    try {
      if (from.address !== undefined || from.port !== undefined) {
        socket.bind({ ...from, exclusive: true });
        await once(socket, 'listening');
      }
      socket.connect(to.port, to.address);
      await once(socket, 'connect');
    } catch (error) {
      socket.close();
      throw error;
    }
    socket.on('message', (octets) => onDatagram(octets));
    // An ICMP error says only that this datagram was lost.
    socket.on('error', () => undefined);
    return new UdpSocket(socket, true);
  }

  /** What `from.local` says of datagrams that came here. */
  get label(): string {
    return this.#label;
  }

  /** Our own end as it was when the socket was made, for people. */
  get place(): string {
    return this.#label.replace('|', ' port ');
  }

  /**
   * A connected socket sends to its other end, whatever `to` says. False: the datagram is lost, since the socket is closed or
   * the platform takes no such address, port or length; it throws for some of them.
   */
  send(octets: Uint8Array, to: { readonly address: string; readonly port: number }): boolean {
    if (this.#closed) return false;
    try {
      if (this.#connected) this.#socket.send(octets, () => undefined);
      else this.#socket.send(octets, to.port, to.address, () => undefined);
      return true;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return false;
    }
  }

  /** Resolves when the socket is closed. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const closed = once(this.#socket, 'close');
    this.#socket.close();
    await closed;
  }
}

/** The system's sockets. */
export const systemUdp: Udp = UdpSocket;

/** Whether the platform refused a datagram for what it says, before it gave it to the system. */
function isRefusal(error: unknown): boolean {
  const { code = '' } = error as NodeJS.ErrnoException;
  return (
    code === 'ERR_SOCKET_BAD_PORT' ||
    code === 'ERR_SOCKET_DGRAM_NOT_CONNECTED' ||
    code === 'ERR_SOCKET_DGRAM_NOT_RUNNING'
  );
}

/** What a socket with this label calls for each datagram, which has a buffer of its own: the machine may keep it. */
export function messageListener(
  label: string,
  onDatagram: (octets: Uint8Array, from: PacEndpoint) => void,
): (octets: Uint8Array, from: { readonly address: string; readonly port: number }) => void {
  return (octets, { address, port }) => onDatagram(octets, { address, port, local: label });
}

/** Linux cuts a size that is too large, FreeBSD refuses it. */
function widen(socket: Socket): void {
  for (const size of RECEIVE_BUFFERS) {
    try {
      socket.setRecvBufferSize(size);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_SOCKET_BUFFER_SIZE') throw error;
    }
  }
}
