import type { AaaMessages, ServerRequest } from './aaa-messages.js';
import type { NasInput } from './alphabet.js';
import type { Client, Clients } from './clients.js';
import { isOnRoute } from './session-server.js';
import { guarded, say, subjectOf, TERMINATE, type Turn } from './turn.js';

type Wish = Extract<ServerRequest, { type: 'wish' }>;

/** Answers requests of AAA servers for their sessions: ASR and RAR (RFC 6733 8.3, 8.5). */
export class ServerRequests {
  readonly #messages: AaaMessages;
  readonly #clients: Clients;

  constructor(messages: AaaMessages, clients: Clients) {
    this.#messages = messages;
    this.#clients = clients;
  }

  /** Adds the answer to the outputs of this step, before the outputs that the request causes. */
  serve(turn: Turn, { token, message, peer }: Extract<NasInput, { type: 'serverAsks' }>): void {
    const request = guarded(turn, undefined, () => this.#messages.read(message));
    if (request?.type !== 'wish') {
      const answer = request?.answer ?? this.#messages.refuse(message, 'UNABLE_TO_COMPLY', 'a fault of this node');
      turn.out.push({ type: 'answer', token, message: answer });
      return;
    }
    const client = this.#clientOf(turn, request, peer);
    turn.out.push({ type: 'answer', token, message: request.answer(client !== undefined) });
    if (!client) return;
    const input = request.wish === 'abort' ? TERMINATE : ({ type: 'reauthenticate' } as const);
    turn.next.push({ type: 'session', sessionId: client.panaSession, input });
  }

  /** The client with this session, if this server is allowed to control it. */
  #clientOf(turn: Turn, request: Wish, peer: string): Client | undefined {
    const client = this.#clients.ofDiameter(request.sessionId);
    if (!client || this.#isServerOf(turn, client, request, peer)) return client;
    say(turn, { type: 'otherServer', ...subjectOf(client), peer: request.host, wish: request.wish });
    return undefined;
  }

  /**
   * Whether this is the session's server. If the servers of its realm share the session, any server to which a DER
   * could be routed is accepted.
   */
  #isServerOf(turn: Turn, { access }: Client, { host, realm }: Wish, peer: string): boolean {
    if (access.server?.toLowerCase() === host.toLowerCase()) return true;
    if (access.sharedRealm?.toLowerCase() !== realm.toLowerCase()) return false;
    return isOnRoute(turn.config.routes, this.#messages.realmOf(access.identity), peer);
  }
}
