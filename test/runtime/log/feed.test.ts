import { describe, expect, it } from 'vitest';
import type { LogEvent, LogFields, Logger } from '../../../src/runtime/log/events.js';
import { EventFeed, type FeedEvent } from '../../../src/runtime/log/feed.js';
import { VirtualHost } from '../../virtual-host.js';

/** A log of level info, and what was written to it. */
function recordingLog(): { log: Logger; written: [LogFields, LogEvent][] } {
  const written: [LogFields, LogEvent][] = [];
  const write = (first: LogFields | LogEvent, event?: LogEvent) => {
    if (typeof first === 'string') written.push([{}, first]);
    else if (event !== undefined) written.push([first, event]);
  };
  const nothing = () => undefined;
  const log = { level: 'info', trace: nothing, debug: nothing, info: write, warn: write, error: write, fatal: write };
  return { log: { ...log, isLevelEnabled: (level) => level !== 'trace' && level !== 'debug' }, written };
}

describe('EventFeed', () => {
  it('passes events of the wanted levels, also those that are not logged', () => {
    const host = new VirtualHost();
    const { log, written } = recordingLog();
    const feed = new EventFeed('pana-paa', log, host);
    expect(feed.log.isLevelEnabled('debug')).toBe(false);
    const heard: FeedEvent[] = [];
    const end = feed.listen('debug', (event) => heard.push(event));
    expect(['trace', 'debug', 'info'].map((level) => feed.log.isLevelEnabled(level))).toEqual([false, true, true]);
    host.advance(1.5);
    feed.log.trace({ message: 'PCI' }, 'message sent');
    feed.log.debug({ reason: 'odd' }, 'message dropped');
    feed.log.info('ready');
    end();
    feed.log.error({ reason: 'late' }, 'fault contained');
    expect(feed.log.isLevelEnabled('debug')).toBe(false);
    const common = { name: 'pana-paa', time: '2030-01-01T00:00:00.001Z', at: Date.UTC(2030, 0, 1) + 1.5 };
    expect(heard).toEqual([
      { ...common, level: 20, msg: 'message dropped', reason: 'odd' },
      { ...common, level: 30, msg: 'ready' },
    ]);
    expect(written).toEqual([
      [{}, 'ready'],
      [{ reason: 'late' }, 'fault contained'],
    ]);
  });

  it('follows a step of the wall clock', () => {
    const host = new VirtualHost();
    const feed = new EventFeed('pana-paa', recordingLog().log, host);
    const times: number[] = [];
    feed.listen('info', ({ at }) => times.push(at));
    feed.log.info('ready');
    host.wallOffset -= 3_600_000;
    feed.log.info('ready');
    expect(times).toEqual([Date.UTC(2030, 0, 1), Date.UTC(2030, 0, 1) - 3_600_000]);
  });

  it('passes only so many details a second', () => {
    const host = new VirtualHost();
    const feed = new EventFeed('pana-paa', recordingLog().log, host);
    let heard = 0;
    feed.listen('trace', () => (heard += 1));
    for (let i = 0; i < 5_000; i += 1) feed.log.trace({ sequence: i }, 'message received');
    expect([heard, feed.log.isLevelEnabled('trace'), feed.log.isLevelEnabled('info')]).toEqual([2_000, false, true]);
    feed.log.info('ready');
    host.advance(1_000);
    expect(feed.log.isLevelEnabled('trace')).toBe(true);
    feed.log.trace({ sequence: 1 }, 'message received');
    expect(heard).toBe(2_002);
  });

  it('cuts what a stranger made long', () => {
    const feed = new EventFeed('pana-aaa', recordingLog().log, new VirtualHost());
    const heard: FeedEvent[] = [];
    feed.listen('info', (event) => heard.push(event));
    feed.log.info({ identity: 'x'.repeat(100_000) }, 'authentication failed');
    expect(heard[0]?.identity?.length).toBeLessThan(2_000);
  });
});
