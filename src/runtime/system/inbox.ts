/**
 * Collects items for a receiver that is created later than their sources. Without it, two objects that call each other
 * would need a constructor that refers to a field not yet set. Items wait until the receiver exists.
 */
export class Inbox<T> {
  readonly #waiting: T[] = [];
  #receive: ((item: T) => void) | undefined;

  put(item: T): void {
    if (this.#receive && this.#waiting.length === 0) this.#receive(item);
    else this.#waiting.push(item);
  }

  /** Passes the waiting items and all later ones to the receiver. There can be only one receiver. */
  open(receive: (item: T) => void): void {
    if (this.#receive) throw new Error('the inbox has a receiver');
    this.#receive = receive;
    for (let [item] = this.#waiting; this.#waiting.length > 0; [item] = this.#waiting) {
      receive(item as T);
      this.#waiting.shift();
    }
  }
}
