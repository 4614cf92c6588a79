/**
 * Takes what its sources put in for a receiver that is made after them. Without it, two objects that call each other
 * would need a constructor that refers to a field not yet set. What is put in before the receiver exists waits.
 */
export class Inbox<T> {
  readonly #waiting: T[] = [];
  #receive: ((item: T) => void) | undefined;

  put(item: T): void {
    if (this.#receive && this.#waiting.length === 0) this.#receive(item);
    else this.#waiting.push(item);
  }

  /** Passes on what waits, and from now on every item at once. There is one receiver. */
  open(receive: (item: T) => void): void {
    if (this.#receive) throw new Error('the inbox has a receiver');
    this.#receive = receive;
    for (let [item] = this.#waiting; this.#waiting.length > 0; [item] = this.#waiting) {
      receive(item as T);
      this.#waiting.shift();
    }
  }
}
