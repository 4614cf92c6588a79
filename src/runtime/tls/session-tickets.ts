import { createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';
import type { Server } from 'node:tls';
import type { Secret } from '../../protocol/bytes/secret.js';
import type { Host } from '../system/host.js';
import { certificateOfSession } from './session-certificate.js';

/** Size of a ticket key in octets: 16 for its name, 16 for HMAC-SHA-256, 16 for AES-128-CBC. */
export const TICKET_KEY = 48;
const PART = TICKET_KEY / 3;

/** Results of the ticket callback: unknown ticket; accepted, and to be renewed. */
const UNKNOWN = 0;
const MADE = 1;
const RENEW = 2;

type TicketAnswer = readonly [result: number, hmac?: Buffer, cipher?: Buffer, name?: Buffer, iv?: Buffer];

/** An undocumented part of Node's context, which Node's own tests of ticket renewal use. */
interface NativeContext {
  enableTicketKeyCallback(): void;
  onticketkeycallback: (name: Buffer, iv: Buffer, encrypts: boolean) => TicketAnswer;
}

/**
 * Makes a server issue tickets with this key, which is read until it is wiped or replaced. With the documented call, a
 * client that resumes receives no new ticket: it must make a full handshake next time, or reuse the ticket, which
 * links its sessions (RFC 8446 C.4). The callback below renews every ticket; the ticket format is the same. The
 * lifetime of the key limits how long a node goes without a full handshake. A platform without the callback behaves as
 * documented. `takes`: whether tickets of this key are accepted.
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
    // If the key was replaced during the handshake, issue a ticket that cannot be read.
    const current = key.isWiped ? host.random(TICKET_KEY) : key.use((octets) => octets);
    const { name, hmac, cipher } = partsOf(current);
    if (encrypts) return [MADE, hmac, cipher, name, Buffer.from(host.random(PART))];
    const isOurs = takes && of.length === PART && timingSafeEqual(of, name);
    return isOurs ? [RENEW, hmac, cipher] : [UNKNOWN, hmac, cipher];
  };
  context.enableTicketKeyCallback();
}

/** Views of the key, not copies. */
function partsOf(key: Uint8Array): { readonly name: Buffer; readonly hmac: Buffer; readonly cipher: Buffer } {
  if (key.length !== TICKET_KEY) throw new Error(`a ticket key has ${TICKET_KEY} octets`);
  const part = (i: number) => Buffer.from(key.buffer, key.byteOffset + i * PART, PART);
  return { name: part(0), hmac: part(1), cipher: part(2) };
}

/** Size of the HMAC-SHA-256 at the end of a ticket, and of the shortest ticket, in octets (RFC 5077 4). */
const MAC = 32;
const SHORTEST = 2 * PART + PART + MAC;

/** Maximum number of tickets of one ClientHello that are checked. */
const MAX_TICKETS = 4;

/**
 * Returns the client certificate (DER) in the ticket of this ClientHello. The engine relies on it when it resumes the
 * session, so that it can be verified beforehand. Undefined if there is no ticket of this key. Hiding a ticket from
 * this search gains nothing, because the completed handshake is verified too.
 */
export function certificateOfTicket(hello: Uint8Array, key: Uint8Array): Uint8Array | undefined {
  const { name, hmac, cipher } = partsOf(key);
  const octets = Buffer.from(hello.buffer, hello.byteOffset, hello.byteLength);
  let at = octets.indexOf(name);
  for (let tries = 0; at >= 2 && tries < MAX_TICKETS; at = octets.indexOf(name, at + 1), tries += 1) {
    // A ticket follows a length of two octets, both as a TLS 1.3 identity and as the TLS 1.2 extension.
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
