import { HookValueError, type HookVariables, hookLine } from './contract.js';
import type { Admission, EnforcementInput, EnforcementOutput } from './enforcement-alphabet.js';

interface Held extends Admission {
  readonly until: number | undefined;
}

/** A client's change of address. `told` says whether the hook has been told of it. */
interface Move {
  /** The last address that the hook was told before. */
  readonly former: string;
  /** A permit or start may have told the hook the new address. */
  permitted: boolean;
  told: boolean;
  /** A later move includes this one. */
  superseded: boolean;
}

type Saying =
  | { readonly event: 'start' | 'stop' }
  | { readonly event: 'permit'; readonly session: string }
  | { readonly event: 'move'; readonly session: string; readonly move: Move }
  | {
      readonly event: 'revoke';
      readonly session: string;
      readonly userName: string | undefined;
      readonly address: string;
      /**
       * The session has left this address, which may still be permitted. The event is independent of the session's
       * other events.
       */
      readonly alone: boolean;
    };

interface Telling {
  readonly saying: Saying;
  /** Addresses whose events must reach the hook in order. */
  readonly addresses: readonly string[];
  /** The request that waits for the first try. */
  token: number | undefined;
  /** The address that the hook was told to revoke. */
  revoked?: string | undefined;
}

/** Subject of `start` and `stop`. */
const POINT = 'ep';

/**
 * Tracks authorized clients and tells the enforcement point's hook. `start` clears stale permits of an earlier run of
 * the PAA; all other events wait until it has succeeded. The data for the hook is looked up when the hook runs, so that
 * a late or repeated run never reports an outdated state.
 */
export class EnforcementPoint {
  readonly #interface: string;
  readonly #held = new Map<string, Held>();
  /**
   * Sessions by address, the newest last. Only the newest session's events count, because its node no longer has the
   * others.
   */
  readonly #holders = new Map<string, Set<string>>();
  /** The last move of each session. */
  readonly #moves = new Map<string, Move>();
  /** Addresses that the hook was told to permit, and that it has not revoked since. */
  readonly #permitted = new Set<string>();
  readonly #jobs = new Map<number, Telling>();
  /** Unfinished jobs by the addresses that they concern. Jobs that share an address must not run at the same time. */
  readonly #about = new Map<string, Set<number>>();
  #lastJob = 0;
  /** The last `start`. The enforcement point is ready when it has succeeded. */
  #start: number | undefined;
  #ready = false;
  #stopped = false;
  /** Events that the current run of `start` includes, and events since then. */
  #covered: Telling[] = [];
  #later: Telling[] = [];
  #outputs: EnforcementOutput[] = [];

  /** `interfaceName`: the interface of the access network. */
  constructor(interfaceName: string) {
    this.#interface = interfaceName;
  }

  handle(input: EnforcementInput, now: number): EnforcementOutput[] {
    this.#outputs = [];
    switch (input.type) {
      case 'start':
        this.#begin(input.token);
        break;
      case 'permit':
        this.#permit(input.admission, input.token, now);
        break;
      case 'move':
        this.#move(input.session, input.address);
        break;
      case 'revoke':
        this.#revoke(input.session);
        break;
      case 'stop':
        this.#end(input.token);
        break;
      case 'run':
        this.#say(input.job, now);
        break;
      case 'settled':
        this.#settled(input.job, input.ok);
        break;
      case 'done':
        this.#done(input.job, input.ok);
    }
    return this.#outputs;
  }

  // ------------------------------------------------------------------------------------------------- what hooks are told

  #say(job: number, now: number): void {
    const telling = this.#jobs.get(job);
    if (telling && !this.#ready && 'session' in telling.saying) {
      this.#leaveToStart(job, telling);
      return;
    }
    const triedMove = telling?.saying.event === 'move' && telling.saying.move.told;
    const values = telling && this.#valuesFor(telling.saying, now);
    if (!values) {
      // Another session has the new address of a client that moved, or the client's session ended after a failed try. Its
      // former address must still be revoked.
      if (telling?.saying.event === 'move' && !telling.saying.move.superseded) {
        const { session, move } = telling.saying;
        if (triedMove || this.#held.has(session)) this.#clear(session, move.former);
      }
      this.#outputs.push({ type: 'nothing', job });
      return;
    }
    telling.revoked = telling.saying.event === 'move' ? values.formerAddress : undefined;
    if (telling.saying.event === 'revoke') telling.revoked = values.careOfAddress;
    const input = telling.saying.event === 'start' ? this.#everybody(now) : undefined;
    this.#outputs.push({ type: 'say', job, variables: values, input });
  }

