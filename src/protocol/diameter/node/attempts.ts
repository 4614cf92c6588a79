import { DIAMETER_PORT, DIAMETER_TLS_PORT } from '../wire/ports.js';
import type { AttemptId, NodeOutput } from './alphabet.js';
import type { PeerEntry } from './peer-entry.js';
import { addressesOf } from './peer-sources.js';

interface Attempt {
  readonly id: AttemptId;
  readonly entry: PeerEntry;
  readonly address: string;
  readonly port: number;
  /** Addresses to try after this one. */
  readonly next: readonly string[];
  readonly until: number;
}

/** The step after an address that cannot be reached: the next address, or the end of the attempt. */
type Next =
  | { readonly type: 'connect'; readonly output: NodeOutput }
  | { readonly type: 'exhausted'; readonly entry: PeerEntry; readonly reason: string };

/** Connection attempts. The addresses of a peer are tried one after another; each gets an equal share of the time. */
export class Attempts {
  readonly #timeout: number;
  readonly #attempts = new Map<AttemptId, Attempt>();
  #last = 0;

  /** `timeout`: time limit of an attempt with all addresses of a peer, in milliseconds. */
  constructor(timeout: number) {
    this.#timeout = timeout;
  }

  get deadline(): number | undefined {
    let first: number | undefined;
    for (const { until } of this.#attempts.values()) if (first === undefined || until < first) first = until;
    return first;
  }

  begin(entry: PeerEntry, now: number): Next {
    return this.#try(entry, addressesOf(entry.options), 'no address', now);
  }

  /** Ends an attempt whose connection was established. Returns its peer; undefined: the attempt was abandoned. */
  end(id: AttemptId): PeerEntry | undefined {
    const attempt = this.#attempts.get(id);
    this.#attempts.delete(id);
    return attempt?.entry;
  }

  /**
   * Handles an address that cannot be reached. Returns the next step; undefined: the attempt was abandoned. `reason`:
   * the system's error code.
   */
  failed(id: AttemptId, reason: string, now: number): Next | undefined {
    const attempt = this.#attempts.get(id);
    if (!attempt) return undefined;
    this.#attempts.delete(id);
    const { entry, address, port, next } = attempt;
    return this.#try(entry, next, `cannot connect to ${address} port ${port}: ${reason}`, now);
  }

  /** Abandons the attempt for a peer. */
  abandon(entry: PeerEntry): NodeOutput[] {
    const ids = [...this.#attempts.values()].filter((attempt) => attempt.entry === entry).map(({ id }) => id);
    return ids.map((attempt) => {
      this.#attempts.delete(attempt);
      return { type: 'abandon', attempt };
    });
  }

  /** Attempts that have used up the time of the current address. */
  due(now: number): AttemptId[] {
    return [...this.#attempts.values()].filter(({ until }) => until <= now).map(({ id }) => id);
  }

  #try(entry: PeerEntry, addresses: readonly string[], reason: string, now: number): Next {
    const [address, ...next] = addresses;
    if (address === undefined) return { type: 'exhausted', entry, reason };
    const { options } = entry;
    const port = options.port ?? (options.secure ? DIAMETER_TLS_PORT : DIAMETER_PORT);
    this.#last += 1;
    const id = this.#last;
    const until = now + this.#timeout / addressesOf(options).length;
    this.#attempts.set(id, { id, entry, address, port, next, until });
    return { type: 'connect', output: { type: 'connect', attempt: id, peer: entry.host, address, port } };
  }
}
