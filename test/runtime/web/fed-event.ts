import type { LogEvent, LogFields } from '../../../src/runtime/log/events.js';
import type { FeedEvent } from '../../../src/runtime/log/feed.js';

/** An event at a time in milliseconds. */
export function event(at: number, msg: LogEvent, fields: LogFields = {}, level = 30): FeedEvent {
  return { level, name: 'pana-paa', time: new Date(at).toISOString(), at, msg, ...fields };
}
