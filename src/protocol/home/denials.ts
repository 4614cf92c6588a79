import type { EapVerdict, HomeOutput, Token } from './alphabet.js';

/** The question that a step must answer: its token, and the output that answers it. */
export interface OwedReply {
  readonly output: 'answer' | 'authorization' | 'turn' | 'done';
  readonly token: Token;
}

/** The answer after an internal error. */
export function denialOf({ output, token }: OwedReply): HomeOutput {
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

/** Overwrites the keys of a verdict that nobody takes. */
export function wipeVerdict(verdict: EapVerdict): void {
  if (verdict.type !== 'success') return;
  verdict.msk.wipe();
  verdict.emsk.wipe();
}
