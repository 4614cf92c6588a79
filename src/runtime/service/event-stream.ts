import type { ServerResponse } from 'node:http';
import { type EventFeed, type FeedEvent, LEVELS } from '../log/feed.js';
import type { CancelTimer, Host } from '../system/host.js';
import { EVENT_API } from './common-api.js';
import { ControlError, type ControlRoutes, Streaming } from './control.js';
import { controlRoutes } from './control-api.js';

/** Maximum number of streams of events at a time. */
const MAX_STREAMS = 16;

/** Limit in characters of what waits for a slow reader. */
const MAX_WAITING = 1024 * 1024;

/** Events of this many milliseconds are written together. */
const BATCH = 50;

/** HTTP status: too many streams. */
const BUSY = 503;

/** The fields by which `of` selects events. */
const NAMES = [
  'session',
  'diameterSession',
  'nai',
  'identity',
  'address',
  'homeAddress',
  'homeAgentName',
  'peer',
] as const;

/**
 * `GET /events`: the daemon's events as JSON lines, as they happen, in the form of its log in JSON. `level`: events of this
 * and higher levels (default `info`), independent of the level of the log. `of`: only events of this session, subscriber,
 * address, home agent or peer. Events that a slow reader missed are counted: `{"msg": "log lines lost", "count": 5}`.
 */
export function eventRoutes(feed: EventFeed, host: Host): ControlRoutes {
  const streams = new Set<ServerResponse>();
  return controlRoutes(EVENT_API, {
    'GET /events': ({ query: { level, of } }) => {
      if (streams.size >= MAX_STREAMS)
        throw new ControlError(`${MAX_STREAMS} streams of events are open already`, BUSY);
      return new Streaming((response) => {
        streams.add(response);
        response.once('close', () => streams.delete(response));
        response.writeHead(200, { 'content-type': 'application/x-ndjson' });
        response.flushHeaders();
        const out = new LineOutput(feed.name, response, host);
        const end = feed.listen(level, (event) => {
          if (of === undefined || NAMES.some((name) => event[name] === of)) out.add(event);
        });
        response.once('close', () => {
          end();
          out.close();
        });
      });
    },
  });
}

/** Writes events as JSON lines, those of a moment together. */
class LineOutput {
  readonly #name: string;
  readonly #response: ServerResponse;
  readonly #host: Host;
  #text = '';
  #lost = 0;
  #cancel: CancelTimer | undefined;

  constructor(name: string, response: ServerResponse, host: Host) {
    this.#name = name;
    this.#response = response;
    this.#host = host;
  }

  add(event: FeedEvent): void {
    if (this.#text.length + this.#response.writableLength > MAX_WAITING) {
      this.#lost += 1;
      return;
    }
    if (this.#lost > 0) {
      const lost = { level: LEVELS.warn, name: this.#name, time: event.time, at: event.at, count: this.#lost };
      this.#text += `${JSON.stringify({ ...lost, msg: 'log lines lost' })}\n`;
      this.#lost = 0;
    }
    this.#text += `${JSON.stringify(event)}\n`;
    this.#cancel ??= this.#host.after(BATCH, () => this.#write(), false);
  }

  close(): void {
    this.#cancel?.();
  }

  #write(): void {
    this.#cancel = undefined;
    this.#response.write(this.#text);
    this.#text = '';
  }
}
