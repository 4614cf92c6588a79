import { isTunnelName } from './care-of-address.js';
import type { KernelEvent } from './kernel-events.js';

/** Changes within this time count as one, in milliseconds. */
const BURST = 20;

/** While changes continue, the interval between reports doubles from BURST up to this value, in milliseconds. */
const LONGEST_INTERVAL = 1_000;

/** After this time without a change the interval is BURST again, in milliseconds. */
const CALM = 1_000;

/** How often the clocks are to be compared (input `clocks`), in milliseconds. */
export const CLOCKS_INTERVAL = 1_000;

/**
 * If the clock that continues in sleep advances by this much more than the monotonic clock, which does not, the host slept.
 * Milliseconds.
 */
const SLEPT = 3_000;

/** A reading of the clocks that took longer is not used: the process was interrupted between them. Milliseconds. */
const LONGEST_READING = 500;

/** Maximum number of addresses, prefixes and routers that are remembered. At the limit all are forgotten. */
const MAX_KNOWN = 1_024;

/** Why the node may be on another link. */
export type MoveReason = 'link-up' | 'router' | 'prefix' | 'wake' | 'events-lost';

/** A reading of the clocks, in milliseconds. Expected every CLOCKS_INTERVAL. */
export interface Clocks {
  /** Since 1970. The operator or NTP may step it. */
  readonly wall: number;
  /** Since the host booted, including sleep; undefined if the platform has no such clock. */
  readonly boot: number | undefined;
  /** The monotonic clock when the reading began. */
  readonly at: number;
}

export type MovementInput =
  | { readonly type: 'event'; readonly event: KernelEvent }
  /** Addresses have changed. */
  | { readonly type: 'changed' }
  /** The kernel's events are incomplete. */
  | { readonly type: 'lost' }
  | { readonly type: 'clocks'; readonly clocks: Clocks }
  | { readonly type: 'tick' };

/**
 * Addresses or routes have changed. `reasons`: why the node may also be on another link, so that its PAA must prove
 * that it still has the session; empty: no sign of another link.
 */
export interface NetworkChange {
  readonly type: 'changed';
  readonly reasons: readonly MoveReason[];
}

/**
 * Detects from the kernel's events and the clocks that the node may have moved. Limits the rate of reports to one per
 * second if changes continue. Ignores repetitions: a router advertisement sets lifetimes again, and arrives up to 30
 * times a second (RFC 6275 7.5).
 */
export class Movement {
  readonly #access: string | undefined;
  /** Whether each interface is up. */
  readonly #up = new Map<string, boolean>();
  /** Flags of each address of an interface. */
  readonly #addresses = new Map<string, string>();
  /** Interface of each prefix and router. */
  readonly #neighbourhood = new Map<string, string>();
  #reasons = new Set<MoveReason>();
  #due: number | undefined;
  #interval = BURST;
  #reportedAt = Number.NEGATIVE_INFINITY;
  #changedAt = Number.NEGATIVE_INFINITY;
  #clocks: Clocks | undefined;

  /** `access`: the interface of the access link. Undefined: any but tunnels and loopback. */
  constructor(access: string | undefined) {
    this.#access = access;
  }

  get deadline(): number | undefined {
    return this.#due;
  }

  handle(input: MovementInput, now: number): NetworkChange[] {
    switch (input.type) {
      case 'event':
        this.#event(input.event, now);
        return [];
      case 'changed':
        this.#changed(now);
        return [];
      case 'lost':
        this.#changed(now, 'events-lost');
        return [];
      case 'clocks':
        this.#compare(input.clocks, now);
        return [];
      case 'tick':
        return this.#report(now);
    }
  }

  #event(event: KernelEvent, now: number): void {
    switch (event.type) {
      case 'link':
        this.#link(event.interface, event.up, now);
        break;
      case 'address': {
        const key = `${event.interface}|${event.address}`;
        const flags = event.deleted ? undefined : event.flags;
        if (this.#addresses.get(key) === flags && flags !== undefined) break;
        this.#addresses.delete(key);
        if (flags !== undefined) remember(this.#addresses, key, flags);
        this.#changed(now);
        break;
      }
      case 'router': {
        const key = `${event.interface}|via ${event.router}`;
        const isKnown = this.#neighbourhood.delete(key);
        if (!event.deleted) remember(this.#neighbourhood, key, event.interface);
        this.#changed(now, isKnown || event.deleted ? undefined : 'router', event.interface);
        break;
      }
      case 'prefix': {
        const key = `${event.interface}|${event.prefix}`;
        if (this.#neighbourhood.has(key)) break;
        remember(this.#neighbourhood, key, event.interface);
        this.#changed(now, 'prefix', event.interface);
        break;
      }
      case 'route':
        this.#changed(now);
    }
  }

  #link(name: string, isUp: boolean, now: number): void {
    const before = this.#up.get(name);
    this.#up.delete(name);
    remember(this.#up, name, isUp);
    // Before its first event, an interface counts as up, because most events are other changes of an interface that is
    // up.
    if ((before ?? true) === isUp) return;
    // The next link may have other routers and prefixes, or other routers with the same addresses.
    for (const [key, owner] of this.#neighbourhood) if (owner === name) this.#neighbourhood.delete(key);
    this.#changed(now, isUp ? 'link-up' : undefined, name);
  }

  /**
   * While the host sleeps, the boot clock and the wall clock continue and the monotonic clock does not. While only the
   * process waits for the processor or is stopped, all continue, and the kernel keeps its events. Without a boot clock, a
   * step of the wall clock also counts as sleep.
   */
  #compare(clocks: Clocks, now: number): void {
    if (now - clocks.at > LONGEST_READING) return;
    const before = this.#clocks;
    this.#clocks = clocks;
    if (!before) return;
    const passed =
      clocks.boot !== undefined && before.boot !== undefined ? clocks.boot - before.boot : clocks.wall - before.wall;
    if (passed - (clocks.at - before.at) >= SLEPT) this.#changed(now, 'wake');
  }

  #changed(now: number, reason?: MoveReason, where?: string): void {
    if (reason !== undefined && (where === undefined || this.#isAccess(where))) this.#reasons.add(reason);
    if (now - this.#changedAt >= CALM) this.#interval = BURST;
    this.#changedAt = now;
    this.#due ??= Math.max(now + BURST, this.#reportedAt + this.#interval);
  }

  #isAccess(name: string): boolean {
    if (name.startsWith('#')) return true;
    return this.#access === undefined ? name !== 'lo' && !isTunnelName(name) : name === this.#access;
  }

  #report(now: number): NetworkChange[] {
    if (this.#due === undefined || now < this.#due) return [];
    const reasons = [...this.#reasons];
    this.#reasons = new Set();
    this.#due = undefined;
    this.#reportedAt = now;
    this.#interval = Math.min(2 * this.#interval, LONGEST_INTERVAL);
    return [{ type: 'changed', reasons }];
  }
}

function remember<V>(map: Map<string, V>, key: string, value: V): void {
  if (map.size >= MAX_KNOWN) map.clear();
  map.set(key, value);
}
