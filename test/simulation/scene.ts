import type { Dice, Life, WorldClock } from './clock.js';
import type { Trace } from './trace.js';

/** What the parts of a world share. */
export interface Scene {
  readonly clock: WorldClock;
  /** For links, connections, programs and the store; the plan has its own. */
  readonly dice: Dice;
  readonly trace: Trace;
  /**
   * Returns whether an effect of a process takes place: a packet, a call or a program. The world may kill the process
   * at any effect; then neither this effect nor any later one takes place.
   */
  leaves(life: Life): boolean;
}
