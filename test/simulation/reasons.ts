import { linkOf } from './links.js';
import type { LogLine } from './machine.js';
import { linkOfPaa } from './machines.js';
import type { Planned } from './plan.js';
import { aaaRecovery, TIMES } from './recovery.js';

/** What a disturbance affects: one node, the sessions of one PAA, or everything that needs an AAA server. */
interface Scope {
  readonly node?: number;
  readonly paa?: number;
  readonly everybody?: true;
}

interface Disturbance {
  readonly type: Planned['type'];
  readonly scope: Scope;
  readonly from: number;
  readonly until: number;
}

/** One end of a session. */
interface Party {
  readonly node: number | undefined;
  readonly paa: number | undefined;
}

interface Authorized {
  readonly at: number;
  /** Milliseconds. */
  readonly lifetime: number;
  readonly party: Party;
  readonly session: string;
}

/** How long after its cause a delayed packet or an operator's request may still have an effect, in milliseconds. */
const AFTERMATH = 10_000;

/**
 * The time after which a request is given up, in milliseconds: ten transmissions (RFC 5191 9.1) and the last interval.
 */
const GIVEN_UP_AFTER = 1.1 * (1 + 2 + 4 + 8 + 16 + 5 * 30) * 1_000;

/**
 * Duration of a phase without progress, including what it waited for. A re-authentication may outlast the lifetime by as much.
 */
const WITHOUT_PROGRESS = TIMES.progress + AFTERMATH;

/** How early a lifetime may end, in milliseconds: it is sent in whole seconds. */
const LIFETIME_TOLERANCE = 1_500;

const BROKEN_PATH = ['link', 'kill', 'stop', 'sleep', 'detach', 'move', 'renumber'] as const;
const BROKEN_AAA = ['cut', 'stall', 'unreachable', 'store', 'clock', 'configure'] as const;
const REFUSED = ['certificate', 'disable', 'revoke', 'policy'] as const;
const ORDERED: readonly Planned['type'][] = ['disable', 'revoke', 'policy', 'disconnect', 'release'];

interface Rule {
  /** The kinds of disturbance that explain the end if they affect its node, its PAA or everything. */
  readonly types: readonly Planned['type'][];
  /**
   * How long before the end the disturbance may be over, in milliseconds; undefined: the lifetime plus a phase without
   * progress.
   */
  readonly within: number | undefined;
}

const FAILED: Rule = { types: [...BROKEN_PATH, ...BROKEN_AAA, ...REFUSED], within: WITHOUT_PROGRESS };
const EXPIRED: Rule = { types: [...BROKEN_PATH, ...BROKEN_AAA, ...REFUSED, ...ORDERED], within: undefined };

/** The disturbances that explain each cause of an end. A cause without a rule is never explained. */
const RULES: Readonly<Record<string, Rule>> = {
  'no-answer': { types: BROKEN_PATH, within: GIVEN_UP_AFTER },
  'no-progress': FAILED,
  'eap-timeout': FAILED,
  'eap-failed': FAILED,
  rejected: FAILED,
  'authentication-rejected': FAILED,
  'authorization-rejected': FAILED,
  // An authentication that would have extended the session has failed.
  'lifetime-expired': EXPIRED,
  'session-timeout': EXPIRED,
};

/** Records disturbances, and judges whether they explain each end of a session. */
export class Reasons {
  readonly #disturbances: Disturbance[] = [];
  /** Authorized sessions by machine, or by PAA and Session Identifier. */
  readonly #open = new Map<string, Authorized>();
  /** The sessions of each node, and the sessions that nodes have terminated, by Session Identifier. */
  readonly #sessions = new Map<string, Set<string>>();
  readonly #left = new Set<string>();
  /** The time at which an AAA server first authorized a node at a PAA, by Diameter session. */
  readonly #granted = new Map<string, { readonly nai: string; readonly peer: string; readonly at: number }>();
  /** When an AAA server last sent an ASR for a Diameter session. */
  readonly #aborted = new Map<string, number>();

  readonly #aaaRecovery: number;

  /** `watchdog`: interval of Diameter connections, in seconds. */
  constructor(watchdog: number) {
    this.#aaaRecovery = aaaRecovery(watchdog * 1_000);
  }

  happened(event: Planned, now: number): void {
    const scope = scopeOf(event);
    if (!scope) return;
    const lasts = 'lasts' in event ? event.lasts : 0;
    const isOfServer = scope.everybody === true && event.type !== 'store';
    const until = now + lasts + (isOfServer ? this.#aaaRecovery : AFTERMATH);
    this.#disturbances.push({ type: event.type, scope, from: now, until });
    if (event.type === 'stop' && scope.node !== undefined) this.#leaves(`mn${scope.node}`);
  }

  /** Describes the end of a session that this line reports, if nothing explains it; otherwise undefined. */
  logged(line: LogLine): string | undefined {
    const { message, fields, at } = line;
    switch (message) {
      case 'authentication succeeded':
        if (!this.#granted.has(String(fields.session)))
          this.#granted.set(String(fields.session), { nai: String(fields.nai), peer: String(fields.peer), at });
        return undefined;
      case 'request answered':
      case 'request unanswered':
        if (fields.message === 'ASR') this.#aborted.set(String(fields.session), at);
        return undefined;
      case 'session authorized':
      case 'session reauthenticated':
        this.#authorized(line);
        return undefined;
      case 'session replaced':
        this.#leaves(line.machine);
        return undefined;
      case 'session ended':
        return line.machine.startsWith('aaa') ? undefined : this.#ended(line);
      default:
        return undefined;
    }
  }

  #authorized({ machine, at, fields }: LogLine): void {
    const session = String(fields.session);
    const lifetime = (fields.lifetime ?? 0) * 1_000;
    const node = machine.startsWith('mn');
    const party = node
      ? { node: numberOf(machine), paa: paaOf(String(fields.address)) }
      : { node: numberOf(String(fields.nai).split('@')[0] ?? ''), paa: numberOf(machine) };
    this.#open.set(node ? machine : `${machine} ${session}`, { at, lifetime, party, session });
    if (node) this.#sessionsOf(machine).add(session);
  }

  #sessionsOf(machine: string): Set<string> {
    const sessions = this.#sessions.get(machine) ?? new Set();
    this.#sessions.set(machine, sessions);
    return sessions;
  }

