/** The result of an input: the next state and the outputs. */
export interface Step<S, O> {
  readonly state: S;
  readonly out: readonly O[];
}

/** Creates a step to `state`. */
export function stay<S, O = never>(state: S, out: readonly O[] = []): Step<S, O> {
  return { state, out };
}

/** Puts earlier outputs before those of a step. */
export function after<S, O>(out: readonly O[], step: Step<S, O>): Step<S, O> {
  return out.length === 0 ? step : { state: step.state, out: [...out, ...step.out] };
}
