import { isLinkLocal } from '../protocol/bytes/address.js';
import type { AdmittedClient } from '../protocol/hooks/enforcement-alphabet.js';
import { withoutScope } from '../protocol/pana/agent/relays.js';
import type { HookRunner, HookView } from '../runtime/hooks/runner.js';
import type { Host } from '../runtime/system/host.js';
import { EnforcementRunner } from './enforcement-runner.js';
import type { PaaOptions } from './options.js';

/** The enforcement point on the link of a relay, with the runner of its hook. */
export interface RelayedPoint {
  readonly ep: EnforcementRunner;
  readonly hooks: HookRunner;
  /** Interface of the link, which becomes the scope of link-local addresses. */
  readonly interface: string;
}

/** The enforcement points of the configured relays. `runner` makes the runner of the hooks of a folder. */
export function relayedPoints(
  { pana, hooks }: PaaOptions,
  runner: (stateDir: string) => HookRunner,
  host: Host,
): ReadonlyMap<string, RelayedPoint | undefined> {
  const batch = hooks['ep-batch'];
  const checkInterval = hooks['ep-check-interval'];
  return new Map(
    pana.relays.map(({ address, ep: program, 'state-dir': folder, interface: access }) => {
      if (program === undefined || folder === undefined) return [address, undefined];
      const own = runner(folder);
      const options = { program, batch, interface: access, checkInterval };
      return [address, { ep: new EnforcementRunner(options, own, host), hooks: own, interface: access }];
    }),
  );
}

/**
 * The enforcement points of a PAA: that of its own access link, and one for each relay with a hook (RFC 6345). A client
 * is permitted where it is. Behind a relay without a hook, somebody else decides who passes.
 */
export class EnforcementPoints {
  readonly #own: EnforcementRunner | undefined;
  readonly #relayed: ReadonlyMap<string, RelayedPoint | undefined>;
  /** The enforcement point of each permitted session. */
  readonly #of = new Map<string, EnforcementRunner>();
  /** What a session was permitted with, to permit it elsewhere. */
  readonly #admitted = new Map<string, AdmittedClient>();

  /** `relayed`: by address of each relay; undefined: without a hook. */
  constructor(own: EnforcementRunner | undefined, relayed: ReadonlyMap<string, RelayedPoint | undefined>) {
    this.#own = own;
    this.#relayed = relayed;
  }

  /** The unfinished hooks of relays. */
  hooks(): HookView[] {
    return [...this.#relayed.values()].flatMap((point) => point?.hooks.status() ?? []);
  }

  /** Sets up the enforcement points of relays. Each of them is tried again until it succeeds; nothing waits for them. */
  startRelayed(): void {
    for (const point of this.#relayed.values()) void point?.ep.start();
  }

  /** Ends the checks, of a daemon that could not start. */
  close(): void {
    for (const point of this.#relayed.values()) point?.ep.close();
  }

  /** Permits a client. `onResult`: after the first try, or at once if there is no enforcement point. */
  permit(admission: AdmittedClient, relay: string | undefined, onResult: () => void): void {
    const ep = this.#at(relay);
    const { session, address } = admission;
    this.#leave(session, ep);
    if (this.#relayed.size > 0) this.#admitted.set(session, admission);
    if (!ep) {
      onResult();
      return;
    }
    if (this.#relayed.size > 0) this.#of.set(session, ep);
    ep.permit({ ...admission, address: this.#seenAt(relay, address) }, onResult);
  }

  move(session: string, address: string, relay: string | undefined): void {
    const ep = this.#at(relay);
    const admitted = this.#admitted.get(session);
    if (this.#relayed.size === 0 || (ep && this.#of.get(session) === ep))
      ep?.move(session, this.#seenAt(relay, address));
    else if (admitted) this.permit({ ...admitted, address }, relay, () => undefined);
  }

  revoke(session: string): void {
    if (this.#relayed.size === 0) this.#own?.revoke(session);
    else this.#leave(session, undefined);
    this.#admitted.delete(session);
  }

  /** Ends checks and hooks of relays at the stop of the daemon. `limit`: milliseconds. */
  async stop(limit: number): Promise<void> {
    await Promise.all(
      [...this.#relayed.values()].map(async (point) => {
        void point?.ep.stop();
        await point?.hooks.stop(limit);
      }),
    );
  }

  #at(relay: string | undefined): EnforcementRunner | undefined {
    return relay === undefined ? this.#own : this.#relayed.get(relay)?.ep;
  }

  /** An address as the enforcement point knows it: a link-local one has the interface as its scope. */
  #seenAt(relay: string | undefined, address: string): string {
    const point = relay === undefined ? undefined : this.#relayed.get(relay);
    if (!point) return address;
    return isLinkLocal(address) ? `${withoutScope(address)}%${point.interface}` : address;
  }

  #leave(session: string, next: EnforcementRunner | undefined): void {
    const ep = this.#of.get(session);
    if (!ep || ep === next) return;
    this.#of.delete(session);
    ep.revoke(session);
  }
}
