import { formatAddress } from '../../src/protocol/bytes/address.js';
import { decodeDiameter, FLAG } from '../../src/protocol/diameter/wire/codec.js';
import { DEA } from '../../src/protocol/diameter/wire/commands.js';
import { Dictionary } from '../../src/protocol/diameter/wire/dictionary.js';
import { Grammarian } from '../../src/protocol/diameter/wire/grammar.js';
import { RESULT } from '../../src/protocol/diameter/wire/result-codes.js';
import type { BootstrapRequest, BootstrapResult, Subscriber } from '../../src/protocol/home/records.js';
import type { SessionKey } from '../../src/protocol/pana/session/session.js';
import type { ArgumentsOf } from '../../src/store/operations.js';
import { Tallies } from './counts.js';
import { Obligations } from './duties.js';
import { Admissions } from './enforcement.js';
import { SessionKeys } from './keys.js';
import { Leases } from './leases.js';
import type { Arrival } from './links.js';
import type { LogLine } from './machine.js';
import type { Planned } from './plan.js';
import type { ProgramRun } from './programs.js';
import { Reasons } from './reasons.js';
import { type Disagreement, endToEndOf } from './repeats.js';
import type { Committed } from './shared-store.js';
import { StrangeSessions, Unauthenticated } from './unauthenticated.js';
import type { Watcher, World } from './world.js';

/** The enterprise number of the daemons' own AVPs. */
const VENDOR = 32473;

/** Milliseconds between an authentication and the forged message that is signed with the previous key. */
const FORGED_AFTER = 20;

/** The number of DERs that are remembered: more than may still be answered. */
const MAX_REQUESTED = 10_000;

/** The largest number of timers of one daemon with its sessions. */
const MAX_TIMERS = 200;

const BOUNDED = 'work for unauthenticated input is bounded';
const ADMITTED = 'the enforcement point admits exactly the authorized addresses';
const REASONED = 'a session ends early only for a known reason';
const ONE_KEY = 'both ends have the same key';
const DUTIES = 'the store has a duty for each lease change that its home agent does not have yet';
const NEW_KEY = 'a new key replaces the old one at both ends';
const ONCE = 'a repeated request is served once';
const ENABLED = 'no disabled subscriber gets a session';

export interface Broken {
  readonly invariant: string;
  readonly detail: string;
  readonly at: number;
}

/** Checks the invariants at each step of a world and collects violations. */
export class Invariants implements Watcher {
  readonly broken: Broken[] = [];
  readonly leases: Leases;
  readonly tallies = new Tallies();
  readonly #obligations = new Obligations();
  readonly strangeSessions = new StrangeSessions();
  /** Completed first authentications. */
  bootstraps = 0;
  reauthentications = 0;
  readonly #world: World;
  readonly #grammarian = new Grammarian(new Dictionary(VENDOR));
  readonly #reasons: Reasons;
  readonly #admissions: Admissions;
  readonly #unauthenticated: Unauthenticated;
  readonly #sessionKeys: SessionKeys;
  /**
   * By PAA and End-to-End Identifier: before the answer to a DER, the number of commits when it was first sent; afterwards, the
   * home addresses in the answer. The oldest are dropped.
   */
  readonly #requested = new Map<string, number | string>();
  /** Subscribers that are disabled by a committed change. */
  readonly #disabled = new Set<string>();
  /** Subscribers of imports. */
  readonly #staged = new Map<string, readonly Pick<Subscriber, 'nai' | 'enabled'>[]>();
  /** Fingerprints of the IKE keys that servers have derived, by subscriber. */
  readonly #keys = new Map<string, Set<string>>();
  /** Time of the last authentication, by machine. */
  readonly #last = new Map<string, number>();
  /**
   * Sessions that a server has asked the store to end. The answers stored for repeated requests in these sessions are
   * deleted.
   */
  readonly #ending = new Set<string>();
  #isAtRest = false;

