import { HookValueError, type HookVariables, hookLine } from './contract.js';
import type { AdmittedClient, EnforcementInput, EnforcementOutput } from './enforcement-alphabet.js';
import type { HeldClient, Move, PendingReport, Report } from './enforcement-state.js';

/** Subject of `start`, `check` and `stop`. */
const POINT = 'ep';

/**
 * Tracks authorized clients and reports changes to the enforcement point's hook. `start` clears stale permits of an
 * earlier run of the PAA; all other events wait until it has succeeded. The data for the hook is looked up when it
 * runs, so that a late or repeated run never reports an outdated state. If a periodic `check` fails, because the
 * enforcement point was restarted or cannot be reached, `start` runs again.
 */
export class EnforcementPoint {
  readonly #interface: string;
  readonly #checkInterval: number;
  readonly #held = new Map<string, HeldClient>();
  /**
   * Sessions by address, the newest last. Only the newest session's events are reported, because the node no longer
   * uses the others.
   */
  readonly #holders = new Map<string, Set<string>>();
  /** The last move of each session. */
  readonly #moves = new Map<string, Move>();
  /** Addresses that were reported to the hook as permitted, and that it has not revoked since. */
  readonly #permitted = new Set<string>();
  readonly #jobs = new Map<number, PendingReport>();
  /** Unfinished jobs by the addresses that they concern. Jobs that share an address must not run at the same time. */
  readonly #about = new Map<string, Set<number>>();
  #lastJob = 0;
  /** The last `start`. The enforcement point is ready when it has succeeded. */
  #start: number | undefined;
  #ready = false;
  #stopped = false;
  /** When the next `check` runs. */
  #checkAt: number | undefined;
  /** Events that the current run of `start` includes, and events since then. */
  #covered: PendingReport[] = [];
  #later: PendingReport[] = [];
  #outputs: EnforcementOutput[] = [];

  /**
   * `interfaceName`: the interface of the access network. `checkInterval`: milliseconds from a successful `start` or
   * `check` to the next `check`; 0: never.
   */
  constructor(interfaceName: string, checkInterval = 0) {
    this.#interface = interfaceName;
    this.#checkInterval = checkInterval;
  }

  get deadline(): number | undefined {
    return this.#ready && !this.#stopped ? this.#checkAt : undefined;
  }

  /** Whether `start` has succeeded, the number of clients that may pass, and of reports that the hook has not had. */
  get state(): { readonly ready: boolean; readonly clients: number; readonly pending: number } {
    return { ready: this.#ready, clients: this.#held.size, pending: this.#jobs.size };
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
        this.#provide(input.job, now);
        break;
      case 'firstResult':
        this.#firstResult(input.job, input.ok);
        break;
      case 'done':
        this.#done(input.job, input.ok, now);
        break;
      case 'tick':
        this.#tick(now);
    }
    return this.#outputs;
  }

  // ---------------------------------------------------------------------------------------------------- data for hooks

  #provide(job: number, now: number): void {
    const pending = this.#jobs.get(job);
    if (pending && !this.#ready && 'session' in pending.report) {
      this.#leaveToStart(job, pending);
      return;
    }
    const triedMove = pending?.report.event === 'move' && pending.report.move.reported;
    const values = pending && this.#valuesFor(pending.report, now);
    if (!values) {
      // Another session has the new address of a client that moved, or the client's session ended after a failed try.
      // Its former address must still be revoked.
      if (pending?.report.event === 'move' && !pending.report.move.superseded) {
        const { session, move } = pending.report;
        if (triedMove || this.#held.has(session)) this.#clear(session, move.former);
      }
      this.#outputs.push({ type: 'nothing', job });
      return;
    }
    pending.revoked = pending.report.event === 'move' ? values.formerAddress : undefined;
    if (pending.report.event === 'revoke') pending.revoked = values.careOfAddress;
    const input = pending.report.event === 'start' ? this.#allClients(now) : undefined;
    this.#outputs.push({ type: 'data', job, variables: values, input });
  }

