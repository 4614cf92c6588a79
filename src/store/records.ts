import { CodedError } from '../errors/coded-error.js';
import type { CodeOf } from '../errors/codes.js';
import {
  type BootstrapRequest,
  type BootstrapResult,
  type Found,
  type HomeAgent,
  type Ike,
  type Lease,
  type LocalProposal,
  type NoMobility,
  type Proof,
  plainSubscriber,
  type Session,
  type Subscriber,
} from '../protocol/home/records.js';

export type {
  BootstrapRequest,
  BootstrapResult,
  Found,
  HomeAgent,
  Ike,
  Lease,
  LocalProposal,
  NoMobility,
  Proof,
  Session,
  Subscriber,
};
export { plainSubscriber };

export type StoreErrorCode = CodeOf<'StoreError'>;

/** What an operator asked for cannot be; the message says why, for them. */
export class StoreError extends CodedError<StoreErrorCode> {
  override readonly name = 'StoreError';
}

/** What of a home agent can be changed; an empty target is none. */
export type HomeAgentChange = Partial<Pick<HomeAgent, 'capacity' | 'weight' | 'target' | 'ike' | 'state'>>;

/** What of a subscriber can be changed; null: no longer. */
export type SubscriberChange = {
  readonly [K in
    | 'homeAgent'
    | 'homeAddress'
    | 'sessionLifetime'
    | 'certificateName'
    | 'certificateSha256'
    | 'pskRoot']?: NonNullable<Subscriber[K]> | null;
} & Partial<Pick<Subscriber, 'enabled' | 'mip6' | 'localHomeAgent' | 'sessions'>>;

/** An administrative change. `at`: milliseconds since 1970, UTC. */
export interface AuditEntry {
  readonly at: number;
  readonly who: string;
  /** Name of the operation. */
  readonly what: string;
  /** Its arguments in JSON. */
  readonly detail: string;
}

/** A key of TLS session tickets: 96 hexadecimal digits. `validFor`: milliseconds that it is still good. */
export interface TicketKey {
  readonly value: string;
  readonly validFor: number;
}

export interface StoreStatistics {
  readonly subscribers: number;
  readonly disabled: number;
  readonly sessions: number;
  readonly leases: number;
  readonly takeovers: number;
}

/** Items in one answer, unless fewer are asked for. */
export const MAX_PAGE = 5_000;

/** A list in parts: `next` is where the following part begins, undefined after the last one. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | undefined;
}

/** A home address and who had it. Times: milliseconds since 1970, UTC. */
export interface HeldLease {
  readonly homeAddress: string;
  readonly nai: string;
  /** Its name. */
  readonly homeAgent: string;
  readonly acquiredAt: number;
  /** Undefined: it is still held. */
  readonly endedAt: number | undefined;
}
