import { DeadlineQueue } from '../../bytes/deadline-queue.js';
import type { EndToEndIdentifiers } from '../peer/identifiers.js';
import { type DiameterMessage, FLAG, lengthOf } from '../wire/codec.js';
import { MAX_MESSAGE } from '../wire/framer.js';
import type { Grammarian } from '../wire/grammar.js';
import { isTemporary } from '../wire/result-codes.js';
import type { ApplicationInput, ApplicationOutput, RequestFailure, Target, Token } from './application.js';
import type { Hop, RouteTable } from './routing.js';

/** Maximum number of unanswered requests to one peer. */
export const MAX_IN_FLIGHT = 4096;

/** A peer to which a request can be sent. */
export interface RequestHop extends Hop {
  readonly connected: boolean;
  /** Whether its watchdog trusts the connection. */
  readonly trusted: boolean;
  nextHopByHop(): number;
}

interface Waiting<H> {
  readonly token: Token;
  readonly message: DiameterMessage;
  readonly target: Target;
  readonly timeout: number;
  /** Peers to which the request was sent. */
  readonly tried: Set<H>;
  /** The peer whose answer is awaited. */
  at: { readonly hop: H; readonly hopByHop: number } | undefined;
}

export type RequestOutput<H> =
  | { readonly type: 'send'; readonly hop: H; readonly message: DiameterMessage }
  | { readonly type: 'failedOver'; readonly from: H; readonly to: H }
  | Extract<ApplicationOutput, { readonly type: 'answered' | 'failed' }>;

/**
 * Requests of this node. Each waits for one peer at a time and moves to the next peer if that one fails, RFC 6733
 * 5.5.4.
 */
export class Requests<H extends RequestHop> {
  readonly #grammarian: Grammarian;
  readonly #identifiers: EndToEndIdentifiers;
  readonly #hops: ReadonlyMap<string, H>;
  #routes: RouteTable<H>;
  readonly #waiting = new Map<H, Map<number, Waiting<H>>>();
  readonly #timeouts = new DeadlineQueue<Waiting<H>>();
  #stopped = false;

  /** `hops`: peers by DiameterIdentity in lower case; the map may change. */
  constructor(
    grammarian: Grammarian,
    identifiers: EndToEndIdentifiers,
    hops: ReadonlyMap<string, H>,
    routes: RouteTable<H>,
  ) {
    this.#grammarian = grammarian;
    this.#identifiers = identifiers;
    this.#hops = hops;
    this.#routes = routes;
  }

  /** The earliest timeout. */
  get deadline(): number | undefined {
    return this.#timeouts.first;
  }

  inFlight(hop: H): number {
    return this.#waiting.get(hop)?.size ?? 0;
  }

  /** Replaces the routes. Pending requests use them when they have to move. */
  reroute(routes: RouteTable<H>): void {
    this.#routes = routes;
  }

