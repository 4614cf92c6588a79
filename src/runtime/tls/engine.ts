import { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { Secret } from '../../protocol/bytes/secret.js';
import { EXTENDED_MASTER_SECRET } from '../../protocol/eap/server-hello.js';
import type { MasterSecretPolicy } from './settings.js';

/** RFC 5216 2.3 and RFC 5705: no context at all, which differs from an empty one. */
const LABEL_TLS12 = 'client EAP encryption';
/** RFC 9190 2.3: context is the EAP type. */
const LABEL_TLS13 = 'EXPORTER_EAP_TLS_Key_Material';
const LABEL_METHOD_ID = 'EXPORTER_EAP_TLS_Method-Id';
const CONTEXT = Buffer.of(13);

/** MSK and EMSK have 64 octets each; `sessionId` is the EAP Session-Id of 65 (RFC 5216 2.3, RFC 9190 2.3). */
export interface EapTlsKeys {
  readonly msk: Secret;
  readonly emsk: Secret;
  readonly sessionId: Uint8Array;
}

/**
 * The wire that a TLS connection is given instead of a socket: what the engine writes is gathered into a flight, and
 * what came from the other end is fed in.
 */
export class FlightWire extends Duplex {
  #out: Buffer[] = [];
  #activity = 0;

  override _read(): void {
    // Octets come by feed().
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#out.push(chunk);
    this.#activity += 1;
    done();
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    for (const { chunk } of chunks) this.#out.push(chunk);
    this.#activity += 1;
    done();
  }

  /** Feeds a flight and resolves when the engine has written all it has to say to it. */
  async exchange(flight: Uint8Array): Promise<void> {
    if (flight.length > 0) this.push(Buffer.from(flight));
    await this.settle();
  }

  /** Resolves when two turns of the event loop have brought nothing more: a flight comes in several pieces. */
  async settle(): Promise<void> {
    for (let quiet = 0, seen = this.#activity; quiet < 2; ) {
      await new Promise(setImmediate);
      quiet = seen === this.#activity ? quiet + 1 : 0;
      seen = this.#activity;
    }
  }

  /** What the engine wrote since the last call. */
  takeFlight(): Uint8Array {
    const flight = this.#out.length === 1 ? this.#out[0] : Buffer.concat(this.#out);
    this.#out = [];
    return flight ?? Buffer.alloc(0);
  }
}

/** Keys of a finished handshake. `randoms`: both randoms, which TLS 1.2 needs for the Session-Id. */
export function exportKeys(socket: TLSSocket, randoms: Uint8Array | undefined): EapTlsKeys {
  const tls13 = socket.getProtocol() === 'TLSv1.3';
  const material = tls13
    ? socket.exportKeyingMaterial(128, LABEL_TLS13, CONTEXT)
    : exportWithoutContext(socket, 128, LABEL_TLS12);
  const methodId = tls13 ? socket.exportKeyingMaterial(64, LABEL_METHOD_ID, CONTEXT) : (randoms ?? new Uint8Array(64));
  const sessionId = new Uint8Array(65);
  sessionId[0] = 13;
  sessionId.set(methodId, 1);
  return {
    msk: Secret.take(material.subarray(0, 64)),
    emsk: Secret.take(material.subarray(64)),
    sessionId,
  };
}

/** Node's types ask for a context, which RFC 5216 does not have. */
function exportWithoutContext(socket: TLSSocket, length: number, label: string): Buffer {
  const untyped: { exportKeyingMaterial(length: number, label: string): Buffer } = socket as never;
  return untyped.exportKeyingMaterial(length, label);
}

/**
 * What is wrong with the master secret of a handshake; undefined if nothing is. TLS 1.3 has no such weakness, and peers
 * with TLS 1.0 or 1.1 alone are older than RFC 7627.
 */
export function masterSecretProblem(
  socket: TLSSocket,
  serverExtensions: ReadonlySet<number> | undefined,
  policy: MasterSecretPolicy = 'required',
): string | undefined {
  if (policy === 'wanted' || socket.getProtocol() !== 'TLSv1.2') return undefined;
  if (serverExtensions?.has(EXTENDED_MASTER_SECRET)) return undefined;
  return 'TLS 1.2 without the extended master secret (RFC 7627)';
}

/** The random of a ClientHello or ServerHello that begins a flight (RFC 5246 7.4.1); undefined if none does. */
export function helloRandom(flight: Uint8Array): Uint8Array | undefined {
  const handshake = flight[0] === 22 && (flight[5] === 1 || flight[5] === 2);
  return handshake && flight.length >= 43 ? flight.slice(11, 43) : undefined;
}
