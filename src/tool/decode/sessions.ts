import type { DiameterMessage } from '../../protocol/diameter/wire/codec.js';
import { MESSAGE_TYPE, type PanaMessage } from '../../protocol/pana/wire/codec.js';
import type { RadiusPacket } from '../../protocol/radius/wire/codec.js';
import type { Endpoint } from './dissector.js';
import { hashOf, RecentMap } from './heard.js';
import { isRadiusRequest, radiusEap, radiusValue } from './radius.js';
import { keyOf } from './roles.js';

/** Limits of the sessions that are told apart. Later messages belong to none. */
const MAX_SESSIONS = 100_000;
const MAX_NAMES = 65_536;

/** An EAP packet of this size in octets is the same in PANA and Diameter only if it is of the same session. */
const MIN_EAP = 10;

/** AVP codes: EAP-Payload of PANA and of Diameter, Session-Id and User-Name. */
const PANA_EAP_PAYLOAD = 2;
const EAP_PAYLOAD = 462;
const SESSION_ID = 263;
const USER_NAME = 1;

/** The session of a message, by a number that `numberOf` resolves. */
export type SessionIndex = number;

export interface Session {
  /** PANA's Session Identifier. */
  pana: number | undefined;
  diameter: string | undefined;
  /** Acct-Session-Id. */
  radius: string | undefined;
  user: string | undefined;
}

/**
 * Tells sessions apart. A PANA session and the Diameter or RADIUS session of the same access are one, because the same EAP packets
 * are in both.
 */
export class Sessions {
  /** The session that each index is part of. */
  readonly #same: SessionIndex[] = [];
  readonly #sessions: Session[] = [];
  readonly #names = new RecentMap<SessionIndex>(MAX_NAMES);
  readonly #packets = new RecentMap<SessionIndex>(MAX_NAMES);

  /** The session of a PANA message between a PaC and a PAA; a relay stands for the PAA on the PaC's side. */
  pana(message: PanaMessage, pac: Endpoint, paa: string): SessionIndex | undefined {
    const { sessionId, avps } = message;
    const beginning = `begin ${pac.address} ${pac.port}`;
    const names = [`${sessionId} ${pac.address} ${pac.port}`, `${sessionId} at ${paa}`];
    let found = sessionId === 0 ? undefined : this.#named(names);
    if (found === undefined) {
      const begun = this.#names.get(beginning);
      found = begun ?? this.#make();
      if (found === undefined) return undefined;
      if (sessionId === 0) this.#names.set(beginning, found);
      else this.#names.delete(beginning);
    }
    const session = this.#sessions[this.#root(found)];
    if (session && sessionId !== 0) {
      session.pana ??= sessionId;
      for (const name of names) this.#names.set(name, found);
    }
    const eap = avps.find(({ code, vendorId }) => code === PANA_EAP_PAYLOAD && vendorId === undefined)?.value;
    // A PCI begins a session, even if the one before did not end.
    return message.type === MESSAGE_TYPE.PCI ? found : this.#linked(found, eap);
  }

  /** The session of a Diameter message; undefined: it belongs to none. */
  diameter({ avps }: DiameterMessage): SessionIndex | undefined {
    const find = (wanted: number) => avps.find(({ code, vendorId }) => code === wanted && vendorId === undefined)?.data;
    const id = find(SESSION_ID);
    if (!id) return undefined;
    const text = Buffer.from(id).toString('utf8');
    const name = `diameter ${text}`;
    const found = this.#names.get(name) ?? this.#make();
    if (found === undefined) return undefined;
    this.#names.set(name, found);
    const linked = this.#linked(found, find(EAP_PAYLOAD));
    const session = this.#sessions[this.#root(linked)];
    const user = find(USER_NAME);
    if (session) {
      session.diameter ??= text;
      if (user) session.user ??= Buffer.from(user).toString('utf8');
    }
    return linked;
  }

  /** The session of a RADIUS packet; undefined: it belongs to none, like Status-Server. */
  radius(packet: RadiusPacket, from: Endpoint, to: Endpoint): SessionIndex | undefined {
    const isRequest = isRadiusRequest(packet);
    const ends = isRequest ? `${keyOf(from)} ${keyOf(to)}` : `${keyOf(to)} ${keyOf(from)}`;
    const exchange = `radius ${ends} ${packet.identifier}`;
    const eap = radiusEap(packet);
    const named = (['State', 'Class', 'Acct-Session-Id'] as const).flatMap((name) => {
      const value = radiusValue(packet, name);
      return value ? [`${name} ${Buffer.from(value).toString('hex')}`] : [];
    });
    const isOwn = named.length > 0 || eap !== undefined;
    const found = this.#named(isRequest ? named : [exchange]) ?? (isOwn ? this.#make() : undefined);
    // The answer to a packet of no session belongs to none.
    if (found === undefined) {
      if (isRequest) this.#names.delete(exchange);
      return undefined;
    }
    for (const name of [exchange, ...named]) this.#names.set(name, found);
    const linked = this.#linked(found, eap);
    const session = this.#sessions[this.#root(linked)];
    const [user, id] = [radiusValue(packet, 'User-Name'), radiusValue(packet, 'Acct-Session-Id')];
    // The name in a request is what the node claims.
    if (session && user && !isRequest) session.user ??= Buffer.from(user).toString('utf8');
    if (session && id) session.radius ??= Buffer.from(id).toString('utf8');
    return linked;
  }

  /** The session that an index is part of, as an index. */
  numberOf(index: SessionIndex): SessionIndex {
    return this.#root(index);
  }

  session(index: SessionIndex): Session | undefined {
    return this.#sessions[this.#root(index)];
  }

  #named(names: readonly string[]): SessionIndex | undefined {
    for (const name of names) {
      const found = this.#names.get(name);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #make(): SessionIndex | undefined {
    if (this.#same.length >= MAX_SESSIONS) return undefined;
    this.#sessions.push({ pana: undefined, diameter: undefined, radius: undefined, user: undefined });
    return this.#same.push(this.#same.length) - 1;
  }

  #root(index: SessionIndex): SessionIndex {
    let root = index;
    while ((this.#same[root] ?? root) !== root) root = this.#same[root] ?? root;
    this.#same[index] = root;
    return root;
  }

  /** Joins the session with the one in which the same EAP packet was sent. */
  #linked(index: SessionIndex, eap: Uint8Array | undefined): SessionIndex {
    if (!eap || eap.length < MIN_EAP) return index;
    const key = `${eap.length} ${hashOf(eap)}`;
    const before = this.#packets.get(key);
    this.#packets.set(key, index);
    if (before === undefined) return index;
    const [first = index, second = index] = [this.#root(before), this.#root(index)].sort((a, b) => a - b);
    const one = this.#sessions[first];
    const other = this.#sessions[second];
    if (first === second || !one || !other) return index;
    // Two sessions of one protocol are two.
    if (one.pana !== undefined && other.pana !== undefined && one.pana !== other.pana) return index;
    if (one.diameter !== undefined && other.diameter !== undefined && one.diameter !== other.diameter) return index;
    if (one.radius !== undefined && other.radius !== undefined && one.radius !== other.radius) return index;
    one.pana ??= other.pana;
    one.diameter ??= other.diameter;
    one.radius ??= other.radius;
    one.user ??= other.user;
    this.#same[second] = first;
    return index;
  }
}
