/** Where an input leads a machine, and what to do about it. */
export interface Step<S, O> {
  readonly state: S;
  readonly out: readonly O[];
}

/** The machine is in `state` now, or stays in it. */
export function stay<S, O = never>(state: S, out: readonly O[] = []): Step<S, O> {
  return { state, out };
}

/** A step after outputs of an earlier one. */
export function after<S, O>(out: readonly O[], step: Step<S, O>): Step<S, O> {
  return out.length === 0 ? step : { state: step.state, out: [...out, ...step.out] };
}
