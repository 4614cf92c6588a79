import type { WorldClock } from './clock.js';

/** One line of a ladder: what goes from one host to another, or what happens at one. */
export interface Step {
  readonly at: number;
  readonly from: string;
  /** The same host: it happens there. */
  readonly to: string;
  readonly text: string | (() => string);
}

/** Steps that are kept for a ladder; the oldest go first. */
const MAX_STEPS = 4_000;

/** What has happened in a world: the last steps, and a hash over all of them. */
export class Trace {
  readonly #clock: WorldClock;
  readonly #steps: Step[] = [];
  #hash = 0x811c9dc5;
  /** All of them. */
  count = 0;

  constructor(clock: WorldClock) {
    this.#clock = clock;
  }

  /** `kind` and `size` go into the hash; `text` is made when somebody reads it. */
  note(from: string, to: string, kind: string, size: number, text: string | (() => string) = kind): void {
    this.count += 1;
    this.#mix(Math.round(this.#clock.now * 1_000) ^ size);
    for (const word of [from, to, kind]) for (let i = 0; i < word.length; i += 1) this.#mix(word.charCodeAt(i));
    this.#steps.push({ at: this.#clock.now, from, to, text });
    if (this.#steps.length >= 2 * MAX_STEPS) this.#steps.splice(0, MAX_STEPS);
  }

  /** Two worlds of one seed have the same. */
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
