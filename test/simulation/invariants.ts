import { formatAddress } from '../../src/protocol/bytes/address.js';
import { decodeDiameter, FLAG } from '../../src/protocol/diameter/wire/codec.js';
import { DEA } from '../../src/protocol/diameter/wire/commands.js';
import { Dictionary } from '../../src/protocol/diameter/wire/dictionary.js';
import { Grammarian } from '../../src/protocol/diameter/wire/grammar.js';
import { Leases } from './leases.js';
import type { LogLine } from './machine.js';
import type { Committed } from './shared-store.js';
import type { Watcher, World } from './world.js';

/** The enterprise number of the daemons' own AVPs. */
const VENDOR = 32473;

/** The largest number of timers of one daemon with its sessions. */
const MAX_TIMERS = 200;

/** How early a session may end, because lifetimes are sent in whole seconds. */
const LIFETIME_TOLERANCE = 1_500;

/** Events that may end a session unintentionally. */
const DISTURBANCES = [
  ...['link', 'cut', 'stall', 'unreachable', 'kill', 'stop', 'store', 'sleep', 'detach', 'move', 'renumber'],
  ...['certificate', 'disable', 'revoke', 'programs', 'clock', 'strangers', 'disconnect', 'release'],
];

/** Events that must have happened before a session ends for a cause other than its lifetime. */
const REASONS: Readonly<Record<string, readonly string[]>> = {
  // The server also ends the older sessions of a subscriber with a new one.
  administrative: [...DISTURBANCES, 'agent'],
  logout: ['stop', 'move', 'renumber', 'detach', 'kill', 'link', 'sleep', 'certificate'],
  replaced: ['move', 'kill', 'link', 'stop', 'sleep', 'detach', 'renumber', 'certificate'],
  'pushed-out': ['strangers', 'kill', 'link', 'sleep', 'move', 'stop', 'detach', 'renumber'],
  moved: ['move', 'renumber', 'detach'],
};

export interface Broken {
  readonly invariant: string;
  readonly detail: string;
  readonly at: number;
}

interface Authorized {
  readonly at: number;
  /** Milliseconds. */
  readonly lifetime: number;
}

/** Checks what must hold at each step of a world and collects violations. */
export class Invariants implements Watcher {
  readonly broken: Broken[] = [];
  readonly leases: Leases;
  /** Completed authentications: first ones and re-authentications. */
  bootstraps = 0;
  reauthentications = 0;
  readonly #world: World;
  readonly #grammarian = new Grammarian(new Dictionary(VENDOR));
  /** Types of the events so far. */
  readonly #happened = new Set<string>();
  /** Fingerprints of the keys that servers derived, by subscriber. */
  readonly #keys = new Map<string, Set<string>>();
  /** All sessions that a PAA has authorized, by machine. */
  readonly #authorized = new Map<string, Map<string, Authorized>>();
  #isAtRest = false;
  #looked = 0;

  constructor(world: World) {
    this.#world = world;
    this.leases = new Leases(
      () => world.clock.now,
      (invariant, detail) => this.break(invariant, detail),
    );
  }

  happened(type: string): void {
    this.#happened.add(type);
  }

  /** From now on no event happens and no session may end. */
  rest(): void {
    this.#isAtRest = true;
  }

