import type { ServerStatus } from './alphabet.js';

/** Number of answers to Status-Server after which a server is trusted again, RFC 3539 3.4.1. */
const REOPEN_ANSWERS = 3;

/**
 * Milliseconds between two Status-Servers to a server that is down or comes back. The least that RFC 3539 3.4.1 permits
 * for Tw.
 */
export const REOPEN_INTERVAL = 6_000;

/** How long Tw varies in either direction, RFC 3539 3.4.1, in milliseconds. */
const JITTER = 2_000;

/**
 * `answer`: an answer to a request. `alive`: an answer to Status-Server. `missed`: a request was retransmitted in vain.
 */
export type HealthInput = 'answer' | 'alive' | 'missed' | 'tick';

export interface HealthConfig {
  /** Tw in milliseconds. */
  readonly watchdog: number;
  readonly statusServer: boolean;
}

/**
 * Whether a port of a server answers: the watchdog of RFC 3539 3.4.1 with Status-Server (RFC 5997) in place of DWR. Not
 * RFC: RADIUS over UDP has no connection, so that a server that is down gets Status-Server until it answers. A server
 * without Status-Server is never down; after Tw it is tried again.
 */
export class Health {
  readonly #unit: () => number;
  #config: HealthConfig;
  #status: ServerStatus = 'UNKNOWN';
  #isPending = false;
  #answers = 0;
  #deadline: number | undefined;

  /** `unit`: uniform in [0, 1). */
  constructor(config: HealthConfig, unit: () => number, now: number) {
    this.#config = config;
    this.#unit = unit;
    // The first Status-Server follows at once.
    if (config.statusServer) this.#deadline = now;
    else this.#status = 'OKAY';
  }

  get status(): ServerStatus {
    return this.#status;
  }

  get deadline(): number | undefined {
    return this.#deadline;
  }

  configure(config: HealthConfig): void {
    this.#config = config;
  }

  /** Returns whether to send Status-Server. */
  handle(input: HealthInput, now: number): boolean {
    switch (input) {
      case 'missed':
        return this.#missed(now);
      case 'tick':
        return this.#deadline !== undefined && now >= this.#deadline && this.#timeout(now);
      case 'answer':
      case 'alive':
        this.#heard(input, now);
        return false;
    }
  }

  // OKAY              answer                             | set Tw               | OKAY
  // UNKNOWN, SUSPECT  answer                             | failback, set Tw     | OKAY
  // DOWN              answer                             | NumDWA=1             | REOPEN
  // REOPEN            alive         | NumDWA == 2        | failback, set Tw     | OKAY
  // REOPEN            alive         | NumDWA < 2         | NumDWA++             | REOPEN
  #heard(input: 'answer' | 'alive', now: number): void {
    this.#isPending = false;
    if (this.#status === 'DOWN') {
      this.#status = 'REOPEN';
      this.#answers = 1;
      return;
    }
    if (this.#status === 'REOPEN') {
      if (input === 'alive') this.#answers += 1;
      if (this.#answers < REOPEN_ANSWERS) return;
    }
    this.#status = 'OKAY';
    this.#set(now, this.#config.watchdog);
  }

  // OKAY              missed                             | failover, Status-Server, set Tw  | SUSPECT
  #missed(now: number): boolean {
    if (this.#status !== 'OKAY') return false;
    this.#status = 'SUSPECT';
    this.#set(now, this.#config.watchdog);
    this.#isPending = this.#config.statusServer;
    return this.#config.statusServer;
  }

  // UNKNOWN           Tw out        | not pending        | Status-Server        | UNKNOWN
  // UNKNOWN, REOPEN   Tw out        | pending            | Status-Server        | DOWN
  // OKAY              Tw out        | not pending        | Status-Server        | OKAY
  // OKAY              Tw out        | pending            | failover             | SUSPECT
  // SUSPECT           Tw out                             | Status-Server        | DOWN
  // DOWN, REOPEN      Tw out                             | Status-Server        | same
  #timeout(now: number): boolean {
    const { watchdog, statusServer } = this.#config;
    if (!statusServer) {
      this.#status = 'OKAY';
      this.#deadline = undefined;
      return false;
    }
    if (this.#status === 'OKAY') {
      this.#set(now, watchdog);
      if (this.#isPending) this.#status = 'SUSPECT';
      this.#isPending = true;
      return true;
    }
    if (this.#status === 'SUSPECT' || this.#isPending) this.#status = 'DOWN';
    this.#isPending = true;
    this.#deadline = now + REOPEN_INTERVAL;
    return true;
  }

  #set(now: number, watchdog: number): void {
    this.#deadline = this.#config.statusServer || this.#status === 'SUSPECT' ? now + this.#vary(watchdog) : undefined;
  }

  #vary(watchdog: number): number {
    return watchdog - JITTER + 2 * JITTER * this.#unit();
  }
}
