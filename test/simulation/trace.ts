import type { WorldClock } from './clock.js';

/** One line of a ladder: a transmission between two hosts, or an event at one. */
export interface Step {
  readonly at: number;
  readonly from: string;
  /** The other host, or the same one for an event. */
  readonly to: string;
  readonly text: string | (() => string);
}

/** The number of steps kept for a ladder; the oldest are dropped. */
const MAX_STEPS = 4_000;

/** The last steps of a world, and a hash over all of them. */
export class Trace {
  readonly #clock: WorldClock;
  readonly #steps: Step[] = [];
  #hash = 0x811c9dc5;
  /** Whether steps are still recorded. */
  #isOpen = true;
  /** The number of all steps, and of those of each kind. */
  count = 0;
  readonly counts = new Map<string, number>();

  constructor(clock: WorldClock) {
    this.#clock = clock;
  }

  /** `kind` and `size` are hashed; `text` is evaluated when it is read. */
  note(from: string, to: string, kind: string, size: number, text: string | (() => string) = kind): void {
    this.count += 1;
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    this.#mix(Math.round(this.#clock.now * 1_000) ^ size);
    for (const word of [from, to, kind]) for (let i = 0; i < word.length; i += 1) this.#mix(word.charCodeAt(i));
    if (!this.#isOpen) return;
    this.#steps.push({ at: this.#clock.now, from, to, text });
    if (this.#steps.length >= 2 * MAX_STEPS) this.#steps.splice(0, MAX_STEPS);
  }

  /** Stops recording, so that a ladder ends with the current step. */
  close(): void {
    this.#isOpen = false;
  }

  /** The hash of all steps. It is equal in two worlds of the same seed. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }

  get steps(): readonly Step[] {
    return this.#steps.slice(-MAX_STEPS);
  }

  #mix(value: number): void {
    this.#hash = Math.imul(this.#hash ^ value, 0x01000193);
  }
}
