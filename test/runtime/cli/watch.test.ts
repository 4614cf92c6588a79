import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { liveLadder } from '../../../src/runtime/cli/live-ladder.js';
import { Screen } from '../../../src/runtime/cli/screen.js';
import { eventLine, KEPT, type Watched, watchDaemon } from '../../../src/runtime/cli/watch.js';
import type { FeedEvent } from '../../../src/runtime/log/feed.js';
import { ControlServer, callDaemon, Streaming } from '../../../src/runtime/service/control.js';
import { systemHost } from '../../../src/runtime/system/host.js';
import { eventually } from '../../eventually.js';

/** A daemon with a state and a stream of events. */
class Daemon {
  readonly socket: string;
  state: object | string = { sessions: 1 };
  #server: ControlServer | undefined;
  readonly #streams = new Set<ServerResponse>();

  constructor(socket: string) {
    this.socket = socket;
  }

  async start(): Promise<void> {
    this.#server = await ControlServer.onSocket(this.socket, {
      'GET /status': () => this.state,
      'GET /events': () =>
        new Streaming((response) => {
          response.writeHead(200).flushHeaders();
          this.#streams.add(response);
          response.once('close', () => this.#streams.delete(response));
        }),
    });
  }

  get listeners(): number {
    return this.#streams.size;
  }

  say(event: Partial<FeedEvent>): void {
    for (const stream of this.#streams) stream.write(`${JSON.stringify({ level: 30, ...event })}\n`);
  }

  async stop(): Promise<void> {
    await this.#server?.close();
  }
}

let folder: string;
let daemon: Daemon;
let ending: AbortController;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'watch-'));
  daemon = new Daemon(join(folder, 'socket'));
  ending = new AbortController();
  await daemon.start();
});
afterEach(async () => {
  ending.abort();
  await daemon.stop();
  await rm(folder, { recursive: true });
});

/** Watches the daemon; `text` is all that was written. */
function watching(
  terminal: { readonly isTTY?: boolean; readonly rows?: number; readonly columns?: number } = {},
  lower?: Watched['lower'],
) {
  let text = '';
  const out = { ...terminal, write: (more: string) => (text += more) };
  const read = async () => JSON.stringify(await callDaemon(daemon.socket, 'GET', '/status'), undefined, 1);
  const watched = { name: 'pana-paa', socket: daemon.socket, query: 'level=info', read, ...(lower ? { lower } : {}) };
  const done = watchDaemon(watched, { out, host: systemHost, signal: ending.signal });
  return {
    done,
    shows: (what: string) => eventually(() => expect(text).toContain(what)),
    get text() {
      return text;
    },
    /** What a terminal shows at the end: the last frame, without the sequences. */
    frame: () => (text.split('\x1b[H').at(-1) ?? '').split('\x1b[J')[0]?.replaceAll('\x1b[K', '').split('\r\n') ?? [],
  };
}

const HOSTILE = 'mn\x1b[2J\x1b]0;owned\x07\u202e\n\r\x9b';

describe('watchDaemon without a terminal', () => {
  it('writes the state and then a plain line for each event', async () => {
    const seen = watching();
    await eventually(() => expect(daemon.listeners).toBe(1));
    daemon.say({ time: '2026-01-02T03:04:05.678Z', msg: 'session authorized', nai: HOSTILE, port: 7 });
    await seen.shows('session authorized');
    ending.abort();
    await seen.done;
    expect(seen.text).toMatch(/^\{\n "sessions": 1\n\}\n03:04:05\.678 info {2}session authorized {2}nai=/);
    expect(seen.text).toContain('port=7\n');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none may come through
    expect(seen.text).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
  });

  it('says that the daemon is gone, and goes on with the next one', async () => {
    const seen = watching();
    await eventually(() => expect(daemon.listeners).toBe(1));
    await daemon.stop();
    await seen.shows('The daemon does not answer any more; waiting for it.\n');
    await daemon.start();
    await seen.shows('The daemon answers again.\n');
    await eventually(() => expect(daemon.listeners).toBe(1));
    daemon.say({ msg: 'session ended' });
    await seen.shows('session ended');
    ending.abort();
    await seen.done;
    expect(seen.text.match(/waiting for it/g)).toHaveLength(1);
  });

  it('fails if no daemon runs at the beginning', async () => {
    await daemon.stop();
    await expect(watching().done).rejects.toThrow('no daemon runs with the control socket');
    await daemon.start();
  });
});

