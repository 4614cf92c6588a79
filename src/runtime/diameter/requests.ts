import type { RequestFailure, Target } from '../../protocol/diameter/node/application.js';
import type { Hop, RouteTable } from '../../protocol/diameter/node/routing.js';
import type { EndToEndIdentifiers } from '../../protocol/diameter/peer/identifiers.js';
import { type DiameterMessage, FLAG, lengthOf } from '../../protocol/diameter/wire/codec.js';
import type { Grammarian } from '../../protocol/diameter/wire/grammar.js';
import { isTemporary } from '../../protocol/diameter/wire/result-codes.js';
import type { CancelTimer, Host } from '../system/host.js';
import { MAX_MESSAGE } from './framer.js';

/** Requests that may wait for their answers at one peer. */
export const MAX_IN_FLIGHT = 4096;

/** A request got no answer. */
export class DiameterRequestError extends Error {
  override readonly name = 'DiameterRequestError';
  readonly code: RequestFailure;

  constructor(code: RequestFailure, text: string) {
    super(text);
    this.code = code;
  }
}

export type DiameterTarget = Target;

/** A peer as something that a request can be sent to. */
export interface DiameterHop extends Hop {
  readonly connected: boolean;
  /** Whether its watchdog is content. */
  readonly trusted: boolean;
  nextHopByHop(): number;
  send(message: DiameterMessage): void;
}

interface Waiting {
  readonly message: DiameterMessage;
  readonly target: DiameterTarget;
  /** The peers that had it. */
  readonly tried: Set<DiameterHop>;
  /** Where it waits now. */
  at: { readonly hop: DiameterHop; readonly hopByHop: number } | undefined;
  readonly resolve: (answer: DiameterMessage) => void;
  readonly reject: (error: DiameterRequestError) => void;
  readonly cancel: CancelTimer;
}

export type RequestEvent = { readonly type: 'failedOver'; readonly peer: string; readonly to: string };

/** Own requests: each is at one peer at a time, and goes to the next one when that fails, RFC 6733 5.5.4. */
export class DiameterClient {
  readonly #grammarian: Grammarian;
  readonly #identifiers: EndToEndIdentifiers;
  readonly #hops: ReadonlyMap<string, DiameterHop>;
  /** May become others; what is under way asks them when it has to move. */
  routes: RouteTable<DiameterHop>;
  readonly #onEvent: (event: RequestEvent) => void;
  readonly #waiting = new Map<DiameterHop, Map<number, Waiting>>();
  #stopped = false;
  readonly #host: Host;

  constructor(
    grammarian: Grammarian,
    identifiers: EndToEndIdentifiers,
    hops: ReadonlyMap<string, DiameterHop>,
    routes: RouteTable<DiameterHop>,
    onEvent: (event: RequestEvent) => void,
    host: Host,
  ) {
    this.#host = host;
    this.#grammarian = grammarian;
    this.#identifiers = identifiers;
    this.#hops = hops;
    this.routes = routes;
    this.#onEvent = onEvent;
  }

  inFlight(hop: DiameterHop): number {
    return this.#waiting.get(hop)?.size ?? 0;
  }

