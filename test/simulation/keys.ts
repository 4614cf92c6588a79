import { createHash } from 'node:crypto';
import { toHex } from '../../src/protocol/bytes/octets.js';
import type { Secret } from '../../src/protocol/bytes/secret.js';
import type { SessionKey } from '../../src/protocol/pana/session/session.js';
import { INTEGRITY_ALGORITHMS } from '../../src/protocol/pana/wire/algorithms.js';
import { encodePana, FLAG, MESSAGE_TYPE } from '../../src/protocol/pana/wire/codec.js';
import { makeAvp } from '../../src/protocol/pana/wire/dictionary.js';
import { type Protection, signInPlace, verifyAuth } from '../../src/protocol/pana/wire/keys.js';
import type { Arrival, Place } from './links.js';
import type { LogLine } from './machine.js';

/** The PANA_AUTH_KEY of one end of a session, and its hash. */
interface KnownKey {
  readonly keyId: number;
  readonly hash: string;
  readonly protection: Protection;
}

/** The state of one end of a session. */
interface End {
  key: KnownKey;
  /** The key before a re-authentication. */
  previous: KnownKey | undefined;
  /** Whether it has logged that the session is authorized with `key`. */
  isOpen: boolean;
  /** The last request from this end that arrived. */
  asked: { readonly sequence: number; readonly from: Place; readonly to: Place } | undefined;
}

type Kind = 'node' | 'paa';

/** A message that is signed with an old key, with source and destination. */
export interface Forgery {
  readonly octets: Uint8Array;
  readonly from: Place;
  readonly to: Place;
}

/**
 * Compares the PANA_AUTH_KEYs of both ends whenever one of them logs that the session is authorized. Daemons pass their keys as
 * for the file of `key-log`. Once both ends have logged it, every request must be signed with that key, and a message that is
 * signed with the previous key must have no effect.
 */
export class SessionKeys {
  readonly #ends = new Map<string, End>();
  readonly #forge: (forgery: Forgery) => void;
  /** Forged messages in transit, by their octets in hexadecimal. */
  readonly #forged = new Map<string, { readonly key: string; readonly after: number }>();

  /** `forge` sends a message that no daemon has sent. */
  constructor(forge: (forgery: Forgery) => void) {
    this.#forge = forge;
  }

  /** Takes ownership of the key. */
  derived(machine: string, { sessionId, keyId, key, integrity: id }: SessionKey): void {
    const integrity = INTEGRITY_ALGORITHMS.get(id);
    if (!integrity) throw new Error(`no integrity algorithm ${id}`);
    const name = nameOf(kindOf(machine), sessionId);
    const before = this.#ends.get(name);
    before?.previous?.protection.key.wipe();
    const known = { keyId, hash: hashOf(key), protection: { integrity, key } };
    this.#ends.set(name, { key: known, previous: before?.key, isOpen: false, asked: before?.asked });
  }

  /** The difference between the keys of the session that this line reports as authorized; undefined: none. */
  logged({ machine, message, fields }: LogLine): string | undefined {
    const sessionId = Number.parseInt(String(fields.session), 16);
    if (message === 'session ended') this.#ended(nameOf(kindOf(machine), sessionId));
    if (message !== 'session authorized' && message !== 'session reauthenticated') return undefined;
    const [node, paa] = this.#both(sessionId);
    const session = String(fields.session);
    if (!node || !paa) return `${machine} opens ${session}, for which the ${node ? 'PAA' : 'node'} has no key`;
    if (node.key.keyId !== paa.key.keyId)
      return `${session} has key ${node.key.keyId} at its node, and ${paa.key.keyId} at its PAA`;
    if (node.key.hash !== paa.key.hash) return `${session} has two PANA_AUTH_KEYs with the Key-Id ${node.key.keyId}`;
    (kindOf(machine) === 'node' ? node : paa).isOpen = true;
    if (node.isOpen && paa.isOpen) {
      this.#forgeFrom('node', sessionId, node);
      this.#forgeFrom('paa', sessionId, paa);
    }
    return undefined;
  }

