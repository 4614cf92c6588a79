import type { PaaInput, PaaOutput } from '../protocol/pana/agent/paa.js';
import type { PacEndpoint } from '../protocol/pana/session/start.js';
import type { Logger } from '../runtime/log/log.js';
import type { Guard } from '../runtime/service/barrier.js';
import type { Metrics } from '../runtime/service/metrics.js';
import type { Driver } from '../runtime/system/driver.js';

const IN = { direction: 'in' } as const;

/**
 * The way of a datagram from its socket to the machine, and what is said of one that changed nothing. Anybody can send
 * them, so that this is all that one may cost.
 */
export class Intake {
  readonly #driver: Driver<PaaInput, PaaOutput>;
  readonly #metrics: Metrics;
  readonly #log: Logger;

  readonly #barrier: Guard;

  constructor(driver: Driver<PaaInput, PaaOutput>, metrics: Metrics, log: Logger, barrier: Guard) {
    this.#barrier = barrier;
    this.#driver = driver;
    this.#metrics = metrics;
    this.#log = log;
  }

  received(octets: Uint8Array, from: PacEndpoint): void {
    this.#barrier.run('datagram', () => {
      this.#metrics.count('datagrams', IN);
      this.#driver.feed({ type: 'datagram', octets, from });
    });
  }

  dropped({ code, from }: Extract<PaaOutput, { type: 'dropped' }>): void {
    this.#metrics.count('dropped', { code });
    if (this.#log.isLevelEnabled('debug')) this.#log.debug({ code, from: from?.address, port: from?.port }, 'dropped');
  }
}