  /** Records that a node sends PTR for its sessions. */
  #leaves(machine: string): void {
    for (const session of this.#sessionsOf(machine)) this.#left.add(session);
  }

  /**
   * Describes the end of a session if nothing explains it; undefined otherwise, and if the session was never
   * authorized.
   */
  #ended({ machine, at, fields }: LogLine): string | undefined {
    const cause = String(fields.reason);
    const key = machine.startsWith('mn') ? machine : `${machine} ${fields.session}`;
    const known = this.#open.get(key);
    this.#open.delete(key);
    if (!known) return undefined;
    const { party, lifetime, session } = known;
    const detail = `${machine} ends ${session}: ${cause}`;
    if ((cause === 'lifetime-expired' || cause === 'session-timeout') && at < known.at + lifetime - LIFETIME_TOLERANCE)
      return `${detail} after ${at - known.at} ms of ${lifetime} ms`;
    if (cause === 'logout') return this.#left.has(session) ? undefined : detail;
    if (cause === 'terminated') return this.#has(['stop'], party, at, AFTERMATH, true) ? undefined : detail;
    if (cause === 'administrative' || cause === 'terminated-by-paa' || cause === 'replaced')
      return this.#isOrdered(party, at) ? undefined : detail;
    const rule = RULES[cause];
    if (!rule) return detail;
    return this.#has(rule.types, party, at, rule.within ?? lifetime + WITHOUT_PROGRESS) ? undefined : detail;
  }

  /**
   * Whether the PAA or an AAA server has ended a session: the PAA stops, an operator orders it, or the node has a newer session
   * there.
   */
  #isOrdered({ node, paa }: Party, at: number): boolean {
    // If the node is gone, the session ends only when the PAA gives up PTR.
    const since = at - GIVEN_UP_AFTER - AFTERMATH;
    const isOrdered = (from: number, to: number) =>
      this.#disturbances.some(
        ({ type, scope, ...one }) =>
          ORDERED.includes(type) && scope.node === node && one.from <= to && one.until >= from,
      );
    const isStopped = this.#disturbances.some(
      ({ type, scope, from, until }) =>
        type === 'stop' && scope.paa === paa && paa !== undefined && from <= at && until >= since,
    );
    if (isStopped || isOrdered(since, at)) return true;
    const [nai, peer] = [`mn${node}@home.example`, `paa${paa}.access.example`];
    const granted = [...this.#granted].filter(([, one]) => one.nai === nai && one.peer === peer);
    if (granted.length > 1 && granted.some(([, one]) => one.at >= since - this.#aaaRecovery)) return true;
    // An AAA server repeats the ASR until the PAA answers, which may be long after its cause.
    return granted.some(([session, { at: began }]) => {
      const sent = this.#aborted.get(session);
      if (sent === undefined || sent < since) return false;
      return isOrdered(began, sent) || granted.some(([, newer]) => newer.at > began && newer.at <= sent);
    });
  }

  #has(types: readonly Planned['type'][], { node, paa }: Party, at: number, within: number, own = false): boolean {
    return this.#disturbances.some(
      ({ type, scope, from, until }) =>
        types.includes(type) &&
        from <= at &&
        until >= at - within &&
        ((scope.node !== undefined && scope.node === node) ||
          (!own && ((scope.paa !== undefined && scope.paa === paa) || scope.everybody === true))),
    );
  }
}

function numberOf(machine: string): number {
  return Number(/\d+$/.exec(machine)?.[0]);
}

function paaOf(address: string): number | undefined {
  return [1, 2, 3].find((paa) => linkOf(address) === linkOfPaa(paa));
}

/** The scope of an event; undefined: it ends no session. */
function scopeOf(event: Planned): Scope | undefined {
  switch (event.type) {
    case 'link':
      return { paa: event.paa };
    case 'cut':
    case 'stall':
    case 'unreachable':
    case 'store':
      return { everybody: true };
    // The other changes end no session.
    case 'configure':
      return event.change === 'peers' ? { everybody: true } : undefined;
    case 'kill':
    case 'stop':
    case 'clock': {
      const number = numberOf(event.machine);
      if (event.machine.startsWith('mn')) return { node: number };
      return event.machine.startsWith('paa') ? { paa: number } : { everybody: true };
    }
    case 'move':
    case 'renumber':
    case 'detach':
    case 'sleep':
    case 'certificate':
    case 'disable':
    case 'revoke':
    case 'policy':
    case 'disconnect':
    case 'release':
      return { node: event.node };
    default:
      return undefined;
  }
}
