/** Node's timers hold 31 bits of milliseconds. */
const LONGEST = 2 ** 31 - 1;

/** Waits that end early when all are woken. */
export class Sleepers {
  readonly #all = new Set<() => void>();

  /** `onBegin` receives a function that ends this wait early. */
  sleep(milliseconds: number, onBegin: (wake: () => void) => void = () => undefined): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => wake(), Math.min(milliseconds, LONGEST));
      const wake = () => {
        clearTimeout(timer);
        this.#all.delete(wake);
        resolve();
      };
      this.#all.add(wake);
      onBegin(wake);
    });
  }

  wakeAll(): void {
    for (const wake of [...this.#all]) wake();
  }
}
