/** Minimum time between two lines of the log about one client, in milliseconds. */
export const REPORT_INTERVAL = 60_000;

/** Maximum number of lines in that time about addresses that are no client. Anyone can send from many addresses. */
export const MAX_STRANGERS = 10;

interface Reports {
  readonly since: number;
  count: number;
}

/** Limits the lines of the log about discarded packets: one for each client, or address of a stranger, in a minute. */
export class DropReports {
  /** By name of the client. Their number is that of the configured clients. */
  readonly #clients = new Map<string, Reports>();
  /** By address. */
  readonly #strangers = new Map<string, Reports>();
  #strangersSince = Number.NEGATIVE_INFINITY;

  /**
   * The number of packets since the last line that a line stands for now; undefined: no line is due. `client`: undefined
   * for a stranger.
   */
  dropped(client: string | undefined, address: string, now: number): number | undefined {
    if (client !== undefined) return report(this.#clients, client, now);
    if (now - this.#strangersSince >= REPORT_INTERVAL) {
      this.#strangers.clear();
      this.#strangersSince = now;
    }
    if (!this.#strangers.has(address) && this.#strangers.size >= MAX_STRANGERS) return undefined;
    return report(this.#strangers, address, now);
  }

  clear(): void {
    this.#clients.clear();
  }
}

function report(reports: Map<string, Reports>, key: string, now: number): number | undefined {
  const own = reports.get(key);
  if (own && now - own.since < REPORT_INTERVAL) {
    own.count += 1;
    return undefined;
  }
  reports.set(key, { since: now, count: 0 });
  return 1 + (own?.count ?? 0);
}
