/** A socket has one request for each value of the Identifier in flight, RFC 2865 2.5. */
const PER_SOCKET = 256;

/** Maximum number of sockets for a port of a server, which limits the requests in flight. */
export const MAX_SOCKETS = 16;

/** A socket and an Identifier. */
export interface Slot {
  readonly socket: number;
  readonly identifier: number;
}

/** Allocates identifiers, over several sockets if more than 256 are in use. A freed one is reused as late as possible. */
export class Identifiers {
  #sockets = 0;
  #free: Slot[] = [];
  /** Index of the first element of `#free` that is not taken. */
  #head = 0;

  /** Undefined: all are in use. */
  take(): Slot | undefined {
    if (this.#head === this.#free.length && this.#sockets < MAX_SOCKETS) this.#addSocket();
    const slot = this.#free[this.#head];
    if (!slot) return undefined;
    this.#head += 1;
    if (this.#head >= PER_SOCKET) {
      this.#free = this.#free.slice(this.#head);
      this.#head = 0;
    }
    return slot;
  }

  release(slot: Slot): void {
    this.#free.push(slot);
  }

  #addSocket(): void {
    for (let identifier = 0; identifier < PER_SOCKET; identifier += 1) {
      this.#free.push({ socket: this.#sockets, identifier });
    }
    this.#sockets += 1;
  }
}
