import { derivePsk, fingerprint } from '../keys/kdf.js';
import { CAPABILITY } from '../mip6/assignment.js';
import type { EncodedServices } from '../mip6/services.js';
import { sealAssignment } from '../pana/wire/sealed-assignment.js';
import type { EapSuccess, HomeAgentClient, HomeConfig, Stored, Token } from './alphabet.js';
import type { Conversation } from './conversations.js';
import type { WithoutMobility } from './events.js';
import {
  chooseIke,
  type HomeGrant,
  leaseProblem,
  type MobilityGrant,
  type MobilityWish,
  octetsOf,
  pskRoot,
  sealableAssignment,
  storeWish,
  wantsIke,
} from './mobility.js';
import type { BootstrapRequest, BootstrapResult, Ike, Lease, Subscriber } from './records.js';
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
  /** A home agent asks for the node. */
  | { readonly of: 'delivery'; readonly job: Bootstrapping }
  /** Releases a lease that cannot be used. */
  | { readonly of: 'withdrawal'; readonly job: Bootstrapping; readonly because: 'unfit' | 'no-common-ike' };

/** Result of a bootstrap: the grant, a refusal, or `failed` without a decision. */
export interface Bootstrapped {
  readonly job: Bootstrapping;
  readonly outcome:
    | 'refused'
    | 'failed'
    | { readonly mobility: MobilityGrant | undefined; readonly services?: EncodedServices | undefined };
}

/** Data for the `up` or `refresh` hook of a home agent. */
interface Bringing {
  readonly renewed: boolean;
  readonly root: 'msk' | 'emsk';
  readonly ike: Ike;
  /** The home agent authenticates the node by EAP. */
  readonly byIke: boolean;
}

interface Waiting extends Bootstrapped {
  readonly until: number;
}

