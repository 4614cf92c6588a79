import { DIAMETER_PORT, DIAMETER_TLS_PORT } from '../wire/ports.js';
import type { AttemptId, NodeOutput } from './alphabet.js';
import type { PeerEntry } from './peer-entry.js';
import { addressesOf } from './peer-sources.js';

interface Attempt {
  readonly id: AttemptId;
  readonly entry: PeerEntry;
  readonly address: string;
  readonly port: number;
  /** Addresses that are tried after this one. */
  readonly next: readonly string[];
  readonly until: number;
}

/** What comes after an address that cannot be reached: the next address, or the end of the attempt. */
type Next =
  | { readonly type: 'connect'; readonly output: NodeOutput }
  | { readonly type: 'exhausted'; readonly entry: PeerEntry; readonly reason: string };

/** Attempts to connect: the addresses of a peer one after the other, each for its share of the time. */
export class Attempts {
  readonly #timeout: number;
  readonly #attempts = new Map<AttemptId, Attempt>();
  #last = 0;

  /** `timeout`: of an attempt with all addresses of a peer, milliseconds. */
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

  /** It is connected; undefined: it was abandoned. */
  end(id: AttemptId): PeerEntry | undefined {
    const attempt = this.#attempts.get(id);
    this.#attempts.delete(id);
    return attempt?.entry;
  }

  /** This address cannot be reached; undefined: the attempt was abandoned. `reason`: the system's code. */
  failed(id: AttemptId, reason: string, now: number): Next | undefined {
    const attempt = this.#attempts.get(id);
    if (!attempt) return undefined;
    this.#attempts.delete(id);
    const { entry, address, port, next } = attempt;
    return this.#try(entry, next, `cannot connect to ${address} port ${port}: ${reason}`, now);
  }

  /** Gives up what is tried for a peer. */
  abandon(entry: PeerEntry): NodeOutput[] {
    const ids = [...this.#attempts.values()].filter((attempt) => attempt.entry === entry).map(({ id }) => id);
    return ids.map((attempt) => {
      this.#attempts.delete(attempt);
      return { type: 'abandon', attempt };
    });
  }

  /** Attempts whose address has had its time. */
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
