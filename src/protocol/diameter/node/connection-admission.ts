import type { ConnectionId } from '../peer/alphabet.js';
import { errorAnswer, type Origin } from '../wire/answers.js';
import { type DiameterMessage, FLAG } from '../wire/codec.js';
import { APPLICATION, CER } from '../wire/commands.js';
import { type Grammarian, isViolation } from '../wire/grammar.js';
import { RESULT } from '../wire/result-codes.js';
import type { Ends, NodeInput, NodeOutput } from './alphabet.js';
import { NewConnections } from './new-connections.js';
import { notProven, type PeerEntry } from './peer-entry.js';

/** The result of the first message of a connection: its peer, or only outputs. */
type Introduction =
  | { readonly entry: PeerEntry; readonly ends: Ends; readonly outputs: NodeOutput[] }
  | { readonly entry?: undefined; readonly ends?: undefined; readonly outputs: NodeOutput[] };

/**
 * Admits incoming connections (RFC 6733 5.6). A connection belongs to no peer before its CER; the number of such
 * connections is limited.
 */
export class ConnectionAdmission {
  readonly #grammarian: Grammarian;
  readonly #origin: Origin;
  readonly #entries: ReadonlyMap<string, PeerEntry>;
  readonly #new: NewConnections;

  /** `entries`: peers by DiameterIdentity in lower case; the map may change. */
  constructor(grammarian: Grammarian, origin: Origin, entries: ReadonlyMap<string, PeerEntry>) {
    this.#grammarian = grammarian;
    this.#origin = origin;
    this.#entries = entries;
    this.#new = new NewConnections((address) => [...entries.values()].some(({ sources }) => sources.has(address)));
  }

  get deadline(): number | undefined {
    return this.#new.deadline;
  }

  handle(input: Extract<NodeInput, { type: 'incoming' | 'accepted' | 'tick' }>, now: number): NodeOutput[] {
    switch (input.type) {
      case 'incoming': {
        const full = this.#new.add(input.connection, input.address, now);
        return full === undefined ? [] : this.#turnAway(full, 'too-many-connections');
      }
      case 'accepted':
        this.#new.accepted(input.connection, input.ends, now);
        return [];
      case 'tick':
        return this.#new.due(now).flatMap((connection) => this.#turnAway(connection, 'no-cer'));
    }
  }

  /**
   * Handles the first message of a connection. Returns the peer that sent the CER; for anything else the connection is
   * closed.
   */
  introduced(input: Extract<NodeInput, { type: 'message' | 'malformed' | 'untrusted' }>): Introduction {
    const { connection } = input;
    const ends = this.#new.endsOf(connection);
    if (!ends) return { outputs: [] };
    if (input.type !== 'message') {
      return { outputs: this.#turnAway(connection, input.type === 'malformed' ? input.code : 'bad-stream') };
    }
    const { commandCode, flags, applicationId, avps } = input.message;
    if (commandCode !== CER.code || !(flags & FLAG.R) || applicationId !== APPLICATION.COMMON) {
      return { outputs: this.#turnAway(connection, 'no-cer') };
    }
    const host = this.#grammarian.find(avps, 'Origin-Host');
    const entry = host === undefined ? undefined : this.#entries.get(host.toLowerCase());
    const code = entry ? notProven(entry, ends) : 'unknown-peer';
    if (!entry || code !== undefined) {
      return { outputs: this.#refuse(connection, input.message, host, ends, code ?? 'unknown-peer') };
    }
    this.#new.proven(connection);
    return { entry, ends, outputs: [] };
  }

  closed(connection: ConnectionId): void {
    this.#new.leave(connection);
  }

  /** Closes all connections that belong to no peer. */
  clear(): NodeOutput[] {
    return this.#new.all.map((connection) => {
      this.#new.leave(connection);
      return { type: 'reset', connection };
    });
  }

  /** Refuses a connection. It keeps its slot until it is closed. */
  #refuse(
    connection: ConnectionId,
    cer: DiameterMessage,
    peer: string | undefined,
    { remoteAddress: address }: Ends,
    code: string,
  ): NodeOutput[] {
    const broken = peer === undefined ? this.#grammarian.read(CER, cer) : undefined;
    const stranger = { resultCode: RESULT.UNKNOWN_PEER, failedAvp: undefined, text: 'not a peer of this node' };
    const violation = broken && isViolation(broken) ? broken : stranger;
    const message = errorAnswer(this.#grammarian, this.#origin, cer, violation);
    return [
      { type: 'send', connection, message, isLast: true },
      { type: 'close', connection },
      { type: 'event', event: { type: 'peerRefused', peer, address, code } },
    ];
  }

  #turnAway(connection: ConnectionId, code: string): NodeOutput[] {
    this.#new.leave(connection);
    return [
      { type: 'reset', connection },
      { type: 'event', event: { type: 'dropped', peer: undefined, code } },
    ];
  }
}
