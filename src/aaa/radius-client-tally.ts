import type { RadiusOutput } from '../protocol/home/radius/alphabet.js';
import type { RadiusClient } from '../protocol/home/radius/clients.js';
import { CODE } from '../protocol/radius/wire/codec.js';

/** A RADIUS client, for status output. */
export interface RadiusClientView {
  readonly name: string;
  /** Its networks, and the name in its certificate. */
  readonly from: string;
  /** Numbers of Access-Accepts, Access-Rejects and discarded packets since the start of the daemon. */
  readonly accepted: number;
  readonly rejected: number;
  readonly discarded: number;
  /** When it got an answer last, in UTC; undefined: never. */
  readonly lastAnswer: string | undefined;
  /** Why a packet with its address was discarded since then. */
  readonly problem: string | undefined;
}

type Counted = Pick<RadiusClientView, 'accepted' | 'rejected' | 'discarded' | 'lastAnswer' | 'problem'>;

const NEW: Counted = { accepted: 0, rejected: 0, discarded: 0, lastAnswer: undefined, problem: undefined };

/** What each configured RADIUS client got. */
export class RadiusClientTally {
  #clients: readonly RadiusClient[];
  #counted = new Map<string, Counted>();

  constructor(clients: readonly RadiusClient[]) {
    this.#clients = clients;
  }

  /** Clients that remain keep their counts. */
  configure(clients: readonly RadiusClient[]): void {
    this.#clients = clients;
    this.#counted = new Map(clients.map(({ name }) => [name, this.#of(name)]));
  }

  /** `wall`: milliseconds since 1970. */
  served({ client, code, ...what }: Extract<RadiusOutput, { type: 'served' }>, wall: number): void {
    const counted = this.#of(client);
    const isNew = !what.isRepeated && what.isStatus === undefined;
    this.#counted.set(client, {
      ...counted,
      accepted: counted.accepted + (isNew && code === CODE['Access-Accept'] ? 1 : 0),
      rejected: counted.rejected + (isNew && code === CODE['Access-Reject'] ? 1 : 0),
      lastAnswer: new Date(wall).toISOString(),
      problem: undefined,
    });
  }

  dropped({ client, detail }: Extract<RadiusOutput, { type: 'dropped' }>): void {
    // Strangers are in the log only.
    if (client === undefined) return;
    const counted = this.#of(client);
    this.#counted.set(client, { ...counted, discarded: counted.discarded + 1, problem: detail });
  }

  views(): RadiusClientView[] {
    return this.#clients.map(({ name, from, certificate }) => ({
      name,
      from: [...from, ...(certificate === undefined ? [] : [`certificate of ${certificate}`])].join(', '),
      ...this.#of(name),
    }));
  }

  #of(client: string): Counted {
    return this.#counted.get(client) ?? NEW;
  }
}
