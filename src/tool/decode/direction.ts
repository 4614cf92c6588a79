import { DIAMETER_PORT, DIAMETER_TLS_PORT } from '../../protocol/diameter/wire/ports.js';
import { DiameterStream } from './diameter-stream.js';
import type { Packet } from './dissector.js';
import { type End, hidden, other } from './layer.js';
import { type Piece, TcpStream } from './tcp-stream.js';

/** RFC 6733 11.4: the ports of Diameter, and of Diameter over TLS. */
const DIAMETER_PORTS = new Set([DIAMETER_PORT, DIAMETER_TLS_PORT]);

/** Octets of a Diameter message up to the end of its length. */
const LENGTH_END = 4;

/** One direction of a connection. */
export class Direction {
  /** The last packet in this direction. */
  packet: Packet;
  readonly tcp = new TcpStream();
  readonly diameter: DiameterStream;
  back: Direction | undefined;
  /** Segments that do not begin with a Diameter message, and those of TLS. */
  #others = 0;
  #tls = 0;

  constructor(packet: Packet) {
    this.packet = packet;
    this.diameter = new DiameterStream(isDiameterPort(packet));
  }

  get held(): number {
    return this.tcp.held + this.diameter.held;
  }

  count(octets: Uint8Array): void {
    if (isTls(octets)) this.#tls += 1;
    else this.#others += 1;
  }

  /** Reports an unfinished message at the end of the stream. */
  rest(): Piece[] {
    return this.diameter.held < LENGTH_END ? [] : [{ type: 'missing', length: 0, why: 'lost' }];
  }

  notes(): (readonly [End, number])[] {
    const { from, to } = this.packet;
    const port = Math.min(from.port, to.port);
    const named = [from.port, to.port].find((each) => DIAMETER_PORTS.has(each)) ?? port;
    const out: (readonly [End, number])[] = [];
    const encrypted = this.#tls > 0;
    if (encrypted && isDiameterPort(this.packet)) {
      out.push([hidden(`segments of TLS on TCP port ${named}, which are encrypted`), this.#tls + this.#others]);
    } else if (isDiameterPort(this.packet)) {
      if (this.#others > 0)
        out.push([hidden(`segments on TCP port ${named} that begin no Diameter message`), this.#others]);
    } else if (this.#tls + this.#others > 0 && !this.diameter.isDiameter) {
      out.push([other(`segments on TCP port ${named}${encrypted ? ' (TLS)' : ''}`), this.#tls + this.#others]);
    }
    return out;
  }
}

export function isDiameterPort({ from, to }: Pick<Packet, 'from' | 'to'>): boolean {
  return DIAMETER_PORTS.has(from.port) || DIAMETER_PORTS.has(to.port);
}

/** The record header of TLS (RFC 8446 5.1). */
function isTls(octets: Uint8Array): boolean {
  const type = octets[0] ?? 0;
  return type >= 20 && type <= 23 && octets[1] === 3 && (octets[2] ?? 9) <= 4;
}
