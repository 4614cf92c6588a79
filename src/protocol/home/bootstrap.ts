import { derivePsk, fingerprint } from '../keys/kdf.js';
import type { EapSuccess, HomeConfig, Stored, Token } from './alphabet.js';
import type { Conversation } from './conversations.js';
import type { WithoutMobility } from './events.js';
import {
  chooseIke,
  leaseProblem,
  type MobilityGrant,
  type MobilityWish,
  octetsOf,
  pskRoot,
  storeWish,
} from './mobility.js';
import type { BootstrapRequest, BootstrapResult, Ike, Lease } from './records.js';
import { reasonOf, type StepContext } from './step-context.js';

/** An authenticated client whose session is being stored. */
export interface Bootstrapping {
  /** Token of the request that waits for the answer. */
  readonly token: Token;
  readonly conversation: Conversation;
  readonly success: EapSuccess;
  /** Lifetime of the session in seconds. */
  readonly lifetime: number;
  /** When the certificate expires; milliseconds, monotonic. */
  readonly validUntil: number;
  /** Whether the store has said that the subscriber has no other session at the NAS. */
  alone: boolean;
}

export type BootstrapQuestion =
  | { readonly of: 'bootstrap'; readonly job: Bootstrapping }
  /** Releases a lease that cannot be used. */
  | { readonly of: 'withdrawal'; readonly job: Bootstrapping; readonly because: 'unfit' | 'no-common-ike' };

/** Result of a bootstrap: the grant, or a refusal. */
export interface Bootstrapped {
  readonly job: Bootstrapping;
  readonly outcome: 'refused' | { readonly mobility: MobilityGrant | undefined };
}

/** Data for the `up` or `refresh` hook of a home agent. */
interface Bringing {
  readonly renewed: boolean;
  readonly root: 'msk' | 'emsk';
  readonly ike: Ike;
}

interface Waiting extends Bootstrapped {
  readonly until: number;
}

type Home = Extract<BootstrapResult, { result: 'home' }>;

/**
 * Stores the session of an authenticated client, with home agent and home address if it gets any. Nothing is promised
 * before the store has committed it. After a failure here the client gets network access without Mobile IPv6.
 */
export class Bootstrap {
  readonly #context: StepContext<BootstrapQuestion>;
  readonly #config: Pick<HomeConfig, 'grace' | 'hookWait' | 'pskRoot'>;
  /** Jobs that wait for their hook. All wait equally long, so the first one times out first. */
  readonly #waiting = new Map<Token, Waiting>();

  constructor(context: StepContext<BootstrapQuestion>, config: Pick<HomeConfig, 'grace' | 'hookWait' | 'pskRoot'>) {
    this.#context = context;
    this.#config = config;
  }

  get deadline(): number | undefined {
    for (const { until } of this.#waiting.values()) return until;
    return undefined;
  }

  begin(job: Bootstrapping): void {
    const { wish, root } = this.#wantedBy(job);
    const asked = wish && root ? storeWish(wish, root) : { wish: undefined, local: undefined };
    this.#ask(job, asked, { of: 'bootstrap', job });
  }

  /** Handles an answer of the store. Undefined: the bootstrap continues. */
  stored(question: BootstrapQuestion, stored: Stored): Bootstrapped | undefined {
    const { job } = question;
    const { nai } = job.success.subscriber;
    if (stored.operation !== 'bootstrap') {
      this.#context.say({ name: 'storeFailed', reason: reasonOf(stored), nai });
      return this.#without(job, 'store');
    }
    const { result } = stored;
    if (result.result === 'refused') {
      this.#context.say({ name: 'notAuthorized', nai, reason: result.reason });
      return { job, outcome: 'refused' };
    }
    job.alone = result.alone === true;
    if (question.of === 'withdrawal') {
      if (result.released && question.because === 'no-common-ike')
        this.#release(result.released, 'no common IKE version');
      return this.#without(job, question.because);
    }
    if (result.released) this.#release(result.released, 'replaced');
    return this.#assigned(job, result);
  }

  /** The request that waits for this hook; undefined: none. */
  requestOf(hook: Token): Token | undefined {
    return this.#waiting.get(hook)?.job.token;
  }

  /** Handles the end of a hook's first try. */
  hooked(token: Token): Bootstrapped | undefined {
    const waiting = this.#waiting.get(token);
    this.#waiting.delete(token);
    return waiting;
  }

  /** The next job whose hook takes too long: its client gets access without waiting for it. */
  overdue(now: number): Bootstrapped | undefined {
    for (const [token, waiting] of this.#waiting) {
      if (waiting.until > now) break;
      this.#waiting.delete(token);
      return waiting;
    }
    return undefined;
  }

  #assigned(job: Bootstrapping, result: Exclude<BootstrapResult, { result: 'refused' }>): Bootstrapped | undefined {
    const { wish, root } = this.#wantedBy(job);
    if (job.success.hooksBehind && job.conversation.wish) return this.#without(job, 'hooks-behind');
    if (!wish || !root) return this.#without(job, wish ? 'psk-root' : 'not-wanted');
    switch (result.result) {
      case 'none':
        return this.#without(job, result.reason);
      case 'home':
        return this.#home(job, result, wish, root);
      case 'local': {
        if (!wish.local) return this.#without(job, 'unfit');
        this.#context.say({ name: 'localAllowed', nai: job.success.subscriber.nai, local: result.local });
        return { job, outcome: { mobility: { kind: 'local', offer: wish.local.offer, bits: wish.bits } } };
      }
    }
  }

