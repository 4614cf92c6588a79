import { CodedError } from '../errors/coded-error.js';
import type { CodeOf } from '../errors/codes.js';
import type { HomeAgent, Subscriber } from '../protocol/home/records.js';

export type StoreErrorCode = CodeOf<'StoreError'>;

/** A request of an operator is invalid; the message states why. */
export class StoreError extends CodedError<StoreErrorCode> {
  override readonly name = 'StoreError';
}

/** Changes of a home agent; an empty target removes it. */
export type HomeAgentChange = Partial<Pick<HomeAgent, 'capacity' | 'weight' | 'target' | 'ike' | 'state'>>;

/** Changes of a subscriber; null resets a setting. */
export type SubscriberChange = {
  readonly [K in
    | 'homeAgent'
    | 'homeAddress'
    | 'sessionLifetime'
    | 'certificateName'
    | 'certificateSha256'
    | 'pskRoot']?: NonNullable<Subscriber[K]> | null;
} & Partial<
  Pick<Subscriber, 'enabled' | 'mip6' | 'localHomeAgent' | 'ikev2HomeAddress' | 'sessions' | 'privacy' | 'services'>
>;

/** An administrative change. `at`: milliseconds since 1970, UTC. */
export interface AuditEntry {
  readonly at: number;
  readonly who: string;
  /** The name of the operation. */
  readonly what: string;
  /** The arguments of the operation in JSON. */
  readonly detail: string;
}

export interface StoreStatistics {
  readonly subscribers: number;
  readonly disabled: number;
  readonly sessions: number;
  readonly leases: number;
  readonly takeovers: number;
  /** Number of duties that are not done. */
  readonly duties: number;
}

/** Default page size. */
export const MAX_PAGE = 5_000;

/** A page of a list. `next`: the start of the next page; undefined on the last one. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | undefined;
}

/** A past or current assignment of a home address. Times: milliseconds since 1970, UTC. */
export interface HeldLease {
  readonly homeAddress: string;
  readonly nai: string;
  /** The name of the home agent. */
  readonly homeAgent: string;
  readonly acquiredAt: number;
  /** Undefined: still assigned. */
  readonly endedAt: number | undefined;
}
