import { MESSAGE_TYPE } from '../../src/protocol/pana/wire/codec.js';
import { type Arrival, STRANGE } from './links.js';
import type { World } from './world.js';

/** Octets of the longest PAR[S], which answers PCI. */
const LONGEST_START = 160;

/** PCIs of one address that a PAA answers in a second (`pana.limits`), and how many at once. */
const STARTS_PER_SECOND = 5;

/**
 * Limits what unauthenticated datagrams may cause, such as PCIs and what belongs to no session: at most one datagram back to the
 * source, and no session, timer, program or Diameter message.
 */
export class Unauthenticated {
  readonly #world: World;
  readonly #say: (detail: string) => void;
  /** Number of PAR[S] by their destination. */
  readonly #offers = new Map<string, { readonly since: number; count: number }>();

  constructor(world: World, say: (detail: string) => void) {
    this.#world = world;
    this.#say = say;
  }

  receiving({ machine, life, octets, from }: Arrival): (() => void) | undefined {
    if (!machine.startsWith('paa') || !isUnproven(octets, from.address)) return undefined;
    const before = {
      ...life.datagrams,
      timers: life.timers,
      effects: life.effects,
      sessions: this.#sessionsOf(machine),
    };
    return () => {
      if (!life.alive) return;
      const sent = life.datagrams.sent - before.sent;
      const length = life.datagrams.octets - before.octets;
      const others = life.effects - before.effects - sent;
      const say = (what: string) => this.#say(`${what} of ${machine} for ${octets.length} octets from ${from.address}`);
      if (sent > 1 || length > LONGEST_START) say(`${sent} datagrams with ${length} octets`);
      if (others > 0) say(`${others} effects`);
      if (life.timers > before.timers) say(`${life.timers - before.timers} timers`);
      if (this.#sessionsOf(machine) > before.sessions) say('a session');
      if (sent > 0) this.#offered(machine, from.address, say);
    };
  }

  #offered(machine: string, address: string, say: (what: string) => void): void {
    const { now } = this.#world.clock;
    const key = `${machine} ${address}`;
    const offers = this.#offers.get(key) ?? { since: now, count: 0 };
    this.#offers.set(key, offers);
    offers.count += 1;
    if (offers.count > STARTS_PER_SECOND * (1 + (now - offers.since) / 1_000)) say(`${offers.count} offers`);
  }

  #sessionsOf(machine: string): number {
    const paa = this.#world.paas.find(({ name }) => name === machine);
    return Number.parseInt(paa?.daemon?.summary() ?? '0', 10);
  }
}

/** Whether a datagram is unauthenticated: a PCI, or any datagram of a stranger. */
function isUnproven(octets: Uint8Array, from: string): boolean {
  return from.includes(STRANGE) || (((octets[6] ?? 0) << 8) | (octets[7] ?? 0)) === MESSAGE_TYPE.PCI;
}