type Accepted = Exclude<BootstrapResult, { result: 'refused' }>;
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

  /** Undefined: the bootstrap continues. */
  begin(job: Bootstrapping): Bootstrapped | undefined {
    const { homeAgent } = job.conversation;
    if (homeAgent) return this.#deliver(job, homeAgent);
    const { wish, root } = this.#wantedBy(job);
    const none = { wish: undefined, local: undefined };
    // The home agents of visited networks do not ask this server for nodes.
    const ownAgent = { wish: 'home', local: undefined } as const;
    const asked = wish && root ? (wantsIke(wish) ? ownAgent : storeWish(wish, root)) : none;
    this.#ask(job, asked, { of: 'bootstrap', job });
    return undefined;
  }

  /** Handles an answer of the store. Undefined: the bootstrap continues. */
  stored(question: BootstrapQuestion, stored: Stored): Bootstrapped | undefined {
    const { job } = question;
    const { nai } = job.success.subscriber;
    if (stored.operation !== 'bootstrap' && stored.operation !== 'bootstrapAtHomeAgent') {
      this.#context.say({ name: 'storeFailed', reason: reasonOf(stored), nai });
      // Without a home address, the access to a home agent has no use.
      if (question.of === 'delivery') return { job, outcome: 'failed' };
      return this.#without(job, 'store');
    }
    const { result } = stored;
    if (result.result === 'refused') {
      if (result.released) this.#release(result.released, 'replaced');
      return this.#refuse(job, result.reason);
    }
    job.alone = result.alone === true;
    if (question.of === 'delivery') return this.#delivered(job, result);
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

  /**
   * A node that has authenticated to a home agent may have claimed the identity of another subscriber there, by whose
   * policy the home agent would serve it.
   */
  #deliver(job: Bootstrapping, homeAgent: HomeAgentClient): Bootstrapped | undefined {
    const { nai } = job.success.subscriber;
    if (homeAgent.user?.toLowerCase() !== nai.toLowerCase()) return this.#refuse(job, 'other-identity');
    const given = { ...this.#sessionOf(job), homeAgent: homeAgent.name };
    this.#context.ask({ operation: 'bootstrapAtHomeAgent', given }, { of: 'delivery', job });
    return undefined;
  }

  #delivered(job: Bootstrapping, result: Accepted): Bootstrapped | undefined {
    if (result.released) this.#release(result.released, 'replaced');
    if (result.result !== 'home') return this.#refuse(job, 'unfit');
    const { lease, renewed } = result;
    const ike = chooseIke(CAPABILITY.IKEV2_PSK, lease.homeAgent);
    if (ike === undefined || leaseProblem(lease) !== undefined) return this.#refuse(job, 'unfit');
    const { origin } = job.conversation;
    this.#context.say({ name: 'homeAddressDelivered', lease, origin });
    const milliseconds = result.sessionLifetime ?? Number.POSITIVE_INFINITY;
    const lifetime = Math.max(1, Math.min(job.lifetime, Math.floor(milliseconds / 1000)));
    const shortened = { ...job, lifetime };
    const mobility = { kind: 'home', lease, ike, root: 'msk', byIke: false } as const;
    // The hook ran when the lease began.
    if (renewed) return { job: shortened, outcome: { mobility } };
    return this.#bringUp(shortened, mobility, { renewed, root: 'msk', ike, byIke: true });
  }

  #assigned(job: Bootstrapping, result: Accepted): Bootstrapped | undefined {
    const { wish, root } = this.#wantedBy(job);
    if (job.success.hooksBehind && job.conversation.wish) return this.#without(job, 'hooks-behind');
    if (!wish || !root) return this.#without(job, this.#unwanted(job));
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
    const byIke = wantsIke({ bits });
    // Only IKEv2 has EAP and configuration payloads.
    const ike = chooseIke(byIke ? CAPABILITY.IKEV2_PSK : bits, lease.homeAgent);
    if (reason !== undefined || ike === undefined) {
      const because = reason === undefined ? 'no-common-ike' : 'unfit';
      this.#ask(job, { wish: undefined, local: undefined }, { of: 'withdrawal', job, because });
      return undefined;
    }
    return this.#bringUp(job, { kind: 'home', lease, ike, root, byIke }, { renewed, root, ike, byIke });
  }

  #bringUp(
    job: Bootstrapping,
    mobility: Extract<MobilityGrant, { kind: 'home' }>,
    { renewed, root, ike, byIke }: Bringing,
  ): Bootstrapped | undefined {
    const { lease } = mobility;
    const homeAddress = byIke ? undefined : octetsOf(lease.homeAddress);
    const psk = derivePsk(job.success[root], octetsOf(lease.homeAgent.address), homeAddress);
    this.#context.say({ name: 'leaseGiven', lease, renewed, ike, root, fingerprint: fingerprint(psk) });
    const event = renewed ? 'refresh' : 'up';
    const key = { psk, ike, byIke, lifetime: this.#lifetimes(job).leaseLifetime };
    const done: Bootstrapped = { job, outcome: { mobility: { ...mobility, sealed: this.#sealed(job, mobility) } } };
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

  /** The assignment for a node that requests it sealed. */
  #sealed({ conversation, success, lifetime }: Bootstrapping, grant: HomeGrant): Uint8Array | undefined {
    const wish = conversation.wish?.bits ?? 0;
    if ((wish & CAPABILITY.SEALED) === 0) return undefined;
    const { emsk, sessionId, nonce } = success;
    return sealAssignment(sealableAssignment(grant, lifetime), { emsk, sessionId, wish }, nonce);
  }

  #ask(job: Bootstrapping, asked: Pick<BootstrapRequest, 'wish' | 'local'>, question: BootstrapQuestion): void {
    this.#context.ask({ operation: 'bootstrap', given: { ...this.#sessionOf(job), ...asked } }, question);
  }

  #sessionOf(job: Bootstrapping) {
    const { sessionId, origin, originRealm, originState } = job.conversation;
    const { subscriber, certificate } = job.success;
    return { nai: subscriber.nai, sessionId, origin, originRealm, originState, certificate, ...this.#lifetimes(job) };
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
    const asked = success.hooksBehind ? undefined : conversation.wish;
    const wish = asked && refusal(asked, success.subscriber) === undefined ? asked : undefined;
    return { wish, root: wish && pskRoot(wish, success.subscriber, this.#config.pskRoot) };
  }

  /** Why nothing was asked of the store. */
  #unwanted({ conversation: { wish }, success: { subscriber } }: Bootstrapping): WithoutMobility {
    if (!wish) return 'not-wanted';
    return refusal(wish, subscriber) ?? 'psk-root';
  }

  #refuse(job: Bootstrapping, reason: string): Bootstrapped {
    this.#context.say({ name: 'notAuthorized', nai: job.success.subscriber.nai, reason });
    return { job, outcome: 'refused' };
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

/** Why the subscriber's policy refuses a request; undefined: it does not. */
function refusal(wish: MobilityWish, { ikev2HomeAddress, privacy }: Subscriber): WithoutMobility | undefined {
  if (privacy === 'required' && (wish.bits & CAPABILITY.SEALED) === 0) return 'privacy-required';
  return wantsIke(wish) && !ikev2HomeAddress ? 'ikev2-not-permitted' : undefined;
}

/** The work for an authenticated client. `usual`: lifetime of a session in milliseconds. */
export function jobOf(
  token: Token,
  conversation: Conversation,
  success: EapSuccess,
  usual: number,
  now: number,
): Bootstrapping {
  const { subscriber, validFor } = success;
  const { sessionLifetime } = subscriber;
  const wanted = sessionLifetime === undefined ? usual : sessionLifetime * 1000;
  // Neither session nor lease outlasts the certificate.
  const lifetime = Math.max(1, Math.floor(Math.min(wanted, validFor) / 1000));
  return { token, conversation, success, lifetime, validUntil: now + validFor, alone: false };
}
