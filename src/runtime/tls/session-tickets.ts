import { createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';
import type { Server } from 'node:tls';
import { DecodeError } from '../../protocol/bytes/decode-error.js';
import type { Secret } from '../../protocol/bytes/secret.js';
import { context as contextTag, TAG, whole, within } from '../../protocol/x509/der.js';
import type { Host } from '../system/host.js';

/** Octets of a ticket key as the platform wants it: 16 of its name, 16 for HMAC-SHA-256, 16 for AES-128 in CBC. */
export const TICKET_KEY = 48;
const PART = TICKET_KEY / 3;

/** What a callback answers about a ticket: not ours; taken, with another one to follow. */
const UNKNOWN = 0;
const MADE = 1;
const RENEW = 2;

type TicketAnswer = readonly [result: number, hmac?: Buffer, cipher?: Buffer, name?: Buffer, iv?: Buffer];

/** The part of the platform's context that its own tests of renewal use, and its manual does not have. */
interface NativeContext {
  enableTicketKeyCallback(): void;
  onticketkeycallback: (name: Buffer, iv: Buffer, encrypts: boolean) => TicketAnswer;
}

/**
 * Makes tickets of a server with this key, which it reads until it is wiped or replaced. With the documented call a
 * client that resumes gets no other ticket, and has to make a full handshake the next time, or to show the same ticket
 * again, which links its sessions (RFC 8446 C.4). The callback below has each ticket renewed; the form of tickets is the
 * same. How long a node goes without a full handshake is limited by the life of the key. A platform without the callback
 * does what is documented. `takes`: whether tickets of this key are accepted.
 */
export function useTicketKey(server: Server, key: Secret, host: Host, takes = true): void {
  const { context } = (server as unknown as { _sharedCreds?: { context?: Partial<NativeContext> } })._sharedCreds ?? {};
  if (typeof context?.enableTicketKeyCallback !== 'function') {
    const copy = Buffer.from(host.random(TICKET_KEY));
    if (takes) key.use((octets) => copy.set(octets));
    server.setTicketKeys(copy);
    copy.fill(0);
    return;
  }
  context.onticketkeycallback = (of, _iv, encrypts) => {
    // A handshake that began under a key that was replaced gets a ticket that nobody can read.
    const current = key.isWiped ? host.random(TICKET_KEY) : key.use((octets) => octets);
    const { name, hmac, cipher } = partsOf(current);
    if (encrypts) return [MADE, hmac, cipher, name, Buffer.from(host.random(PART))];
    const isOurs = takes && of.length === PART && timingSafeEqual(of, name);
    return isOurs ? [RENEW, hmac, cipher] : [UNKNOWN, hmac, cipher];
  };
  context.enableTicketKeyCallback();
}

/** Views of the key, no copies. */
function partsOf(key: Uint8Array): { readonly name: Buffer; readonly hmac: Buffer; readonly cipher: Buffer } {
  if (key.length !== TICKET_KEY) throw new Error(`a ticket key has ${TICKET_KEY} octets`);
  const part = (i: number) => Buffer.from(key.buffer, key.byteOffset + i * PART, PART);
  return { name: part(0), hmac: part(1), cipher: part(2) };
}

/** Octets of the HMAC-SHA-256 at the end of a ticket, and of the shortest ticket (RFC 5077 4). */
const MAC = 32;
const SHORTEST = 2 * PART + PART + MAC;

/** Tickets of one ClientHello that are looked into. */
const MAX_TICKETS = 4;

/**
 * The certificate, in DER, of the client whose ticket is in this ClientHello: the engine goes by it when it resumes the
 * session, so it can be judged before. Undefined if there is no ticket of this key. A hello that hides its ticket from
 * this search gains nothing, since the completed handshake is judged too.
 */
export function certificateOfTicket(hello: Uint8Array, key: Uint8Array): Uint8Array | undefined {
  const { name, hmac, cipher } = partsOf(key);
  const octets = Buffer.from(hello.buffer, hello.byteOffset, hello.byteLength);
  let at = octets.indexOf(name);
  for (let tries = 0; at >= 2 && tries < MAX_TICKETS; at = octets.indexOf(name, at + 1), tries += 1) {
    // Behind a length of two octets, as an identity of TLS 1.3 and as the extension of TLS 1.2.
    const ticket = octets.subarray(at, at + octets.readUInt16BE(at - 2));
    if (ticket.length < SHORTEST) continue;
    const body = ticket.subarray(0, -MAC);
    if (!timingSafeEqual(createHmac('sha256', hmac).update(body).digest(), ticket.subarray(-MAC))) continue;
    return certificateOfSession(decrypt(body, cipher));
  }
  return undefined;
}

function decrypt(body: Buffer, key: Buffer): Buffer {
  const decipher = createDecipheriv('aes-128-cbc', key, body.subarray(PART, 2 * PART));
  const parts = [decipher.update(body.subarray(2 * PART)), decipher.final()];
  const session = Buffer.concat(parts);
  for (const part of parts) part.fill(0);
  return session;
}

/**
 * The peer's certificate of an SSL_SESSION as OpenSSL writes it (d2i_SSL_SESSION): version, version of TLS, cipher,
 * session id, secret, then tagged fields, of which [3] is the certificate. The octets are wiped: they hold the secret.
 */
function certificateOfSession(session: Buffer): Uint8Array | undefined {
  try {
    const fields = within(whole(session, TAG.SEQUENCE));
    while (fields.hasMore) {
      const field = fields.element();
      if (field.tag === contextTag(3, true)) return Uint8Array.from(field.content);
    }
    return undefined;
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  } finally {
    session.fill(0);
  }
}
