import { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { Secret } from '../../protocol/bytes/secret.js';
import type { Hellos } from '../../protocol/eap/hello.js';
import type { EapKeys } from '../../protocol/eap/keys.js';
import type { MasterSecretPolicy } from './settings.js';

/** RFC 5216 2.3 and RFC 5705: no context, which is not the same as an empty one. */
const LABEL_TLS12 = 'client EAP encryption';
/** RFC 9190 2.3: the context is the EAP type. */
const LABEL_TLS13 = 'EXPORTER_EAP_TLS_Key_Material';
const LABEL_METHOD_ID = 'EXPORTER_EAP_TLS_Method-Id';
const CONTEXT = Buffer.of(13);

/**
 * Replaces the socket of a TLS connection: collects what the engine writes into a flight, and feeds it the peer's
 * flights.
 */
export class FlightWire extends Duplex {
  #out: Buffer[] = [];
  #activity = 0;

  override _read(): void {
    // Input comes from feed().
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

  /** Feeds a flight. Resolves when the engine has written its whole answer. */
  async exchange(flight: Uint8Array): Promise<void> {
    if (flight.length > 0) this.push(Buffer.from(flight));
    await this.settle();
  }

  /**
   * Resolves after two turns of the event loop without output, because the engine writes a flight in several pieces.
   */
  async settle(): Promise<void> {
    for (let quiet = 0, seen = this.#activity; quiet < 2; ) {
      await new Promise(setImmediate);
      quiet = seen === this.#activity ? quiet + 1 : 0;
      seen = this.#activity;
    }
  }

  /** Returns what the engine wrote since the last call. */
  takeFlight(): Uint8Array {
    const flight = this.#out.length === 1 ? this.#out[0] : Buffer.concat(this.#out);
    this.#out = [];
    return flight ?? Buffer.alloc(0);
  }
}

/** Exports the keys of a completed handshake. For TLS 1.2, the Session-Id is built from the hellos. */
export function exportKeys(socket: TLSSocket, { randoms }: Hellos): EapKeys {
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

/** Node's types require a context, but RFC 5216 uses none. */
function exportWithoutContext(socket: TLSSocket, length: number, label: string): Buffer {
  const untyped: { exportKeyingMaterial(length: number, label: string): Buffer } = socket as never;
  return untyped.exportKeyingMaterial(length, label);
}

/**
 * Why the master secret of a handshake is refused; undefined if it is accepted. TLS 1.3 does not have this weakness,
 * and peers that only support TLS 1.0 or 1.1 predate RFC 7627.
 */
export function masterSecretProblem(
  socket: TLSSocket,
  { hasExtendedMasterSecret }: Hellos,
  policy: MasterSecretPolicy = 'required',
): string | undefined {
  if (policy === 'wanted' || socket.getProtocol() !== 'TLSv1.2' || hasExtendedMasterSecret) return undefined;
  return 'TLS 1.2 without the extended master secret (RFC 7627)';
}
