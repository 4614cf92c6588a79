import type { NodePeerStatus } from '../protocol/diameter/node/alphabet.js';
import type { ApplicationInput } from '../protocol/diameter/node/application.js';
import type { NasInput } from '../protocol/nas/alphabet.js';
import type { Logger } from '../runtime/log/events.js';
import type { Guard } from '../runtime/service/barrier.js';
import type { Metrics } from '../runtime/service/metrics.js';
import type { Surroundings } from '../runtime/surroundings/surroundings.js';
import type { LinkCredentials } from './link-credentials.js';
import type { PaaOptions } from './options.js';

/** The connection of a PAA to its AAA servers, over Diameter or RADIUS. */
export interface AaaLink {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Passes on a request or an answer of the NAS. */
  feed(input: ApplicationInput): void;
  /** The state of each server. */
  status(): readonly NodePeerStatus[];
  /** Number of Accounting-Requests that wait. */
  accounting(): number;
  /** The PAA has authorized the client of this session. */
  started(aaaSession: string): void;
  /** Reads what the options name. The returned function applies them. Rejects with OperatorError. */
  read(options: PaaOptions): Promise<() => void>;
}

/** What a link needs besides the options. */
export interface LinkParts {
  readonly credentials: LinkCredentials;
  readonly originStateId: number;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly guard: Guard;
  readonly surroundings: Surroundings;
}

/** Creates a link that passes answers and requests of servers to `feed`. */
export type MakeLink = (parts: LinkParts, feed: (input: NasInput) => void) => AaaLink;
