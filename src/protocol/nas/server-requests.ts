import type { AaaMessages, ServerRequest } from './aaa-messages.js';
import type { NasInput } from './alphabet.js';
import type { Client, Clients } from './clients.js';
import type { Enforcement } from './enforcement.js';
import { isOnRoute } from './session-server.js';
import type { SessionTerminations } from './session-terminations.js';
import { guarded, type StepContext, say, subjectOf, TERMINATE } from './step-context.js';

type Wish = Extract<ServerRequest, { type: 'wish' }>;

/** Answers requests of AAA servers for their sessions: ASR and RAR (RFC 6733 8.3, 8.5). */
export class ServerRequests {
  readonly #messages: AaaMessages;
  readonly #clients: Clients;
  readonly #enforcement: Enforcement;

  readonly #terminations: SessionTerminations;

  constructor(messages: AaaMessages, clients: Clients, enforcement: Enforcement, terminations: SessionTerminations) {
    this.#messages = messages;
    this.#clients = clients;
    this.#enforcement = enforcement;
    this.#terminations = terminations;
  }

  /** Adds the answer to the outputs of this step, before the outputs that the request causes. */
  serve(context: StepContext, { token, message, peer }: Extract<NasInput, { type: 'serverRequest' }>): void {
    const request = guarded(context, undefined, () => this.#messages.read(message));
    if (request?.type !== 'wish') {
      const answer =
        request?.answer ?? this.#messages.refuse(message, 'UNABLE_TO_COMPLY', 'an internal error of this node');
      context.out.push({ type: 'answer', token, message: answer });
      return;
    }
    const client = this.#clientOf(context, request, peer);
    context.out.push({ type: 'answer', token, message: request.answer(client !== undefined) });
    if (!client) return;
    if (request.wish === 'abort') {
      this.#enforcement.bar(context, client);
      this.#terminations.terminateEarly(context, client);
    }
    const input = request.wish === 'abort' ? TERMINATE : ({ type: 'reauthenticate' } as const);
    context.next.push({ type: 'session', sessionId: client.panaSession, input });
  }

  /** The client with this session, if this server is allowed to control it. */
  #clientOf(context: StepContext, request: Wish, peer: string): Client | undefined {
    const client = this.#clients.ofDiameter(request.sessionId);
    if (!client || this.#isServerOf(context, client, request, peer)) return client;
    say(context, { type: 'otherServer', ...subjectOf(client), peer: request.host, wish: request.wish });
    return undefined;
  }

  /**
   * Whether this is the session's server. If the servers of its realm share the session, any server to which a DER
   * could be routed is accepted.
   */
  #isServerOf(context: StepContext, { access }: Client, { host, realm }: Wish, peer: string): boolean {
    if (access.server?.toLowerCase() === host.toLowerCase()) return true;
    if (access.sharedRealm?.toLowerCase() !== realm.toLowerCase()) return false;
    return isOnRoute(context.config.routes, this.#messages.realmOf(access.identity), peer);
  }
}
