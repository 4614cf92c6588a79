import { CodedError } from '../../errors/coded-error.js';
/** A key that was wiped is used: a fault of the caller, never of a peer. */
export class WipedSecretError extends CodedError<'ERR_SECRET_WIPED'> {
  override readonly name = 'WipedSecretError';
  constructor() {
    super('ERR_SECRET_WIPED', 'the key has been wiped');
  }
}

/**
 * A key and the one place where its octets stand. Whoever holds it last calls `wipe`; a function that takes a Secret
 * over says so, one that only reads it leaves it as it is.
 *
 * The octets have an ArrayBuffer of their own: a typed array of up to 64 octets that is made by its length lives on the
 * V8 heap, where the garbage collector leaves a copy behind each time it moves it.
 */
export class Secret {
  #octets: Uint8Array | undefined;

  private constructor(octets: Uint8Array) {
    this.#octets = octets;
  }

  /** A key of so many octets, which `write` puts where they stay. */
  static make(length: number, write: (octets: Uint8Array) => void): Secret {
    const octets = offHeap(length);
    write(octets);
    return new Secret(octets);
  }

  /** A key that stands in these octets, which are overwritten. */
  static take(octets: Uint8Array): Secret {
    const secret = Secret.copyOf(octets);
    octets.fill(0);
    return secret;
  }

  /** A key that also stays where it is: the caller overwrites these octets. */
  static copyOf(octets: Uint8Array): Secret {
    return Secret.make(octets.length, (own) => own.set(octets));
  }

  get isWiped(): boolean {
    return this.#octets === undefined;
  }

  /** Octets of the key. Throws WipedSecretError. */
  get length(): number {
    return this.#own().length;
  }

  /** Calls `read` with the octets, which it must not keep. Throws WipedSecretError. */
  use<T>(read: (octets: Uint8Array) => T): T {
    return read(this.#own());
  }

  /** The same key for another owner. Throws WipedSecretError. */
  copy(): Secret {
    return Secret.copyOf(this.#own());
  }

  /** The octets for a message that is about to be sent; whoever holds that overwrites them. Throws WipedSecretError. */
  octets(): Uint8Array {
    const own = this.#own();
    const octets = offHeap(own.length);
    octets.set(own);
    return octets;
  }

  /** Overwrites the octets; again does no harm. */
  wipe(): void {
    this.#octets?.fill(0);
    this.#octets = undefined;
  }

  #own(): Uint8Array {
    if (!this.#octets) throw new WipedSecretError();
    return this.#octets;
  }
}

/** Octets of zeros that the garbage collector does not move. */
function offHeap(length: number): Uint8Array {
  return new Uint8Array(new ArrayBuffer(length));
}
