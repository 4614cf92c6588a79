import type { ConnectionId } from '../peer/alphabet.js';
import { checkRequest, type IsAgent, type Receiver } from '../peer/incoming.js';
import { errorAnswer, violationOf } from '../wire/answers.js';
import { type DiameterMessage, FLAG, lengthOf } from '../wire/codec.js';
import { MAX_MESSAGE } from '../wire/framer.js';
import type { Grammarian, Violation } from '../wire/grammar.js';
import { wipeKeys } from '../wire/keys.js';
import { RESULT } from '../wire/result-codes.js';
import type { NodeInput, NodeOutput } from './alphabet.js';
import type { Token } from './application.js';
import { answerFrom, Duplicates, withoutAgents } from './duplicates.js';
import type { PeerEntry } from './peer-entry.js';

/** Maximum number of requests of one peer that are served at the same time; further ones are answered TOO_BUSY. */
export const MAX_SERVING = 4096;

/** A received request and the connection for its answer. */
interface ServedRequest {
  readonly entry: PeerEntry;
  readonly connection: ConnectionId;
  readonly request: DiameterMessage;
}

/** Serves the requests of peers and creates their answers (RFC 6733 6.2). */
export class Serving {
  readonly #grammarian: Grammarian;
  readonly #receiver: Receiver;
  readonly #isAgent: IsAgent;
  readonly duplicates: Duplicates;
  /** Requests by the token given to the application. Copies that arrive meanwhile get the same answer. */
  readonly #open = new Map<Token, ServedRequest[]>();
  #last: Token = 0;

  constructor(grammarian: Grammarian, receiver: Receiver, isAgent: IsAgent) {
    this.#grammarian = grammarian;
    this.#receiver = receiver;
    this.#isAgent = isAgent;
    this.duplicates = new Duplicates(grammarian);
  }

  /**
   * Handles a request of a peer. `isClosing`: the node is stopping and serves no new requests, but still answers copies
   * of earlier ones.
   */
  request(asked: ServedRequest, isClosing: boolean, now: number): NodeOutput[] {
    const { entry, request } = asked;
    const violation =
      entry.serving >= MAX_SERVING
        ? because(RESULT.TOO_BUSY, 'too many requests at once')
        : checkRequest(this.#grammarian, this.#receiver, entry.capabilities, request, this.#isAgent);
    if (violation) return this.refuse(asked, violation);
    this.#last += 1;
    const token = this.#last;
    const found = this.duplicates.take(request, token, entry.host, now);
    switch (found.state) {
      case 'new':
        if (isClosing) {
          this.duplicates.failed(token);
          return this.refuse(asked, because(RESULT.TOO_BUSY, 'the node is stopping'));
        }
        this.#open.set(token, [asked]);
        entry.serving += 1;
        return [{ type: 'serve', token, peer: entry.host, message: request }];
      case 'pending':
        this.#open.get(found.token)?.push(asked);
        entry.serving += 1;
        return [duplicateOf(entry)];
      case 'answered':
        return [duplicateOf(entry), ...this.#send(asked, found.answer)];
    }
  }

  /** Sends the application's answer to the request and to each of its copies. */
  answer(token: Token, answer: DiameterMessage, now: number): NodeOutput[] {
    const all = this.#close(token);
    if (lengthOf(answer) > MAX_MESSAGE) {
      this.duplicates.failed(token);
      wipeKeys(answer.avps);
      return all.flatMap((asked) => this.#tooLong(asked));
    }
    // Copies must be made before the keys are wiped.
    this.duplicates.answered(token, answer, now);
    const [first, ...copies] = all;
    if (!first) {
      wipeKeys(answer.avps);
      return [];
    }
    const octets = copies.length > 0 ? withoutAgents(answer) : undefined;
    const out = copies.flatMap((asked) => (octets ? this.#send(asked, answerFrom(octets, asked.request)) : []));
    octets?.fill(0);
    return [...this.#send(first, answer), ...out];
  }

  /** Answers a request that the application could not serve with UNABLE_TO_COMPLY. */
  unserved(token: Token): NodeOutput[] {
    this.duplicates.failed(token);
    const violation = because(RESULT.UNABLE_TO_COMPLY, 'the request could not be served');
    return this.#close(token).flatMap((asked) => this.refuse(asked, violation));
  }

  refuse({ entry, connection, request }: ServedRequest, violation: Violation): NodeOutput[] {
    if (!entry.connections.has(connection)) return [];
    const message = errorAnswer(this.#grammarian, this.#receiver.origin, request, violation);
    const { resultCode, text } = violation;
    const { commandCode } = request;
    const event = { type: 'requestRefused', peer: entry.host, commandCode, resultCode, text } as const;
    return [{ type: 'event', event }, ...sending(entry, connection, message, true)];
  }

  /**
   * Handles a message that cannot be decoded. A request with invalid AVPs is answered and the connection continues (RFC
   * 6733 7.1.5). After `untrusted` the start of the next message is unknown, so the connection is closed (2.1).
   */
  broken(entry: PeerEntry, input: Extract<NodeInput, { type: 'malformed' | 'untrusted' }>): NodeOutput[] {
    const { type, connection, salvage } = input;
    const isTrusted = type === 'malformed';
    const code = isTrusted ? input.code : 'bad-stream';
    const dropped: NodeOutput = { type: 'event', event: { type: 'dropped', peer: entry.host, code } };
    const request =
      salvage && (salvage.header.flags & FLAG.R) !== 0 ? { ...salvage.header, avps: salvage.avps } : undefined;
    const isAnswered = salvage && request && (!isTrusted || entry.peer.connection === connection);
    const answered = isAnswered
      ? this.refuse({ entry, connection, request }, violationOf(this.#grammarian, salvage))
      : [];
    if (isTrusted) return [dropped, ...answered];
    return [dropped, ...answered, { type: request ? 'close' : 'reset', connection }];
  }

  #close(token: Token): ServedRequest[] {
    const all = this.#open.get(token) ?? [];
    this.#open.delete(token);
    for (const { entry } of all) entry.serving -= 1;
    return all;
  }

  /** Sends an answer, unless its connection has been closed (RFC 6733 6.2). */
  #send({ entry, connection }: ServedRequest, answer: DiameterMessage): NodeOutput[] {
    if (entry.connections.has(connection)) return sending(entry, connection, answer, true);
    wipeKeys(answer.avps);
    return [];
  }

  #tooLong(asked: ServedRequest): NodeOutput[] {
    const dropped: NodeOutput = { type: 'event', event: { type: 'dropped', peer: asked.entry.host, code: 'too-long' } };
    return [dropped, ...this.refuse(asked, because(RESULT.UNABLE_TO_COMPLY, 'the answer is too long'))];
  }
}

/** Outputs that send a message to a peer. `isLast`: see `send`. */
export function sending(
  { host }: PeerEntry,
  connection: ConnectionId,
  message: DiameterMessage,
  isLast: boolean,
): NodeOutput[] {
  return [
    { type: 'event', event: { type: 'message', direction: 'out', peer: host, message } },
    { type: 'send', connection, message, isLast },
  ];
}

function duplicateOf({ host }: PeerEntry): NodeOutput {
  return { type: 'event', event: { type: 'duplicate', peer: host } };
}

function because(resultCode: number, text: string): Violation {
  return { resultCode, failedAvp: undefined, text };
}