describe('watchDaemon on a terminal', () => {
  it('draws frames that fit, newest events last, and restores the terminal', async () => {
    daemon.state = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`key${i}`, HOSTILE]));
    const seen = watching({ isTTY: true, rows: 12, columns: 60 });
    await eventually(() => expect(daemon.listeners).toBe(1));
    for (let i = 0; i < KEPT + 50; i += 1) daemon.say({ msg: 'hook output', line: `number ${i} ${HOSTILE}` });
    await seen.shows(`number ${KEPT + 49} `);
    const frame = seen.frame();
    expect(frame).toHaveLength(12);
    expect(frame[0]).toMatch(/^pana-paa {2}\d\d:\d\d:\d\d$/);
    expect(frame.find((line) => line.includes('more lines'))).toBeDefined();
    expect(frame.at(-1)).toContain(`number ${KEPT + 49} `);
    ending.abort();
    await seen.done;
    expect(seen.text.startsWith('\x1b[?1049h\x1b[?25l\x1b[?7l')).toBe(true);
    expect(seen.text.endsWith('\x1b[?7h\x1b[?25h\x1b[?1049l')).toBe(true);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the sequences that are written
    const sequences = new Set(seen.text.match(/\x1b[^A-Za-z]*[A-Za-z]/g));
    expect([...sequences].sort()).toEqual(
      ['?1049h', '?1049l', '?25h', '?25l', '?7h', '?7l', 'H', 'J', 'K'].map((end) => `\x1b[${end}`),
    );
  });

  it('keeps the heading of a lower part that is too long', async () => {
    const lower = (events: readonly FeedEvent[]) => ['HEADING', ...events.map(({ line }) => `rung ${line}`)];
    const seen = watching({ isTTY: true, rows: 8, columns: 60 }, lower);
    await eventually(() => expect(daemon.listeners).toBe(1));
    for (let i = 0; i < 20; i += 1) daemon.say({ msg: 'hook output', line: `${i}` });
    await seen.shows('rung 19');
    const frame = seen.frame();
    expect(frame.indexOf('HEADING')).toBeGreaterThan(0);
    expect(frame).toHaveLength(8);
    expect(frame.at(-1)).toBe('rung 19');
  });

  it('keeps the last state while the daemon is gone, and says since when', async () => {
    const seen = watching({ isTTY: true, rows: 20, columns: 80 });
    await eventually(() => expect(daemon.listeners).toBe(1));
    await daemon.stop();
    await seen.shows('waiting for it');
    expect(seen.frame()[0]).toMatch(/^pana-paa {2}not answering since \d\d:\d\d:\d\d; waiting for it$/);
    expect(seen.frame().join()).toContain('"sessions": 1');
    daemon.state = { sessions: 2 };
    await daemon.start();
    await seen.shows('"sessions": 2');
    expect(seen.frame()[0]).toMatch(/^pana-paa {2}\d\d:\d\d:\d\d$/);
  });

  it('leaves a real terminal as it was at Ctrl-C', async () => {
    // `exec`: some shells end by the signal too.
    const command = `exec ${process.execPath} dist/paa/main.js status --watch --control.socket ${daemon.socket}`;
    const child = spawn('script', ['-qefc', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (more) => (text += more));
    await eventually(() => expect(daemon.listeners).toBe(1));
    child.stdin.write('\x03');
    const status = await new Promise((resolve) => child.once('close', resolve));
    expect(status).toBe(0);
    expect(text).toContain('sessions');
    expect(text.endsWith('\x1b[?7h\x1b[?25h\x1b[?1049l')).toBe(true);
  });
});

describe('Screen', () => {
  it('writes each frame at once and never clears the screen, and nothing if it is the same', () => {
    const writes: string[] = [];
    const screen = new Screen({ write: (text) => writes.push(text), rows: 2 });
    screen.enter();
    screen.draw(['one', 'two', 'three']);
    screen.draw(['one', 'two', 'four']);
    screen.draw(['one']);
    expect(writes.slice(1)).toEqual(['\x1b[Hone\x1b[K\r\ntwo\x1b[K\x1b[J', '\x1b[Hone\x1b[K\x1b[J']);
  });
});

describe('liveLadder', () => {
  const COLUMNS = { names: ['client', 'router', 'AAA'], client: 0, own: 1, peers: 2 };
  const event = (more: Partial<FeedEvent>) => ({ level: 10, name: 'x', time: '', at: 0, ...more }) as FeedEvent;

  it('draws the messages of a PAA on both sides, without those between peers', () => {
    const events = [
      event({ msg: 'message received', message: 'PCI', address: '::7', at: 10 }),
      event({ msg: 'session starting' }),
      event({ msg: 'message sent', message: 'DER', peer: 'aaa', diameterSession: 'x;1;2', at: 12 }),
      event({ msg: 'message received', message: 'DWR', peer: 'aaa', at: 12 }),
      event({
        msg: 'message received',
        message: 'DEA',
        resultCode: 'SUCCESS',
        peer: 'aaa',
        diameterSession: 'x;1;2',
        at: 14,
      }),
      event({ msg: 'message sent', message: 'Status-Server', peer: 'radius', at: 15 }),
    ];
    const [head, ...rungs] = liveLadder(events, COLUMNS, 100);
    expect(head).toMatch(/client +router +AAA/);
    expect(rungs.map((rung) => rung.replace(/-+/g, '-').replace(/ {2,}/g, ' '))).toEqual([
      ' 0.0 |- PCI ::7 ->|',
      ' 2.0 |- DER aaa ->|',
      ' 4.0 |<- DEA SUCCESS aaa -|',
    ]);
  });
});

describe('eventLine', () => {
  it('quotes values with blanks, and omits what is not there', () => {
    const line = eventLine({
      level: 40,
      msg: 'hook failed',
      reason: 'status 1',
      event: 'up',
      nai: undefined,
    } as FeedEvent);
    expect(line).toBe('warn  hook failed  reason="status 1" event=up');
  });
});