  /** Skips the run of an earlier event, because `start` reports the current state. */
  #leaveToStart(job: number, pending: PendingReport): void {
    if (pending.token !== undefined && !this.#stopped) {
      this.#later.push({ ...pending });
      pending.token = undefined;
    }
    this.#outputs.push({ type: 'nothing', job });
  }

  #valuesFor(report: Report, now: number): HookVariables | undefined {
    switch (report.event) {
      case 'start':
      case 'check':
      case 'stop':
        return { interface: this.#interface };
      case 'permit':
        return this.#valuesOf(report.session, now);
      case 'move': {
        const { session, move } = report;
        if (move.superseded) return undefined;
        move.reported = true;
        const values = this.#valuesOf(session, now);
        return values && { ...values, formerAddress: this.#free(move.former) };
      }
      case 'revoke': {
        const { userName: mnId, session, address, alone } = report;
        if (alone && this.#free(address) === undefined) return undefined;
        return { mnId, session, careOfAddress: this.#free(address), interface: this.#interface };
      }
    }
  }

  /** Standard input of `start`: one line for each authorized client. */
  #allClients(now: number): string {
    this.#abandon(this.#covered);
    this.#covered = this.#later;
    this.#later = [];
    let text = '';
    for (const session of this.#held.keys()) text += this.#lineOf(session, now);
    return text;
  }

  #valuesOf(session: string, now: number): HookVariables | undefined {
    const held = this.#held.get(session);
    // If a newer session has the address, only that session's events are reported.
    if (!held || this.#holder(held.address) !== session) return undefined;
    const move = this.#moves.get(session);
    if (move) move.permitted = true;
    this.#permitted.add(held.address);
    const { userName: mnId, address: careOfAddress, until } = held;
    const lifetime = until === undefined ? undefined : Math.max(1, Math.ceil((until - now) / 1000));
    return { mnId, session, careOfAddress, lifetime, interface: this.#interface };
  }

  /**
   * Formats a client as a line. Omits a client whose values must not be passed to a hook, so that the other clients are
   * still permitted.
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

  #permit(admission: AdmittedClient, token: number, now: number): void {
    const { session, address, lifetime } = admission;
    const before = this.#held.get(session);
    if (before && before.address !== address) this.#move(session, address);
    this.#held.set(session, { ...admission, until: lifetime === undefined ? undefined : now + lifetime });
    this.#hold(session, address);
    this.#report({ report: { event: 'permit', session }, addresses: [address], token });
  }

  /** Reports a move. If an earlier move of the client was not reported, this one includes it. */
  #move(session: string, address: string): void {
    const held = this.#held.get(session);
    if (!held) return;
    this.#held.set(session, { ...held, address });
    this.#leave(session, held.address);
    this.#hold(session, address);
    const last = this.#moves.get(session);
    const unreported = last && !last.reported ? last : undefined;
    if (unreported) unreported.superseded = true;
    const former = unreported && !unreported.permitted ? unreported.former : held.address;
    const move: Move = { former, permitted: false, reported: false, superseded: false };
    this.#moves.set(session, move);
    // The hook may have permitted both addresses: the former one, and that of the unreported move.
    if (unreported?.permitted) this.#clear(session, unreported.former);
    // The move to this address was not reported, so the hook may still permit the address for an earlier session.
    const left = unreported && this.#free(held.address);
    if (left !== undefined && left !== move.former && this.#permitted.has(left)) this.#clear(session, left);
    const addresses = [move.former, held.address, address];
    this.#report({ report: { event: 'move', session, move }, addresses, token: undefined });
    if (held.address !== address) this.#permitOther(held.address);
  }

  /** Reports another session that still has an address, because the hook permits an address for one session only. */
  #permitOther(address: string): void {
    const other = this.#holder(address);
    if (other === undefined) return;
    this.#report({ report: { event: 'permit', session: other }, addresses: [address], token: undefined });
  }

  #revoke(session: string): void {
    const held = this.#held.get(session);
    if (!held) return;
    const last = this.#moves.get(session);
    this.#held.delete(session);
    this.#moves.delete(session);
    this.#leave(session, held.address);
    // If the last move was not reported, the hook may still permit the address before it.
    for (const address of last && !last.reported ? [last.former, held.address] : [held.address]) {
      const report = { event: 'revoke', session, userName: held.userName, address, alone: false } as const;
      this.#report({ report, addresses: [address], token: undefined });
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

  /** The address if it may be revoked; undefined if another session uses it now. */
  #free(address: string): string | undefined {
    return this.#holders.has(address) ? undefined : address;
  }

  // ------------------------------------------------------------------------------------------------------------- jobs

  #begin(token: number | undefined): void {
    this.#ready = false;
    // A running hook must not permit an address that its session has left, or revoke one that is permitted again, after
    // `start` has reported the current state.
    this.#start = this.#queue({ report: { event: 'start' }, addresses: [], token }, [...this.#jobs.keys()]);
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
    this.#queue({ report: { event: 'stop' }, addresses: [], token }, [...this.#jobs.keys()]);
  }

  #report(pending: PendingReport): void {
    if (this.#stopped) {
      this.#abandon([pending]);
    } else if (this.#ready) {
      const before = pending.addresses.flatMap((address) => [...(this.#about.get(address) ?? [])]);
      this.#queue(pending, [...new Set(before)]);
    } else {
      this.#later.push(pending);
    }
  }

  #queue(pending: PendingReport, after: readonly number[]): number {
    this.#lastJob += 1;
    const { report } = pending;
    this.#jobs.set(this.#lastJob, pending);
    for (const address of pending.addresses) {
      this.#about.set(address, (this.#about.get(address) ?? new Set()).add(this.#lastJob));
    }
    this.#outputs.push({ type: 'job', job: this.#lastJob, event: report.event, subject: subjectOf(report), after });
    return this.#lastJob;
  }

  #firstResult(job: number, ok: boolean): void {
    const pending = this.#jobs.get(job);
    if (pending?.token === undefined) return;
    this.#outputs.push({ type: 'firstResult', token: pending.token, ok });
    pending.token = undefined;
  }

  #done(job: number, ok: boolean, now: number): void {
    const pending = this.#jobs.get(job);
    this.#jobs.delete(job);
    for (const address of pending?.addresses ?? []) {
      const about = this.#about.get(address);
      about?.delete(job);
      if (about?.size === 0) this.#about.delete(address);
    }
    if (ok && pending?.revoked !== undefined && this.#free(pending.revoked) !== undefined) {
      this.#permitted.delete(pending.revoked);
    }
    if (!pending || this.#stopped) return;
    if (!ok) this.#unfinished(pending.report, job);
    if (job === this.#start && ok) this.#started();
    const isNext = pending.report.event === 'check' || job === this.#start;
    if (ok && isNext && this.#checkInterval > 0) this.#checkAt = now + this.#checkInterval;
  }

  #tick(now: number): void {
    if (this.deadline === undefined || this.deadline > now) return;
    this.#checkAt = undefined;
    this.#queue({ report: { event: 'check' }, addresses: [], token: undefined }, []);
  }

  /**
   * Handles a check that failed, or an event whose retries were ended by a newer event of the session. The address that it should revoke may
   * still be permitted: a separate job with its own retries revokes it.
   */
  #unfinished(report: Report, job: number): void {
    if (report.event === 'check') {
      // A later `start`, of a reload, has the same effect.
      if (this.#ready) this.#begin(undefined);
    } else if (report.event === 'move' && report.move.reported) {
      this.#clear(report.session, report.move.former);
    } else if (report.event === 'revoke' && !report.alone && this.#hasLater(report.session, job)) {
      this.#clear(report.session, report.address);
    }
  }

  #clear(session: string, address: string): void {
    const report = { event: 'revoke', session, userName: undefined, address, alone: true } as const;
    this.#report({ report, addresses: [address], token: undefined });
  }

  #hasLater(session: string, job: number): boolean {
    return [...this.#jobs].some(
      ([later, { report }]) => later > job && 'session' in report && report.session === session,
    );
  }

  #started(): void {
    this.#ready = true;
    this.#permitted.clear();
    for (const address of this.#holders.keys()) this.#permitted.add(address);
    for (const { token } of this.#covered) {
      if (token !== undefined) this.#outputs.push({ type: 'firstResult', token, ok: true });
    }
    const later = this.#later;
    this.#covered = [];
    this.#later = [];
    for (const pending of later) this.#report(pending);
  }

  #abandon(reports: readonly PendingReport[]): void {
    for (const { token } of reports) {
      if (token !== undefined) this.#outputs.push({ type: 'firstResult', token, ok: false });
    }
  }
}

function subjectOf(report: Report): string {
  if (!('session' in report)) return POINT;
  const subject = `${POINT} ${report.session}`;
  return report.event === 'revoke' && report.alone ? `${subject} ${report.address}` : subject;
}
