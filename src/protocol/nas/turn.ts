import type { PaaInput } from '../pana/agent/paa.js';
import type { NasConfig, NasEvent, NasInput, NasOutput, NasSubject } from './alphabet.js';
import type { Client } from './clients.js';

/** One call of `Nas.handle`: what its parts add to. */
export interface Turn {
  readonly now: number;
  readonly during: NasInput['type'];
  readonly config: NasConfig;
  readonly out: NasOutput[];
  /** What the PAA is given when its outputs so far have been performed. */
  readonly next: PaaInput[];
}

/** Ends a session in order: Termination-Cause ADMINISTRATIVE, RFC 5191 8.9. */
export const TERMINATE = { type: 'terminate', cause: 4 } as const;

export function say(turn: Turn, event: NasEvent): void {
  turn.out.push({ type: 'event', event });
}

/** A fault ends the session that it is about; if it is about none, only the input is lost. */
export function guarded<T>(turn: Turn, sessionId: number | undefined, action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    say(turn, { type: 'fault', during: turn.during, error });
    if (sessionId !== undefined) turn.next.push({ type: 'session', sessionId, input: { type: 'abandon' } });
    return undefined;
  }
}

/** Whose session an event is about. */
export function subjectOf({ panaSession: sessionId, peer, granted }: Client): NasSubject {
  return { sessionId, address: peer.address, nai: granted?.userName };
}

/** Gives out numbers for what is asked of the outside; none is used twice. */
export class Tokens {
  #last = 0;

  next(): number {
    this.#last += 1;
    return this.#last;
  }
}
