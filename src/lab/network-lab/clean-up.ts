/** A part that is stopped when the lab ends. */
export interface Part {
  stop(): Promise<unknown>;
}

/** Stops the parts of a lab in reverse order, once. */
export class CleanUp {
  readonly #parts: Part[] = [];
  #begun = false;

  /** Whether the lab is being removed. Steps that still run then fail, which is expected. */
  get begun(): boolean {
    return this.#begun;
  }

  /** Registers a part that has started. Returns it. */
  async add<P extends Part>(part: P): Promise<P> {
    this.#parts.push(part);
    // The clean-up began while the part was starting.
    if (this.#begun) await part.stop();
    return part;
  }

  async run(): Promise<void> {
    if (this.#begun) return;
    this.#begun = true;
    for (const part of this.#parts.reverse()) await part.stop().catch(() => undefined);
  }
}
