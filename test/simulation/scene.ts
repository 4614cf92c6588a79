import type { Dice, Life, WorldClock } from './clock.js';
import type { Trace } from './trace.js';

/** What every part of a world has. */
export interface Scene {
  readonly clock: WorldClock;
  /** Of the links, connections, programs and the store; the plan has its own. */
  readonly dice: Dice;
  readonly trace: Trace;
  /**
   * Whether an effect of a process leaves it: a packet, a call, a program. The world may kill the process at any of them, and
   * then neither this one nor a later one does.
   */
  leaves(life: Life): boolean;
}
