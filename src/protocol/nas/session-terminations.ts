import { DeadlineQueue } from '../bytes/deadline-queue.js';
import type { DiameterMessage } from '../diameter/wire/codec.js';
import type { AaaMessages, EndCause, EndedSession } from './aaa-messages.js';
import type { Client } from './clients.js';
import type { SessionServer } from './session-server.js';
import type { StepContext, Tokens } from './step-context.js';

/** Number of transmissions of an STR while no server can be reached. Nothing else frees the session on the server. */
export const STR_TRIES = 5;

/** The first retry of an STR follows after this time, the nth after n times this time. Milliseconds. */
export const STR_RETRY = 5_000;

interface Ending {
  readonly session: EndedSession;
  readonly cause: EndCause;
  readonly tries: number;
}

/** Ends sessions on AAA servers: sends an STR for each, and retries it until it is answered. */
export class SessionTerminations {
  readonly #messages: AaaMessages;
  readonly #tokens: Tokens;
  /** Unanswered STRs by token. */
  readonly #asked = new Map<number, Ending>();
  /** STRs that wait for their retry. */
  readonly #waiting = new DeadlineQueue<Ending>();
  #givesUp = false;

  constructor(messages: AaaMessages, tokens: Tokens) {
    this.#messages = messages;
    this.#tokens = tokens;
  }

  get deadline(): number | undefined {
    return this.#waiting.first;
  }

  /** Number of unanswered STRs. */
  get pending(): number {
    return this.#asked.size;
  }

  /** Sends an STR for a session that has ended. `server` undefined: the server keeps no state, so nothing is sent. */
  terminate(context: StepContext, client: Client, server: SessionServer | undefined, cause: EndCause): void {
    if (!server) return;
    const { sessionId: id, access, granted } = client;
    const { identity, classes } = access;
    const session = { id, identity, userName: granted?.userName ?? identity ?? '', server, classes };
    this.#ask(context, { session, cause, tries: 1 });
  }

  /**
   * Sends the STR of a client whose session is being terminated by this side, and whose permit is revoked; the end of the PANA
   * session then needs no other. A client that does not answer would keep lease and home agent until the last PTR, for minutes.
   */
  terminateEarly(context: StepContext, client: Client): void {
    const { granted } = client;
    if (!granted) return;
    this.terminate(context, client, granted.server, 'administrative');
    client.granted = { ...granted, server: undefined };
  }

  /**
   * Handles the answer to an STR; undefined: there will be none. Returns false if the token does not belong to an STR.
   */
  answered(context: StepContext, token: number, answer: DiameterMessage | undefined): boolean {
    const ending = this.#asked.get(token);
    if (!ending) return false;
    this.#asked.delete(token);
    if (!answer || this.#messages.isUndelivered(answer)) this.#again(context, ending);
    return true;
  }

  tick(context: StepContext): void {
    for (let due = this.#waiting.due(context.now); due; due = this.#waiting.due(context.now)) this.#ask(context, due);
  }

  /** Stops retrying, because the NAS stops. */
  giveUp(): void {
    this.#givesUp = true;
    this.#waiting.clear();
  }

  #again(context: StepContext, { session, cause, tries }: Ending): void {
    const { server } = session;
    // RFC 6733 8.18: if the server cannot be reached, another one may have the session.
    if (server.host !== undefined && server.tryAgain) {
      this.#ask(context, { session: { ...session, server: { host: undefined, tryAgain: false } }, cause, tries });
    } else if (!this.#givesUp && tries < STR_TRIES) {
      this.#waiting.set({ session, cause, tries: tries + 1 }, context.now + STR_RETRY * tries);
    }
  }

  #ask(context: StepContext, ending: Ending): void {
    const token = this.#tokens.next();
    this.#asked.set(token, ending);
    context.out.push({ type: 'ask', token, message: this.#messages.str(ending.session, ending.cause) });
  }
}
