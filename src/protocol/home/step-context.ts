import type { HomeOutput, StoreCall, Stored, Token } from './alphabet.js';
import type { HomeEvent } from './events.js';

/** What the parts of the machine use during a step. `Q`: context that a part needs when the store answers. */
export interface StepContext<Q> {
  /** Milliseconds, monotonic. */
  readonly now: number;
  put(output: HomeOutput): void;
  say(event: HomeEvent): void;
  /** Queries the store. `question` is returned with the answer. */
  ask(call: StoreCall, question: Q): void;
  /** A token that no other output uses. */
  token(): Token;
}

/** Collects the outputs of a step, and keeps the context of store queries without an answer. */
export class HomeContext<Q> implements StepContext<Q> {
  now = 0;
  #outputs: HomeOutput[] = [];
  readonly #questions = new Map<Token, Q>();
  #last = 0;

  put(output: HomeOutput): void {
    this.#outputs.push(output);
  }

  say(event: HomeEvent): void {
    this.put({ type: 'event', event });
  }

  ask(call: StoreCall, question: Q): void {
    const token = this.token();
    this.#questions.set(token, question);
    this.put({ type: 'store', token, call });
  }

  token(): Token {
    this.#last += 1;
    return this.#last;
  }

  /** Context of the query with this token; undefined if there is none. */
  answered(token: Token): Q | undefined {
    const question = this.#questions.get(token);
    this.#questions.delete(token);
    return question;
  }

  /** Returns the outputs of the step and clears them. */
  take(): HomeOutput[] {
    const outputs = this.#outputs;
    this.#outputs = [];
    return outputs;
  }
}

/** Why a query failed. */
export function reasonOf(stored: Stored): string {
  return stored.operation === 'failed' ? stored.reason : `an unexpected answer to ${stored.operation}`;
}
