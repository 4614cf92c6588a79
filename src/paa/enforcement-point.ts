import { HookBatch } from '../runtime/hooks/batch.js';
import { type HookEvent, type HookVariables, hookLine } from '../runtime/hooks/environment.js';
import type { HookJob, HookOptions, HookRunner, HookView } from '../runtime/hooks/runner.js';
import type { Host } from '../runtime/system/host.js';

/** Who may pass. */
export interface Admission {
  readonly session: string;
  readonly userName: string | undefined;
  readonly address: string;
  /** Milliseconds from now; undefined: no limit. */
  readonly lifetime: number | undefined;
}

interface Held extends Admission {
  readonly until: number | undefined;
}

export interface EnforcementOptions {
  readonly program: string;
  /** The program takes the events of a moment in one run. */
  readonly batch: boolean;
  readonly interface: string;
}

/** A change of address that the program has not been told yet, or that it has been told. */
interface Move {
  /** The last address that it was told before. */
  readonly former: string;
  told: boolean;
  /** A later one says it all. */
  superseded: boolean;
}

/** An event that came before the program has said that `start` worked. */
interface Early {
  readonly job: HookJob;
  readonly addresses: readonly string[];
  readonly settle: (ok: boolean) => void;
}

/**
 * Tells the enforcement point's hook who may pass. What a hook is told is looked up when it is run: a late one, or one
 * that is tried again, never says what held once.
 */
export class EnforcementPoint {
  readonly #options: EnforcementOptions;
  readonly #runner: HookRunner;
  readonly #batch: HookBatch | undefined;
  readonly #held = new Map<string, Held>();
  /** Sessions from an address, the newest last: its events count, since its node has forgotten the others. */
  readonly #holders = new Map<string, Set<string>>();
  /** The last move of each session. */
  readonly #moves = new Map<string, Move>();
  /** The last run for an address, without batches: others for that address wait for it. */
  readonly #turns = new Map<string, Promise<boolean>>();
  #ready = false;
  /** Events that the run of `start` under way has taken up, and those since. */
  #covered: Early[] = [];
  #later: Early[] = [];

  readonly #host: Host;

  constructor(options: EnforcementOptions, hooks: HookOptions, runner: HookRunner, host: Host) {
    this.#host = host;
    this.#options = options;
    this.#runner = runner;
    this.#batch = options.batch ? new HookBatch({ ...options, role: 'ep' }, hooks, runner) : undefined;
  }

