import type { HookView } from '../../src/runtime/hooks/runner.js';
import type { LogLine } from './machine.js';
import type { PaaMachine } from './machines.js';
import type { World } from './world.js';

type Say = (detail: string) => void;

interface Point {
  /** Number of the PAA's run. */
  start: number;
  /** Authorized sessions and their addresses, the newest last. */
  readonly sessions: Map<string, string>;
  /** Sessions whose permit the PAA has revoked, because it terminates them. */
  readonly terminating: Set<string>;
  /** All sessions that have had an address, by address. */
  readonly holders: Map<string, Set<string>>;
  /** Whether to compare again: something has changed since the last comparison, or it excused a difference. */
  isDirty: boolean;
}

/** An address that is wrongly admitted or wrongly not admitted, and the sessions that have had it. */
interface Difference {
  readonly address: string;
  readonly isAdmitted: boolean;
  readonly holders: ReadonlySet<string>;
}

/** Log events after which an enforcement point is compared again. */
const ABOUT: readonly string[] = [
  'session authorized',
  'session reauthenticated',
  'session moved',
  'session terminating',
  'session ended',
  'hook done',
  'hook failed',
  'hook refused',
];

/**
 * Compares what enforcement points admit with the sessions that their PAAs have authorized. Differences are excused while the PAA
 * does not run, stops, or starts its enforcement point, and for sessions with a hook that waits, runs or will be retried.
 */
export class Admissions {
  readonly #world: World;
  readonly #say: Say;
  readonly #points = new Map<string, Point>();
  #effects = 0;

  constructor(world: World, say: Say) {
    this.#world = world;
    this.#say = say;
  }

  logged({ machine, message, fields }: LogLine, start: number): void {
    if (!machine.startsWith('paa') || !ABOUT.includes(message)) return;
    const point = this.#pointOf(machine, start);
    point.isDirty = true;
    const session = String(fields.session);
    if (message === 'session terminating') point.terminating.add(session);
    if (message === 'session ended') point.terminating.delete(session);
    if (message === 'session ended' || point.terminating.has(session)) point.sessions.delete(session);
    else if (message === 'session moved' ? point.sessions.has(session) : fields.session !== undefined) {
      point.sessions.delete(session);
      const address = String(fields.address);
      point.sessions.set(session, address);
      point.holders.set(address, (point.holders.get(address) ?? new Set()).add(session));
    }
  }

  step(): void {
    const { effects, paas } = this.#world;
    const hasChanged = effects.admissions !== this.#effects;
    this.#effects = effects.admissions;
    for (const paa of paas) {
      const point = this.#pointOf(paa.name, paa.starts);
      if (!(point.isDirty || hasChanged) || !paa.isRunning || paa.isStopping) continue;
      point.isDirty = false;
      const differing = this.#differing(paa, point);
      if (differing.length === 0) continue;
      point.isDirty = true;
      void this.#judge(paa, differing);
    }
  }

  /** The answer lists the hooks as they are when the daemon is asked, even if it arrives later. */
  async #judge(paa: PaaMachine, differing: readonly Difference[]): Promise<void> {
    const { hooks = [] } = ((await paa.ask('GET /status')) ?? {}) as { readonly hooks?: readonly HookView[] };
    const subjects = hooks.map(({ subject }) => subject.split(' ').slice(0, 2).join(' '));
    if (subjects.includes('ep')) return;
    for (const { address, isAdmitted, holders } of differing) {
      if ([...holders].some((session) => subjects.includes(`ep ${session}`))) continue;
      const of = `${address} (its sessions: ${[...holders].join(', ') || 'none'})`;
      this.#say(isAdmitted ? `${paa.name} admits ${of}` : `${paa.name} does not admit ${of}`);
    }
  }

  /** Addresses that are wrongly admitted or wrongly not admitted. */
  #differing({ name }: PaaMachine, { sessions, holders }: Point): Difference[] {
    const due = new Set(sessions.values());
    const admitted = this.#world.effects.admitted.get(name) ?? new Map<string, string>();
    return [...new Set([...due, ...admitted.keys()])]
      .filter((address) => due.has(address) !== admitted.has(address))
      .map((address) => ({
        address,
        isAdmitted: admitted.has(address),
        holders: holders.get(address) ?? new Set<string>(),
      }));
  }

  #pointOf(machine: string, start: number): Point {
    const known = this.#points.get(machine);
    if (known?.start === start) return known;
    const point = {
      start,
      sessions: new Map<string, string>(),
      terminating: new Set<string>(),
      holders: new Map<string, Set<string>>(),
      isDirty: true,
    };
    this.#points.set(machine, point);
    return point;
  }
}
