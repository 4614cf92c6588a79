import { MESSAGE_TYPE } from '../../src/protocol/pana/wire/codec.js';
import { type Arrival, STRANGE } from './links.js';
import { TIMES } from './recovery.js';
import type { World } from './world.js';

/** The length of the longest PAR[S], which answers a PCI, in octets. */
const LONGEST_START = 160;

/** The number of PCIs from one address that a PAA answers in a second of its clock (`pana.limits`). */
const STARTS_PER_SECOND = 5;

/**
 * Checks what unauthenticated datagrams cause, such as PCIs and datagrams that belong to no session: at most one
 * datagram back to the source, and no session, timer, program or Diameter message.
 */
export class Unauthenticated {
  readonly #world: World;
  readonly #say: (detail: string) => void;
  /** The number of PAR[S] to each destination, in the last second in which one was sent. */
  readonly #offers = new Map<string, { readonly second: number; count: number }>();

  constructor(world: World, say: (detail: string) => void) {
    this.#world = world;
    this.#say = say;
  }

  receiving({ machine, life, octets, from }: Arrival): (() => void) | undefined {
    if (!machine.startsWith('paa') || !isUnproven(octets, from.address)) return undefined;
    // A stranger that completes a start gets a session, which `StrangeSessions` checks.
    if (this.#world.begun.has(sessionIdOf(octets))) return undefined;
    // A daemon also does what is due at this time. Its timers are rounded up to milliseconds.
    if (life.isDue(this.#world.clock.now + 1)) return undefined;
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
    const second = Math.floor(this.#world.clock.now / 1_000);
    const key = `${machine} ${address}`;
    const known = this.#offers.get(key);
    const offers = known?.second === second ? known : { second, count: 0 };
    this.#offers.set(key, offers);
    offers.count += 1;
    if (offers.count > STARTS_PER_SECOND) say(`${offers.count} offers in a second`);
  }

  #sessionsOf(machine: string): number {
    const paa = this.#world.paas.find(({ name }) => name === machine);
    return Number.parseInt(paa?.daemon?.summary() ?? '0', 10);
  }
}

/**
 * The largest number of phases with progress in a stranger's session until its authentication fails and it begins
 * again.
 */
const PHASES = 5;

/** The largest number of half-open sessions of one address (`pana.limits`). */
const HALF_OPEN_OF_ADDRESS = 8;

/** A session as a PAA lists it. */
export interface ListedSession {
  readonly session: string;
  readonly address: string;
}

/** Checks the number and the age of the sessions of strangers, which never authenticate. */
export class StrangeSessions {
  /** The time at which each session was first seen. */
  #seen = new Map<string, number>();

  /** Returns the faults in the sessions that a PAA lists. It is called periodically for each PAA. */
  look(paa: string, sessions: readonly ListedSession[], now: number): string[] {
    const problems: string[] = [];
    const of = new Map<string, number>();
    const seen = new Map([...this.#seen].filter(([key]) => !key.startsWith(`${paa} `)));
    for (const { session, address } of sessions) {
      if (!address.includes(STRANGE)) continue;
      const key = `${paa} ${session}`;
      const since = this.#seen.get(key) ?? now;
      seen.set(key, since);
      if (now - since > PHASES * TIMES.progress)
        problems.push(`${paa} has ${session} of ${address} for ${now - since} ms`);
      const place = address.replace(/ .*/, '');
      of.set(place, (of.get(place) ?? 0) + 1);
    }
    this.#seen = seen;
    for (const [address, count] of of)
      if (count > HALF_OPEN_OF_ADDRESS) problems.push(`${paa} has ${count} sessions of ${address}`);
    return problems;
  }
}

function sessionIdOf(octets: Uint8Array): number {
  return octets.length < 16 ? 0 : new DataView(octets.buffer, octets.byteOffset).getUint32(8);
}

/** Whether a datagram is unauthenticated: a PCI, or any datagram of a stranger. */
function isUnproven(octets: Uint8Array, from: string): boolean {
  return from.includes(STRANGE) || (((octets[6] ?? 0) << 8) | (octets[7] ?? 0)) === MESSAGE_TYPE.PCI;
}
