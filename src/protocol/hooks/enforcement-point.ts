import { AddressHolders } from './address-holders.js';
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
  readonly #holders = new AddressHolders();
  /** The last move of each session. */
  readonly #moves = new Map<string, Move>();
  /** Addresses that the hook may permit, each with the session that was last reported to have it. */
  readonly #permitted = new Map<string, string>();
  /** What `#permitted` is when the current run of `start` succeeds. */
  readonly #listed = new Map<string, string>();
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
    if (pending) this.#restore(pending);
    const values = pending && this.#valuesFor(pending.report, (address) => this.#revocable(address, job, pending), now);
    if (!values) {
      this.#outputs.push({ type: 'nothing', job });
      return;
    }
    const { event } = pending.report;
    pending.revoked = event === 'revoke' ? values.careOfAddress : values.formerAddress;
    // Not when the run ends: a later event of the same run may permit the address again.
    if (pending.revoked !== undefined) this.#permitted.delete(pending.revoked);
    const input = event === 'start' ? this.#allClients(now) : undefined;
    pending.hasRun = true;
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

  #valuesFor(
    report: Report,
    revocable: (address: string) => string | undefined,
    now: number,
  ): HookVariables | undefined {
    switch (report.event) {
      case 'start':
      case 'check':
      case 'stop':
        return { interface: this.#interface };
      case 'permit':
        return this.#valuesOf(report.session, now, report.address);
      case 'move': {
        const { session, move } = report;
        if (move.superseded) return undefined;
        move.reported = true;
        const values = this.#valuesOf(session, now, move.address);
        return values && { ...values, formerAddress: revocable(move.former) };
      }
      case 'revoke': {
        const { userName: mnId, session, address, alone } = report;
        if (alone && revocable(address) === undefined) return undefined;
        return { mnId, session, careOfAddress: revocable(address), interface: this.#interface };
      }
    }
  }

  /** Standard input of `start`: one line for each authorized client. */
  #allClients(now: number): string {
    this.#abandon(this.#covered);
    this.#covered = this.#later;
    this.#later = [];
    this.#listed.clear();
    let text = '';
    for (const [session, { address }] of this.#held) {
      const line = this.#lineOf(session, now);
      if (line !== '') this.#listed.set(address, session);
      text += line;
    }
    return text;
  }

  /**
   * `address`: that of the event. If the client has another one now, there is nothing to report: that address has an
   * event of its own, in order with others about it.
   */
  #valuesOf(session: string, now: number, address?: string): HookVariables | undefined {
    const held = this.#held.get(session);
    if (!held || (address !== undefined && address !== held.address)) return undefined;
    // If a newer session has the address, only that session's events are reported.
    if (this.#holders.newest(held.address) !== session) return undefined;
    const move = this.#moves.get(session);
    if (move) move.permitted = true;
    this.#permitted.set(held.address, session);
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
    this.#holders.add(session, address);
    this.#report({ report: { event: 'permit', session, address }, addresses: [address], token });
  }

  /** Reports a move. If an earlier move of the client was not reported, this one includes it. */
  #move(session: string, address: string): void {
    const held = this.#held.get(session);
    if (!held) return;
    this.#held.set(session, { ...held, address });
    this.#holders.remove(session, held.address);
    this.#holders.add(session, address);
    const last = this.#moves.get(session);
    const unreported = last && !last.reported ? last : undefined;
    if (unreported) unreported.superseded = true;
    const former = unreported && !unreported.permitted ? unreported.former : held.address;
    const move: Move = { former, address, permitted: false, reported: false, superseded: false };
    this.#moves.set(session, move);
    const addresses = [move.former, held.address, address];
    this.#report({ report: { event: 'move', session, move }, addresses, token: undefined });
    if (held.address !== address) this.#permitOther(held.address);
  }

  /** Reports another session that still has an address, because the hook permits an address for one session only. */
  #permitOther(address: string): void {
    const other = this.#holders.newest(address);
    if (other === undefined) return;
    this.#report({ report: { event: 'permit', session: other, address }, addresses: [address], token: undefined });
  }

  #revoke(session: string): void {
    const held = this.#held.get(session);
    if (!held) return;
    const last = this.#moves.get(session);
    this.#held.delete(session);
    this.#moves.delete(session);
    this.#holders.remove(session, held.address);
    // If the last move was not reported, the hook may still permit the address before it.
    for (const address of last && !last.reported ? [last.former, held.address] : [held.address]) {
      const report = { event: 'revoke', session, userName: held.userName, address, alone: false } as const;
      this.#report({ report, addresses: [address], token: undefined });
      this.#permitOther(address);
    }
  }

  /**
   * The address if this run of the job may revoke it. A retry may not if a later event is about the address: the hook
   * may run for that one at the same time.
   */
  #revocable(address: string, job: number, { hasRun }: PendingReport): string | undefined {
    if (hasRun && [...(this.#about.get(address) ?? [])].some((other) => other > job)) return undefined;
    return this.#holders.has(address) ? undefined : address;
  }

  // ------------------------------------------------------------------------------------------------------------- jobs

  #begin(token: number | undefined): void {
    this.#ready = false;
    // A running hook must not permit an address that its session has left, or revoke one that is permitted again, after
    // `start` has reported the current state.
    this.#start = this.#queue({ report: { event: 'start' }, addresses: [], token }, [...this.#jobs.keys()]);
  }

  /** Runs `stop` after the jobs that are running. It clears all permits: events that wait for `start` are dropped. */
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
    if (!pending || this.#stopped) return;
    if (!ok) this.#unfinished(pending, job);
    if (job === this.#start && ok) this.#started();
    this.#clearForgotten(pending.addresses);
    const isNext = pending.report.event === 'check' || job === this.#start;
    if (ok && isNext && this.#checkInterval > 0) this.#checkAt = now + this.#checkInterval;
  }

  #tick(now: number): void {
    if (this.deadline === undefined || this.deadline > now) return;
    this.#checkAt = undefined;
    this.#queue({ report: { event: 'check' }, addresses: [], token: undefined }, []);
  }

  /**
   * Handles a check that failed, and an event whose address may still be permitted. A revoke that used up its tries
   * gives the address up; one that a newer event of the session replaced does not.
   */
  #unfinished(pending: PendingReport, job: number): void {
    const { report } = pending;
    // A later `start`, of a reload, has the same effect as that after a check.
    if (report.event === 'check') {
      if (this.#ready) this.#begin(undefined);
    } else if (report.event !== 'revoke' || (!report.alone && this.#hasLater(report.session, job))) {
      this.#restore(pending);
    }
  }

  /** After a run that failed: the hook may still permit the address that it should have revoked. */
  #restore(pending: PendingReport): void {
    const { report, revoked } = pending;
    pending.revoked = undefined;
    if (revoked === undefined || this.#permitted.has(revoked)) return;
    if ('session' in report) this.#permitted.set(revoked, report.session);
  }

  /**
   * Revokes those of the addresses that the hook may still permit although no session has them and no unfinished job is
   * about them. Only the last of several events of a session may have run, and it names at most one former address.
   */
  #clearForgotten(addresses: Iterable<string>): void {
    if (!this.#ready) return;
    for (const address of new Set(addresses)) {
      const session = this.#permitted.get(address);
      if (session !== undefined && !this.#holders.has(address) && !this.#about.has(address)) {
        this.#clear(session, address);
      }
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
    for (const [address, session] of this.#listed) this.#permitted.set(address, session);
    for (const { token } of this.#covered) {
      if (token !== undefined) this.#outputs.push({ type: 'firstResult', token, ok: true });
    }
    const later = this.#later;
    this.#covered = [];
    this.#later = [];
    for (const pending of later) this.#report(pending);
    this.#clearForgotten(this.#listed.keys());
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
