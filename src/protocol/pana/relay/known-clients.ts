import { halfSipHash, type SipKey, sipKey } from '../../bytes/half-sip-hash.js';
import { readAddressWords } from '../agent/networks.js';

/** Number of bits of a table: 100,000 clients set 2.4 % of them. */
const BITS = 1 << 22;

/**
 * Milliseconds for which a client is remembered that has sent anything at all, at least. A starting node repeats its PCI
 * for longer, and PaC and PAA exchange pings more often.
 */
const HEARD = 300_000;

/** The same for one that has used the Session Identifier that the PAA sent to it: the longest session of most networks. */
const PROVEN = 24 * 3600_000;

/** Milliseconds after its start in which a relay does not know all clients yet. */
export const LEARNING = 300_000;

/** Number of words of an address with its port, and of these with a Session Identifier. */
const ADDRESS_WORDS = 5;
const PLACE_WORDS = 6;
const SESSION_WORDS = 7;

/**
 * A set of numbers in two tables of bits, which forgets a number one to two generations after it was added last. It can
 * contain others by chance, the more it contains.
 */
class RecentSet {
  #current = new Uint32Array(BITS / 32);
  #before = new Uint32Array(BITS / 32);
  #generation = Number.NEGATIVE_INFINITY;
  readonly #period: number;

  constructor(period: number) {
    this.#period = period;
  }

  add(number: number, now: number): void {
    this.#turn(now);
    const at = (number % BITS) >>> 5;
    this.#current[at] = (this.#current[at] ?? 0) | (1 << (number & 31));
  }

  has(number: number, now: number): boolean {
    this.#turn(now);
    const at = (number % BITS) >>> 5;
    return ((((this.#current[at] ?? 0) | (this.#before[at] ?? 0)) >>> (number & 31)) & 1) === 1;
  }

  #turn(now: number): void {
    const generation = Math.floor(now / this.#period);
    if (generation === this.#generation) return;
    const follows = generation === this.#generation + 1;
    this.#generation = generation;
    [this.#current, this.#before] = [this.#before, this.#current];
    this.#current.fill(0);
    if (!follows) this.#before.fill(0);
  }
}

/**
 * The clients that a relay has heard, by address and port, in tables of fixed size.
 *
 * Not RFC: RFC 6345 2 lets a relay send to whatever client a PRY names. A host that forges the PAA's address could then
 * make it send UDP anywhere. A relayed session is always started by its client (RFC 6345 2), so the relay has heard it.
 * If a flood of forged addresses fills the tables, more clients count as known, not fewer.
 */
export class KnownClients {
  readonly #key: SipKey;
  readonly #words = new Uint32Array(SESSION_WORDS);
  readonly #heard = new RecentSet(HEARD);
  readonly #answered = new RecentSet(HEARD);
  readonly #proven = new RecentSet(PROVEN);

  /** `key`: 8 octets. */
  constructor(key: Uint8Array) {
    this.#key = sipKey(key);
  }

  /**
   * A number for the session of a client's message, if the PAA has sent this Session Identifier to the client, or the
   * client has used it before. One that forges the address of a message has not seen the identifier.
   */
  prove(address: string, port: number, sessionId: number, now: number): number | undefined {
    const session = this.#hash(address, port, sessionId);
    if (!this.#answered.has(session, now) && !this.#proven.has(session, now)) return undefined;
    this.#proven.add(session, now);
    this.#proven.add(this.#place(), now);
    return session;
  }

  /** The number for this session if its client has used the Session Identifier. */
  proven(address: string, port: number, sessionId: number, now: number): number | undefined {
    const session = this.#hash(address, port, sessionId);
    return this.#proven.has(session, now) ? session : undefined;
  }

  /** A number for this address, whatever its port. */
  ofAddress(address: string): number {
    this.#read(address, 0);
    return halfSipHash(this.#key, this.#words, ADDRESS_WORDS);
  }

  /** Remembers that a message of this client was relayed. */
  hear(address: string, port: number, now: number): void {
    this.#read(address, port);
    this.#heard.add(this.#place(), now);
  }

  /** Whether a message of the PAA for this client is expected. */
  includes(address: string, port: number, now: number): boolean {
    this.#read(address, port);
    const place = this.#place();
    return this.#heard.has(place, now) || this.#proven.has(place, now);
  }

  /** Remembers the Session Identifier of a message of the PAA that was sent to this client. */
  answer(address: string, port: number, sessionId: number, now: number): void {
    this.#answered.add(this.#hash(address, port, sessionId), now);
  }

  #read(address: string, port: number): void {
    readAddressWords(address, this.#words);
    this.#words[ADDRESS_WORDS] = port;
  }

  #hash(address: string, port: number, sessionId: number): number {
    this.#read(address, port);
    this.#words[PLACE_WORDS] = sessionId;
    return halfSipHash(this.#key, this.#words, SESSION_WORDS);
  }

  #place(): number {
    return halfSipHash(this.#key, this.#words, PLACE_WORDS);
  }
}
