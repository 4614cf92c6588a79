import type { RelayClient, Supplied } from './alphabet.js';

interface Entry {
  client: RelayClient;
  /** Undefined: not read yet, or the kernel does not know it. */
  mac: string | undefined;
}

/** A session that a message belongs to, or why there is none. */
export type Match =
  | { readonly supplied: Exclude<Supplied, 'no-session' | 'ambiguous'>; readonly client: RelayClient }
  | { readonly supplied: 'no-session' | 'ambiguous'; readonly client: undefined };

/**
 * The authorized clients by address and by MAC address. As at the enforcement point, the MAC address of a client is the
 * one that its address had when it was permitted, not one that the address gets later.
 */
export class RelayClients {
  readonly #entries = new Map<number, Entry>();
  readonly #addresses = new Map<string, Set<Entry>>();
  readonly #macs = new Map<string, Set<Entry>>();
  /** Clients whose MAC address has to be read. */
  readonly #unread = new Set<Entry>();

  get size(): number {
    return this.#entries.size;
  }

  get isReading(): boolean {
    return this.#unread.size > 0;
  }

  /** Adds or updates a client. The MAC address of a new address has to be read. */
  set(client: RelayClient): void {
    const present = this.#entries.get(client.sessionId);
    if (present?.client.address === client.address) {
      present.client = client;
      if (present.mac === undefined) this.#unread.add(present);
      return;
    }
    this.delete(client.sessionId);
    const entry: Entry = { client, mac: undefined };
    this.#entries.set(client.sessionId, entry);
    insert(this.#addresses, client.address, entry);
    this.#unread.add(entry);
  }

  move(sessionId: number, address: string): void {
    const entry = this.#entries.get(sessionId);
    if (entry) this.set({ ...entry.client, address });
  }

  delete(sessionId: number): void {
    const entry = this.#entries.get(sessionId);
    if (!entry) return;
    this.#entries.delete(sessionId);
    this.#unread.delete(entry);
    remove(this.#addresses, entry.client.address, entry);
    if (entry.mac !== undefined) remove(this.#macs, entry.mac, entry);
  }

  /** Takes the MAC addresses of clients that have none yet. */
  learn(macs: ReadonlyMap<string, string>): void {
    for (const entry of this.#unread) {
      const mac = macs.get(withoutScope(entry.client.address));
      if (mac === undefined) continue;
      entry.mac = mac;
      insert(this.#macs, mac, entry);
    }
    // An address whose neighbour is not known now is behind a router: other addresses of it cannot be recognized.
    this.#unread.clear();
  }

  /** The session of a client with this address. */
  at(address: string): Match {
    return matchOf(this.#addresses.get(address));
  }

  /** The session of a client with this MAC address. */
  of(mac: string): Match {
    return matchOf(this.#macs.get(mac));
  }
}

/** The newest session counts. Sessions of different users do not tell whose message it is. */
function matchOf(entries: ReadonlySet<Entry> | undefined): Match {
  const clients = [...(entries ?? [])].map(({ client }) => client);
  const client = clients.at(-1);
  if (!client) return { supplied: 'no-session', client: undefined };
  if (clients.some(({ user }) => user !== client.user)) return { supplied: 'ambiguous', client: undefined };
  return { supplied: client.assignment ? 'home-network' : 'no-home-agent', client };
}

export function withoutScope(address: string): string {
  return address.split('%', 1)[0] ?? '';
}

function insert(table: Map<string, Set<Entry>>, key: string, entry: Entry): void {
  table.set(key, (table.get(key) ?? new Set()).add(entry));
}

function remove(table: Map<string, Set<Entry>>, key: string, entry: Entry): void {
  const set = table.get(key);
  set?.delete(entry);
  if (set?.size === 0) table.delete(key);
}
