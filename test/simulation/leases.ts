import type { BootstrapResult, HomeAgent, Lease } from '../../src/protocol/home/records.js';
import type { Committed } from './shared-store.js';

/** A lease that the store has committed. */
interface Promised {
  readonly nai: string;
  readonly homeAgent: string;
  /** Origin-Host and Origin-State-Id of the PAA that has the session. */
  readonly origin: string;
  readonly originState: number;
  /** Milliseconds, monotonic. */
  until: number;
}

interface BootstrapGiven {
  readonly nai: string;
  readonly sessionId: string;
  readonly leaseLifetime: number;
  readonly origin: string;
  readonly originState: number | undefined;
}

interface StageGiven {
  readonly importId: string;
  readonly rows: readonly { readonly subscriber: { readonly nai: string } }[];
}

interface EndedGiven {
  readonly origin: string;
  readonly before: number;
  readonly leasesFor: number;
}

/** The store rounds its times to whole milliseconds. */
const ROUNDING = 1;

/** A model of the leases, built only from the answers of the store. Reports contradictions between them. */
export class Leases {
  readonly #now: () => number;
  readonly #broken: (invariant: string, detail: string) => void;
  readonly #byAddress = new Map<string, Promised>();
  readonly #byNai = new Map<string, string>();
  /** The last lease of each session, and the number of commits before it. */
  readonly #promises = new Map<string, { readonly homeAddress: string; readonly after: number }>();
  /** The number of commits so far. */
  #commits = 0;
  /** Addresses of home agents that are down. A draining home agent keeps its leases. */
  readonly #gone = new Set<string>();
  /** Subscribers in imports that are not finished yet, by import. */
  readonly #staged = new Map<string, readonly string[]>();
  /** Subscribers that an operator has changed since their lease was assigned. A new policy may release the lease. */
  readonly #changed = new Set<string>();

  /** `now`: milliseconds, monotonic. The store shifts its times when its wall clock steps, so that lifetimes stay the same. */
  constructor(now: () => number, broken: (invariant: string, detail: string) => void) {
    this.#now = now;
    this.#broken = broken;
  }

  get size(): number {
    return this.#byAddress.size;
  }

  get commits(): number {
    return this.#commits;
  }

  /**
   * Whether the last commit for this session gave it this home address, and was not among the first `before` commits. A later
   * operation may release it before the answer.
   */
  hasPromised(homeAddress: string, session: string, before: number): boolean {
    const promise = this.#promises.get(session);
    return promise?.homeAddress === homeAddress && promise.after >= before;
  }

  committed({ operation, given, result }: Committed): void {
    this.#commits += 1;
    switch (operation) {
      case 'bootstrap':
        this.#bootstrapped(given as BootstrapGiven, result as BootstrapResult);
        break;
      case 'expire':
        for (const lease of result as Lease[]) this.#forget(lease.homeAddress);
        break;
      case 'changeSubscriber':
        this.#changed.add((given as { readonly nai: string }).nai);
        break;
      case 'stageImport': {
        const { importId, rows } = given as StageGiven;
        this.#staged.set(importId, [
          ...(this.#staged.get(importId) ?? []),
          ...rows.map(({ subscriber }) => subscriber.nai),
        ]);
        break;
      }
      case 'finishImport': {
        const { importId } = given as Pick<StageGiven, 'importId'>;
        for (const nai of this.#staged.get(importId) ?? []) this.#changed.add(nai);
        this.#staged.delete(importId);
        break;
      }
      case 'releaseLease':
        this.#forget((result as Lease).homeAddress);
        break;
      case 'removeSubscriber': {
        const { lease } = result as { readonly lease?: Lease | undefined };
        if (lease) this.#forget(lease.homeAddress);
        break;
      }
      case 'removeHomeAgent':
        for (const lease of result as Lease[]) this.#forget(lease.homeAddress);
        break;
      case 'endSessionsOf':
        this.#paaStarted(given as EndedGiven);
        break;
      case 'endSession': {
        const { released } = result as { released?: Lease | readonly Lease[] | undefined };
        for (const lease of [released ?? []].flat() as Lease[]) this.#forget(lease.homeAddress);
        break;
      }
      case 'changeHomeAgent':
      case 'probedHomeAgent': {
        const agent = result as HomeAgent | undefined;
        if (!agent) break;
        const serves = agent.state !== 'down' && agent.failedBy === undefined;
        if (serves) this.#gone.delete(agent.address);
        else this.#gone.add(agent.address);
      }
    }
  }

  /** A PAA that restarts has lost its sessions; their leases last for the grace time. */
  #paaStarted({ origin, before, leasesFor }: EndedGiven): void {
    const until = this.#now() + leasesFor;
    for (const promised of this.#byAddress.values()) {
      if (promised.origin === origin && promised.originState < before) promised.until = Math.min(promised.until, until);
    }
  }

  #bootstrapped(
    { nai, sessionId, leaseLifetime, origin, originState = 0 }: BootstrapGiven,
    result: BootstrapResult,
  ): void {
    if (result.released) this.#takenBack(nai, result.released, result.result !== 'home' && this.#changed.has(nai));
    if (result.result !== 'home') return;
    this.#changed.delete(nai);
    const { homeAddress, homeAgent } = result.lease;
    this.#promises.set(sessionId, { homeAddress, after: this.#commits - 1 });
    const holder = this.#byAddress.get(homeAddress);
    const now = this.#now();
    if (holder && holder.nai !== nai && holder.until > now + ROUNDING) {
      this.#broken('no home address has two subscribers', `${homeAddress} of ${holder.nai} is assigned to ${nai}`);
    }
    const before = this.#byNai.get(nai);
    if (before !== undefined && before !== homeAddress) this.#moved(nai, before, homeAddress);
    if (holder && holder.nai !== nai) this.#byNai.delete(holder.nai);
    const until = now + leaseLifetime;
    this.#byAddress.set(homeAddress, { nai, homeAgent: homeAgent.address, origin, originState, until });
    this.#byNai.set(nai, homeAddress);
  }

  #takenBack(nai: string, { homeAddress }: Lease, isByPolicy: boolean): void {
    const promised = this.#byAddress.get(homeAddress);
    if (!isByPolicy && promised && promised.until > this.#now() + ROUNDING && !this.#gone.has(promised.homeAgent)) {
      this.#broken('no lease is moved while it is valid', `${homeAddress} is taken from ${nai}`);
    }
    this.#forget(homeAddress);
  }

  #moved(nai: string, before: string, after: string): void {
    const promised = this.#byAddress.get(before);
    if (promised && promised.until > this.#now() + ROUNDING && !this.#gone.has(promised.homeAgent)) {
      this.#broken('no lease is moved while it is valid', `${nai} had ${before} and is assigned ${after}`);
    }
    this.#forget(before);
  }

  #forget(homeAddress: string): void {
    const promised = this.#byAddress.get(homeAddress);
    this.#byAddress.delete(homeAddress);
    if (promised && this.#byNai.get(promised.nai) === homeAddress) this.#byNai.delete(promised.nai);
  }
}
