import type { Duty, DutyInput } from '../protocol/home/duties.js';
import type { Session } from '../protocol/home/records.js';
import { Upkeep, type UpkeepConfig, type UpkeepInput, type UpkeepOutput } from '../protocol/home/upkeep.js';
import type { Logger } from '../runtime/log/events.js';
import type { Guard } from '../runtime/service/barrier.js';
import type { Metrics } from '../runtime/service/metrics.js';
import { Driver } from '../runtime/system/driver.js';
import type { Host } from '../runtime/system/host.js';
import type { AaaOptions } from './config/options.js';
import type { HomeAgentHooks } from './home-agent-hooks.js';
import type { StoreCalls } from './measured-store.js';
import { askStore } from './store-questions.js';

export interface UpkeepParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly host: Host;
  readonly guard: Guard;
  readonly store: StoreCalls;
  readonly homeAgents: Pick<HomeAgentHooks, 'run' | 'lose'>;
  /** Re-authenticates a session, so that it gets a new key. */
  readonly reauthenticate: (session: Session) => void;
  /** Sends an ASR for a session that was removed from the store. */
  readonly disconnect: (session: Session) => void;
  /** Sets the session ticket key; the callee copies it. */
  readonly setTicketKey: (key: Uint8Array) => void;
}

/** Drives the Upkeep machine, which maintains the store, until it is stopped. */
export class UpkeepRunner {
  readonly #parts: UpkeepParts;
  readonly #driver: Driver<UpkeepInput, UpkeepOutput>;
  #ready: () => void = () => undefined;
  #left: () => void = () => undefined;

  constructor(config: UpkeepConfig, parts: UpkeepParts) {
    this.#parts = parts;
    this.#driver = new Driver<UpkeepInput, UpkeepOutput>(
      new Upkeep(config),
      (output) => this.#perform(output),
      parts.host,
      (error) => parts.guard.fault('timer', error),
    );
  }

  /**
   * Resolves when the session ticket key that all servers of the store share is set, or the store has failed to provide
   * it.
   */
  start(): Promise<void> {
    return new Promise((resolve) => {
      this.#ready = resolve;
      this.#driver.feed({ type: 'start' });
    });
  }

  configure(config: UpkeepConfig): void {
    this.#driver.feed({ type: 'configure', config });
  }

  /** Records the work on a duty. */
  record(input: DutyInput): void {
    this.#driver.feed(input);
  }

  /** Stops the maintenance. Duties are still recorded. */
  stop(): void {
    this.#driver.feed({ type: 'stop' });
  }

  /** Hands unfinished duties to other servers. Resolves when the store has answered or failed. */
  leave(): Promise<void> {
    return new Promise((resolve) => {
      this.#left = resolve;
      this.#driver.feed({ type: 'leave' });
    });
  }

  close(): void {
    this.#driver.stop();
  }

  #perform(output: UpkeepOutput): void {
    const { log, metrics, store, homeAgents, guard, setTicketKey } = this.#parts;
    switch (output.type) {
      case 'store': {
        const { token, call } = output;
        void askStore(store, call).then((stored) => this.#driver.feed({ type: 'stored', token, stored }));
        break;
      }
      case 'ticketKey': {
        const key = Buffer.from(output.value, 'hex');
        setTicketKey(key);
        key.fill(0);
        break;
      }
      case 'ready':
        this.#ready();
        break;
      case 'expired': {
        const { lease } = output;
        metrics.count('leases', { result: 'expired' });
        log.info({ nai: lease.nai, homeAddress: lease.homeAddress }, 'lease expired');
        void guard.settle('hook', homeAgents.run('down', lease, undefined));
        break;
      }
      case 'duty':
        this.#resume(output.duty);
        break;
      case 'lost':
        homeAgents.lose(output.mark);
        break;
      case 'left':
        this.#left();
        break;
      case 'failed':
        log.error({ reason: output.reason }, 'store operation failed');
    }
  }

  #resume(duty: Duty): void {
    const { log, metrics, homeAgents, guard, reauthenticate, disconnect } = this.#parts;
    const { event } = duty;
    const { nai, sessionId: session, homeAddress } = event === 'down' ? duty.lease : duty.session;
    metrics.count('duties_resumed', { event });
    log.warn({ event, nai, session, homeAddress }, 'duty resumed');
    if (event === 'down') void guard.settle('hook', homeAgents.run('down', duty.lease, undefined));
    else if (event === 'up') reauthenticate(duty.session);
    else disconnect(duty.session);
  }
}

/** The configuration of the upkeep machine. */
export function upkeepConfig({ history, tls }: AaaOptions): UpkeepConfig {
  return { history: history.keep, ticketKeyLifetime: tls['ticket-key-lifetime'] };
}
