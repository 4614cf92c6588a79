import type { PacAuthorized, PacConfig } from '../protocol/pana/session/pac-interface.js';
import type { EapPeerOptions } from '../runtime/eap/peer.js';
import type { Logger } from '../runtime/log/events.js';
import type { Guard } from '../runtime/service/barrier.js';
import type { Metrics } from '../runtime/service/metrics.js';
import type { Surroundings } from '../runtime/surroundings/surroundings.js';
import type { KeySink } from '../runtime/tls/key-log.js';
import type { Source } from './source.js';

export interface AttemptOptions {
  /** The number of the attempt in the Attachment machine. */
  readonly id: number;
  readonly paa: string;
  readonly port: number;
  /**
   * Finds the local address. Undefined: the route chooses it. Rejects if this host has no address from which to reach the
   * PAA.
   */
  readonly findSource: () => Promise<Source | undefined>;
  /** Undefined: chosen by the system. */
  readonly localPort: number | undefined;
  /** Whether to send PCIs. False: wait for the PAA. */
  readonly initiate: boolean;
  readonly pana: PacConfig;
  /** Called for each EAP run, because certificates may have been reloaded. */
  readonly eap: () => EapPeerOptions;
}

export interface AttemptTools {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly keyLog: KeySink | undefined;
  readonly guard: Guard;
  readonly surroundings: Pick<Surroundings, 'host' | 'udp'>;
  readonly failure: EapFailure;
}

/** Why the last authentication failed in EAP; undefined: it did not. The attempts of a daemon share it. */
export interface EapFailure {
  last: { readonly reason: string; readonly detail: string | undefined } | undefined;
}

export type AttemptEvent =
  | PacAuthorized
  | { readonly type: 'silent' | 'heard' }
  /** The node was pre-authenticated with the PAA, has come to its network, and is let in. */
  | { readonly type: 'arrived' }
  /** `heard`: the PAA sent at least one valid message. */
  | { readonly type: 'closed'; readonly cause: string; readonly heard: boolean };
