import { DeadlineQueue } from '../../bytes/deadline-queue.js';
import { TERMINATION_CAUSE } from '../../diameter/wire/dictionary.js';
import { attribute } from '../../radius/wire/attributes.js';
import type { Attribute } from '../../radius/wire/codec.js';
import { ACCT_STATUS_TYPE, ACCT_TERMINATE_CAUSE } from '../../radius/wire/dictionary.js';
import type { SessionTerms } from './access.js';

/** Maximum number of Accounting-Requests that wait. */
export const MAX_RECORDS = 100_000;

/** Maximum number of Accounting-Requests in flight. */
export const MAX_ASKED = 128;

/** How often an Accounting-Request is tried, and how long after a try that failed, in milliseconds. */
export const RECORD_TRIES = 10;
export const RECORD_RETRY = 30_000;

/** Acct-Authentic, RFC 2866 5.6. */
const BY_RADIUS = 1;

/** Acct-Terminate-Cause (RFC 2866 5.10) for each Termination-Cause of an STR. */
const CAUSES: Readonly<Record<number, number>> = {
  [TERMINATION_CAUSE.LOGOUT]: ACCT_TERMINATE_CAUSE['User-Request'],
  [TERMINATION_CAUSE.SERVICE_NOT_PROVIDED]: ACCT_TERMINATE_CAUSE['Service-Unavailable'],
  [TERMINATION_CAUSE.BAD_ANSWER]: ACCT_TERMINATE_CAUSE['NAS-Error'],
  [TERMINATION_CAUSE.ADMINISTRATIVE]: ACCT_TERMINATE_CAUSE['Admin-Reset'],
  [TERMINATION_CAUSE.LINK_BROKEN]: ACCT_TERMINATE_CAUSE['Lost-Carrier'],
  [TERMINATION_CAUSE.AUTH_EXPIRED]: ACCT_TERMINATE_CAUSE['Session-Timeout'],
  [TERMINATION_CAUSE.USER_MOVED]: ACCT_TERMINATE_CAUSE['Lost-Service'],
  [TERMINATION_CAUSE.SESSION_TIMEOUT]: ACCT_TERMINATE_CAUSE['Session-Timeout'],
};

/** A session that a server has granted. */
export interface RadiusSession {
  readonly id: string;
  /** Name of the server. */
  server: string;
  readonly calling: string | undefined;
  userName: string | undefined;
  /** User-Name of the last Access-Request, by which a server may know the session, too. */
  askedName: string | undefined;
  terms: SessionTerms;
  /** When its accounting started; undefined: not yet. Milliseconds, monotonic. */
  startedAt: number | undefined;
}

/** An Accounting-Request. */
export interface AccountingRecord {
  readonly attributes: readonly Attribute[];
  /** Undefined: it concerns the whole NAS. */
  readonly sessionId: string | undefined;
  /** The server to try first, or the only one. */
  readonly first: string | undefined;
  readonly only: string | undefined;
  tries: number;
}

/**
 * Accounting of sessions (RFC 2866): a queue of Accounting-Requests, which are tried again if no server acknowledges
 * them. Event-Timestamp (RFC 2869 5.3) stands for Acct-Delay-Time, so that a retransmission is the same packet.
 */
export class Accounting {
  readonly #identity: () => readonly Attribute[];
  readonly #fresh: AccountingRecord[] = [];
  #head = 0;
  readonly #again = new DeadlineQueue<AccountingRecord>();
  #failed = 0;
  readonly #updates = new DeadlineQueue<RadiusSession>();

  /** `identity`: attributes that identify the NAS. */
  constructor(identity: () => readonly Attribute[]) {
    this.#identity = identity;
  }

