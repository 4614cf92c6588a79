import type { Broken } from './invariants.js';
import type { Plan } from './plan.js';

/** The invariant that a plan breaks; undefined: none. */
export type Try = (plan: Plan) => Promise<Broken | undefined>;

/**
 * Removes events, first many at once and then one by one, while the same invariant still breaks. Resolves with a plan
 * from which no single event can be removed. `tries`: the largest number of runs.
 */
export async function shrink(plan: Plan, invariant: string, attempt: Try, tries = 200): Promise<Plan> {
  let best = plan;
  let left = tries;
  const breaks = async (candidate: Plan) => {
    left -= 1;
    return (await attempt(candidate))?.invariant === invariant;
  };
  for (let size = Math.ceil(best.events.length / 2); size >= 1 && left > 0; ) {
    let hasShrunk = false;
    for (let from = 0; from < best.events.length && left > 0; ) {
      const candidate = { ...best, events: [...best.events.slice(0, from), ...best.events.slice(from + size)] };
      if (await breaks(candidate)) {
        best = candidate;
        hasShrunk = true;
      } else from += size;
    }
    if (size === 1 && !hasShrunk) break;
    if (size > 1 || !hasShrunk) size = Math.floor(size / 2);
  }
  return best;
}
