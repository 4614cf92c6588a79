import type { PaaInput } from '../pana/agent/paa-interface.js';
import { PANA_TERMINATION_CAUSE } from '../pana/wire/dictionary.js';
import type { NasConfig, NasEvent, NasInput, NasOutput, NasSubject } from './alphabet.js';
import type { Client } from './clients.js';

/** One call of `Nas.handle`. The parts of the NAS add outputs and inputs to it. */
export interface StepContext {
  readonly now: number;
  readonly during: NasInput['type'];
  readonly config: NasConfig;
  readonly out: NasOutput[];
  /** Inputs for the PAA after its current outputs have been processed. */
  readonly next: PaaInput[];
}

/** Terminates a session (RFC 5191 8.9). */
export const TERMINATE = { type: 'terminate', cause: PANA_TERMINATION_CAUSE.ADMINISTRATIVE } as const;

export function say(context: StepContext, event: NasEvent): void {
  context.out.push({ type: 'event', event });
}

/** Runs `action`. An exception ends the session concerned; without a session only the input is lost. */
export function guarded<T>(context: StepContext, sessionId: number | undefined, action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    say(context, { type: 'fault', during: context.during, error });
    if (sessionId !== undefined) context.next.push({ type: 'session', sessionId, input: { type: 'abandon' } });
    return undefined;
  }
}

/** Describes the session that an event concerns. */
export function subjectOf({ panaSession: sessionId, peer, granted }: Client): NasSubject {
  return { sessionId, address: peer.address, nai: granted?.userName };
}

/** Issues the tokens of outputs that need an answer. No token is used twice. */
export class Tokens {
  #last = 0;

  next(): number {
    this.#last += 1;
    return this.#last;
  }
}
