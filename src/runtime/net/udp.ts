import { createSocket, type Socket, type SocketOptions } from 'node:dgram';
import { once } from 'node:events';
import { familyOf } from '../../protocol/bytes/address.js';
import type { PacEndpoint } from '../../protocol/pana/session/start.js';

/** Receive buffer sizes to try, largest first. Many nodes may start at once; the kernel limits the size. */
const RECEIVE_BUFFERS = [16 * 1024 * 1024, 4 * 1024 * 1024, 1024 * 1024, 256 * 1024];

/**
 * Octets that wait in this process because the kernel's send buffer is full, as behind a slow link. More are lost: whoever can
 * cause answers could otherwise fill the memory, and late datagrams are worth nothing.
 */
const MAX_SEND_QUEUE = 1024 * 1024;

export interface UdpOptions {
  /** Address to bind; a link-local one includes its scope (`fe80::1%eth0`). */
  readonly address: string;
  /** 0: any free port. */
  readonly port: number;
  /** A multicast group to join on an interface. */
  readonly group?: { readonly address: string; readonly interface: string };
}

/** A UDP socket bound to a local address. */
export interface DatagramSocket {
  /** The local address and port when the socket was opened. */
  readonly address: { readonly address: string; readonly port: number };
  /** The value of `from.local` for datagrams received here. */
  readonly label: string;
  /** The local address and port when the socket was opened, as text. */
  readonly place: string;
  /**
   * Sends a datagram. A connected socket ignores `to`. Returns false if the datagram is lost because the socket is
   * closed, the platform refuses the address, port or length, or too much waits to be sent.
   */
  send(octets: Uint8Array, to: { readonly address: string; readonly port: number }): boolean;
  /** Resolves when the socket is closed. */
  close(): Promise<void>;
}

/** Opens UDP sockets, of the system or of a simulated network. */
export interface Udp {
  /** Binds a socket. Rejects with the system's error (EADDRINUSE, EACCES, EADDRNOTAVAIL). */
  open(options: UdpOptions, onDatagram: (octets: Uint8Array, from: PacEndpoint) => void): Promise<DatagramSocket>;
  /**
   * Opens a socket connected to one remote end. Datagrams from elsewhere are dropped, and the route determines the
   * local address. Rejects with the system's error.
   */
  connect(
    to: { readonly address: string; readonly port: number },
    from: Partial<UdpOptions>,
    onDatagram: (octets: Uint8Array) => void,
  ): Promise<DatagramSocket>;
}

/**
 * A UDP socket on one local address. One socket per address is needed, because Node does not report the destination of
 * a datagram.
 */
export class UdpSocket implements DatagramSocket {
  readonly #socket: Socket;
  readonly #label: string;
  readonly #connected: boolean;
  /** The local address and port when the socket was opened. */
  readonly address: { readonly address: string; readonly port: number };
  #closed = false;

  private constructor(socket: Socket, connected: boolean) {
    const { address, port } = socket.address();
    this.#socket = socket;
    this.address = { address, port };
    this.#label = `${address}|${port}`;
    this.#connected = connected;
  }

  /** Binds a socket. Rejects with the system's error (EADDRINUSE, EACCES, EADDRNOTAVAIL). */
  static async open(
    options: UdpOptions,
    onDatagram: (octets: Uint8Array, from: PacEndpoint) => void,
  ): Promise<UdpSocket> {
    const { address, port, group } = options;
    const six = isIpv6(address);
    const socket = createSocket({ type: six ? 'udp6' : 'udp4', ipv6Only: six, lookup });
    try {
      await after('listening', socket, () => socket.bind({ address, port, exclusive: true }));
      if (group) socket.addMembership(group.address, `::%${group.interface}`);
    } catch (error) {
      socket.close();
      throw error;
    }
    widen(socket);
    const bound = socket.address();
    const label = `${bound.address}|${bound.port}`;
    socket.on('message', messageListener(label, onDatagram));
    // A datagram that cannot be sent counts as lost; the protocol retransmits it.
    socket.on('error', () => undefined);
    return new UdpSocket(socket, false);
  }

  /**
   * Opens a socket connected to one remote end. The kernel drops datagrams from elsewhere and chooses the local address
   * by the route. Rejects with the system's error.
   */
  static async connect(
    to: { readonly address: string; readonly port: number },
    from: Partial<UdpOptions>,
    onDatagram: (octets: Uint8Array) => void,
  ): Promise<UdpSocket> {
    const socket = createSocket({ type: isIpv6(to.address) ? 'udp6' : 'udp4', lookup });
    try {
      if (from.address !== undefined || from.port !== undefined) {
        await after('listening', socket, () => socket.bind({ ...from, exclusive: true }));
      }
      await after('connect', socket, () => socket.connect(to.port, to.address));
    } catch (error) {
      socket.close();
      throw error;
    }
    socket.on('message', (octets) => onDatagram(octets));
    // An ICMP error only means that a datagram was lost.
    socket.on('error', () => undefined);
    return new UdpSocket(socket, true);
  }

  /** The value of `from.local` for datagrams received here. */
  get label(): string {
    return this.#label;
  }

  /** The local address and port when the socket was opened, as text. */
  get place(): string {
    return this.#label.replace('|', ' port ');
  }

  /**
   * Sends a datagram. A connected socket ignores `to`. Returns false if the datagram is lost because the socket is
   * closed, the platform refuses the address, port or length (Node throws for some of these), or too much waits to be sent.
   */
  send(octets: Uint8Array, to: { readonly address: string; readonly port: number }): boolean {
    if (this.#closed || this.#socket.getSendQueueSize() > MAX_SEND_QUEUE) return false;
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

/** UDP sockets of the system. */
export const systemUdp: Udp = UdpSocket;

/** Whether this is an IPv6 address, with or without a scope. */
function isIpv6(address: string): boolean {
  return familyOf(address.split('%', 1)[0] ?? '') === 6;
}

/**
 * Takes the place of `dns.lookup`, since all names here are addresses: the platform would test each with an expression
 * that takes 6 ms to compile. Something else is no name to look up; the socket refuses it.
 */
const lookup: NonNullable<SocketOptions['lookup']> = (address, _options, done) =>
  done(null, address, isIpv6(address) ? 6 : 4);

/** Does something and waits for the event after it, which may come at once. Rejects with the socket's error. */
async function after(event: 'listening' | 'connect', socket: Socket, action: () => void): Promise<void> {
  const happened = once(socket, event);
  action();
  await happened;
}

/** Whether Node refused a datagram because of its arguments, before it reached the system. */
function isRefusal(error: unknown): boolean {
  const { code = '' } = error as NodeJS.ErrnoException;
  return (
    code === 'ERR_SOCKET_BAD_PORT' ||
    code === 'ERR_SOCKET_DGRAM_NOT_CONNECTED' ||
    code === 'ERR_SOCKET_DGRAM_NOT_RUNNING'
  );
}

/** Returns the listener for datagrams of a socket. Each datagram has its own buffer, which the machine may keep. */
export function messageListener(
  label: string,
  onDatagram: (octets: Uint8Array, from: PacEndpoint) => void,
): (octets: Uint8Array, from: { readonly address: string; readonly port: number }) => void {
  return (octets, { address, port }) => onDatagram(octets, { address, port, local: label });
}

/** Enlarges the receive buffer. Linux reduces a size above its limit; FreeBSD refuses it. */
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