  /** `start` reports the current state, so that a retried event of before has nothing to say. */
  #leaveToStart(job: number, telling: Telling): void {
    if (telling.token !== undefined && !this.#stopped) {
      this.#later.push({ ...telling });
      telling.token = undefined;
    }
    this.#outputs.push({ type: 'nothing', job });
  }

  #valuesFor(saying: Saying, now: number): HookVariables | undefined {
    switch (saying.event) {
      case 'start':
      case 'stop':
        return { interface: this.#interface };
      case 'permit':
        return this.#valuesOf(saying.session, now);
      case 'move': {
        const { session, move } = saying;
        if (move.superseded) return undefined;
        move.told = true;
        const values = this.#valuesOf(session, now);
        return values && { ...values, formerAddress: this.#free(move.former) };
      }
      case 'revoke': {
        const { userName: mnId, session, address, alone } = saying;
        if (alone && this.#free(address) === undefined) return undefined;
        return { mnId, session, careOfAddress: this.#free(address), interface: this.#interface };
      }
    }
  }

  /** Standard input of `start`: one line for each authorized client. */
  #everybody(now: number): string {
    this.#abandon(this.#covered);
    this.#covered = this.#later;
    this.#later = [];
    let text = '';
    for (const session of this.#held.keys()) text += this.#lineOf(session, now);
    return text;
  }

  #valuesOf(session: string, now: number): HookVariables | undefined {
    const held = this.#held.get(session);
    // If a newer session has the address, only its events count.
    if (!held || this.#holder(held.address) !== session) return undefined;
    const move = this.#moves.get(session);
    if (move) move.permitted = true;
    this.#permitted.add(held.address);
    const { userName: mnId, address: careOfAddress, until } = held;
    const lifetime = until === undefined ? undefined : Math.max(1, Math.ceil((until - now) / 1000));
    return { mnId, session, careOfAddress, lifetime, interface: this.#interface };
  }

  /**
   * A client with values that must not be passed to a hook is skipped, so that the other clients are still permitted.
   */
  #lineOf(session: string, now: number): string {
    const values = this.#valuesOf(session, now);
    try {
      return values ? `${hookLine('permit', values)}\n` : '';
    } catch (error) {
      if (error instanceof HookValueError) return '';
      throw error;
    }
  }

  // ---------------------------------------------------------------------------------------------------------- clients

  #permit(admission: Admission, token: number, now: number): void {
    const { session, address, lifetime } = admission;
    const before = this.#held.get(session);
    if (before && before.address !== address) this.#move(session, address);
    this.#held.set(session, { ...admission, until: lifetime === undefined ? undefined : now + lifetime });
    this.#hold(session, address);
    this.#tell({ saying: { event: 'permit', session }, addresses: [address], token });
  }

  /** If a client moves again before the hook was told of its first move, the hook is told once. */
  #move(session: string, address: string): void {
    const held = this.#held.get(session);
    if (!held) return;
    this.#held.set(session, { ...held, address });
    this.#leave(session, held.address);
    this.#hold(session, address);
    const last = this.#moves.get(session);
    const untold = last && !last.told ? last : undefined;
    if (untold) untold.superseded = true;
    const former = untold && !untold.permitted ? untold.former : held.address;
    const move: Move = { former, permitted: false, told: false, superseded: false };
    this.#moves.set(session, move);
    // The hook may have permitted both addresses: the former one, and the one of the move that it was not told of.
    if (untold?.permitted) this.#clear(session, untold.former);
    // Another session may have left the address to this one, whose move to it the hook was not told of.
    const left = untold && this.#free(held.address);
    if (left !== undefined && left !== move.former && this.#permitted.has(left)) this.#clear(session, left);
    const addresses = [move.former, held.address, address];
    this.#tell({ saying: { event: 'move', session, move }, addresses, token: undefined });
    if (held.address !== address) this.#permitOther(held.address);
  }

  /** The hook permits an address for one session. Reports another session that has this address again. */
  #permitOther(address: string): void {
    const other = this.#holder(address);
    if (other === undefined) return;
    this.#tell({ saying: { event: 'permit', session: other }, addresses: [address], token: undefined });
  }

  #revoke(session: string): void {
    const held = this.#held.get(session);
    if (!held) return;
    const last = this.#moves.get(session);
    this.#held.delete(session);
    this.#moves.delete(session);
    this.#leave(session, held.address);
    // If the hook was not told of the last move, it knows only the address before that.
    for (const address of last && !last.told ? [last.former, held.address] : [held.address]) {
      const saying = { event: 'revoke', session, userName: held.userName, address, alone: false } as const;
      this.#tell({ saying, addresses: [address], token: undefined });
      this.#permitOther(address);
    }
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

  /** An address to revoke. Undefined if another session has it now, which the revocation would cut off. */
  #free(address: string): string | undefined {
    return this.#holders.has(address) ? undefined : address;
  }

  // ------------------------------------------------------------------------------------------------------------- jobs

  #begin(token: number): void {
    this.#ready = false;
    // A running hook must not permit an address that its session has left, or revoke one that is permitted again, after
    // `start` has reported the current state.
    this.#start = this.#queue({ saying: { event: 'start' }, addresses: [], token }, [...this.#jobs.keys()]);
  }

  /**
   * Runs `stop` after the jobs that are running. Events that wait for `start` are dropped, because `stop` clears all
   * permits.
   */
  #end(token: number): void {
    this.#stopped = true;
    this.#abandon([...this.#covered, ...this.#later]);
    this.#covered = [];
    this.#later = [];
    this.#queue({ saying: { event: 'stop' }, addresses: [], token }, [...this.#jobs.keys()]);
  }

  #tell(telling: Telling): void {
    if (this.#stopped) {
      this.#abandon([telling]);
    } else if (this.#ready) {
      const before = telling.addresses.flatMap((address) => [...(this.#about.get(address) ?? [])]);
      this.#queue(telling, [...new Set(before)]);
    } else {
      this.#later.push(telling);
    }
  }

  #queue(telling: Telling, after: readonly number[]): number {
    this.#lastJob += 1;
    const { saying } = telling;
    this.#jobs.set(this.#lastJob, telling);
    for (const address of telling.addresses) {
      this.#about.set(address, (this.#about.get(address) ?? new Set()).add(this.#lastJob));
    }
    this.#outputs.push({ type: 'job', job: this.#lastJob, event: saying.event, subject: subjectOf(saying), after });
    return this.#lastJob;
  }

  #settled(job: number, ok: boolean): void {
    const telling = this.#jobs.get(job);
    if (telling?.token === undefined) return;
    this.#outputs.push({ type: 'settled', token: telling.token, ok });
    telling.token = undefined;
  }

  #done(job: number, ok: boolean): void {
    const telling = this.#jobs.get(job);
    this.#jobs.delete(job);
    for (const address of telling?.addresses ?? []) {
      const about = this.#about.get(address);
      about?.delete(job);
      if (about?.size === 0) this.#about.delete(address);
    }
    if (ok && telling?.revoked !== undefined && this.#free(telling.revoked) !== undefined) {
      this.#permitted.delete(telling.revoked);
    }
    if (telling && !ok && !this.#stopped) this.#unfinished(telling.saying, job);
    if (job === this.#start && ok && !this.#stopped) this.#started();
  }

  /**
   * A newer event of the session ended the retries of this one. The address that it should revoke may still be
   * permitted: a separate job with its own retries revokes it.
   */
  #unfinished(saying: Saying, job: number): void {
    if (saying.event === 'move' && saying.move.told) {
      this.#clear(saying.session, saying.move.former);
    } else if (saying.event === 'revoke' && !saying.alone && this.#hasLater(saying.session, job)) {
      this.#clear(saying.session, saying.address);
    }
  }

  #clear(session: string, address: string): void {
    const saying = { event: 'revoke', session, userName: undefined, address, alone: true } as const;
    this.#tell({ saying, addresses: [address], token: undefined });
  }

  #hasLater(session: string, job: number): boolean {
    return [...this.#jobs].some(
      ([later, { saying }]) => later > job && 'session' in saying && saying.session === session,
    );
  }

  #started(): void {
    this.#ready = true;
    this.#permitted.clear();
    for (const address of this.#holders.keys()) this.#permitted.add(address);
    for (const { token } of this.#covered) {
      if (token !== undefined) this.#outputs.push({ type: 'settled', token, ok: true });
    }
    const later = this.#later;
    this.#covered = [];
    this.#later = [];
    for (const telling of later) this.#tell(telling);
  }

  #abandon(tellings: readonly Telling[]): void {
    for (const { token } of tellings) {
      if (token !== undefined) this.#outputs.push({ type: 'settled', token, ok: false });
    }
  }
}

function subjectOf(saying: Saying): string {
  if (!('session' in saying)) return POINT;
  const subject = `${POINT} ${saying.session}`;
  return saying.event === 'revoke' && saying.alone ? `${subject} ${saying.address}` : subject;
}