  get deadline(): number | undefined {
    const [one, other] = [this.#again.first, this.#updates.first];
    return one === undefined || (other !== undefined && other < one) ? other : one;
  }

  /** Number of records that wait. */
  get waiting(): number {
    return this.#fresh.length - this.#head + this.#failed;
  }

  /** The next record to send; undefined: there is none. */
  next(): AccountingRecord | undefined {
    const record = this.#fresh[this.#head];
    if (!record) return undefined;
    this.#head += 1;
    if (this.#head >= 1024 || this.#head === this.#fresh.length) {
      this.#fresh.splice(0, this.#head);
      this.#head = 0;
    }
    record.tries += 1;
    return record;
  }

  /** Handles a record that no server acknowledged. Returns whether it will be tried again. */
  failed(record: AccountingRecord, now: number): boolean {
    if (record.tries >= RECORD_TRIES || this.waiting >= MAX_RECORDS) return false;
    this.#again.set(record, now + RECORD_RETRY);
    this.#failed += 1;
    return true;
  }

  /** Drops all records that wait. Returns how many. */
  giveUp(): number {
    const { waiting } = this;
    this.#fresh.length = 0;
    this.#head = 0;
    this.#again.clear();
    this.#failed = 0;
    this.#updates.clear();
    return waiting;
  }

  /** Returns whether there is room for the record. */
  on(server: string, wall: number): boolean {
    const status = attribute('Acct-Status-Type', ACCT_STATUS_TYPE['Accounting-On']);
    const id = attribute('Acct-Session-Id', `on-${Math.floor(wall / 1000)}`);
    const attributes = [...status, ...id, ...this.#identity(), ...attribute('Event-Timestamp', wall)];
    return this.#queue({ attributes, sessionId: undefined, first: undefined, only: server, tries: 0 });
  }

  start(session: RadiusSession, interim: number, now: number, wall: number): boolean {
    if (session.startedAt !== undefined) return true;
    session.startedAt = now;
    this.#schedule(session, interim, now);
    return this.#record(session, ACCT_STATUS_TYPE.Start, now, wall, []);
  }

  /** `cause`: Termination-Cause of the STR. */
  stop(session: RadiusSession, cause: number, now: number, wall: number): boolean {
    this.#updates.set(session, undefined);
    const reason = CAUSES[cause] ?? ACCT_TERMINATE_CAUSE['NAS-Error'];
    return this.#record(session, ACCT_STATUS_TYPE.Stop, now, wall, attribute('Acct-Terminate-Cause', reason));
  }

  /** `interim`: milliseconds between two Interim-Updates if the server sets none; 0: none. Returns the lost records. */
  tick(interim: number, now: number, wall: number): number {
    for (let record = this.#again.due(now); record; record = this.#again.due(now)) {
      this.#failed -= 1;
      this.#fresh.push(record);
    }
    let lost = 0;
    for (let session = this.#updates.due(now); session; session = this.#updates.due(now)) {
      if (!this.#record(session, ACCT_STATUS_TYPE['Interim-Update'], now, wall, [])) lost += 1;
      this.#schedule(session, interim, now);
    }
    return lost;
  }

  #schedule(session: RadiusSession, interim: number, now: number): void {
    const interval = session.terms.interim ?? interim;
    this.#updates.set(session, interval > 0 ? now + interval : undefined);
  }

  #record(session: RadiusSession, status: number, now: number, wall: number, more: readonly Attribute[]): boolean {
    const { id, server, userName, calling, terms, startedAt } = session;
    const isStart = status === ACCT_STATUS_TYPE.Start;
    const time = Math.floor((now - (startedAt ?? now)) / 1000);
    const attributes = [
      ...attribute('Acct-Status-Type', status),
      ...attribute('Acct-Session-Id', id),
      ...(userName === undefined ? [] : attribute('User-Name', userName)),
      ...(calling === undefined ? [] : attribute('Calling-Station-Id', calling)),
      ...this.#identity(),
      ...terms.classes.flatMap((value) => attribute('Class', value)),
      ...attribute('Acct-Authentic', BY_RADIUS),
      ...(isStart ? [] : attribute('Acct-Session-Time', time)),
      ...more,
      ...attribute('Event-Timestamp', wall),
    ];
    return this.#queue({ attributes, sessionId: id, first: server, only: undefined, tries: 0 });
  }

  #queue(record: AccountingRecord): boolean {
    if (this.waiting >= MAX_RECORDS) return false;
    this.#fresh.push(record);
    return true;
  }
}
