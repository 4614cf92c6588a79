import {
  type BootstrapRequest,
  type HomeAgent,
  plainSubscriber,
  type Subscriber,
} from '../../src/protocol/home/records.js';
import type { StorePort } from '../../src/store/port.js';

export const NOW = Date.UTC(2030, 0, 1);
export const HOUR = 3_600_000;

/** The SHA-256 of a certificate. */
export const SHA256 = 'ab'.repeat(32);

export const LOCAL = { homeAgent: '2001:db8:a::1', homeAddress: '2001:db8:a::77' };

export function subscriberOf(nai: string, more: Partial<Subscriber> = {}): Subscriber {
  return { ...plainSubscriber(nai), ...more };
}

/** Frequent calls on a store that is opened before each test. */
export class StoreUser {
  readonly #store: () => Pick<StorePort, 'run'>;

  constructor(store: () => Pick<StorePort, 'run'>) {
    this.#store = store;
  }

  addAgent(number: number, more: Partial<HomeAgent> = {}): Promise<void> {
    const agent = {
      name: `ha${number}`,
      address: `2001:db8:${number}::1`,
      host: `ha${number}.home.example`,
      prefix: `2001:db8:${number}::/64`,
      capacity: 10,
      weight: 1,
      target: undefined,
      ike: ['ikev1'] as const,
      ...more,
    };
    return this.#store().run('addHomeAgent', { agent });
  }

  addSubscriber(nai: string, more: Partial<Subscriber> = {}): Promise<void> {
    return this.#store().run('addSubscriber', { subscriber: subscriberOf(nai, more) });
  }

  bootstrap(nai: string, sessionId: string, more: Partial<BootstrapRequest> = {}) {
    return this.#store().run('bootstrap', {
      nai,
      sessionId,
      origin: 'paa.access.example',
      originRealm: 'access.example',
      originState: 100,
      wish: 'home',
      local: undefined,
      sessionLifetime: HOUR,
      leaseLifetime: HOUR + 60_000,
      now: NOW,
      ...more,
    });
  }

  async given(nai: string, sessionId: string, more: Partial<BootstrapRequest> = {}) {
    const result = await this.bootstrap(nai, sessionId, more);
    if (result.result !== 'home') throw new Error(JSON.stringify(result));
    return result;
  }
}
