import type { Admission } from './admission.js';
import type {
  Demand,
  DemandOutcome,
  HomeAnswer,
  HomeInput,
  SessionReport,
  Stored,
  TerminationRequest,
  Token,
} from './alphabet.js';
import type { Lease, Session } from './records.js';
import { reasonOf, type StepContext } from './step-context.js';

/** Older sessions of a subscriber that are being ended one after another. */
interface Replacement {
  readonly nai: string;
  readonly rest: Session[];
}

/** The reason for a request to a NAS: an operator's demand, or a newer session of the subscriber. */
type SentDemand =
  | { readonly by: 'demand'; readonly token: Token; readonly demand: Demand; readonly session: Session }
  | { readonly by: 'replacement'; readonly session: Session; readonly replacement: Replacement };

/** What to do when the session has ended in the store: complete the demand, or end the next older session. */
type Ending =
  | { readonly next: 'done'; readonly token: Token; readonly outcome: DemandOutcome }
  | { readonly next: 'session'; readonly replacement: Replacement };

export type SessionQuestion =
  | { readonly of: 'termination'; readonly token: Token; readonly request: TerminationRequest }
  | { readonly of: 'report'; readonly token: Token }
  | { readonly of: 'ending'; readonly reason: string; readonly ending: Ending }
  | { readonly of: 'older'; readonly nai: string; readonly sessionId: string };

/**
 * Ends sessions: on request of their NAS, by an operator's demand to the NAS, because of a newer session, or only in
 * the store.
 */
export class Sessions {
  readonly #context: StepContext<SessionQuestion>;
  readonly #sent = new Map<Token, SentDemand>();
  /** Its `ended` is called for each session that ends. */
  readonly #admission: Pick<Admission, 'ended'>;

  constructor(context: StepContext<SessionQuestion>, admission: Pick<Admission, 'ended'>) {
    this.#context = context;
    this.#admission = admission;
  }

  /** Handles the end of a session that its NAS reports (RFC 6733 8.4). The answer is sent after that of the store. */
  terminate(token: Token, request: TerminationRequest): void {
    const { sessionId, origin } = request;
    this.#context.ask({ operation: 'endSession', given: { sessionId, origin } }, { of: 'termination', token, request });
  }

  /** The answer to a termination request. */
  terminated({ request }: Extract<SessionQuestion, { of: 'termination' }>, stored: Stored): HomeAnswer {
    const { sessionId, origin, cause } = request;
    if (stored.operation !== 'endSession') {
      this.#context.say({ name: 'storeFailed', reason: reasonOf(stored) });
      const isFull = stored.operation === 'failed' && stored.full;
      return { type: 'denied', because: isFull ? 'out-of-space' : 'failed' };
    }
    const { known, foreign = false, released } = stored.result;
    if (foreign) {
      this.#context.say({ name: 'foreignTermination', sessionId, origin });
      return { type: 'denied', because: 'unknown-session' };
    }
    this.#admission.ended(sessionId);
    this.#context.put({ type: 'forgetKeys', sessionId });
    this.#context.say({ name: 'sessionEnded', sessionId, cause, known });
    if (released) this.#release(released, 'session ended');
    return { type: 'terminated', known };
  }

  /** Stores the report of a NAS. The answer is sent after that of the store. */
  report(token: Token, report: SessionReport): void {
    this.#context.ask({ operation: 'reportSession', given: report }, { of: 'report', token });
  }

  /** Handles a demand from an operator or from a change of the configuration. */
  demand({ token, demand, session }: Extract<HomeInput, { type: 'demand' }>): void {
    this.#send(demand, { by: 'demand', token, demand, session });
  }

  end({ token, session, reason }: Extract<HomeInput, { type: 'end' }>): void {
    this.#end(session, reason, { next: 'done', token, outcome: { result: '', unknown: false, refused: false } }, true);
  }

  /**
   * Ends the older sessions of a subscriber at the NAS of its newest session; nothing else would end them. A node that
   * moves to another NAS ends its old session itself when the new one is established.
   */
  replaceOlder(nai: string, sessionId: string, origin: string): void {
    this.#context.ask({ operation: 'listSessions', given: { of: nai, paa: origin } }, { of: 'older', nai, sessionId });
  }

