import type { placeOf } from '../config/control-section.js';
import type { Guard } from '../service/barrier.js';
import type { CancelTimer, Host } from '../system/host.js';
import { readAssets } from './assets.js';
import { EndedLogins } from './ended-logins.js';
import { Live } from './live.js';
import type { WebPage, WebTools } from './page.js';
import { Picture } from './picture.js';
import { readToken } from './token-file.js';
import { readWebTls, type WebSection } from './web-files.js';
import { WebServer } from './web-server.js';

/** How often a table is read while a page is open, in milliseconds, and at most which part of the time that takes. */
const READ_INTERVAL = 1_000;
const READ_SHARE = 0.02;

/** Rows that are read at a time: a daemon serves its clients in between. */
const SLICE = 500;

type Place = NonNullable<ReturnType<typeof placeOf>>;

/**
 * Serves the web page of a daemon. Resolves with a function that closes it. Rejects with OperatorError, or with the
 * system's error.
 */
export async function servePage(
  section: WebSection,
  place: Place,
  page: WebPage,
  tools: WebTools,
): Promise<() => Promise<void>> {
  const { feed, log, guard, host } = tools;
  const file = section['web-token'];
  const logouts = new EndedLogins(file, ({ message: reason }) => log.error({ reason }, 'logout not written'));
  const [token, assets, tls, ended] = await Promise.all([
    readToken(file, (octets) => host.random(octets)),
    readAssets(),
    readWebTls(section),
    logouts.read(),
  ]);
  const picture = new Picture(page.daemon, page.panaSession);
  const reader = new TableReader(picture, page.tables, guard, host);
  const live = new Live(
    picture,
    host,
    () => reader.start(),
    () => {
      reader.stop();
      picture.clear();
    },
  );
  const server = await WebServer.open(
    { daemon: page.daemon, ...place, names: section['web-hosts'], token, tls },
    {
      assets,
      live,
      guard,
      clock: host,
      ended,
      onEnded: (all) => logouts.write(all),
      lists: page.lists,
      actions: page.actions,
      onLogin: ({ outcome, operator, address }) => {
        if (outcome === 'accepted') log.info({ operator, address }, 'operator logged in');
        // Anybody who reaches the port can fail: beyond the limit, not for the log.
        else log[outcome === 'wrong' ? 'warn' : 'debug']({ operator, address, reason: outcome }, 'login refused');
      },
    },
  );
  const stopListening = feed.listen('trace', (event) => {
    guard.run('control', () => picture.handle(event));
  });
  log.info({ listening: [{ address: place.host, port: server.port }], file }, 'web page ready');
  return async () => {
    stopListening();
    reader.stop();
    await server.close();
    await logouts.settled();
  };
}

/** Reads tables into a picture while a page is open: each less often the longer reading it takes. */
class TableReader {
  readonly #picture: Picture;
  readonly #tables: WebPage['tables'];
  readonly #guard: Guard;
  readonly #host: Host;
  readonly #problems = new Map<string, string>();
  readonly #timers = new Map<string, CancelTimer>();
  #running = 0;

  constructor(picture: Picture, tables: WebPage['tables'], guard: Guard, host: Host) {
    this.#picture = picture;
    this.#tables = tables;
    this.#guard = guard;
    this.#host = host;
  }

  start(): void {
    this.stop();
    for (const name of Object.keys(this.#tables)) void this.#read(name, this.#running);
  }

  stop(): void {
    this.#running += 1;
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
  }

  async #read(name: string, running: number): Promise<void> {
    const started = this.#host.monotonic();
    await this.#guard.settle('control', this.#refresh(name, running));
    if (running !== this.#running) return;
    const took = this.#host.monotonic() - started;
    const wait = Math.max(READ_INTERVAL, took / READ_SHARE);
    this.#timers.set(
      name,
      this.#host.after(wait, () => void this.#read(name, running), false),
    );
  }

  async #refresh(name: string, running: number): Promise<void> {
    const read = this.#tables[name];
    if (!read) return;
    try {
      const rows = await read();
      if (running !== this.#running) return;
      const table = this.#picture.replacement(name);
      let count = 0;
      for (const [key, row] of rows) {
        table.set(key, row);
        count += 1;
        if (count % SLICE > 0) continue;
        await new Promise<void>((resolve) => this.#host.after(0, resolve, false));
        if (running !== this.#running) return;
      }
      table.end();
      this.#problems.delete(name);
    } catch (error) {
      // Such as a store that is unavailable. The page shows the last state, and this.
      this.#problems.set(name, (error as Error).message);
    }
    if (running !== this.#running) return;
    this.#picture.replace(
      'problems',
      [...this.#problems].map(([table, reason]) => [table, { table, reason }] as const),
    );
  }
}