  #home(
    job: Bootstrapping,
    { lease, renewed, takenFrom }: Home,
    { bits }: MobilityWish,
    root: 'msk' | 'emsk',
  ): Bootstrapped | undefined {
    const { origin } = job.conversation;
    if (takenFrom !== undefined) this.#context.say({ name: 'leaseTakenOver', lease, from: takenFrom, origin });
    const reason = leaseProblem(lease);
    if (reason !== undefined) this.#context.say({ name: 'unfitHomeAgent', nai: lease.nai, reason });
    const ike = chooseIke(bits, lease.homeAgent);
    if (reason !== undefined || ike === undefined) {
      const because = reason === undefined ? 'no-common-ike' : 'unfit';
      this.#ask(job, { wish: undefined, local: undefined }, { of: 'withdrawal', job, because });
      return undefined;
    }
    return this.#bringUp(job, lease, { renewed, root, ike });
  }

  #bringUp(job: Bootstrapping, lease: Lease, { renewed, root, ike }: Bringing): Bootstrapped | undefined {
    const psk = derivePsk(job.success[root], octetsOf(lease.homeAgent.address), octetsOf(lease.homeAddress));
    this.#context.say({ name: 'leaseGiven', lease, renewed, ike, root, fingerprint: fingerprint(psk) });
    const event = renewed ? 'refresh' : 'up';
    const key = { psk, ike, lifetime: this.#lifetimes(job).leaseLifetime };
    const done: Bootstrapped = { job, outcome: { mobility: { kind: 'home', lease, ike, root } } };
    const { hookWait } = this.#config;
    if (hookWait === 0) {
      this.#context.put({ type: 'hook', token: undefined, event, lease, key });
      return done;
    }
    const token = this.#context.token();
    this.#waiting.set(token, { ...done, until: this.#context.now + hookWait });
    this.#context.put({ type: 'hook', token, event, lease, key });
    return undefined;
  }

  #ask(job: Bootstrapping, asked: Pick<BootstrapRequest, 'wish' | 'local'>, question: BootstrapQuestion): void {
    const { sessionId, origin, originRealm, originState } = job.conversation;
    const { subscriber, certificate } = job.success;
    const session = { nai: subscriber.nai, sessionId, origin, originRealm, originState, certificate };
    this.#context.ask({ operation: 'bootstrap', given: { ...session, ...this.#lifetimes(job), ...asked } }, question);
  }

  /** Lifetimes of session and lease in milliseconds from now. Neither outlasts the certificate. */
  #lifetimes({ lifetime, validUntil }: Bootstrapping) {
    const certificate = Math.max(0, validUntil - this.#context.now);
    return {
      sessionLifetime: Math.min(lifetime * 1000, certificate),
      leaseLifetime: Math.min(lifetime * 1000 + this.#config.grace, certificate),
    };
  }

  #wantedBy({ conversation, success }: Bootstrapping) {
    const wish = success.hooksBehind ? undefined : conversation.wish;
    return { wish, root: wish && pskRoot(wish, success.subscriber, this.#config.pskRoot) };
  }

  #without(job: Bootstrapping, reason: WithoutMobility): Bootstrapped {
    this.#context.say({ name: 'noMobility', nai: job.success.subscriber.nai, reason });
    return { job, outcome: { mobility: undefined } };
  }

  #release(lease: Lease, reason: string): void {
    this.#context.say({ name: 'leaseReleased', lease, reason });
    this.#context.put({ type: 'hook', token: undefined, event: 'down', lease, key: undefined });
  }
}
