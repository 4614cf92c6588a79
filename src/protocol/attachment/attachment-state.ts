// The parts of the state of the Attachment machine.

/** An attempt to reach a PAA. `authorized`: it has the session of the node. */
export interface Attempt {
  readonly id: number;
  readonly paa: string;
  readonly authorized: boolean;
}

/** The request that has no answer yet: a discovery of PAAs, or a socket. */
export type PendingQuestion =
  | { readonly name: 'nothing' }
  | { readonly name: 'discovery'; readonly token: number }
  | { readonly name: 'socket'; readonly attempt: Attempt };

export const NOTHING: PendingQuestion = { name: 'nothing' };

/** Whether the PAA of the current session still has the session after a sign that the node has moved. */
export type Doubt =
  | { readonly name: 'none' }
  /** The PAA is probed as soon as the node has an address. */
  | { readonly name: 'arisen' }
  | { readonly name: 'asked'; readonly until: number }
  /** The PAA has not answered in time. */
  | { readonly name: 'confirmed' };

export const NO_DOUBT: Doubt = { name: 'none' };

/** Whether a session is being made. */
export function isBeingMade(asked: PendingQuestion, attempts: readonly (Attempt | undefined)[]): boolean {
  return asked.name !== 'nothing' || attempts.some((attempt) => attempt?.authorized === false);
}
