import type { HomeOutput } from '../protocol/home/alphabet.js';
import type { ServiceLease } from '../protocol/home/records.js';
import { serviceFields } from '../protocol/mip6/services.js';
import type { HookRunner } from '../runtime/hooks/runner.js';
import type { Logger } from '../runtime/log/events.js';
import type { Guard } from '../runtime/service/barrier.js';
import type { Metrics } from '../runtime/service/metrics.js';
import { type CancelTimer, every, type Host } from '../runtime/system/host.js';
import type { StoreCalls } from './measured-store.js';

/** Interval between searches for services whose session has ended, in milliseconds. */
const SWEEP_INTERVAL = 30_000;

/** How long after the end of a session its services end, in milliseconds, so that the end is stored by then. */
const SWEEP_DELAY = 200;

export interface ServiceHookParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly host: Host;
  readonly guard: Guard;
  readonly store: StoreCalls;
}

type ServiceJob = Pick<Extract<HomeOutput, { type: 'service' }>, 'event' | 'lease' | 'key'>;

/**
 * Runs the hook of Mobile IPv4 home agents and HIP rendezvous servers, and ends services whose session has ended: soon
 * after the end of a session of this server, and periodically for all that ended otherwise.
 */
export class ServiceHooks {
  readonly #runner: HookRunner;
  readonly #program: string | undefined;
  readonly #parts: ServiceHookParts;
  #periodic: CancelTimer = () => undefined;
  #soon: CancelTimer | undefined;
  /** Whether this server has assigned a service since it last found none. */
  #isUsed = true;

  constructor(runner: HookRunner, program: string | undefined, parts: ServiceHookParts) {
    this.#runner = runner;
    this.#program = program;
    this.#parts = parts;
  }

  start(): void {
    this.#periodic = every(this.#parts.host, SWEEP_INTERVAL, () => this.#sweep(), false);
  }

  stop(): void {
    this.#periodic();
    this.#soon?.();
  }

  /** Runs the hook of a service. The caller wipes the key. */
  run({ event, lease, key }: ServiceJob): void {
    const { server } = lease;
    const { service } = server;
    if (event === 'down') this.#ended(lease);
    else this.#isUsed = true;
    if (this.#program === undefined) return;
    void this.#runner.run({
      program: this.#program,
      role: service === 'mip4' ? 'ha' : 'rvs',
      event,
      subject: `${service} ${lease.nai}`,
      variables: {
        mnId: lease.nai,
        session: lease.sessionId,
        service,
        serverId: server.name,
        serverTarget: server.target,
        ...(key ? serviceFields(key.assignment) : placeFields(lease)),
      },
      psk: key?.secret,
    });
  }

  /** Services may have ended: a session has, or an operator has changed the store. */
  look(): void {
    if (!this.#isUsed || this.#soon) return;
    this.#soon = this.#parts.host.after(
      SWEEP_DELAY,
      () => {
        this.#soon = undefined;
        this.#sweep();
      },
      false,
    );
  }

  #ended({ nai, server, address }: ServiceLease): void {
    const { log, metrics } = this.#parts;
    metrics.count('services', { service: server.service, result: 'released' });
    log.info({ nai, service: server.service, server: server.name, mip4HomeAddress: address }, 'service withdrawn');
  }

  #sweep(): void {
    const { store, guard, log } = this.#parts;
    const swept = async () => {
      const ended = await store.run('endServices', {}).catch((error: Error) => {
        log.error({ reason: error.message }, 'store operation failed');
        return undefined;
      });
      for (const lease of ended ?? []) this.run({ event: 'down', lease, key: undefined });
    };
    void guard.settle('hook', swept());
  }
}

/** The variables of a lease without its key. */
function placeFields({ server, address }: ServiceLease) {
  if (server.service === 'hip') return { hipRvsHit: server.hit, hipRvsAddress: server.address };
  const prefix = server.pool?.split('/')[1];
  return { mip4HomeAgent: server.address, mip4HomeAddress: address, mip4PrefixLength: Number(prefix) };
}