  constructor(world: World) {
    this.#world = world;
    this.#reasons = new Reasons(world.options.watchdog);
    this.leases = new Leases(
      () => world.clock.now,
      (invariant, detail) => this.break(invariant, detail),
    );
    this.#admissions = new Admissions(world, (detail) => this.break(ADMITTED, detail));
    this.#sessionKeys = new SessionKeys(({ octets, from, to }) =>
      world.clock.after(FORGED_AFTER, () => world.links.inject(octets, from, to)),
    );
    this.#unauthenticated = new Unauthenticated(world, (detail) => this.break(BOUNDED, detail));
  }

  happened(event: Planned): void {
    this.#reasons.happened(event, this.#world.clock.now);
  }

  /** Begins the rest: from now on there are no events, and no session may begin or end. */
  rest(): void {
    this.#isAtRest = true;
  }

  lastOf(machine: string): number | undefined {
    return this.#last.get(machine);
  }

  step(): void {
    for (const { name, life } of this.#world.machines) {
      if (life?.alive && life.timers > MAX_TIMERS) this.break(BOUNDED, `${name} has ${life.timers} timers`);
    }
    this.#admissions.step();
  }

  /** Checks that the store has duties for everything that a killed server had not done. */
  killed(machine: string): void {
    if (machine.startsWith('aaa')) this.#world.clock.standStill(this.checkDuties());
  }

  async checkDuties(): Promise<void> {
    const stored = await this.#world.store.duties();
    for (const forgotten of this.#obligations.forgotten(stored)) this.break(DUTIES, forgotten);
  }

  committed(commit: Committed): void {
    this.leases.committed(commit);
    this.#obligations.committed(commit);
    const { operation, given, result } = commit;
    this.#administered(operation, given);
    if (operation !== 'bootstrap' || (result as BootstrapResult).result === 'refused') return;
    const { nai, sessionId } = given as BootstrapRequest;
    if (this.#disabled.has(nai)) this.break(ENABLED, `${sessionId} of ${nai} is committed`);
  }

  /** Tracks which subscribers may have sessions. */
  #administered(operation: string, given: unknown): void {
    const enable = (nai: string, enabled: boolean) => {
      if (enabled) this.#disabled.delete(nai);
      else this.#disabled.add(nai);
    };
    switch (operation) {
      case 'changeSubscriber': {
        const { nai, change } = given as ArgumentsOf<'changeSubscriber'>;
        if (change.enabled !== undefined) enable(nai, change.enabled);
        break;
      }
      case 'removeSubscriber':
        enable((given as ArgumentsOf<'removeSubscriber'>).nai, false);
        break;
      case 'stageImport': {
        const { importId, rows } = given as ArgumentsOf<'stageImport'>;
        this.#staged.set(
          importId,
          rows.map(({ subscriber }) => subscriber),
        );
        break;
      }
      case 'finishImport': {
        const { importId } = given as ArgumentsOf<'finishImport'>;
        for (const { nai, enabled } of this.#staged.get(importId) ?? []) enable(nai, enabled);
      }
    }
  }

  sending(machine: string, octets: Uint8Array): void {
    const wrongKey = this.#sessionKeys.sending(machine, octets);
    if (wrongKey !== undefined) this.break(NEW_KEY, wrongKey);
  }

  receiving(arrival: Arrival): (() => void) | undefined {
    const forged = this.#sessionKeys.receiving(arrival);
    if (!forged) return this.#unauthenticated.receiving(arrival);
    return () => {
      const answered = forged();
      if (answered !== undefined) this.break(NEW_KEY, answered);
    };
  }

  key(machine: string, key: SessionKey): void {
    this.#sessionKeys.derived(machine, key);
  }

  asking(operation: string, given: unknown): void {
    if (operation === 'endSession') this.#ending.add((given as ArgumentsOf<'endSession'>).sessionId);
  }

  differed({ server, session, text }: Disagreement): void {
    if (!this.#ending.has(session)) this.break(ONCE, `${server} ${text} for ${session}`);
  }

  /** Checks that programs of nodes and home agents get a key that a server has derived for the subscriber. */
  program(run: ProgramRun): void {
    this.#obligations.program(run);
    const { machine, program, event, environment, key } = run;
    if (!['mn', 'ha', 'services'].includes(program) || (event !== 'up' && event !== 'refresh')) return;
    // The hook of a node's services has no name.
    const nai = environment['MIP6_MN_ID'] ?? `${machine}@home.example`;
    const isKnown = [...(this.#keys.get(nai) ?? [])].some((fingerprint) => key?.startsWith(fingerprint));
    if (!isKnown)
      this.break(ONE_KEY, `${program} ${event} of ${machine} has a key that no server has derived for ${nai}`);
  }

  /** Checks that a home address was committed after its request and before the answer that promises it. */
  diameter(from: string, to: string, octets: Uint8Array): void {
    if (from === 'stranger') return;
    // Most messages are of other commands than 268.
    if (octets[6] !== DEA.code >> 8 || octets[7] !== (DEA.code & 0xff)) return;
    if ((octets[4] ?? 0) & FLAG.R) {
      this.#requests(`${from} ${endToEndOf(octets)}`);
      return;
    }
    const message = decodeDiameter(octets);
    if (this.#grammarian.find(message.avps, 'Result-Code') !== RESULT.SUCCESS) return;
    const session = this.#grammarian.find(message.avps, 'Session-Id') ?? '';
    const addresses = [this.#grammarian.find(message.avps, 'MIP-Mobile-Node-Address') ?? []].flat() as Uint8Array[];
    const promised = addresses.map((address) => formatAddress(address));
    const key = `${to} ${message.endToEnd}`;
    const known = this.#requested.get(key);
    // A repeated request gets the earlier answer, whatever has been committed since.
    if (known === promised.join()) return;
    if (known !== undefined) this.#requested.set(key, promised.join());
    const before = typeof known === 'number' ? known : 0;
    for (const homeAddress of promised) {
      if (!this.leases.hasPromised(homeAddress, session, before))
        this.break('a promise is committed before it is sent', `${from} promises ${homeAddress} to ${session}`);
    }
  }

  /** Records a DER when it is first sent. */
  #requests(key: string): void {
    if (this.#requested.has(key)) return;
    this.#requested.set(key, this.leases.commits);
    const [oldest] = this.#requested.keys();
    if (this.#requested.size > MAX_REQUESTED && oldest !== undefined) this.#requested.delete(oldest);
  }

  logged(line: LogLine): void {
    const { machine, message, fields, at } = line;
    const start = this.#world.machine(machine)?.starts ?? 0;
    this.tallies.logged(line, start);
    this.#admissions.logged(line, start);
    this.#obligations.logged(line);
    if (message === 'fault contained') this.break('no daemon has a fault', `${machine}: ${fields.reason}`);
    if (message === 'lease assigned' || message === 'lease renewed') this.#derived(fields);
    if ((message === 'service assigned' || message === 'service renewed') && fields.nai !== undefined)
      this.#derived(fields);
    if (message === 'bootstrap completed' || message === 'bootstrap refreshed') this.#agreed(machine, fields);
    const otherKeys = this.#sessionKeys.logged(line);
    if (otherKeys !== undefined) this.break(ONE_KEY, otherKeys);
    const isNew = message === 'session authorized';
    if (isNew || message === 'session reauthenticated') {
      this.#last.set(machine, at);
      if (machine.startsWith('mn')) this[isNew ? 'bootstraps' : 'reauthentications'] += 1;
    }
    if (this.#isAtRest && (isNew || message === 'session ended'))
      this.break('at rest no session begins or ends', `${machine}: ${message} ${fields.reason ?? ''}`);
    const unexplained = this.#reasons.logged(line);
    if (unexplained !== undefined) this.break(REASONED, unexplained);
  }

  #derived(fields: LogLine['fields']): void {
    const nai = String(fields.nai);
    const keys = this.#keys.get(nai) ?? new Set();
    this.#keys.set(nai, keys.add(String(fields.fingerprint)));
  }

  /** Checks that a node's IKE key is one that a server has derived for the subscriber. */
  #agreed(machine: string, fields: LogLine['fields']): void {
    const fingerprint = String(fields.fingerprint);
    const nai = String(fields.ikeIdentity);
    if (!this.#keys.get(nai)?.has(fingerprint))
      this.break(ONE_KEY, `${machine} has ${fingerprint}, which no server has derived for ${nai}`);
  }

  break(invariant: string, detail: string): void {
    this.broken.push({ invariant, detail, at: this.#world.clock.now });
    this.#world.trace.note('world', 'world', 'broken', 0, `BROKEN: ${invariant}: ${detail}`);
    this.#world.trace.close();
  }
}
