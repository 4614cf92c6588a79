import type { ClientAuthorization, HomeConfig, ProvenClient, Stored, Token } from './alphabet.js';
import type { Conversation } from './conversations.js';
import { FailureLimits } from './failure-limits.js';
import { KnownSubscribers } from './known-subscribers.js';
import { reasonOf, type StepContext } from './step-context.js';

/** A client with a proven certificate that waits for the decision. */
interface Proving {
  readonly token: Token;
  readonly conversation: Token;
  readonly session: Pick<Conversation, 'sessionId' | 'homeAgent'>;
  readonly client: ProvenClient;
}

export interface AuthorizationQuestion {
  readonly of: 'authorization';
  readonly proving: Proving;
}

/** Authorizes the subscriber of a certificate before the client learns of success (RFC 9190 2.5). */
export class Authorizations {
  readonly #context: StepContext<AuthorizationQuestion>;
  readonly #failures: FailureLimits;
  readonly #known: KnownSubscribers;

  constructor(
    context: StepContext<AuthorizationQuestion>,
    { failures, outage }: Pick<HomeConfig, 'failures' | 'outage'>,
  ) {
    this.#context = context;
    this.#failures = new FailureLimits(failures);
    this.#known = new KnownSubscribers(outage);
  }

  begin(proving: Proving): void {
    const { client, session } = proving;
    const { names, sha256 } = client;
    // Only an owner of the certificate's key reaches this point, so nobody else can use up a subscriber's attempts.
    if (this.#failures.exceeded(sha256, this.#context.now)) {
      this.#context.say({ name: 'limited', of: 'certificate' });
      this.#decide(proving, { ok: false, reason: 'too-many-failures' });
      return;
    }
    const { sessionId, homeAgent } = session;
    const given = { names, sha256, sessionId, ...(homeAgent ? { isAtHomeAgent: true } : {}) };
    this.#context.ask({ operation: 'findSubscriber', given }, { of: 'authorization', proving });
  }

  /** Handles the store's answer. Returns the conversation of an authorized client; undefined: it is not authorized. */
  stored({ proving }: AuthorizationQuestion, stored: Stored): Token | undefined {
    const { now } = this.#context;
    const { session, conversation, client } = proving;
    const { sessionId } = session;
    const { sha256 } = client;
    if (stored.operation !== 'findSubscriber') {
      this.#context.say({ name: 'storeFailed', reason: reasonOf(stored) });
      const subscriber = this.#known.find(sha256, sessionId, now);
      if (!subscriber) return this.#decide(proving, { ok: false, reason: 'unavailable' });
      this.#context.say({ name: 'knownSubscriber', nai: subscriber.nai });
      this.#decide(proving, { ok: true, subscriber });
      return conversation;
    }
    const { result } = stored;
    if ('refusal' in result) {
      this.#failures.failed(sha256, now);
      return this.#decide(proving, { ok: false, reason: result.refusal });
    }
    const { subscriber } = result;
    this.#known.remember(sha256, sessionId, subscriber, now);
    this.#decide(proving, { ok: true, subscriber });
    return conversation;
  }

  /** Subscribers have changed: discards all remembered authentications. */
  forget(): void {
    this.#known.clear();
  }

  #decide({ token }: Proving, authorization: ClientAuthorization): undefined {
    this.#context.put({ type: 'authorization', token, authorization });
    return undefined;
  }
}
