/**
 * Sessions by address. Only the newest session's events are reported to the hook, because the node no longer uses the
 * others.
 */
export class AddressHolders {
  /** The newest session last. */
  readonly #sessions = new Map<string, Set<string>>();

  has(address: string): boolean {
    return this.#sessions.has(address);
  }

  newest(address: string): string | undefined {
    return [...(this.#sessions.get(address) ?? [])].at(-1);
  }

  /** Makes the session the newest one of the address. */
  add(session: string, address: string): void {
    const sessions = this.#sessions.get(address) ?? new Set();
    sessions.delete(session);
    this.#sessions.set(address, sessions.add(session));
  }

  remove(session: string, address: string): void {
    const sessions = this.#sessions.get(address);
    sessions?.delete(session);
    if (sessions?.size === 0) this.#sessions.delete(address);
  }
}