  request({ token, message, target, timeout }: Extract<ApplicationInput, { type: 'request' }>, now: number) {
    const length = lengthOf(message);
    if (length > MAX_MESSAGE) {
      return [failed(token, 'too-long', `a request of ${length} octets: ${MAX_MESSAGE} at most`)];
    }
    const waiting: Waiting<H> = {
      token,
      message: { ...message, endToEnd: this.#identifiers.next() },
      target,
      timeout,
      tried: new Set(),
      at: undefined,
    };
    const sent = this.#sendOn(waiting, 0);
    if (!sent) return [failed(token, ...this.#whyNot(waiting))];
    this.#timeouts.set(waiting, now + timeout);
    return [sent];
  }

  /** Handles an answer from this peer. Undefined: no request is waiting for it. */
  answer(hop: H, answer: DiameterMessage): RequestOutput<H>[] | undefined {
    const waiting = this.#waiting.get(hop)?.get(answer.hopByHop);
    if (!waiting || !this.#isAnswer(hop, waiting.message, answer)) return undefined;
    this.#leave(waiting);
    // RFC 6733 3: after an error answer the request is not a retransmission, so it is sent without T.
    const isBusy = (answer.flags & FLAG.E) !== 0 && this.#isTemporary(answer);
    const sent = isBusy ? this.#sendOn(waiting, 0) : undefined;
    if (sent) return [sent, { type: 'failedOver', from: hop, to: sent.hop }];
    this.#timeouts.set(waiting, undefined);
    return [{ type: 'answered', token: waiting.token, message: answer }];
  }

  /** The peer does not answer its watchdog: its requests move to other peers if possible; the rest keep waiting. */
  suspected(hop: H): RequestOutput<H>[] {
    return [...(this.#waiting.get(hop)?.values() ?? [])].flatMap((waiting): RequestOutput<H>[] => {
      const { at } = waiting;
      const sent = this.#sendOn(waiting, FLAG.T);
      if (!sent) return [];
      if (at) this.#waiting.get(hop)?.delete(at.hopByHop);
      return [sent, { type: 'failedOver', from: hop, to: sent.hop }];
    });
  }

  /** The connection was lost: requests move to other peers if possible; the rest fail. */
  lost(hop: H, reason: string): RequestOutput<H>[] {
    const all = [...(this.#waiting.get(hop)?.values() ?? [])];
    this.#waiting.delete(hop);
    return all.flatMap((waiting): RequestOutput<H>[] => {
      const sent = this.#sendOn(waiting, FLAG.T);
      if (sent) return [sent, { type: 'failedOver', from: hop, to: sent.hop }];
      return [this.#fail(waiting, 'peer-lost', `${hop.host}: ${reason}`)];
    });
  }

  /** All pending requests and all later ones fail. */
  stop(): RequestOutput<H>[] {
    this.#stopped = true;
    const all = [...this.#waiting.values()].flatMap((at) => [...at.values()]);
    return all.map((waiting) => this.#fail(waiting, 'no-peer', 'the node is stopping'));
  }

  tick(now: number): RequestOutput<H>[] {
    const out: RequestOutput<H>[] = [];
    for (let waiting = this.#timeouts.due(now); waiting; waiting = this.#timeouts.due(now)) {
      const host = waiting.at?.hop.host ?? 'the peer';
      out.push(this.#fail(waiting, 'timeout', `${host} did not answer in ${waiting.timeout} ms`));
    }
    return out;
  }

  /**
   * RFC 6733 6.2: whether an answer matches its request. A peer that is not an agent may answer only in its own name.
   */
  #isAnswer(hop: H, request: DiameterMessage, answer: DiameterMessage): boolean {
    if (answer.commandCode !== request.commandCode || answer.endToEnd !== request.endToEnd) return false;
    const origin = this.#grammarian.find(answer.avps, 'Origin-Host')?.toLowerCase();
    return hop.capabilities?.relay === true || origin === undefined || origin === hop.host.toLowerCase();
  }

  /**
   * Sends a request to the best peer that has not received it, with a new Hop-by-Hop and the same End-to-End
   * Identifier. Undefined: there is no such peer.
   */
  #sendOn(waiting: Waiting<H>, flags: number): Extract<RequestOutput<H>, { type: 'send' }> | undefined {
    const hop = this.#next(waiting);
    if (!hop) return undefined;
    const hopByHop = hop.nextHopByHop();
    waiting.tried.add(hop);
    waiting.at = { hop, hopByHop };
    const there = this.#waiting.get(hop) ?? new Map<number, Waiting<H>>();
    this.#waiting.set(hop, there.set(hopByHop, waiting));
    return { type: 'send', hop, message: { ...waiting.message, flags: waiting.message.flags | flags, hopByHop } };
  }

  /** Not RFC: a peer that is connected but not trusted (RFC 3539) is used if there is no other. */
  #next(waiting: Waiting<H>): H | undefined {
    if (this.#stopped) return undefined;
    const able = this.#candidates(waiting).filter(
      (hop) => hop.connected && !waiting.tried.has(hop) && this.inFlight(hop) < MAX_IN_FLIGHT,
    );
    return able.find((hop) => hop.trusted) ?? able[0];
  }

  #candidates({ target, message }: Waiting<H>): readonly H[] {
    if (target.peers) {
      return target.peers.map((host) => this.#hops.get(host.toLowerCase())).filter((hop) => hop !== undefined);
    }
    const { avps, applicationId } = message;
    const host = target.destinationHost ?? this.#grammarian.find(avps, 'Destination-Host');
    const realm = target.realm ?? this.#grammarian.find(avps, 'Destination-Realm');
    return this.#routes.candidates({ host, realm }, applicationId);
  }

  #whyNot(waiting: Waiting<H>): [RequestFailure, string] {
    if (this.#stopped) return ['no-peer', 'the node is stopping'];
    const candidates = this.#candidates(waiting);
    const connected = candidates.filter((hop) => hop.connected);
    if (connected.length > 0) {
      return ['busy', `${connected.map(({ host }) => host).join(', ')}: too many pending requests`];
    }
    const hosts = candidates.map(({ host }) => host);
    return ['no-peer', hosts.length > 0 ? `not connected: ${hosts.join(', ')}` : 'no route'];
  }

  /** RFC 6733 7.1.3: whether another peer may succeed. */
  #isTemporary(answer: DiameterMessage): boolean {
    const code = this.#grammarian.find(answer.avps, 'Result-Code');
    return code !== undefined && isTemporary(code);
  }

  #leave({ at }: Waiting<H>): void {
    if (at) this.#waiting.get(at.hop)?.delete(at.hopByHop);
  }

  #fail(waiting: Waiting<H>, code: RequestFailure, text: string): RequestOutput<H> {
    this.#leave(waiting);
    this.#timeouts.set(waiting, undefined);
    return failed(waiting.token, code, text);
  }
}

function failed(token: Token, code: RequestFailure, text: string): Extract<ApplicationOutput, { type: 'failed' }> {
  return { type: 'failed', token, code, text };
}
