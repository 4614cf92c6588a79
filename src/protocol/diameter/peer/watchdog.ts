/** RFC 3539 3.4.1: Tw is Twinit plus a jitter of up to two seconds in either direction. Milliseconds. */
const JITTER = 2_000;

/** Number of DWAs after which a new connection is trusted following a failure, RFC 3539 3.4.1. */
const REOPEN_ANSWERS = 3;

export type WatchdogStatus = 'INITIAL' | 'OKAY' | 'SUSPECT' | 'REOPEN' | 'DOWN';

/** `reset`: the connection was closed by DPR. */
export type WatchdogInput = 'dwa' | 'message' | 'timeout' | 'up' | 'down' | 'reset';

export type WatchdogAction = 'sendDwr' | 'failover' | 'failback' | 'close';

/** The watchdog of one peer, RFC 3539 3.4.1 and appendix A. */
export class Watchdog {
  readonly #twinit: number;
  readonly #unit: () => number;
  #status: WatchdogStatus = 'INITIAL';
  #pending = false;
  #numDwa = 0;
  #deadline: number | undefined;

  /** `twinit` in milliseconds, 30 s by default in RFC 3539; `unit`: uniform in [0, 1). */
  constructor(twinit: number, unit: () => number) {
    this.#twinit = twinit;
    this.#unit = unit;
  }

  get status(): WatchdogStatus {
    return this.#status;
  }

  /**
   * When `timeout` is due. Not RFC: undefined while the connection is down. The connecting side has its own timer (Tc),
   * which replaces the rows of INITIAL and DOWN for an expired Tw.
   */
  get deadline(): number | undefined {
    return this.#deadline;
  }

  handle(input: WatchdogInput, now: number): WatchdogAction[] {
    switch (input) {
      case 'up':
        return this.#up(now);
      case 'down':
        return this.#down();
      case 'reset':
        // Not RFC: a connection that ended by DPR has not failed, so the next one is trusted immediately.
        this.#down();
        this.#status = 'INITIAL';
        return [];
      case 'dwa':
        this.#pending = false;
        return this.#message(now, true);
      case 'message':
        return this.#message(now, false);
      case 'timeout':
        return this.#deadline !== undefined && now >= this.#deadline ? this.#timeout(now) : [];
    }
  }

  // INITIAL    connection up                        | set Tw                         | OKAY
  // DOWN       connection up                        | NumDWA=0, DWR, set Tw, Pending | REOPEN
  #up(now: number): WatchdogAction[] {
    this.#set(now);
    if (this.#status === 'INITIAL') {
      this.#status = 'OKAY';
      return [];
    }
    this.#status = 'REOPEN';
    this.#numDwa = 0;
    this.#pending = true;
    return ['sendDwr'];
  }

  // OKAY             connection down                | close, failover                | DOWN
  // SUSPECT, REOPEN  connection down                | close                          | DOWN
  #down(): WatchdogAction[] {
    const was = this.#status;
    this.#deadline = undefined;
    this.#pending = false;
    if (was === 'INITIAL') return [];
    this.#status = 'DOWN';
    return was === 'OKAY' ? ['failover'] : [];
  }

  // OKAY       DWA, other message                   | set Tw                         | OKAY
  // SUSPECT    DWA, other message                   | failback, set Tw               | OKAY
  // REOPEN     DWA        | NumDWA == 2             | NumDWA++, failback             | OKAY
  // REOPEN     DWA        | NumDWA < 2              | NumDWA++                       | REOPEN
  // REOPEN     other message                        | throw away                     | REOPEN
  #message(now: number, dwa: boolean): WatchdogAction[] {
    switch (this.#status) {
      case 'OKAY':
        this.#set(now);
        return [];
      case 'SUSPECT':
        this.#status = 'OKAY';
        this.#set(now);
        return ['failback'];
      case 'REOPEN':
        if (!dwa) return [];
        this.#numDwa += 1;
        if (this.#numDwa < REOPEN_ANSWERS) return [];
        this.#status = 'OKAY';
        return ['failback'];
      default:
        return [];
    }
  }

  // OKAY       Tw out     | not pending             | DWR, set Tw, Pending           | OKAY
  // OKAY       Tw out     | pending                 | failover, set Tw               | SUSPECT
  // SUSPECT    Tw out                               | close                          | DOWN
  // REOPEN     Tw out     | not pending             | DWR, set Tw, Pending           | REOPEN
  // REOPEN     Tw out     | pending, NumDWA >= 0    | NumDWA=-1, set Tw              | REOPEN
  // REOPEN     Tw out     | pending, NumDWA < 0     | close                          | DOWN
  #timeout(now: number): WatchdogAction[] {
    if (this.#status !== 'SUSPECT' && !this.#pending) {
      this.#set(now);
      this.#pending = true;
      return ['sendDwr'];
    }
    if (this.#status === 'OKAY') {
      this.#status = 'SUSPECT';
      this.#set(now);
      return ['failover'];
    }
    if (this.#status === 'REOPEN' && this.#numDwa >= 0) {
      this.#numDwa = -1;
      this.#set(now);
      return [];
    }
    this.#down();
    return ['close'];
  }

  #set(now: number): void {
    this.#deadline = now + this.#twinit - JITTER + 2 * JITTER * this.#unit();
  }
}