  request(message: DiameterMessage, target: DiameterTarget, timeout: number): Promise<DiameterMessage> {
    const length = lengthOf(message);
    if (length > MAX_MESSAGE) {
      const text = `a request of ${length} octets: ${MAX_MESSAGE} at most`;
      return Promise.reject(new DiameterRequestError('ERR_DIAMETER_TOO_LONG', text));
    }
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        message: { ...message, endToEnd: this.#identifiers.next() },
        target,
        tried: new Set(),
        at: undefined,
        resolve,
        reject,
        cancel: this.#host.after(timeout, () => {
          const host = waiting.at?.hop.host ?? 'the peer';
          this.#fail(waiting, 'ERR_DIAMETER_TIMEOUT', `${host} did not answer in ${timeout} ms`);
        }),
      };
      if (!this.#sendOn(waiting, 0)) this.#fail(waiting, ...this.#whyNot(waiting));
    });
  }

  /** Takes an answer of this peer's; false if nothing there waits for it. */
  answer(hop: DiameterHop, answer: DiameterMessage): boolean {
    const waiting = this.#waiting.get(hop)?.get(answer.hopByHop);
    if (!waiting || !this.#isAnswer(hop, waiting.message, answer)) return false;
    this.#remove(waiting);
    // RFC 6733 3: after an error answer it is no retransmission, so without T.
    if (answer.flags & FLAG.E && this.#isTemporary(answer) && this.#sendOn(waiting, 0)) {
      this.#moved(hop, waiting);
      return true;
    }
    waiting.cancel();
    waiting.resolve(answer);
    return true;
  }

  /** RFC 6733 6.2: what an answer copies. A peer that is no agent speaks for itself alone. */
  #isAnswer(hop: DiameterHop, request: DiameterMessage, answer: DiameterMessage): boolean {
    if (answer.commandCode !== request.commandCode || answer.endToEnd !== request.endToEnd) return false;
    const origin = this.#grammarian.find(answer.avps, 'Origin-Host')?.toLowerCase();
    return hop.capabilities?.relay === true || origin === undefined || origin === hop.host.toLowerCase();
  }

  /** The peer does not answer its watchdog: what can be asked of another peer is; the rest waits on. */
  suspected(hop: DiameterHop): void {
    for (const waiting of [...(this.#waiting.get(hop)?.values() ?? [])]) {
      const { at } = waiting;
      if (!this.#sendOn(waiting, FLAG.T)) continue;
      if (at) this.#waiting.get(hop)?.delete(at.hopByHop);
      this.#moved(hop, waiting);
    }
  }

  /** The connection is gone: what cannot be asked of another peer fails. */
  lost(hop: DiameterHop, reason: string): void {
    const all = [...(this.#waiting.get(hop)?.values() ?? [])];
    this.#waiting.delete(hop);
    for (const waiting of all) {
      if (this.#sendOn(waiting, FLAG.T)) this.#moved(hop, waiting);
      else this.#fail(waiting, 'ERR_DIAMETER_PEER_LOST', `${hop.host}: ${reason}`);
    }
  }

  /** Rejects everything that waits, and whatever comes. */
  stop(): void {
    this.#stopped = true;
    for (const waiting of [...this.#waiting.values()].flatMap((at) => [...at.values()])) {
      this.#fail(waiting, 'ERR_DIAMETER_NO_PEER', 'the node stops');
    }
  }

  /** Sends it to the best peer that has not had it yet: new Hop-by-Hop, same End-to-End. False if there is none. */
  #sendOn(waiting: Waiting, flags: number): boolean {
    const hop = this.#next(waiting);
    if (!hop) return false;
    const hopByHop = hop.nextHopByHop();
    waiting.tried.add(hop);
    waiting.at = { hop, hopByHop };
    const there = this.#waiting.get(hop) ?? new Map<number, Waiting>();
    this.#waiting.set(hop, there.set(hopByHop, waiting));
    hop.send({ ...waiting.message, flags: waiting.message.flags | flags, hopByHop });
    return true;
  }

  /** Not RFC: a peer that is connected but not trusted (RFC 3539) is still better than none. */
  #next(waiting: Waiting): DiameterHop | undefined {
    if (this.#stopped) return undefined;
    const able = this.#candidates(waiting).filter(
      (hop) => hop.connected && !waiting.tried.has(hop) && this.inFlight(hop) < MAX_IN_FLIGHT,
    );
    return able.find((hop) => hop.trusted) ?? able[0];
  }

  #candidates({ target, message }: Waiting): readonly DiameterHop[] {
    if (target.peers) {
      return target.peers.map((host) => this.#hops.get(host.toLowerCase())).filter((hop) => hop !== undefined);
    }
    const { avps, applicationId } = message;
    const host = target.destinationHost ?? this.#grammarian.find(avps, 'Destination-Host');
    const realm = target.realm ?? this.#grammarian.find(avps, 'Destination-Realm');
    return this.routes.candidates({ host, realm }, applicationId);
  }

  #whyNot(waiting: Waiting): [RequestFailure, string] {
    const connected = this.#candidates(waiting).filter((hop) => hop.connected);
    if (connected.length > 0 && !this.#stopped) {
      return ['ERR_DIAMETER_BUSY', `${connected.map(({ host }) => host).join(', ')}: too much to answer`];
    }
    const hosts = this.#candidates(waiting).map(({ host }) => host);
    return ['ERR_DIAMETER_NO_PEER', hosts.length > 0 ? `not connected: ${hosts.join(', ')}` : 'no route'];
  }

  /** RFC 6733 7.1.3: another peer may well do it. */
  #isTemporary(answer: DiameterMessage): boolean {
    const code = this.#grammarian.find(answer.avps, 'Result-Code');
    return code !== undefined && isTemporary(code);
  }

  #moved(from: DiameterHop, { at }: Waiting): void {
    if (at) this.#onEvent({ type: 'failedOver', peer: from.host, to: at.hop.host });
  }

  #remove({ at }: Waiting): void {
    if (at) this.#waiting.get(at.hop)?.delete(at.hopByHop);
  }

  #fail(waiting: Waiting, code: RequestFailure, text: string): void {
    this.#remove(waiting);
    waiting.cancel();
    waiting.reject(new DiameterRequestError(code, text));
  }
}
