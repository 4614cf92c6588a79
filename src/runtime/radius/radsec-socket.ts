import { RadiusFramer } from '../../protocol/radius/wire/framer.js';
import type { TlsTransport } from '../diameter/tls.js';
import type { TransportAddress } from '../diameter/transport.js';
import type { Host } from '../system/host.js';

/** How long TCP and TLS handshake may take, in milliseconds. */
const CONNECT_TIME = 5_000;

/** Limit of the octets that a server does not read. */
const MAX_SEND_BUFFER = 1024 * 1024;

/** A RadSec connection to a server. */
export interface RadSecSocket {
  send(octets: Uint8Array): void;
  close(): Promise<void>;
}

/** Where a server is, and the dNSName in its certificate. */
export interface RadSecPlace extends TransportAddress {
  readonly certificate: string;
}

/** Receives what happens on a connection. */
export interface RadSecEvents {
  readonly onPacket: (octets: Uint8Array) => void;
  readonly onClosed: () => void;
}

/**
 * Connects to a server by RADIUS over TLS (RFC 6614). Rejects if it does not answer, has another certificate, or the signal
 * aborts.
 */
export async function connectRadSec(
  { address, port, certificate }: RadSecPlace,
  transport: TlsTransport,
  host: Host,
  { onPacket, onClosed }: RadSecEvents,
  signal?: AbortSignal,
): Promise<RadSecSocket> {
  const controller = new AbortController();
  const cancel = host.after(CONNECT_TIME, () => controller.abort());
  const connection = await transport
    .connect({ address, port }, certificate, AbortSignal.any([controller.signal, ...(signal ? [signal] : [])]))
    .finally(() => cancel());
  const { stream } = connection;
  const closed = new Promise<void>((resolve) => {
    stream.on('close', resolve);
  });
  const framer = new RadiusFramer();
  stream.on('error', () => undefined);
  stream.on('close', onClosed);
  stream.on('data', (chunk) => {
    for (const octets of framer.push(chunk)) onPacket(octets);
    if (framer.isBroken) connection.reset();
  });
  return {
    send: (octets) => {
      if (!stream.writable) return;
      if (stream.writableLength > MAX_SEND_BUFFER) connection.reset();
      else stream.write(octets);
    },
    close: async () => {
      connection.reset();
      await closed;
    },
  };
}
