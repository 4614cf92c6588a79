import type { ServerResponse } from 'node:http';
import type { CancelTimer, Host } from '../system/host.js';
import type { Change, Picture, Snapshot } from './picture.js';

/** Pages that are open at a time, and those of one login. */
const MAX_PAGES = 32;
const MAX_PAGES_OF_LOGIN = 8;

/** How often changes are sent, in milliseconds. */
const SEND_INTERVAL = 100;

/** A page with this many octets unread gets no changes, but the whole state when it has read them. */
const MAX_UNREAD = 256 * 1024;

/** Messages of whole states that are made at a time, for all pages together: each takes a millisecond or so. */
const MAX_PARTS = 4;

/** How often an idle page gets a comment, so that a broken connection is noticed, in milliseconds. */
const KEEP_ALIVE = 15_000;

interface Page {
  readonly response: ServerResponse;
  readonly login: string;
  /** It misses changes, and has not read what it got. */
  stale: boolean;
  /** What it has not got yet of the whole state. */
  rest: Iterator<Snapshot | Change> | undefined;
}

/** Sends a picture and its changes to open pages as server-sent events. All pages share the cost of a change. */
export class Live {
  readonly #picture: Picture;
  readonly #host: Host;
  readonly #onFirst: () => void;
  readonly #onLast: () => void;
  readonly #pages = new Set<Page>();
  #cancel: CancelTimer | undefined;
  #sentAt = 0;

  /** `onFirst` and `onLast` are called when the first page opens and the last one closes. */
  constructor(picture: Picture, host: Host, onFirst: () => void, onLast: () => void) {
    this.#picture = picture;
    this.#host = host;
    this.#onFirst = onFirst;
    this.#onLast = onLast;
  }

  get size(): number {
    return this.#pages.size;
  }

  /** Whether a page with this login may open. */
  admits(login: string): boolean {
    const own = [...this.#pages].filter((page) => page.login === login).length;
    return this.#pages.size < MAX_PAGES && own < MAX_PAGES_OF_LOGIN;
  }

  /** Answers a request with events until the page leaves. */
  open(response: ServerResponse, login: string): void {
    const page: Page = { response, login, stale: true, rest: undefined };
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.flushHeaders();
    this.#pages.add(page);
    response.once('close', () => this.#left(page));
    if (this.#pages.size === 1) this.#onFirst();
    this.#arm();
  }

  /** Ends the pages of a login. */
  end(login: string): void {
    for (const page of this.#pages) if (page.login === login) page.response.end();
  }

  #left(page: Page): void {
    this.#pages.delete(page);
    if (this.#pages.size > 0) return;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#onLast();
  }

  #arm(): void {
    this.#cancel ??= this.#host.after(SEND_INTERVAL, () => {
      this.#cancel = undefined;
      if (this.#pages.size === 0) return;
      this.#send();
      this.#arm();
    });
  }

  #send(): void {
    if ([...this.#pages].every(({ stale }) => stale)) this.#picture.settle();
    const change = this.#picture.take(this.#host.wall());
    const idle = this.#host.monotonic() - this.#sentAt >= KEEP_ALIVE;
    const text = change ? eventText('change', change) : idle ? ': \n\n' : '';
    if (text !== '') this.#sentAt = this.#host.monotonic();
    for (const page of this.#pages) {
      const { response } = page;
      if (page.stale) {
        if (response.writableLength > 0) continue;
        page.stale = false;
        page.rest = this.#picture.messages(() => this.#host.wall());
      } else if (text !== '') {
        if (response.writableLength > MAX_UNREAD) {
          page.stale = true;
          page.rest = undefined;
        } else response.write(text);
      }
    }
    this.#sendParts();
  }

  /** Sends the next part of the whole state to pages that have not got all of it, in turn. */
  #sendParts(): void {
    const waiting = [...this.#pages].filter(({ rest, response }) => rest && response.writableLength <= MAX_UNREAD);
    for (const page of waiting.slice(0, MAX_PARTS)) {
      const { done, value } = page.rest?.next() ?? { done: true, value: undefined };
      if (done === true || !value) page.rest = undefined;
      else page.response.write(eventText('daemon' in value ? 'snapshot' : 'change', value));
      // The others come first next time.
      this.#pages.delete(page);
      this.#pages.add(page);
    }
  }
}

function eventText(name: 'snapshot' | 'change', value: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(value)}\n\n`;
}
