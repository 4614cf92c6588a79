import type { HomeOutput, StoreCall, Stored, Token } from './alphabet.js';
import type { HomeEvent } from './events.js';

/** What a part of the machine may do in a step. `Q`: what it has to know when the store has answered. */
export interface Asker<Q> {
  /** Milliseconds, monotonic. */
  readonly now: number;
  put(output: HomeOutput): void;
  say(event: HomeEvent): void;
  /** Asks the store; the answer comes back with `question`. */
  ask(call: StoreCall, question: Q): void;
  /** A number that is in use nowhere else in the machine's outputs. */
  token(): Token;
}

/** Collects the outputs of one step, and keeps the questions that wait for the store. */
export class Desk<Q> implements Asker<Q> {
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

  /** What was asked with this token; undefined if nothing was. */
  answered(token: Token): Q | undefined {
    const question = this.#questions.get(token);
    this.#questions.delete(token);
    return question;
  }

  /** The outputs of the step that is over. */
  take(): HomeOutput[] {
    const outputs = this.#outputs;
    this.#outputs = [];
    return outputs;
  }
}

/** Why a question has no answer. */
export function reasonOf(stored: Stored): string {
  return stored.operation === 'failed' ? stored.reason : `an answer to ${stored.operation}`;
}