  /** The demand that the answer to this `sendDemand` completes; undefined: none. */
  demandOf(token: Token): Token | undefined {
    const sent = this.#sent.get(token);
    return sent?.by === 'demand' ? sent.token : undefined;
  }

  answered(token: Token, outcome: DemandOutcome): void {
    const sent = this.#sent.get(token);
    if (!sent) return;
    this.#sent.delete(token);
    const isGone = 'unknown' in outcome && (outcome.unknown || outcome.over === true);
    const { session } = sent;
    const reason = 'over' in outcome && outcome.over === true ? 'disconnected' : 'unknown to its PAA';
    if (sent.by === 'demand') {
      const ending: Ending = { next: 'done', token: sent.token, outcome };
      if (isGone) this.#end(session, reason, ending);
      else this.#done(ending);
      return;
    }
    const ending: Ending = { next: 'session', replacement: sent.replacement };
    if (isGone) this.#end(session, reason, ending);
    else if ('failure' in outcome || outcome.refused) this.#end(session, 'replaced', ending, true);
    else this.#done(ending);
  }

  stored(question: Exclude<SessionQuestion, { of: 'termination' }>, stored: Stored): void {
    if (question.of === 'older') this.#older(question, stored);
    else if (question.of === 'report') this.#reported(question.token, stored);
    else this.#ended(question, stored);
  }

  #reported(token: Token, stored: Stored): void {
    const isStored = stored.operation === 'reportSession';
    if (!isStored) this.#context.say({ name: 'storeFailed', reason: reasonOf(stored) });
    const answer: HomeAnswer = isStored
      ? { type: 'reported', known: stored.result.known }
      : { type: 'denied', because: 'failed' };
    this.#context.put({ type: 'answer', token, answer });
  }

  #older({ nai, sessionId }: Extract<SessionQuestion, { of: 'older' }>, stored: Stored): void {
    if (stored.operation !== 'listSessions') {
      this.#context.say({ name: 'olderNotEnded', nai, reason: reasonOf(stored) });
      return;
    }
    const { items } = stored.result;
    const newest = items.find((session) => session.sessionId === sessionId);
    if (!newest) return;
    const rest = items.filter((each) => each.sessionId !== sessionId && each.startedAt <= newest.startedAt);
    this.#next({ nai, rest });
  }

  #next(replacement: Replacement): void {
    const session = replacement.rest.shift();
    if (session) this.#send('disconnect', { by: 'replacement', session, replacement });
  }

  #send(demand: Demand, sent: SentDemand): void {
    const token = this.#context.token();
    this.#sent.set(token, sent);
    this.#context.put({ type: 'sendDemand', token, demand, session: sent.session });
  }

  /** Ends a session in the store. `unconfirmed`: its NAS has not confirmed the end. */
  #end({ sessionId }: Session, reason: string, ending: Ending, unconfirmed = false): void {
    this.#admission.ended(sessionId);
    this.#context.put({ type: 'forgetKeys', sessionId });
    this.#context.ask(
      { operation: 'endSession', given: { sessionId, ...(unconfirmed ? { unconfirmed } : {}) } },
      { of: 'ending', reason, ending },
    );
  }

  #ended({ reason, ending }: Extract<SessionQuestion, { of: 'ending' }>, stored: Stored): void {
    if (stored.operation === 'endSession') {
      const { released } = stored.result;
      if (released) this.#release(released, reason);
      this.#done(ending);
    } else if (ending.next === 'done') {
      this.#done({ ...ending, outcome: { failure: reasonOf(stored) } });
    } else {
      this.#context.say({ name: 'olderNotEnded', nai: ending.replacement.nai, reason: reasonOf(stored) });
    }
  }

  #release(lease: Lease, reason: string): void {
    this.#context.say({ name: 'leaseReleased', lease, reason });
    this.#context.put({ type: 'hook', token: undefined, event: 'down', lease, key: undefined });
  }

  #done(ending: Ending): void {
    if (ending.next === 'session') this.#next(ending.replacement);
    else this.#context.put({ type: 'done', token: ending.token, outcome: ending.outcome });
  }
}