  step(): void {
    const { clock, machines } = this.#world;
    for (const { name, life } of machines) {
      if (life?.alive && life.timers > MAX_TIMERS)
        this.break('what strangers cause is bounded', `${name} has ${life.timers} timers`);
    }
    if (clock.now - this.#looked < 1_000) return;
    this.#looked = clock.now;
    this.#lookAtEnforcement();
  }

  committed(commit: Committed): void {
    this.leases.committed(commit);
  }

  /** A promise is committed before it is sent. */
  diameter(from: string, octets: Uint8Array): void {
    // Most messages are no DEA: command code 268 without the R bit.
    if (octets[6] !== DEA.code >> 8 || octets[7] !== (DEA.code & 0xff)) return;
    const message = decodeDiameter(octets);
    if (message.flags & FLAG.R || this.#grammarian.find(message.avps, 'Result-Code') !== 2001) return;
    const session = this.#grammarian.find(message.avps, 'Session-Id') ?? '';
    const addresses = this.#grammarian.find(message.avps, 'MIP-Mobile-Node-Address');
    for (const address of [addresses ?? []].flat() as Uint8Array[]) {
      const homeAddress = formatAddress(address);
      if (!this.leases.hasPromised(homeAddress, session))
        this.break('a promise is committed before it is sent', `${from} promises ${homeAddress} to ${session}`);
    }
  }

  logged(line: LogLine): void {
    const { machine, message, fields } = line;
    const kind = machine.slice(0, 2);
    if (message === 'fault contained') this.break('no daemon has a fault', `${machine}: ${fields.reason}`);
    if (message === 'lease assigned' || message === 'lease renewed') this.#derived(fields);
    if (message === 'bootstrap completed' || message === 'bootstrap refreshed') this.#agreed(machine, fields);
    if (message === 'session authorized' || message === 'session reauthenticated') this.#authorizedAt(line);
    if (message === 'session ended') this.#ended(line, kind === 'mn' ? machine : '');
  }

  #derived(fields: LogLine['fields']): void {
    const nai = String(fields.nai);
    const keys = this.#keys.get(nai) ?? new Set();
    this.#keys.set(nai, keys.add(String(fields.fingerprint)));
  }

  /** Both ends have one key. */
  #agreed(machine: string, fields: LogLine['fields']): void {
    const fingerprint = String(fields.fingerprint);
    const nai = String(fields.ikeIdentity);
    if (!this.#keys.get(nai)?.has(fingerprint))
      this.break('both ends have one key', `${machine} has ${fingerprint}, which no server has derived for ${nai}`);
  }

  #authorizedAt({ machine, at, message, fields }: LogLine): void {
    if (machine.startsWith('mn')) {
      if (message === 'session authorized') this.bootstraps += 1;
      else this.reauthentications += 1;
    }
    const sessions = this.#authorized.get(machine) ?? new Map<string, Authorized>();
    this.#authorized.set(machine, sessions);
    sessions.set(String(fields.session), { at, lifetime: (fields.lifetime ?? 0) * 1_000 });
  }

  /** A session ends before its lifetime only for a known reason. */
  #ended({ machine, at, fields }: LogLine, node: string): void {
    const cause = String(fields.reason);
    const known = this.#authorized.get(machine)?.get(String(fields.session));
    // A node's log line has no session, as it has one at a time.
    if (!known && node === '') return;
    const detail = `${machine}: ${cause}`;
    if (this.#isAtRest) this.break('at rest no session ends', detail);
    if (cause === 'lifetime-expired' || cause === 'session-timeout') {
      if (known && at < known.at + known.lifetime - LIFETIME_TOLERANCE)
        this.break('a session ends before its lifetime only for a reason', `${detail} after ${at - known.at} ms`);
      return;
    }
    const reasons = REASONS[cause] ?? DISTURBANCES;
    if (!reasons.some((reason) => this.#happened.has(reason)))
      this.break('a session ends before its lifetime only for a reason', detail);
  }

  /** An enforcement point never admits a session that its PAA has not authorized. */
  #lookAtEnforcement(): void {
    for (const [machine, admitted] of this.#world.effects.admitted) {
      const authorized = this.#authorized.get(machine);
      for (const [address, session] of admitted) {
        if (!authorized?.has(session))
          this.break('the enforcement point admits exactly the authorised', `${machine} admits ${address}`);
      }
    }
  }

  break(invariant: string, detail: string): void {
    this.broken.push({ invariant, detail, at: this.#world.clock.now });
    this.#world.trace.note('world', 'world', 'broken', 0, `BROKEN: ${invariant}: ${detail}`);
  }
}
