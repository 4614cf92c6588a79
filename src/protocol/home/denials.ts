import type { HomeOutput, Token } from './alphabet.js';

/** What a step of the machine has to reply to, and with which output. */
export interface Serving {
  readonly output: 'answer' | 'authorization' | 'turn' | 'done';
  readonly token: Token;
}

/** The reply after an internal error. */
export function denialOf({ output, token }: Serving): HomeOutput {
  switch (output) {
    case 'answer':
      return { type: output, token, answer: { type: 'denied', because: 'failed' } };
    case 'authorization':
      return { type: output, token, authorization: { ok: false, reason: 'unavailable' } };
    case 'turn':
      return { type: output, token, granted: false };
    case 'done':
      return { type: output, token, outcome: { failure: 'internal error' } };
  }
}
