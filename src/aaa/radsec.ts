import { ConnectionSlots } from '../protocol/fairness/connection-slots.js';
import { RadiusFramer } from '../protocol/radius/wire/framer.js';
import { type DiameterTlsOptions, type OnTlsRefused, TlsTransport } from '../runtime/diameter/tls.js';
import type { TransportConnection, TransportListener } from '../runtime/diameter/transport.js';
import type { Guard } from '../runtime/service/barrier.js';
import type { Host } from '../runtime/system/host.js';

/** Maximum number of open connections of one client, by its certificate. A further one closes the oldest. */
const MAX_CONNECTIONS = 64;

/** Limit of the octets that a client does not read. */
const MAX_SEND_BUFFER = 1024 * 1024;

/** A packet on a connection. `local` names the connection. */
export interface SecuredPacket {
  readonly octets: Uint8Array;
  readonly names: readonly string[];
  readonly end: { readonly address: string; readonly port: number; readonly local: string };
}

interface RadSecParts {
  readonly guard: Guard;
  readonly host: Host;
  readonly onPacket: (packet: SecuredPacket) => void;
  /** A connection can carry packets. `names`: the dNSNames in the certificate of the client. */
  readonly onOpened: (local: string, names: readonly string[]) => void;
  readonly onClosed: (local: string) => void;
}

/** RADIUS over TLS (RFC 6614): connections of clients with certificates of a trusted CA. */
export class RadSec {
  readonly #transport: TlsTransport;
  readonly #parts: RadSecParts;
  readonly #slots = new ConnectionSlots<{ drop: () => void }>(() => false);
  /** By label, the oldest first. */
  readonly #connections = new Map<string, TransportConnection>();
  readonly #listeners: TransportListener[] = [];
  #last = 0;

  constructor(tls: DiameterTlsOptions, onRefused: OnTlsRefused, parts: RadSecParts) {
    this.#transport = new TlsTransport(tls, parts.host, onRefused);
    this.#parts = parts;
  }

  get addresses(): { readonly address: string; readonly port: number }[] {
    return this.#listeners.map(({ address, port }) => ({ address, port }));
  }

  async listen(address: string, port: number): Promise<void> {
    const { guard, host } = this.#parts;
    const onIncoming = (from: string, drop: () => void) => {
      const waiting = { drop };
      this.#slots.enter(waiting, from, host.monotonic())?.drop();
      return {
        accepted: (connection: TransportConnection) => {
          this.#slots.leave(waiting);
          this.#slots.accepted(from);
          this.#accepted(connection);
        },
        closed: () => this.#slots.leave(waiting),
      };
    };
    this.#listeners.push(await this.#transport.listen({ address, port }, onIncoming, guard));
  }

  reload(tls: DiameterTlsOptions): void {
    this.#transport.reload(tls);
  }

  /** Sends a packet on a connection, unless that is closed or its client does not read. */
  send(label: string, octets: Uint8Array): void {
    const connection = this.#connections.get(label);
    if (!connection?.stream.writable) return;
    if (connection.stream.writableLength > MAX_SEND_BUFFER) connection.reset();
    else connection.stream.write(octets);
  }

  async stop(): Promise<void> {
    const closing = this.#listeners.map((listener) => listener.close());
    for (const connection of this.#connections.values()) connection.reset();
    await Promise.all(closing);
  }

  #accepted(connection: TransportConnection): void {
    const { guard, onPacket, onOpened, onClosed } = this.#parts;
    const { stream, remoteAddress: address, identities: names = [] } = connection;
    this.#makeRoom(names);
    this.#last += 1;
    const local = `tls|${this.#last}`;
    this.#connections.set(local, connection);
    const framer = new RadiusFramer();
    stream.on('error', () => undefined);
    stream.on('close', () => {
      this.#connections.delete(local);
      guard.run('datagram', () => onClosed(local));
    });
    onOpened(local, names);
    stream.on('data', (chunk) =>
      guard.run(
        'datagram',
        () => {
          for (const octets of framer.push(chunk)) onPacket({ octets, names, end: { address, port: 0, local } });
          if (framer.isBroken) connection.reset();
        },
        () => connection.reset(),
      ),
    );
  }

  #makeRoom(names: readonly string[]): void {
    const key = keyOf(names);
    const own = [...this.#connections.values()].filter(({ identities = [] }) => keyOf(identities) === key);
    if (own.length >= MAX_CONNECTIONS) own[0]?.reset();
  }
}

function keyOf(names: readonly string[]): string {
  return [...names].sort().join(' ').toLowerCase();
}
