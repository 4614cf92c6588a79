import type { HookEvent, HookVariables } from './contract.js';

/** An authorized client. */
export interface AdmittedClient {
  readonly session: string;
  readonly userName: string | undefined;
  readonly address: string;
  /** Milliseconds from now; undefined: no limit. */
  readonly lifetime: number | undefined;
}

export type EnforcementInput =
  /** Set up the enforcement point from an empty state. */
  | { readonly type: 'start'; readonly token: number }
  | { readonly type: 'permit'; readonly token: number; readonly admission: AdmittedClient }
  | { readonly type: 'move'; readonly session: string; readonly address: string }
  | { readonly type: 'revoke'; readonly session: string }
  /** The PAA stops. */
  | { readonly type: 'stop'; readonly token: number }
  /** A job is about to run. Sent for each try, and answered by `data` or `nothing`. */
  | { readonly type: 'run'; readonly job: number }
  /** The first try of a job has ended. */
  | { readonly type: 'firstResult'; readonly job: number; readonly ok: boolean }
  /** A job is done: it has succeeded or will not be retried. */
  | { readonly type: 'done'; readonly job: number; readonly ok: boolean }
  | { readonly type: 'tick' };

export type EnforcementOutput =
  /** Queue a run of the hook. `run` requests its data. `after`: jobs whose first try must end before. */
  | {
      readonly type: 'job';
      readonly job: number;
      readonly event: HookEvent;
      readonly subject: string;
      readonly after: readonly number[];
    }
  /** Answers `run` with the data for the hook. `input`: its standard input. */
  | {
      readonly type: 'data';
      readonly job: number;
      readonly variables: HookVariables;
      readonly input: string | undefined;
    }
  /** Answers `run`: the event no longer applies. */
  | { readonly type: 'nothing'; readonly job: number }
  /** The first try of the request with this token has ended. */
  | { readonly type: 'firstResult'; readonly token: number; readonly ok: boolean };
