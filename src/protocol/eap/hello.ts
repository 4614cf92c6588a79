import { DecodeError } from '../bytes/decode-error.js';
import { concat } from '../bytes/octets.js';
import { Reader } from '../bytes/reader.js';
import { CONTENT_TYPE, HANDSHAKE_TYPE } from './tls-numbers.js';

/** extended_master_secret, RFC 7627 5.1. */
export const EXTENDED_MASTER_SECRET = 23;

/**
 * The extension types in the ServerHello at the start of a flight (RFC 5246 7.4.1.3, RFC 8446 4.1.3). Undefined if the
 * flight does not start with a ServerHello, or if the ServerHello exceeds the first record.
 *
 *     record:      type(1) version(2) length(2)
 *     handshake:   msg_type(1) length(3)
 *     ServerHello: version(2) random(32) session_id<0..32> cipher_suite(2) compression(1) extensions<0..2^16-1>
 */
export function serverHelloExtensions(flight: Uint8Array): ReadonlySet<number> | undefined {
  try {
    const reader = new Reader(flight);
    if (reader.u8() !== CONTENT_TYPE.HANDSHAKE) return undefined;
    reader.u16();
    const record = new Reader(reader.bytes(reader.u16()));
    if (record.u8() !== HANDSHAKE_TYPE.SERVER_HELLO) return undefined;
    const length = record.u24();
    return readExtensions(new Reader(record.bytes(length)));
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

function readExtensions(hello: Reader): ReadonlySet<number> {
  const types = new Set<number>();
  hello.bytes(34);
  hello.bytes(hello.u8());
  hello.bytes(3);
  // A server that accepts no extension may omit the whole list.
  if (hello.remaining === 0) return types;
  const list = new Reader(hello.bytes(hello.u16()));
  hello.done();
  while (list.remaining > 0) {
    types.add(list.u16());
    list.bytes(list.u16());
  }
  return types;
}

/** The random of a ClientHello or ServerHello at the start of a flight (RFC 5246 7.4.1); undefined if there is none. */
function helloRandom(flight: Uint8Array): Uint8Array | undefined {
  const { CLIENT_HELLO, SERVER_HELLO } = HANDSHAKE_TYPE;
  const isHello = flight[5] === CLIENT_HELLO || flight[5] === SERVER_HELLO;
  return isHello && flight[0] === CONTENT_TYPE.HANDSHAKE && flight.length >= 43 ? flight.slice(11, 43) : undefined;
}

/** Data from the ClientHello and ServerHello of a handshake that the TLS engine does not expose. */
export class Hellos {
  #clientRandom: Uint8Array | undefined;
  #serverRandom: Uint8Array | undefined;
  #serverExtensions: ReadonlySet<number> | undefined;

  fromClient(flight: Uint8Array): void {
    this.#clientRandom ??= helloRandom(flight);
  }

  fromServer(flight: Uint8Array): void {
    this.#serverRandom ??= helloRandom(flight);
    this.#serverExtensions ??= serverHelloExtensions(flight);
  }

  /**
   * client.random and server.random, from which TLS 1.2 derives the Session-Id (RFC 5216 2.3). Undefined until both are
   * known.
   */
  get randoms(): Uint8Array | undefined {
    return this.#clientRandom && this.#serverRandom && concat(this.#clientRandom, this.#serverRandom);
  }

  /** Whether the server accepted the extended master secret (RFC 7627 5.1). */
  get hasExtendedMasterSecret(): boolean {
    return this.#serverExtensions?.has(EXTENDED_MASTER_SECRET) === true;
  }
}