  /**
   * Sets the enforcement point up from nothing, with who may pass now on the hook's standard input. Until that has worked
   * no other event is told. Resolves after the first try, with whether it worked.
   */
  start(): Promise<boolean> {
    this.#ready = false;
    return this.#runner.run({
      ...this.#job('start', 'ep', { interface: this.#options.interface }),
      input: () => this.#everybody(),
      onSuccess: () => this.#started(),
    });
  }

  /** After what is under way: the PAA ends. */
  async stop(): Promise<void> {
    await this.#batch?.drained();
    await Promise.all(this.#turns.values());
    await this.#runner.run(this.#job('stop', 'ep', { interface: this.#options.interface }));
  }

  /** Resolves after the first try, with whether it worked. */
  permit(admission: Admission): Promise<boolean> {
    const { session, address, lifetime } = admission;
    const before = this.#held.get(session);
    if (before && before.address !== address) this.#leave(session, before.address);
    const until = lifetime === undefined ? undefined : this.#host.monotonic() + lifetime;
    this.#held.set(session, { ...admission, until });
    this.#hold(session, address);
    return this.#tell(
      this.#job('permit', session, () => this.#valuesOf(session)),
      [address],
    );
  }

  /** Of moves that come before the program could be told of the first, it hears once. */
  move(session: string, address: string): void {
    const held = this.#held.get(session);
    if (!held) return;
    this.#held.set(session, { ...held, address });
    this.#leave(session, held.address);
    this.#hold(session, address);
    const last = this.#moves.get(session);
    const waiting = last && !last.told ? last : undefined;
    if (waiting) waiting.superseded = true;
    const move: Move = { former: waiting?.former ?? held.address, told: false, superseded: false };
    this.#moves.set(session, move);
    const variables = () => {
      if (move.superseded) return undefined;
      move.told = true;
      const values = this.#valuesOf(session);
      return values && { ...values, formerAddress: this.#free(move.former) };
    };
    void this.#tell(this.#job('move', session, variables), [move.former, held.address, address]);
  }

  revoke(session: string): void {
    const held = this.#held.get(session);
    if (!held) return;
    const last = this.#moves.get(session);
    this.#held.delete(session);
    this.#moves.delete(session);
    this.#leave(session, held.address);
    // Of a move that it has not heard of it will not: what it knows is where the client was before.
    for (const address of last && !last.told ? [last.former, held.address] : [held.address]) {
      this.#revokeAddress(session, held.userName, address);
    }
  }

  #revokeAddress(session: string, mnId: string | undefined, address: string): void {
    const variables = () => ({ mnId, session, careOfAddress: this.#free(address), interface: this.#options.interface });
    void this.#tell(this.#job('revoke', session, variables), [address]);
    // What the address is permitted was this session's: another one that has it says its own again.
    const other = this.#holder(address);
    if (other === undefined) return;
    void this.#tell(
      this.#job('permit', other, () => this.#valuesOf(other)),
      [address],
    );
  }

  status(): HookView[] {
    return this.#batch?.status() ?? [];
  }

  #job(event: HookEvent, of: string, variables: HookJob['variables']): HookJob {
    const subject = of === 'ep' ? of : `ep ${of}`;
    return { program: this.#options.program, role: 'ep', event, subject, variables };
  }

  #hold(session: string, address: string): void {
    const sessions = this.#holders.get(address) ?? new Set();
    sessions.delete(session);
    this.#holders.set(address, sessions.add(session));
  }

  #leave(session: string, address: string): void {
    const sessions = this.#holders.get(address);
    sessions?.delete(session);
    if (sessions?.size === 0) this.#holders.delete(address);
  }

  #holder(address: string): string | undefined {
    return [...(this.#holders.get(address) ?? [])].at(-1);
  }

  /** An address that nobody may use any more; undefined if somebody has it again, who would be shut out with it. */
  #free(address: string): string | undefined {
    return this.#holders.has(address) ? undefined : address;
  }

  #valuesOf(session: string): HookVariables | undefined {
    const held = this.#held.get(session);
    // Another session has its address: that one's events are what counts.
    if (!held || this.#holder(held.address) !== session) return undefined;
    const { userName: mnId, address: careOfAddress, until } = held;
    const lifetime = until === undefined ? undefined : Math.max(1, Math.ceil((until - this.#host.monotonic()) / 1000));
    return { mnId, session, careOfAddress, lifetime, interface: this.#options.interface };
  }

  // ----------------------------------------------------------------------------------------------------------- start

  #everybody(): string {
    for (const { settle } of this.#covered) settle(false);
    this.#covered = this.#later;
    this.#later = [];
    let text = '';
    for (const session of this.#held.keys()) {
      const values = this.#valuesOf(session);
      if (values) text += `${hookLine('permit', values)}\n`;
    }
    return text;
  }

  #started(): void {
    this.#ready = true;
    const later = this.#later;
    this.#later = [];
    for (const { settle } of this.#covered) settle(true);
    this.#covered = [];
    for (const { job, addresses, settle } of later) void this.#tell(job, addresses).then(settle);
  }

  // ------------------------------------------------------------------------------------------------------------ runs

  #tell(job: HookJob, addresses: readonly string[]): Promise<boolean> {
    if (!this.#ready) return new Promise((settle) => this.#later.push({ job, addresses, settle }));
    if (this.#batch) return this.#batch.run(job);
    const before = addresses.map((address) => this.#turns.get(address));
    const turn = Promise.all(before).then(() => this.#runner.run(job));
    for (const address of addresses) this.#turns.set(address, turn);
    void turn.finally(() => {
      for (const address of addresses) if (this.#turns.get(address) === turn) this.#turns.delete(address);
    });
    return turn;
  }
}
