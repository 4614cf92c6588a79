import type { AttachmentConfig } from './alphabet.js';

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

/**
 * Causes of a session's end that leave the session open at the AAA server and at the home agent. The node therefore
 * keeps its home agent and home address.
 */
export const UNNOTICED: readonly string[] = ['no-answer', 'no-progress', 'moved'];

/** Causes of a failed attempt that are attributed to packet loss if the PAA was heard during the attempt. */
export const LOST: readonly string[] = ['no-answer', 'no-progress'];

/** Fraction by which a wait is randomly shortened or extended, so that nodes do not all return at the same time. */
const RETRY_JITTER = 0.1;

/** How long to wait after so many failures in a row before the next attempt, in milliseconds. `unit`: random, 0 to 1. */
export function waitAfter(
  failures: number,
  { first, longest }: Pick<AttachmentConfig, 'first' | 'longest'>,
  unit: number,
): number {
  const base = Math.min(first * 2 ** Math.min(failures, 30), longest);
  return base * (1 + RETRY_JITTER * (2 * unit - 1));
}
