import { EAP_TYPE } from '../eap/codec.js';
import type { Admission } from './admission.js';
import type { AccessRequest, Denial, HomeConfig, Stored, Token } from './alphabet.js';
import type { Conversation, Conversations } from './conversations.js';
import type { EngineQueue } from './engine-queue.js';
import { type NewState, OriginStates } from './origin-states.js';
import { reasonOf, type StepContext } from './step-context.js';

/** The size of an EAP packet in octets that a NAS carries if it sends no Framed-MTU; RFC 3748 requires 1020. */
const UNSAID_MTU = 1100;

/** An unanswered access request. */
export interface Exchange {
  readonly token: Token;
  readonly request: AccessRequest;
}

export type IncomingQuestion =
  | { readonly of: 'originState'; readonly origin: string; readonly exchange: Exchange | undefined }
  | { readonly of: 'seat'; readonly exchange: Exchange };

/** The conversation of a request, or why it is denied; undefined: the store is being queried. */
export type IncomingResult = Conversation | Denial | undefined;

export interface IncomingParts {
  readonly conversations: Conversations;
  readonly admission: Admission;
  readonly engine: EngineQueue;
}

/** Finds the conversation of a request, or starts one if a seat is available. */
export class IncomingRequests {
  readonly #context: StepContext<IncomingQuestion>;
  readonly #config: Pick<HomeConfig, 'grace' | 'mtu'>;
  readonly #parts: IncomingParts;
  readonly #origins = new OriginStates();

  constructor(context: StepContext<IncomingQuestion>, config: Pick<HomeConfig, 'grace' | 'mtu'>, parts: IncomingParts) {
    this.#context = context;
    this.#config = config;
    this.#parts = parts;
  }

  request(exchange: Exchange): IncomingResult {
    const { request } = exchange;
    const known = this.#origins.requested(request);
    if (known === undefined) return this.#begin(exchange);
    this.#endOlder(request.origin, known, exchange);
    return undefined;
  }

  peerOpen(origin: string, originState: number | undefined): void {
    const known = this.#origins.connected(origin, originState);
    if (known !== undefined) this.#endOlder(origin, known, undefined);
  }

  stored(question: IncomingQuestion, stored: Stored): IncomingResult {
    const { exchange } = question;
    if (question.of === 'seat') {
      const { request } = question.exchange;
      // A store failure is reported elsewhere. Here the session just counts as unknown.
      const origin = stored.operation === 'originOfSession' ? stored.result : undefined;
      return this.#seated(request, this.#parts.admission.answered(request, origin, this.#context.now));
    }
    const { origin } = question;
    if (stored.operation === 'endSessionsOf') {
      const { result: sessions } = stored;
      if (sessions > 0) this.#context.say({ name: 'sessionsLost', origin, sessions });
    } else {
      this.#origins.failed(origin);
      this.#context.say({ name: 'storeFailed', reason: reasonOf(stored), origin });
    }
    return exchange && this.#begin(exchange);
  }

  /**
   * Ends the earlier sessions of a NAS that has restarted, before its new requests are processed. Stored answers are
   * dropped at the first attempt only; at later attempts they belong to the NAS's current sessions.
   */
  #endOlder(origin: string, { state, restarted }: NewState, exchange: Exchange | undefined): void {
    if (restarted) this.#context.put({ type: 'forgetKeysOf', origin: origin.toLowerCase() });
    const given = { origin, before: state, leasesFor: this.#config.grace };
    this.#context.ask({ operation: 'endSessionsOf', given }, { of: 'originState', origin, exchange });
  }

  /**
   * RFC 4072 3.1: an empty payload or an Identity starts a conversation, unless it is the Identity that this server
   * requested after an empty payload. A session may have several conversations, one after another.
   */
  #begin(exchange: Exchange): IncomingResult {
    const { conversations, admission, engine } = this.#parts;
    const { request } = exchange;
    const { sessionId, packet } = request;
    const open = conversations.get(sessionId);
    const isRequested = open?.identityRequest !== undefined && open.identityRequest === packet[1];
    const begins = packet.length === 0 || (packet[4] === EAP_TYPE.IDENTITY && !isRequested);
    if (isOfOther(open, request) || !(open || begins)) return 'unknown-session';
    if (open && !begins) {
      conversations.touch(open, this.#context.now);
      return open;
    }
    const scarce = conversations.scarce || engine.waiting > 0;
    const seat = admission.seatOf(request, scarce, this.#context.now);
    if (seat) return this.#seated(request, seat);
    this.#context.ask({ operation: 'originOfSession', given: { sessionId } }, { of: 'seat', exchange });
    return undefined;
  }

  #seated(request: AccessRequest, seat: Conversation['seat']): Conversation | Denial {
    const { conversations, admission } = this.#parts;
    const { now } = this.#context;
    const { sessionId, origin, originRealm, originState, wish, services, homeAgent } = request;
    // Another conversation may have started meanwhile.
    if (isOfOther(conversations.get(sessionId), request)) return 'unknown-session';
    if (this.#parts.engine.refuses(seat, now)) {
      for (const event of admission.turnedAway('engine', seat, now)) this.#context.say(event);
      return 'too-busy';
    }
    const id = this.#context.token();
    const given = { id, sessionId, origin, originRealm, originState, wish, services, homeAgent, seat };
    const { conversation, ended, pushedOut } = conversations.add(given, now);
    if (ended) this.#context.put({ type: 'close', conversation: ended.id });
    if (pushedOut)
      for (const event of admission.turnedAway('conversations', pushedOut.seat, now)) this.#context.say(event);
    if (pushedOut === conversation) return 'too-busy';
    if (pushedOut) this.#context.put({ type: 'close', conversation: pushedOut.id });
    const mtu = Math.min(this.#config.mtu, request.mtu ?? UNSAID_MTU);
    const { extendedMasterSecret } = request;
    this.#context.put({ type: 'open', conversation: id, sessionId, mtu, extendedMasterSecret });
    return conversation;
  }
}

/** Whether another host started this conversation. A NAS must not continue or replace a conversation of another NAS. */
export function isOfOther(conversation: Conversation | undefined, request: { readonly origin: string }): boolean {
  return conversation !== undefined && conversation.origin.toLowerCase() !== request.origin.toLowerCase();
}
