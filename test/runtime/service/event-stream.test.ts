import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Logger } from '../../../src/runtime/log/events.js';
import { EventFeed, type FeedEvent } from '../../../src/runtime/log/feed.js';
import { ControlServer, followDaemon, NoDaemonError } from '../../../src/runtime/service/control.js';
import { eventRoutes } from '../../../src/runtime/service/event-stream.js';
import { systemHost } from '../../../src/runtime/system/host.js';
import { eventually } from '../../eventually.js';

const nothing = () => undefined;
const silent: Logger = {
  level: 'silent',
  isLevelEnabled: () => false,
  trace: nothing,
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  fatal: nothing,
};

let folder: string;
let socket: string;
let feed: EventFeed;
let server: ControlServer;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'events-'));
  socket = join(folder, 'socket');
  feed = new EventFeed('pana-paa', silent, systemHost);
  server = await ControlServer.onSocket(socket, eventRoutes(feed, systemHost));
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

describe('GET /events', () => {
  it('sends events of the wanted level and subject until the caller leaves', async () => {
    const heard: FeedEvent[] = [];
    const leaving = new AbortController();
    const route = '/events?level=debug&of=mn%40home.example';
    const followed = followDaemon(socket, route, (line) => heard.push(line as FeedEvent), leaving.signal);
    await eventually(() => expect(feed.size).toBe(1));
    feed.log.debug({ nai: 'mn@home.example' }, 'message dropped');
    feed.log.info({ nai: 'other@home.example' }, 'session authorized');
    feed.log.trace({ nai: 'mn@home.example' }, 'message sent');
    feed.log.info({ nai: 'mn@home.example', session: '0a1b2c3d' }, 'session authorized');
    await eventually(() => expect(heard.length).toBeGreaterThan(1));
    expect(heard.map(({ msg, session }) => [msg, session])).toEqual([
      ['message dropped', undefined],
      ['session authorized', '0a1b2c3d'],
    ]);
    leaving.abort();
    await followed;
    await eventually(() => expect(feed.size).toBe(0));
  });

  it('ends when the daemon stops', async () => {
    const followed = followDaemon(socket, '/events', nothing);
    await eventually(() => expect(feed.size).toBe(1));
    await server.close();
    await followed;
    await eventually(() => expect(feed.size).toBe(0));
    await expect(followDaemon(socket, '/events', nothing)).rejects.toBeInstanceOf(NoDaemonError);
    server = await ControlServer.onSocket(socket, {});
  });

  it('refuses an unknown level and too many streams', async () => {
    await expect(followDaemon(socket, '/events?level=loud', nothing)).rejects.toThrow('level: loud is none of trace,');
    const leaving = new AbortController();
    const all = Array.from({ length: 16 }, () => followDaemon(socket, '/events', nothing, leaving.signal));
    await eventually(() => expect(feed.size).toBe(16));
    await expect(followDaemon(socket, '/events', nothing)).rejects.toThrow('16 streams of events are open already');
    leaving.abort();
    await Promise.all(all);
  });

  it('counts the events that a slow reader misses', async () => {
    let text = '';
    const slow = connect(socket);
    slow.write('GET /events HTTP/1.1\r\nhost: a\r\n\r\n');
    await eventually(() => expect(feed.size).toBe(1));
    slow.pause();
    for (let i = 0; i < 10_000; i += 1) feed.log.info({ reason: 'x'.repeat(900) }, 'message dropped');
    slow.on('data', (part) => (text += part));
    slow.resume();
    await eventually(() => expect(text.length).toBeGreaterThan(500_000));
    await eventually(() => {
      feed.log.info('ready');
      expect(text).toContain('"log lines lost"');
    });
    expect(text.length).toBeLessThan(4_000_000);
    slow.destroy();
  });
});
