import { CodedError } from '../../errors/coded-error.js';
/** A key was used after it was wiped. This is a programming error, never a fault of a peer. */
export class WipedSecretError extends CodedError<'ERR_SECRET_WIPED'> {
  override readonly name = 'WipedSecretError';
  constructor() {
    super('ERR_SECRET_WIPED', 'the key has been wiped');
  }
}

/**
 * Owns the octets of a key and wipes them. The last owner calls `wipe`. A function that takes ownership of a Secret
 * says so in its description; all others only read it.
 *
 * The octets have their own ArrayBuffer. If a typed array of up to 64 octets is created from a length, V8 keeps it on
 * its heap, where the garbage collector leaves a copy each time it moves the array.
 */
export class Secret {
  #octets: Uint8Array | undefined;

  private constructor(octets: Uint8Array) {
    this.#octets = octets;
  }

  /** Creates a key of `length` octets, which `write` writes in place. */
  static make(length: number, write: (octets: Uint8Array) => void): Secret {
    const octets = offHeap(length);
    write(octets);
    return new Secret(octets);
  }

  /** Creates a key from these octets and overwrites them. */
  static take(octets: Uint8Array): Secret {
    const secret = Secret.copyOf(octets);
    octets.fill(0);
    return secret;
  }

  /** Creates a key from these octets. The caller keeps them and must overwrite them. */
  static copyOf(octets: Uint8Array): Secret {
    return Secret.make(octets.length, (own) => own.set(octets));
  }

  get isWiped(): boolean {
    return this.#octets === undefined;
  }

  /** Length of the key in octets. Throws WipedSecretError. */
  get length(): number {
    return this.#own().length;
  }

  /** Calls `read` with the octets, which `read` must not keep. Throws WipedSecretError. */
  use<T>(read: (octets: Uint8Array) => T): T {
    return read(this.#own());
  }

  /** A copy of the key for another owner. Throws WipedSecretError. */
  copy(): Secret {
    return Secret.copyOf(this.#own());
  }

  /**
   * A copy of the octets for a message that is about to be sent. The caller must overwrite the copy. Throws
   * WipedSecretError.
   */
  octets(): Uint8Array {
    const own = this.#own();
    const octets = offHeap(own.length);
    octets.set(own);
    return octets;
  }

  /** Overwrites the octets. Repeated calls have no effect. */
  wipe(): void {
    this.#octets?.fill(0);
    this.#octets = undefined;
  }

  #own(): Uint8Array {
    if (!this.#octets) throw new WipedSecretError();
    return this.#octets;
  }
}

/** Zeroed octets in memory that the garbage collector does not move. */
function offHeap(length: number): Uint8Array {
  return new Uint8Array(new ArrayBuffer(length));
}