  /** The fault in the key of a message that a daemon sends; undefined: none. */
  sending(machine: string, octets: Uint8Array): string | undefined {
    const { sessionId, isRequest } = headerOf(octets);
    if (!isRequest) return undefined;
    const [node, paa] = this.#both(sessionId);
    if (!node?.isOpen || !paa?.isOpen || node.key.keyId !== paa.key.keyId) return undefined;
    if (verifyAuth(node.key.protection, octets)) return undefined;
    return `${machine} sends a request of ${hexOf(sessionId)} that is not signed with key ${node.key.keyId}`;
  }

  /** Returns a check to make after the datagram was received, which returns the fault; undefined: no check. */
  receiving({ machine, life, octets, from, to }: Arrival): (() => string | undefined) | undefined {
    const { sessionId, sequence, isRequest } = headerOf(octets);
    const forged = this.#forged.get(toHex(octets));
    if (!forged) {
      const end = isRequest && this.#ends.get(nameOf(kindOf(machine) === 'node' ? 'paa' : 'node', sessionId));
      if (end) end.asked = { sequence, from, to };
      return undefined;
    }
    // The end has sent a later request, so the forged message counts as a repetition.
    if (this.#ends.get(forged.key)?.asked?.sequence !== forged.after) return undefined;
    const { sent } = life.datagrams;
    return () =>
      life.datagrams.sent > sent ? `${machine} answers a message with an old key of ${hexOf(sessionId)}` : undefined;
  }

  /** Forges a ping of this end that is signed with its previous key. */
  #forgeFrom(kind: Kind, sessionId: number, { previous, asked }: End): void {
    if (!previous || !asked) return;
    const { protection } = previous;
    const sequence = (asked.sequence + 1) >>> 0;
    const avps = [makeAvp('AUTH', new Uint8Array(protection.integrity.tagLength))];
    const header = { type: MESSAGE_TYPE.NOTIFICATION, flags: FLAG.R | FLAG.P, sessionId, sequence };
    const octets = signInPlace(protection, encodePana({ ...header, avps }));
    this.#forged.set(toHex(octets), { key: nameOf(kind, sessionId), after: asked.sequence });
    const [oldest] = this.#forged.keys();
    if (this.#forged.size > MAX_FORGED && oldest !== undefined) this.#forged.delete(oldest);
    this.#forge({ octets, from: asked.from, to: asked.to });
  }

  #both(sessionId: number): [End | undefined, End | undefined] {
    return [this.#ends.get(nameOf('node', sessionId)), this.#ends.get(nameOf('paa', sessionId))];
  }

  /** The other end may still log that the session is authorized, so the Key-Id and the hash of the key are kept. */
  #ended(name: string): void {
    const end = this.#ends.get(name);
    if (!end) return;
    end.isOpen = false;
    end.key.protection.key.wipe();
    end.previous?.protection.key.wipe();
    end.previous = undefined;
  }
}

/** The number of forged messages that are remembered: more than are in transit. */
const MAX_FORGED = 200;

/** A hash of a key, to compare it. */
const hashOf = (key: Secret) => key.use((octets) => createHash('sha256').update(octets).digest('base64'));

const kindOf = (machine: string): Kind => (machine.startsWith('mn') ? 'node' : 'paa');
const hexOf = (sessionId: number) => sessionId.toString(16).padStart(8, '0');
const nameOf = (kind: Kind, sessionId: number) => `${kind} ${sessionId}`;

/** The fields of the header of RFC 5191 6.2. */
function headerOf(octets: Uint8Array) {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  const has = octets.length >= 16;
  return {
    sessionId: has ? view.getUint32(8) : 0,
    sequence: has ? view.getUint32(12) : 0,
    isRequest: has && (view.getUint16(4) & FLAG.R) !== 0,
  };
}
