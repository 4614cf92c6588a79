import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runService, type Service, type Signals } from '../../../src/runtime/service/service.js';
import type { Notification } from '../../../src/runtime/service/service-manager.js';
import { quiet } from '../../quiet.js';
import { VirtualHost } from '../../virtual-host.js';

/** The messages to the service manager: types, and the text of a status. */
const notified = vi.hoisted(() => [] as string[]);

vi.mock('../../../src/runtime/service/service-manager.js', async (actual) => ({
  ...(await actual<object>()),
  ServiceManager: class {
    notify(...all: readonly Notification[]): Promise<void> {
      notified.push(all.map((one) => (one.type === 'status' ? one.text : `${one.type}${within(one)}`)).join(', '));
      return Promise.resolve();
    }
  },
}));

const within = (one: Notification) => (one.type === 'stopping' && one.within ? ` within ${one.within}` : '');

let host: VirtualHost;
let summary: string;
let stops: number;
/** After how many milliseconds a stop is forced. */
let forced: number[];

beforeEach(() => {
  host = new VirtualHost();
  summary = 'no sessions';
  stops = 0;
  forced = [];
  notified.length = 0;
  vi.stubEnv('NOTIFY_SOCKET', '/run/notify');
  vi.stubEnv('WATCHDOG_USEC', '30000000');
  vi.stubEnv('WATCHDOG_PID', String(process.pid));
});

afterEach(() => {
  vi.unstubAllEnvs();
});

/** Runs a service. `signal` and `hangUp` stand for the signals that it receives. */
function run(more: Partial<Service> = {}, reload: () => Promise<void> = () => Promise.resolve()) {
  let signal: (name: NodeJS.Signals) => void = () => undefined;
  let hangUp: () => void = () => undefined;
  const signals = {
    end: new Promise<NodeJS.Signals>((resolve) => {
      signal = resolve;
    }),
    onHangUp: (listener: () => void) => {
      hangUp = listener;
    },
    forceAfter: (duration: number) => forced.push(duration),
  } as unknown as Signals;
  const stop = () => {
    stops += 1;
    return Promise.resolve();
  };
  const service = { stop, summary: () => summary, ...more };
  const ended = runService(service, pino({ level: 'silent' }), signals, reload, host);
  return { ended, signal: (name: NodeJS.Signals) => signal(name), hangUp: () => hangUp() };
}

/** The messages of this period, and those since the last call. */
async function during(milliseconds: number): Promise<string[]> {
  host.advance(milliseconds);
  await quiet();
  return notified.splice(0);
}

describe('A running service', () => {
  it('reports that it is ready and feeds the watchdog at once, then three times in each interval', async () => {
    run();
    expect(await during(0)).toEqual(['ready, no sessions', 'alive']);
    expect(await during(9_999)).toEqual([]);
    expect(await during(1)).toEqual(['alive']);
    expect(await during(10_000)).toEqual(['alive']);
  });

  it('does not feed the watchdog while it does not work, and checks again only after the previous check has ended', async () => {
    const answers: ((works: boolean) => void)[] = [];
    run({ works: () => new Promise((resolve) => answers.push(resolve)) });
    await during(30_000);
    expect(answers).toHaveLength(1);
    answers[0]?.(false);
    expect(await during(0)).toEqual([]);
    await during(10_000);
    answers[1]?.(true);
    expect(await during(0)).toEqual(['alive']);
  });

  it('reports its status every five seconds if it has changed', async () => {
    vi.stubEnv('WATCHDOG_USEC', '');
    run();
    expect(await during(5_000)).toEqual(['ready, no sessions']);
    summary = 'one session';
    expect(await during(4_999)).toEqual([]);
    expect(await during(1)).toEqual(['one session']);
    expect(await during(60_000)).toEqual([]);
  });

  it('reports a reload, and in its status whether the last one failed', async () => {
    vi.stubEnv('WATCHDOG_USEC', '');
    let problem: Error | undefined = new Error('no such file');
    const { hangUp } = run({}, () => (problem ? Promise.reject(problem) : Promise.resolve()));
    await during(0);
    hangUp();
    expect(await during(0)).toEqual(['reloading', 'ready, no sessions; the last reload failed']);
    problem = undefined;
    hangUp();
    expect(await during(0)).toEqual(['reloading', 'ready, no sessions']);
  });

  it('reports that it stops, and ends with status 0 after a signal', async () => {
    const { ended, signal } = run();
    await during(0);
    signal('SIGTERM');
    expect(await ended).toBe(0);
    expect(notified.at(-1)).toBe('stopping');
    expect(stops).toBe(1);
    expect(host.timers).toBe(0);
    expect(forced).toEqual([9_000]);
  });

  it('allows a stop more time if the service needs it, and tells the service manager', async () => {
    const { ended, signal } = run({ stopLimit: () => 28_600 });
    await during(0);
    signal('SIGTERM');
    await ended;
    expect([forced, notified.at(-1)]).toEqual([[28_600], 'stopping within 28600']);
  });

  it('ends with its own exit status when it finishes by itself, within a time limit', async () => {
    const { ended } = run({ finished: Promise.resolve(3) });
    expect(await ended).toBe(3);
    expect(stops).toBe(1);
    // The deadline kills a process that does not end.
    expect(forced).toEqual([9_000]);
  });

  it('reports nothing without a service manager', async () => {
    vi.stubEnv('NOTIFY_SOCKET', '');
    const { ended, signal } = run();
    await during(60_000);
    signal('SIGINT');
    expect(await ended).toBe(0);
    expect(notified).toEqual([]);
  });
});
