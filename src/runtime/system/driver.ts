import { type CancelTimer, type Host, systemHost } from './host.js';

/** A pure machine: inputs in, outputs out, and the time of its next tick (milliseconds, monotonic). */
export interface Machine<I, O> {
  handle(input: I | { readonly type: 'tick' }, now: number): O[];
  readonly deadline: number | undefined;
}

/**
 * After an exception, a machine gets no tick for this time, in milliseconds, because its deadline may still be in the
 * past.
 */
export const FAULT_PAUSE = 1_000;

/** Called when the machine or `perform` throws. `output`: the output that was being performed. */
export type OnFault<I, O> = (error: unknown, input: I | { readonly type: 'tick' }, output: O | undefined) => void;

/**
 * Drives a machine: feeds it inputs, performs its outputs, and keeps one timer for its deadline. Inputs that `perform`
 * feeds are queued, so that outputs are performed in the order in which the machine returned them.
 */
export class Driver<I, O> {
  readonly #machine: Machine<I, O>;
  readonly #perform: (output: O) => void;
  readonly #host: Host;
  readonly #waiting: (I | { readonly type: 'tick' })[] = [];
  #stepping = false;
  #cancel: CancelTimer | undefined;
  #armedFor: number | undefined;
  #stopped = false;
  readonly #onFault: OnFault<I, O> | undefined;
  /** No tick before this time. */
  #notBefore = Number.NEGATIVE_INFINITY;

  /** Without `onFault`, exceptions propagate to the caller of `feed`. `onFault` must not throw. */
  constructor(machine: Machine<I, O>, perform: (output: O) => void, host: Host = systemHost, onFault?: OnFault<I, O>) {
    this.#onFault = onFault;
    this.#machine = machine;
    this.#perform = perform;
    this.#host = host;
  }

  feed(input: I): void {
    this.#step(input);
  }

  /** Cancels the timer and ignores all further inputs. */
  stop(): void {
    this.#stopped = true;
    this.#waiting.length = 0;
    this.#disarm();
  }

  #step(input: I | { readonly type: 'tick' }): void {
    if (this.#stopped) return;
    this.#waiting.push(input);
    if (this.#stepping) return;
    this.#stepping = true;
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        this.#handle(next);
      }
    } finally {
      this.#stepping = false;
    }
    this.#arm();
  }

  #handle(input: I | { readonly type: 'tick' }): void {
    const outputs = this.#guarded(() => this.#machine.handle(input, this.#host.monotonic()), input, undefined) ?? [];
    for (const output of outputs) this.#guarded(() => this.#perform(output), input, output);
  }

  /** If the performance of an output throws, the outputs after it are still performed. */
  #guarded<T>(action: () => T, input: I | { readonly type: 'tick' }, output: O | undefined): T | undefined {
    if (!this.#onFault) return action();
    try {
      return action();
    } catch (error) {
      this.#notBefore = this.#host.monotonic() + FAULT_PAUSE;
      this.#onFault(error, input, output);
      return undefined;
    }
  }

  #arm(): void {
    const due = this.#machine.deadline;
    const deadline = due === undefined ? undefined : Math.max(due, this.#notBefore);
    if (this.#stopped || deadline === undefined) {
      this.#disarm();
      return;
    }
    // If the timer fires early, the clock is read once more, which costs less than a new timer for each message.
    if (this.#armedFor !== undefined && this.#armedFor <= deadline) return;
    this.#disarm();
    this.#armedFor = deadline;
    const wait = Math.max(0, Math.ceil(deadline - this.#host.monotonic()));
    this.#cancel = this.#host.after(wait, () => {
      this.#armedFor = undefined;
      this.#cancel = undefined;
      const due = this.#machine.deadline;
      const now = this.#host.monotonic();
      if (due !== undefined && due <= now && this.#notBefore <= now) this.#step({ type: 'tick' });
      else this.#arm();
    });
  }

  #disarm(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#armedFor = undefined;
  }
}
